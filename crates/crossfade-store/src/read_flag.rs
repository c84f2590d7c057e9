//! The port through which the read router asks the flag system.

use std::{
    fmt::{self, Debug},
    pin::Pin,
};

/// Answers the read flag. It is asked on every read.
pub trait ReadFlag: Send + Sync + Debug + 'static {
    /// Whether `user` reads the New side. The answer is `None` when the flag does not resolve to a
    /// boolean: it is unknown, of another type, broken, or no rule set was ever loaded.
    ///
    /// A source in memory answers [`FlagAnswer::Now`]. One that has to ask elsewhere answers
    /// [`FlagAnswer::Later`], bounds that wait itself, and begins it only when it is polled: the
    /// router drops such an answer where the flag has no say.
    fn reads_new<'a>(&'a self, flag: &'a str, user: &'a str) -> FlagAnswer<'a>;
}

/// What a [`ReadFlag`] answers.
#[must_use]
pub enum FlagAnswer<'a> {
    /// It is known.
    Now(Option<bool>),
    /// It has to be waited for. Dropping the future loses nothing but the answer.
    Later(Pin<Box<dyn Future<Output = Option<bool>> + Send + 'a>>),
}

impl FlagAnswer<'_> {
    /// What is known without waiting; `None` as well where nothing is.
    #[inline]
    #[must_use]
    pub fn at_once(self) -> Option<bool> {
        match self {
            Self::Now(answer) => answer,
            Self::Later(_) => None,
        }
    }

    /// The answer, waited for where it has to be.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost when the future is dropped.
    #[inline]
    pub async fn wait(self) -> Option<bool> {
        match self {
            Self::Now(answer) => answer,
            Self::Later(answer) => answer.await,
        }
    }
}

impl From<Option<bool>> for FlagAnswer<'_> {
    fn from(answer: Option<bool>) -> Self {
        Self::Now(answer)
    }
}

impl Debug for FlagAnswer<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Now(answer) => out.debug_tuple("Now").field(answer).finish(),
            Self::Later(_) => out.debug_tuple("Later").finish_non_exhaustive(),
        }
    }
}
