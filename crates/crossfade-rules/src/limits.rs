//! How much a document and its rules may ask for.

/// The largest document that is read by default, in bytes: 1 MiB.
pub const MAX_DOCUMENT_BYTES: usize = 1024 * 1024;

/// The deepest nesting of objects and arrays that is read, in a document and in a targeting rule
/// with its `$ref`s filled in.
pub const MAX_NESTING: usize = 64;

/// The steps that one evaluation may take by default; see [`Limits::with_steps`].
pub const MAX_STEPS: u32 = 100_000;

/// Bounds that keep a document, however it was made, from costing more memory or time than its
/// reader is willing to spend.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[must_use]
pub struct Limits {
    pub(crate) document_bytes: usize,
    pub(crate) steps: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self { document_bytes: MAX_DOCUMENT_BYTES, steps: MAX_STEPS }
    }
}

impl Limits {
    /// The largest document that is read, in bytes.
    #[must_use]
    pub const fn document_bytes(&self) -> usize {
        self.document_bytes
    }

    /// The largest document that is read, in bytes. Default: [`MAX_DOCUMENT_BYTES`].
    pub fn with_document_bytes(mut self, bytes: usize) -> Self {
        self.document_bytes = bytes;
        self
    }

    /// How many steps one evaluation may take before it ends with [`ErrorCode::General`]. Default:
    /// [`MAX_STEPS`].
    ///
    /// Only what grows with the context or with intermediate results takes steps: each item that
    /// `map`, `filter`, `reduce`, `all`, `none` and `some` visit (one step for each part of the rule
    /// that is applied to it), each item of a list that is built or searched, and text that is built or searched.
    ///
    /// [`ErrorCode::General`]: crate::ErrorCode::General
    pub fn with_steps(mut self, steps: u32) -> Self {
        self.steps = steps;
        self
    }
}
