//! Trying every row of a migration before it is moved.

use std::collections::BTreeMap;
use std::time::Duration;

use crossfade_core::{BatchSize, Definition, Key, reason_kind};
use crossfade_store::{Duplicates, StoreError, Trial, ValidateStore};
use tokio::time::Instant;

use crate::Cancel;
use crate::retry::retrying;

/// The time a batch may take: its locks keep writers of New's values waiting.
const BATCH_TARGET: Duration = Duration::from_millis(100);

/// The caller's part in a validation.
pub struct ValidateHooks<'a> {
    /// Called after each batch.
    pub progress: &'a (dyn Fn(u64, u64) + Send + Sync),
    /// Stops the work after the current batch.
    pub cancel: Cancel,
}

impl std::fmt::Debug for ValidateHooks<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ValidateHooks").field("cancel", &self.cancel).finish_non_exhaustive()
    }
}

/// Rows that New or the mapping refuses for one kind of reason.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RefusedKind {
    /// How many.
    pub rows: u64,
    /// The first of their keys, at most [`ValidateReport::SAMPLES`].
    pub samples: Vec<Key>,
}

/// What a validation found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ValidateReport {
    /// Legacy rows that were tried.
    pub rows: u64,
    /// Rows that are refused by themselves, by the kind of reason.
    pub refused: BTreeMap<String, RefusedKind>,
    /// Rows that are not unique under New's unique indexes.
    pub duplicates: Vec<Duplicates>,
    /// What could not be tried.
    pub unseen: Vec<String>,
    /// Whether it was cancelled before the last row.
    pub interrupted: bool,
    /// How long it took.
    pub elapsed: Duration,
}

impl ValidateReport {
    /// How many keys of each kind are kept.
    pub const SAMPLES: usize = 5;

    /// Whether every row that was tried fits.
    #[must_use]
    pub fn fits(&self) -> bool {
        self.refused.is_empty() && self.duplicates.is_empty()
    }
}

/// Tries every Legacy row: its mapping, and New's constraints. Leaves nothing behind.
///
/// # Errors
///
/// Whatever the port answers.
///
/// # Cancel safety
///
/// Transactions are rolled back. On MariaDB before `expand` a scratch database stays, which the
/// next validation drops.
pub async fn validate(
    store: &dyn ValidateStore,
    definition: &Definition,
    expand: &[String],
    hooks: ValidateHooks<'_>,
) -> Result<ValidateReport, StoreError> {
    let started = Instant::now();
    let trial = store.open_trial(definition, expand).await?;
    let tried = all(store, &trial, &hooks).await;
    store.close_trial(&trial).await?;
    let report = tried?;
    Ok(ValidateReport { unseen: trial.unseen, elapsed: started.elapsed(), ..report })
}

async fn all(
    store: &dyn ValidateStore,
    trial: &Trial,
    hooks: &ValidateHooks<'_>,
) -> Result<ValidateReport, StoreError> {
    let mut report = ValidateReport::default();
    let mut size = BatchSize::adaptive(BATCH_TARGET);
    let mut after: Option<Key> = None;
    loop {
        if hooks.cancel.is_cancelled() {
            report.interrupted = true;
            return Ok(report);
        }
        let begun = Instant::now();
        let batch = retrying(|| store.try_rows(trial, after.as_ref(), size.rows())).await?;
        size = size.after_success(begun.elapsed());
        report.rows += batch.rows;
        for (key, reason) in batch.refused {
            let kind = report.refused.entry(reason_kind(&reason)).or_default();
            kind.rows += 1;
            if kind.samples.len() < ValidateReport::SAMPLES {
                kind.samples.push(key);
            }
        }
        (hooks.progress)(report.rows, report.refused.values().map(|kind| kind.rows).sum());
        match batch.next {
            Some(next) => after = Some(next),
            None => break,
        }
    }
    report.duplicates = retrying(|| store.duplicates(trial)).await?;
    Ok(report)
}
