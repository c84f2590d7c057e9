//! How a question is answered: from what is forced, else from the current rule set.

use std::{borrow::Cow, sync::Arc, time::SystemTime};

use crossfade_rules::{Context, ErrorCode, Evaluation, Flag, FlagIndex, Reason, Resolution};
use serde_json::Value;

use crate::{
    Details, FlagValue, Flags, details::Origin, recording::Evaluated, shared::Snapshot, value::read,
};

/// One question to the client.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Question<'a> {
    pub(crate) key: &'a str,
    /// The index in the rule set of this generation, where the key was looked up before.
    pub(crate) known: Option<(u32, FlagIndex)>,
    pub(crate) context: &'a Context<'a>,
}

impl<'a> Question<'a> {
    #[inline]
    pub(crate) fn by_key(key: &'a str, context: &'a Context<'a>) -> Self {
        Self { key, known: None, context }
    }

    #[inline]
    fn find<'s>(&self, snapshot: &'s Snapshot) -> Option<&'s Flag> {
        match self.known {
            Some((generation, index)) if generation == snapshot.generation => {
                snapshot.rules.flag_at(index)
            }
            _ => snapshot.rules.flag(self.key),
        }
    }
}

/// The answer in one type; `Ok(None)` leaves it to the default without anything being wrong.
#[inline]
pub(crate) fn value<T: FlagValue>(
    flags: &Flags,
    question: &Question<'_>,
) -> Result<Option<T>, ErrorCode> {
    if flags.overrides.is_active() {
        let answer = watched(flags, question);
        return answer.error.map_or(Ok(answer.value), |error| Err(warned(flags, question, error)));
    }
    let snapshot = flags.shared.snapshot();
    let Some(snapshot) = snapshot.as_deref() else {
        return Err(warned(flags, question, ErrorCode::NotReady));
    };
    let Some(flag) = question.find(snapshot) else {
        return Err(warned(flags, question, ErrorCode::FlagNotFound));
    };
    let answer = if flag.reads_time() {
        flag.value::<T::Borrowed<'_>>(&timed(question.context))
    } else {
        flag.value::<T::Borrowed<'_>>(question.context)
    };
    match answer {
        Ok(value) => Ok(value.map(T::own)),
        Err(error) => Err(warned(flags, question, error)),
    }
}

/// The answer in one type with all that is known about it.
pub(crate) fn details<T: FlagValue>(
    flags: &Flags,
    question: &Question<'_>,
    default: T,
) -> Details<T> {
    let answer = match flags.overrides.is_active() {
        true => watched(flags, question),
        false => resolved(flags, question),
    };
    let Details { value, reason, error, origin } = answer;
    Details { value: value.unwrap_or(default), reason, error, origin }
}

/// The answer of whatever type.
pub(crate) fn evaluate(flags: &Flags, key: &str, context: &Context<'_>) -> Evaluation {
    let forced = match flags.overrides.is_active() {
        true => flags.overrides.answer(key, context.targeting_key()),
        false => None,
    };
    let snapshot = flags.shared.snapshot();
    let answer = match (forced, snapshot.as_deref()) {
        (Some(answer), _) => Evaluation::fixed(answer),
        (None, None) => Evaluation::failed(ErrorCode::NotReady),
        (None, Some(snapshot)) => {
            let reads_time = snapshot.rules.flag(key).is_some_and(Flag::reads_time);
            let context = if reads_time { timed(context) } else { Cow::Borrowed(context) };
            snapshot.rules.evaluate(key, &context)
        }
    };
    if flags.overrides.is_active() {
        flags.overrides.note(&Evaluated {
            flag: key.to_owned(),
            user: context.targeting_key().map(str::to_owned),
            value: answer.value.clone(),
            reason: answer.reason,
            error: answer.error,
            version: snapshot.as_deref().map_or(0, |snapshot| snapshot.version),
        });
    }
    answer
}

/// The answer where something may be forced or has to be recorded.
#[cold]
fn watched<T: FlagValue>(flags: &Flags, question: &Question<'_>) -> Details<Option<T>> {
    let user = question.context.targeting_key();
    let forced = flags.overrides.answer(question.key, user);
    let (details, value) = match &forced {
        Some(answer) => (typed(Some(answer), Reason::Static, None), forced.clone()),
        None => {
            let details = resolved(flags, question);
            let value = details.variant_value().cloned();
            (details, value)
        }
    };
    flags.overrides.note(&Evaluated {
        flag: question.key.to_owned(),
        user: user.map(str::to_owned),
        value: value.filter(|_| details.error.is_none()),
        reason: details.reason,
        error: details.error,
        version: details.version(),
    });
    details
}

/// The answer of the rule set.
fn resolved<T: FlagValue>(flags: &Flags, question: &Question<'_>) -> Details<Option<T>> {
    let Some(snapshot) = flags.shared.snapshot().as_ref().map(Arc::clone) else {
        return failed(ErrorCode::NotReady, None);
    };
    let index = match question.known {
        Some((generation, index)) if generation == snapshot.generation => Some(index),
        _ => snapshot.rules.index(question.key),
    };
    let found = index.and_then(|index| Some((index, snapshot.rules.flag_at(index)?)));
    let Some((index, flag)) = found else {
        let origin = Origin { snapshot, flag: None, variant: None };
        return failed(ErrorCode::FlagNotFound, Some(origin));
    };
    let Resolution { variant, reason, error } = if flag.reads_time() {
        flag.resolve(&timed(question.context))
    } else {
        flag.resolve(question.context)
    };
    let value = variant.and_then(|variant| flag.variant_at(variant)).map(|(_, value)| value);
    let answer = typed(value, reason, error);
    // A value of another type is none of this flag's.
    let variant = variant.filter(|_| answer.error.is_none());
    Details { origin: Some(Origin { snapshot, flag: Some(index), variant }), ..answer }
}

fn typed<T: FlagValue>(
    value: Option<&Value>,
    reason: Reason,
    error: Option<ErrorCode>,
) -> Details<Option<T>> {
    match value.map(read) {
        Some(None) => failed(ErrorCode::TypeMismatch, None),
        read => Details { value: read.flatten(), reason, error, origin: None },
    }
}

fn failed<T>(error: ErrorCode, origin: Option<Origin>) -> Details<Option<T>> {
    Details { value: None, reason: Reason::Error, error: Some(error), origin }
}

/// Warns of a flag that has no answer, and hands the error on.
#[cold]
fn warned(flags: &Flags, question: &Question<'_>, error: ErrorCode) -> ErrorCode {
    let version = flags.version();
    flags.shared.unanswered.warn(question.key, version, error);
    error
}

/// The context with the present time, which rules read as `$flagd.timestamp`.
#[cold]
fn timed<'c, 'a>(context: &'c Context<'a>) -> Cow<'c, Context<'a>> {
    match (context.unix_seconds(), SystemTime::UNIX_EPOCH.elapsed()) {
        (None, Ok(now)) => Cow::Owned(context.clone().at(now.as_secs())),
        _ => Cow::Borrowed(context),
    }
}
