//! A prepared question for one flag.

use std::sync::atomic::{AtomicU64, Ordering};

use crossfade_rules::{Context, FlagIndex};

use crate::{
    Details, FlagValue, Flags,
    ask::{self, Question},
};

/// Asks for one flag, and looks its key up once for each rule set rather than once for each question.
///
/// A boolean flag that answers the same to everybody is answered without a look at the rule set.
///
/// ```
/// use crossfade_flags::{Context, Flags};
///
/// let flags = Flags::forced([("read_user_settings_v2", true)]);
/// let read_flag = flags.handle("read_user_settings_v2");
/// assert!(read_flag.is_enabled(&Context::user("u1")));
/// ```
#[derive(Debug)]
pub struct Handle {
    flags: Flags,
    key: Box<str>,
    /// What is known of the flag in the rule set of one generation; see [`Known`].
    known: AtomicU64,
}

/// What a handle remembers, in one word, so that no question ever sees half of it.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Known(u64);

impl Known {
    /// Generations begin at 1.
    const NOTHING: Self = Self(0);
    const CONSTANT: u64 = 1 << 31;

    #[inline]
    fn constant(generation: u32, answer: bool) -> Self {
        Self(u64::from(generation) << 32 | Self::CONSTANT | u64::from(answer))
    }

    fn index(generation: u32, index: FlagIndex) -> Self {
        // A document of 2^31 flags is far beyond any limit.
        Self(u64::from(generation) << 32 | u64::from(index.number()) & (Self::CONSTANT - 1))
    }

    #[inline]
    fn generation(self) -> u32 {
        (self.0 >> 32) as u32
    }

    /// The answer for everybody; `None` where it depends on the context.
    #[inline]
    fn answer(self) -> Option<bool> {
        (self.0 & Self::CONSTANT != 0).then_some(self.0 & 1 == 1)
    }

    #[inline]
    fn place(self) -> Option<(u32, FlagIndex)> {
        match self.answer() {
            Some(_) => None,
            None => Some((self.generation(), FlagIndex::of_number(self.0 as u32))),
        }
    }
}

impl Handle {
    pub(crate) fn new(flags: Flags, key: Box<str>) -> Self {
        Self { flags, key, known: AtomicU64::new(Known::NOTHING.0) }
    }

    /// The key of the flag.
    #[must_use]
    pub fn key(&self) -> &str {
        &self.key
    }

    /// Whether the flag is `true`. `false` when it cannot be said.
    #[inline]
    #[must_use]
    pub fn is_enabled(&self, context: &Context<'_>) -> bool {
        self.boolean(context, false)
    }

    /// The boolean answer, or `default` when it cannot be said; see [`Flags::value`].
    #[inline]
    #[must_use]
    pub fn boolean(&self, context: &Context<'_>, default: bool) -> bool {
        let known = Known(self.known.load(Ordering::Relaxed));
        if known.generation() == self.flags.shared.generation()
            && !self.flags.overrides.is_active()
            && let Some(answer) = known.answer()
        {
            return answer;
        }
        self.value(context, default)
    }

    /// The answer in the type of `default`; see [`Flags::value`].
    #[inline]
    #[must_use]
    pub fn value<T: FlagValue>(&self, context: &Context<'_>, default: T) -> T {
        ask::value(&self.flags, &self.question(context)).ok().flatten().unwrap_or(default)
    }

    /// The answer as [`Handle::value`] gives it, and how it came about; see [`Flags::details`].
    #[must_use]
    pub fn details<T: FlagValue>(&self, context: &Context<'_>, default: T) -> Details<T> {
        ask::details(&self.flags, &self.question(context), default)
    }

    #[inline]
    fn question<'a>(&'a self, context: &'a Context<'a>) -> Question<'a> {
        let mut known = Known(self.known.load(Ordering::Relaxed));
        if known.generation() != self.flags.shared.generation() {
            known = self.look_up();
        }
        Question { key: &self.key, known: known.place(), context }
    }

    #[cold]
    fn look_up(&self) -> Known {
        let known = match self.flags.shared.snapshot().as_deref() {
            None => Known::NOTHING,
            Some(snapshot) => match snapshot.rules.index(&self.key) {
                // Looked up again each time: the warning of it is what costs.
                None => Known::NOTHING,
                Some(index) => {
                    let flag = snapshot.rules.flag_at(index);
                    match flag.and_then(crossfade_rules::Flag::constant::<bool>) {
                        Some(Ok(Some(answer))) => Known::constant(snapshot.generation, answer),
                        _ => Known::index(snapshot.generation, index),
                    }
                }
            },
        };
        self.known.store(known.0, Ordering::Relaxed);
        known
    }
}

impl Clone for Handle {
    fn clone(&self) -> Self {
        Self::new(self.flags.clone(), self.key.clone())
    }
}
