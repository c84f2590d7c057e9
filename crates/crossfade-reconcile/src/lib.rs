//! Making New equal to the mapped Legacy rows, and measuring whether it is.
//!
//! [`backfill()`] inserts what is absent, [`verify()`] compares both sides chunk by chunk and
//! repairs what it names when asked to, [`repair_journal()`] carries over the keys that writers around
//! the SDK left dirty, and [`retry_quarantine()`] tries what New refused. All work through the ports; the rows never leave the database.

mod backfill;
mod journal;
mod quarantine;
mod validate;
mod verify;

mod cancel;

mod pace;
mod retry;
mod worker;

pub use backfill::{
    BackfillError, BackfillHooks, BackfillOutcome, BackfillProgress, BackfillReport,
    BackfillSettings, backfill,
};
pub use cancel::{Cancel, Canceller, cancellation};
pub use journal::{
    JournalError, JournalHooks, JournalMode, JournalProgress, JournalReport, JournalSettings,
    repair_journal,
};
pub use quarantine::{RetryHooks, RetryReport, retry_quarantine};
pub use validate::{RefusedKind, ValidateHooks, ValidateReport, validate};
pub use verify::{
    Differences, Reach, Recorded, Resumed, Sample, Samples, Start, VerifyError, VerifyHooks,
    VerifyMode, VerifyProgress, VerifyReport, VerifySettings, verify, verify_with,
};

#[cfg(test)]
mod tests;
