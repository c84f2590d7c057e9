//! What a verification compares, and how.

use crossfade_core::Key;

/// Whether a verification changes anything.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum VerifyMode {
    /// It compares.
    #[default]
    Compare,
    /// It compares and makes New equal to the mapped Legacy row of every key that differs or is in
    /// quarantine. Such a pass opens no gate; the next one may.
    Repair,
}

/// How a verification works.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VerifySettings {
    /// Fixed number of Legacy rows in a chunk. Default: `None`, which starts at 1000 and aims at
    /// 250 ms.
    pub chunk_rows: Option<u32>,
    /// Whether it repairs. Default: it compares.
    pub mode: VerifyMode,
    /// Tasks that compare ranges of keys at the same time; 0 counts as 1.
    pub workers: u32,
    /// Which keys are compared. Default: all, which alone makes a proof.
    pub reach: Reach,
    /// Whether a pass that was interrupted goes on where it stopped. Default: it does.
    pub start: Start,
}

/// Where a pass over all keys begins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Start {
    /// Where an interrupted pass of the same run and epoch stopped, if it found no difference; else
    /// at the first key.
    #[default]
    Resume,
    /// At the first key.
    Fresh,
}

/// Which keys a verification compares.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reach {
    /// The first key.
    pub from: Option<Key>,
    /// The last key.
    pub to: Option<Key>,
    /// How many of them, in pieces at random places; all where it is `None`.
    pub sample: Option<Sample>,
}

impl Reach {
    /// Whether it is every key.
    #[must_use]
    pub const fn is_whole(&self) -> bool {
        self.from.is_none() && self.to.is_none() && self.sample.is_none()
    }
}

/// The size of a sample.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sample {
    /// This share of the keys, in parts of a million.
    PartsPerMillion(u32),
    /// About this many keys.
    Rows(u64),
}
