//! Comparing both sides, as a database carries it out.

use std::sync::Arc;

use async_trait::async_trait;
use crossfade_core::{Epoch, Key, MigrationState, RunId, Witness};

use crate::{ReconcileStore, StoreError};

/// A range of the keys of both sides, in the database's order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyRange<'a> {
    /// One key.
    One(&'a Key),
    /// The keys greater than `after`, up to and including `upto`; without a bound where it is
    /// `None`.
    Between {
        /// The last key before the range.
        after: Option<&'a Key>,
        /// The last key of the range.
        upto: Option<&'a Key>,
    },
}

impl KeyRange<'_> {
    /// Every key.
    pub const ALL: Self = Self::Between { after: None, upto: None };
}

/// A chunk to compare.
#[derive(Clone, Copy, Debug)]
pub struct ChunkRequest<'a> {
    /// The migration.
    pub state: &'a MigrationState,
    /// The keys to compare.
    pub range: KeyRange<'a>,
    /// About how many rows the range holds. Where the mapping fails on one of them, a smaller part
    /// of the range is compared.
    pub rows: u32,
    /// Of how many differing rows the values are wanted.
    pub values: usize,
}

/// What comparing one chunk of keys found, in one snapshot.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Chunk {
    /// Where the rest of the range begins; `None` when all of it was compared.
    pub next: Option<Key>,
    /// Keys compared.
    pub compared: u64,
    /// What differs. Neither quarantined keys nor those in the journal are among them.
    pub differences: Vec<Difference>,
}

impl Chunk {
    /// The keys that differ in one way.
    #[must_use]
    pub fn keys(&self, kind: DifferenceKind) -> Vec<Key> {
        let of_kind = self.differences.iter().filter(|difference| difference.kind == kind);
        of_kind.map(|difference| difference.key.clone()).collect()
    }
}

/// How the sides differ in a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DifferenceKind {
    /// New's row is not the mapped Legacy row.
    Differing,
    /// The mapping yields a row that New lacks.
    Missing,
    /// New has a row that the mapping does not yield.
    Orphaned,
}

/// A key in which the sides differ.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// The key.
    pub key: Key,
    /// How the sides differ.
    pub kind: DifferenceKind,
    /// New's columns that differ. Empty for a row that only one side has, and for one that the
    /// mapping fails on.
    pub columns: Vec<Arc<str>>,
    /// The values of these columns, in their order, where they were asked for.
    pub values: Vec<ValuePair>,
}

/// The text of a value on both sides; `None` for NULL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ValuePair {
    /// What the mapping yields.
    pub mapped: Option<String>,
    /// What New holds.
    pub new: Option<String>,
}

/// A finished verification.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verification {
    /// The run whose rows it compared.
    pub run: Option<RunId>,
    /// The epoch it took place in.
    pub epoch: Epoch,
    /// When it began, in milliseconds since 1970, by the database's clock.
    pub started_ms: i64,
    /// Keys compared.
    pub compared: u64,
    /// Keys that differed, were missing or were orphaned.
    pub differences: u64,
    /// Keys repaired.
    pub repaired: u64,
    /// What the capture had seen when it began.
    pub witness: Witness,
}

/// How far a pass over all keys is that has found no difference yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PassProgress {
    /// The run whose rows it compares.
    pub run: Option<RunId>,
    /// The epoch it takes place in.
    pub epoch: Epoch,
    /// When it began, in milliseconds since 1970, by the database's clock.
    pub started_ms: i64,
    /// Keys compared.
    pub compared: u64,
    /// The key up to which all were compared.
    pub upto: Key,
    /// What the capture had seen when it began.
    pub witness: Witness,
}

/// Compares rows, pushed down into the database.
#[async_trait]
pub trait VerifyStore: ReconcileStore {
    /// The key that ends the chunk of the next `rows` keys of a range, on the side where it comes
    /// first; `None` when both sides have fewer.
    ///
    /// # Errors
    ///
    /// Whatever the database answers.
    async fn chunk_end(&self, request: ChunkRequest<'_>) -> Result<Option<Key>, StoreError>;

    /// Compares mapping and New for the keys of a range, or for the first part of it. Quarantined
    /// keys count as compared and are not named.
    ///
    /// # Errors
    ///
    /// Whatever the database answers.
    async fn verify_chunk(&self, request: ChunkRequest<'_>) -> Result<Chunk, StoreError>;

    /// The database's estimate of Legacy's rows; `None` when it has none.
    ///
    /// # Errors
    ///
    /// Whatever the database answers.
    async fn estimated_rows(&self, state: &MigrationState) -> Result<Option<u64>, StoreError>;

    /// Why a verification could not be stored, where nothing can be written: on a standby, in a
    /// read-only session, by a user without the right. `None` when it can be.
    ///
    /// # Errors
    ///
    /// Whatever else the database answers.
    async fn only_looks(&self, state: &MigrationState) -> Result<Option<String>, StoreError>;

    /// How far an interrupted pass was, if its mapping was the one that the definition has now.
    ///
    /// # Errors
    ///
    /// Whatever the database answers.
    async fn pass_progress(
        &self,
        state: &MigrationState,
    ) -> Result<Option<PassProgress>, StoreError>;

    /// Stores how far a pass is; forgets it with `None`.
    ///
    /// # Errors
    ///
    /// Whatever the database answers.
    async fn save_pass(
        &self,
        state: &MigrationState,
        progress: Option<&PassProgress>,
    ) -> Result<(), StoreError>;

    /// Reads what the capture has seen up to now. A verification asks before its first chunk, so
    /// that a write which it may have missed shows as a difference to a later answer.
    ///
    /// # Errors
    ///
    /// Whatever the database answers.
    async fn witness(&self, state: &MigrationState) -> Result<Witness, StoreError>;

    /// Stores a finished verification.
    ///
    /// # Errors
    ///
    /// Whatever the database answers.
    async fn record_verification(
        &self,
        state: &MigrationState,
        verification: Verification,
    ) -> Result<(), StoreError>;
}
