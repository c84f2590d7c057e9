//! From the errors of ports and engines to failures.

use std::error::Error;

use crossfade_control::{
    AdvanceError, CaptureError, CloseError, FlagError, RollbackError, RuleSetError,
};
use crossfade_core::{IllegalTransition, Refusal};
use crossfade_reconcile::{BackfillError, JournalError, VerifyError};
use crossfade_rules::edit::EditError;
use crossfade_schema::{
    ExpandError, ManifestError, RunError, ScaffoldError, Shadowed, Unregistered, UnsafeScript,
};
use crossfade_store::{StoreError, StoreErrorKind};

use super::{Exit, Failure};
use crate::config::ConfigError;

fn exit_of(error: &StoreError) -> Exit {
    match error.kind {
        StoreErrorKind::LockTimeout => Exit::LockTimeout,
        _ => Exit::Failed,
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        let hint = match error.kind {
            _ if error.hint.is_some() => error.hint.clone(),
            StoreErrorKind::NotInstalled => Some("run `crossfade init` first".to_owned()),
            StoreErrorKind::Unavailable => {
                Some("is the database up, and does the URL lead to it?".to_owned())
            }
            _ => connection_hint(&error).map(str::to_owned),
        };
        Self::of(exit_of(&error), &error).or_hint(hint)
    }
}

/// What to do about a connection that the database, or the file system, refuses.
fn connection_hint(error: &StoreError) -> Option<&'static str> {
    let said = error.source()?.to_string();
    let missing = |what: &str| said.starts_with(what) && said.ends_with("does not exist");
    if said.contains("authentication failed") {
        Some("are user and password in the URL right? an `@` in them is written `%40`")
    } else if missing("role \"") {
        Some("is the user in the URL right? the server does not know it")
    } else if missing("database \"") {
        Some("is the database in the URL right? `createdb` makes one")
    } else if said.contains("unable to open database file") {
        Some("does the folder of the SQLite file exist, and may this user write to it?")
    } else {
        None
    }
}

/// A change that is never allowed, with the way that is as its hint.
fn illegal(error: IllegalTransition) -> Failure {
    let IllegalTransition { from, to, hint } = error;
    let message = format!("a migration in `{from}` cannot go to `{to}`");
    Failure::new(Exit::Refused, message).with_hint(hint)
}

fn close_exit(error: &CloseError) -> Exit {
    match error {
        CloseError::Held { .. } => Exit::LockTimeout,
        CloseError::Terminate { error, .. } | CloseError::Store { error, .. } => exit_of(error),
    }
}

fn advance_exit(error: &AdvanceError) -> Exit {
    match error {
        AdvanceError::Illegal(_) | AdvanceError::Refused { .. } => Exit::Refused,
        AdvanceError::Overtaken { .. } | AdvanceError::Redefined { .. } => Exit::Failed,
        AdvanceError::Close { error, .. } => close_exit(error),
        AdvanceError::Store(error) => exit_of(error),
    }
}

fn reasons(error: &AdvanceError) -> Vec<Refusal> {
    match error {
        AdvanceError::Refused { refusals, .. } => refusals.clone(),
        _ => Vec::new(),
    }
}

impl From<AdvanceError> for Failure {
    fn from(error: AdvanceError) -> Self {
        let failure = match error {
            AdvanceError::Store(error) => return error.into(),
            AdvanceError::Illegal(error) => return illegal(error),
            ref error => Self::of(advance_exit(error), error),
        };
        Self { refusals: reasons(&error), ..failure.or_hint(error.hint()) }
    }
}

impl From<RollbackError> for Failure {
    fn from(error: RollbackError) -> Self {
        let (exit, refusals) = match &error {
            RollbackError::TooLate(_) => (Exit::Refused, Vec::new()),
            RollbackError::Flag(FlagError::Store(error)) => (exit_of(error), Vec::new()),
            RollbackError::Flag(_) => (Exit::Failed, Vec::new()),
            RollbackError::Stage { error, .. } => (advance_exit(error), reasons(error)),
            RollbackError::Store(_) => (Exit::Failed, Vec::new()),
        };
        match error {
            RollbackError::Store(error) => error.into(),
            RollbackError::TooLate(error) => illegal(error),
            error => Self { refusals, ..Self::of(exit, &error).or_hint(error.hint()) },
        }
    }
}

impl From<FlagError> for Failure {
    fn from(error: FlagError) -> Self {
        match error {
            FlagError::Store(error) => error.into(),
            FlagError::Edit(edit @ EditError::BadPercent { .. }) => Self::of(Exit::Usage, &edit),
            FlagError::Edit(edit @ EditError::Unparsable(_)) => {
                let hint = "`crossfade flag off` and `crossfade rollback` go on from the last rule                             set that can be read";
                Self::of(Exit::Failed, &edit).with_hint(hint)
            }
            FlagError::Edit(edit) => Self::of(Exit::Failed, &edit),
            error => Self::of(Exit::Failed, &error).or_hint(error.hint()),
        }
    }
}

impl From<RuleSetError> for Failure {
    fn from(error: RuleSetError) -> Self {
        match error {
            RuleSetError::Store(error) => error.into(),
            RuleSetError::Refused { ref plan } => {
                let refusals = plan.refusals.clone();
                Self { refusals, ..Self::of(Exit::Refused, &error) }
            }
            error => Self::of(Exit::Failed, &error).or_hint(error.hint()),
        }
    }
}

impl From<BackfillError> for Failure {
    fn from(error: BackfillError) -> Self {
        match error {
            BackfillError::Store(error) => error.into(),
            error => {
                let exit = match error {
                    BackfillError::WrongStage { .. } | BackfillError::EpochOpen { .. } => {
                        Exit::Refused
                    }
                    _ => Exit::Failed,
                };
                Self::of(exit, &error).or_hint(error.hint())
            }
        }
    }
}

impl From<VerifyError> for Failure {
    fn from(error: VerifyError) -> Self {
        match error {
            VerifyError::Store(error) => error.into(),
            error => {
                let exit = match error {
                    VerifyError::WrongStage { .. } | VerifyError::NoRepair { .. } => Exit::Refused,
                    _ => Exit::Failed,
                };
                Self::of(exit, &error).or_hint(error.hint())
            }
        }
    }
}

impl From<JournalError> for Failure {
    fn from(error: JournalError) -> Self {
        match error {
            JournalError::Store(error) => error.into(),
            error => Self::of(Exit::Refused, &error).or_hint(error.hint()),
        }
    }
}

impl From<CaptureError> for Failure {
    fn from(error: CaptureError) -> Self {
        let exit = match &error {
            CaptureError::Refused { .. } => Exit::Refused,
            CaptureError::LockTimeout { .. } => Exit::LockTimeout,
            CaptureError::Store(_) => Exit::Failed,
        };
        match error {
            CaptureError::Store(error) => error.into(),
            error => Self::of(exit, &error).or_hint(error.hint()),
        }
    }
}

impl From<RunError> for Failure {
    fn from(error: RunError) -> Self {
        let exit = match &error {
            RunError::LockTimeout { .. } | RunError::Busy { .. } => Exit::LockTimeout,
            _ => Exit::Failed,
        };
        match error {
            RunError::Store(error) => error.into(),
            error => Self::of(exit, &error).or_hint(error.hint()),
        }
    }
}

impl From<UnsafeScript> for Failure {
    fn from(error: UnsafeScript) -> Self {
        Self::of(Exit::Failed, &error).or_hint(error.hint())
    }
}

impl From<ExpandError> for Failure {
    fn from(error: ExpandError) -> Self {
        match error {
            ExpandError::Store(error) => error.into(),
            ExpandError::Blocked { ref findings, .. } => {
                let refusals = findings.iter().map(Refusal::of).collect();
                Self { refusals, ..Self::of(Exit::Refused, &error).or_hint(error.hint()) }
            }
            ExpandError::Run(error) => error.into(),
            error => Self::of(Exit::Failed, &error).or_hint(error.hint()),
        }
    }
}

impl From<Shadowed> for Failure {
    fn from(error: Shadowed) -> Self {
        Self::of(Exit::Failed, &error).or_hint(Some(error.hint()))
    }
}

impl From<Unregistered> for Failure {
    fn from(error: Unregistered) -> Self {
        Self::of(Exit::Failed, &error).or_hint(Some(error.hint()))
    }
}

impl From<ManifestError> for Failure {
    fn from(error: ManifestError) -> Self {
        Self::of(Exit::Failed, &error).or_hint(error.hint().map(str::to_owned))
    }
}

impl From<ScaffoldError> for Failure {
    fn from(error: ScaffoldError) -> Self {
        let hint = match &error {
            ScaffoldError::Exists { .. } => Some("nothing was changed; pick another name".into()),
            ScaffoldError::Write { .. } => {
                Some("does the folder above it exist, and may this user write to it?".into())
            }
        };
        Self::of(Exit::Failed, &error).or_hint(hint)
    }
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        let hint = match &error {
            ConfigError::Read { .. } => {
                Some("is the path right, seen from this folder? `crossfade init` makes the file")
            }
            ConfigError::Content { .. } => None,
        };
        Self::of(Exit::Usage, &error as &dyn Error).or_hint(hint.map(str::to_owned))
    }
}
