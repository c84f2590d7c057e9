//! The client as a provider.

use std::time::Duration;

use crossfade_rules::{ErrorCode, Reason};
use open_feature::{
    EvaluationContext, EvaluationError, EvaluationErrorCode, EvaluationReason, EvaluationResult,
    StructValue,
    provider::{FeatureProvider, ProviderMetadata, ProviderStatus, ResolutionDetails},
};
use serde_json::Value;
use tokio::time::timeout;

use super::{context::Rendered, value};
use crate::{FlagValue, Flags, State, Status, value::read};

/// How long OpenFeature waits for a first rule set by default.
const FIRST_RULES: Duration = Duration::from_secs(5);

/// Answers the flags of a [`Flags`] client through OpenFeature's API.
///
/// ```
/// use crossfade_flags::{Flags, FlagsProvider};
/// use open_feature::{EvaluationContext, OpenFeature};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let flags = Flags::forced([("read_user_settings_v2", true)]);
/// let mut api = OpenFeature::singleton_mut().await;
/// api.set_provider(FlagsProvider::new(flags)).await;
/// let client = api.create_client();
/// let user = EvaluationContext::default().with_targeting_key("u1");
/// assert_eq!(client.get_bool_value("read_user_settings_v2", Some(&user), None).await, Ok(true));
/// # }
/// ```
///
/// # The gap while a provider is replaced
///
/// `OpenFeature::set_provider` removes the old provider before it initializes the new one: meanwhile
/// evaluations wait, and those of a named provider are answered by the default one. So start the
/// client first, with [`Builder::start`](crate::Builder::start), which waits for its sources; then
/// there is nothing left to wait for.
///
/// # What has no value
///
/// A provider of this crate is not told the default in the code, so a flag that leaves the answer to
/// it is an error: one that is `DISABLED`, and one whose targeting picks nothing and that has no
/// default variant. Both are `FlagNotFound`, as flagd's own provider has it, with a message that
/// says which.
///
/// # What is converted
///
/// A whole number is answered as a float and the reverse where nothing is lost; else the error is
/// `TypeMismatch`, as it is for an object with a null in it. Of the metadata, booleans, numbers and
/// text are handed on.
///
/// In a context, date-times become RFC 3339 text. A struct is seen by the rules when it is a
/// [`serde_json::Value`] or map, a [`StructValue`] or an [`open_feature::Value`]; any other type does
/// not tell what is in it, and is left out.
#[derive(Clone, Debug)]
#[must_use]
pub struct FlagsProvider {
    flags: Flags,
    first_rules: Duration,
    metadata: ProviderMetadata,
}

impl FlagsProvider {
    /// A provider that answers what `flags` answers.
    pub fn new(flags: Flags) -> Self {
        let metadata = ProviderMetadata::new("crossfade");
        Self { flags, first_rules: FIRST_RULES, metadata }
    }

    /// How long [`FeatureProvider::initialize`] waits for a first rule set. Default: 5 s.
    pub fn first_rules(mut self, most: Duration) -> Self {
        self.first_rules = most;
        self
    }

    fn resolve<T: FlagValue>(
        &self,
        key: &str,
        context: &EvaluationContext,
    ) -> EvaluationResult<ResolutionDetails<T>> {
        self.resolve_with(key, context, read)
    }

    fn resolve_with<T>(
        &self,
        key: &str,
        context: &EvaluationContext,
        convert: impl FnOnce(&Value) -> Option<T>,
    ) -> EvaluationResult<ResolutionDetails<T>> {
        let rendered = Rendered::of(context);
        let answer = self.flags.evaluate(key, &rendered.context(context));
        if let Some(error) = answer.error {
            return Err(failure(error));
        }
        let Some(value) = &answer.value else { return Err(left_to_the_default(answer.reason)) };
        let Some(value) = convert(value) else { return Err(failure(ErrorCode::TypeMismatch)) };
        Ok(ResolutionDetails {
            value,
            variant: answer.variant,
            reason: Some(reason(answer.reason)),
            flag_metadata: value::to_metadata(&answer.metadata),
        })
    }
}

#[open_feature::async_trait]
impl FeatureProvider for FlagsProvider {
    /// Waits for a first rule set, within the bound. Answers go wrong with `ProviderNotReady` when
    /// none has come by then, until one does.
    async fn initialize(&mut self, _: &EvaluationContext) {
        let ready = self.flags.wait_until(is_ready);
        // What matters is asked of the status, and answers tell it too.
        let _ = timeout(self.first_rules, ready).await;
    }

    /// `NotReady` before the first rule set, and `STALE` while a source cannot be asked or a rule set
    /// that was kept on disk stands in. A client without sources, as a test has it, is ready.
    fn status(&self) -> ProviderStatus {
        let status = self.flags.status();
        match status.state() {
            _ if !is_ready(&status) => ProviderStatus::NotReady,
            State::Persisted | State::Stale => ProviderStatus::STALE,
            State::Defaults | State::Current => ProviderStatus::Ready,
        }
    }

    fn metadata(&self) -> &ProviderMetadata {
        &self.metadata
    }

    async fn resolve_bool_value(
        &self,
        key: &str,
        context: &EvaluationContext,
    ) -> EvaluationResult<ResolutionDetails<bool>> {
        self.resolve(key, context)
    }

    async fn resolve_int_value(
        &self,
        key: &str,
        context: &EvaluationContext,
    ) -> EvaluationResult<ResolutionDetails<i64>> {
        self.resolve(key, context)
    }

    async fn resolve_float_value(
        &self,
        key: &str,
        context: &EvaluationContext,
    ) -> EvaluationResult<ResolutionDetails<f64>> {
        self.resolve(key, context)
    }

    async fn resolve_string_value(
        &self,
        key: &str,
        context: &EvaluationContext,
    ) -> EvaluationResult<ResolutionDetails<String>> {
        self.resolve(key, context)
    }

    async fn resolve_struct_value(
        &self,
        key: &str,
        context: &EvaluationContext,
    ) -> EvaluationResult<ResolutionDetails<StructValue>> {
        self.resolve_with(key, context, |value| value::to_struct(value.as_object()?))
    }
}

fn is_ready(status: &Status) -> bool {
    status.state() != State::Defaults || status.sources().is_empty()
}

fn reason(reason: Reason) -> EvaluationReason {
    match reason {
        Reason::Static => EvaluationReason::Static,
        Reason::Default => EvaluationReason::Default,
        Reason::TargetingMatch => EvaluationReason::TargetingMatch,
        Reason::Disabled => EvaluationReason::Disabled,
        Reason::Error => EvaluationReason::Error,
    }
}

fn failure(error: ErrorCode) -> EvaluationError {
    let (code, message) = match error {
        ErrorCode::NotReady => {
            (EvaluationErrorCode::ProviderNotReady, "no rule set has been loaded yet")
        }
        ErrorCode::FlagNotFound => {
            (EvaluationErrorCode::FlagNotFound, "the rule set does not define the flag")
        }
        ErrorCode::ParseError => {
            (EvaluationErrorCode::ParseError, "the definition of the flag cannot be evaluated")
        }
        ErrorCode::TypeMismatch => (
            EvaluationErrorCode::TypeMismatch,
            "the value of the flag is of another type, or cannot be converted without loss",
        ),
        ErrorCode::General => (
            EvaluationErrorCode::General(error.to_string()),
            "the targeting of the flag names no variant, or takes too many steps",
        ),
    };
    EvaluationError { code, message: Some(message.to_owned()) }
}

fn left_to_the_default(reason: Reason) -> EvaluationError {
    let message = match reason {
        Reason::Disabled => "the flag is DISABLED: use the default in the code",
        _ => "the flag picks no variant: use the default in the code",
    };
    EvaluationError { code: EvaluationErrorCode::FlagNotFound, message: Some(message.to_owned()) }
}
