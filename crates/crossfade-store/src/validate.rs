//! Trying what a migration would do to its rows, without doing it.

use std::fmt::Debug;

use async_trait::async_trait;
use crossfade_core::{Definition, Key};

use crate::StoreError;

/// What rows are tried against: New as it is, or as `expand.sql` would make it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trial {
    /// The definition, its New being the table that is tried.
    pub definition: Definition,
    /// Statements that make New inside each transaction of the trial. Empty where New is there.
    pub makes: Vec<String>,
    /// The scratch database that holds New, on MariaDB before `expand`.
    pub scratch: Option<String>,
    /// What could not be made, and so is not tried.
    pub unseen: Vec<String>,
}

/// What became of the rows after a key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tried {
    /// Legacy rows that were tried.
    pub rows: u64,
    /// Keys of those that New or the mapping refuses, with the reason.
    pub refused: Vec<(Key, String)>,
    /// Where the next rows begin; `None` at the end of the table.
    pub next: Option<Key>,
}

/// Mapped rows that hold the same values under a unique index of New.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Duplicates {
    /// The index.
    pub index: String,
    /// How many rows; `None` where they could not be counted.
    pub rows: Option<u64>,
    /// Some of their keys.
    pub samples: Vec<Key>,
    /// The query that shows every such row.
    pub query: String,
}

/// Tries a migration's rows. Whatever it writes is rolled back or dropped.
#[async_trait]
pub trait ValidateStore: Send + Sync + Debug {
    /// Prepares a trial. Drops what the trials of dead processes have left.
    ///
    /// # Errors
    ///
    /// Kind `Invalid` where New cannot be made; whatever the database answers.
    async fn open_trial(
        &self,
        definition: &Definition,
        expand: &[String],
    ) -> Result<Trial, StoreError>;

    /// Inserts the mapped rows of at most `rows` Legacy rows behind `after` into New, in a
    /// transaction that is rolled back, and returns which are refused. Ends early once it has held
    /// its locks for 100 ms. Rows that New holds already are passed over.
    ///
    /// # Errors
    ///
    /// Whatever the database answers.
    async fn try_rows(
        &self,
        trial: &Trial,
        after: Option<&Key>,
        rows: u32,
    ) -> Result<Tried, StoreError>;

    /// Counts the mapped rows that are not unique under New's unique indexes, as these compare.
    /// Reads alone.
    ///
    /// # Errors
    ///
    /// Whatever the database answers.
    async fn duplicates(&self, trial: &Trial) -> Result<Vec<Duplicates>, StoreError>;

    /// Takes away what the trial has made.
    ///
    /// # Errors
    ///
    /// Whatever the database answers.
    async fn close_trial(&self, trial: &Trial) -> Result<(), StoreError>;
}
