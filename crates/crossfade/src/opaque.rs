//! Errors that are not errors by the standard library's trait.

use std::error::Error;
use std::fmt;

use crossfade_dual::{ReadError, WriteError};

/// An `anyhow::Error`, a `Box<dyn Error + Send + Sync>` or their like, on its way through a
/// [`Migration`](crate::Migration), which asks for an [`Error`]: neither is one, and both hold one.
///
/// The option `opaque_error` of [`repository`](macro@crate::repository) uses it.
pub struct Opaque<E>(E);

impl<E> Opaque<E> {
    /// Wraps what a side answered.
    pub fn new(error: E) -> Self {
        Self(error)
    }

    /// The side's own error, or Crossfade's in its place.
    pub fn from_read(error: ReadError<Self>) -> E
    where
        Self: Error + 'static,
        E: From<ReadError<Self>>,
    {
        match error {
            ReadError::Legacy(error) | ReadError::New(error) => error.0,
            error => error.into(),
        }
    }

    /// The side's own error, or Crossfade's in its place.
    pub fn from_write(error: WriteError<Self>) -> E
    where
        Self: Error + 'static,
        E: From<WriteError<Self>>,
    {
        match error {
            WriteError::Legacy(error) | WriteError::New(error) => error.0,
            error => error.into(),
        }
    }
}

impl<E: AsRef<dyn Error + Send + Sync>> fmt::Debug for Opaque<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.0.as_ref(), f)
    }
}

impl<E: AsRef<dyn Error + Send + Sync>> fmt::Display for Opaque<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the repository failed")
    }
}

/// The error inside is the source, so that Crossfade finds the database's behind it.
impl<E: AsRef<dyn Error + Send + Sync>> Error for Opaque<E> {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(self.0.as_ref())
    }
}

#[cfg(test)]
mod tests {
    use crossfade_store::{StoreError, StoreErrorKind};

    use super::*;

    type Boxed = Box<dyn Error + Send + Sync>;

    #[test]
    fn the_error_inside_is_the_source_and_comes_out() {
        let held = Opaque::<Boxed>::new(Box::new(fmt::Error));
        assert!(held.source().is_some_and(|source| source.is::<fmt::Error>()));
        let anyhow = Opaque::new(anyhow::Error::from(fmt::Error));
        assert!(anyhow.source().is_some_and(|source| source.is::<fmt::Error>()));
        assert!(Opaque::from_read(ReadError::New(held)).is::<fmt::Error>());
        let held = Opaque::<Boxed>::new(Box::new(fmt::Error));
        assert!(Opaque::from_write(WriteError::Legacy(held)).is::<fmt::Error>());
    }

    #[test]
    fn crossfades_own_errors_take_its_place() {
        let store = || StoreError::new(StoreErrorKind::Unavailable, "gone");
        let read: Boxed = Opaque::from_read(ReadError::Unleased(store()));
        assert!(read.is::<ReadError<Opaque<Boxed>>>());
        let written: Boxed = Opaque::from_write(WriteError::CommitUnknown(store()));
        assert!(written.is::<WriteError<Opaque<Boxed>>>());
    }
}
