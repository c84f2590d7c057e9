//! Arguments, and which error ends with which exit code.

use clap::{CommandFactory, Parser};
use crossfade_control::{AdvanceError, CloseError, RollbackError, RuleSetError};
use crossfade_core::{Epoch, Refusal, Stage, direction};
use crossfade_reconcile::BackfillError;
use crossfade_store::{StoreError, StoreErrorKind};

use crate::{
    cli::Cli,
    config::Config,
    failure::{Exit, Failure},
};

#[test]
fn the_arguments_are_consistent() {
    Cli::command().debug_assert();
}

#[test]
fn commands_read_as_they_are_documented() {
    for line in [
        "init",
        "new user_settings",
        "expand user_settings --dry-run",
        "contract user_settings --dry-run --json",
        "stage user_settings",
        "stage user_settings live --dry-run --reason why",
        "stage user_settings ramp-down --wait 1m --terminate-stragglers",
        "stage user_settings delete_only --truncate-new",
        "stage user_settings complete --approved-by me --accept-loss user_settings",
        "backfill user_settings --batch-size 10 --delay 100ms --workers 2",
        "verify user_settings --repair",
        "repair user_settings",
        "repair user_settings --follow --workers 4",
        "capture install user_settings --mode journal --dry-run --reason why",
        "capture remove user_settings",
        "capture status user_settings --json",
        "flag list",
        "flag show a.b",
        "flag set a --percent 12.5 --reason r",
        "flag on a",
        "flag off a",
        "flag eval a --context {} --rules f.json",
        "flag eval a --type integer --default -5 --at 1700000000 --json",
        "flag eval --batch --rules @7 --at 0",
        "flag eval -- -key-",
        "flag check - --strict --max-bytes 10",
        "flag check f.json --deny-warnings --json",
        "flag diff a.json @latest --exit-code",
        "flag history --limit 3",
        "flag apply f.json --dry-run --reason r --accept-fractional-change",
        "flag revert 3 --dry-run --reason r",
        "flag revert @3",
        "rollback user_settings --reason r",
        "status",
        "status user_settings --watch",
        "audit --limit 3",
        "--config c.toml --database-url sqlite://x --json status",
    ] {
        let words = std::iter::once("crossfade").chain(line.split(' '));
        assert!(Cli::try_parse_from(words).is_ok(), "{line}");
    }
}

#[test]
fn what_makes_no_sense_is_wrong_usage() {
    for words in [
        vec!["crossfade", "new", "users\"; drop table x;--"],
        vec!["crossfade", "stage", "user_settings", "livee"],
        vec!["crossfade", "backfill", "a", "--batch-size", "0"],
        vec!["crossfade", "backfill", "a", "--delay", "soon"],
        vec!["crossfade", "flag", "set", "a"],
        vec!["crossfade", "flag", "show", "a b"],
        vec!["crossfade", "flag", "eval"],
        vec!["crossfade", "flag", "eval", "a", "--batch"],
        vec!["crossfade", "flag", "eval", "--batch", "--type", "string"],
        vec!["crossfade", "flag", "eval", "--batch", "--default", "1"],
        vec!["crossfade", "flag", "eval", "--batch", "--context", "{}"],
        vec!["crossfade", "flag", "eval", "a", "--type", "text"],
        vec!["crossfade", "flag", "eval", "a", "--at", "-1"],
        vec!["crossfade", "flag", "revert", "0"],
        vec!["crossfade", "flag", "revert", "latest"],
        vec!["crossfade", "flag", "diff", "a.json"],
        vec!["crossfade", "frobnicate"],
    ] {
        let error = Cli::try_parse_from(&words).unwrap_err();
        assert_eq!(error.exit_code(), Exit::Usage as i32, "{words:?}");
    }
}

fn store(kind: StoreErrorKind) -> StoreError {
    StoreError::new(kind, "failed to look").with_source("the database says no")
}

#[track_caller]
fn ends_with(failure: impl Into<Failure>, exit: Exit) -> Failure {
    let failure = failure.into();
    assert_eq!(failure.exit, exit, "{failure:?}");
    failure
}

#[test]
fn exit_codes() {
    let failure = ends_with(store(StoreErrorKind::Unavailable), Exit::Failed);
    assert_eq!(failure.causes, ["the database says no"]);
    assert!(failure.hint.is_some());
    ends_with(store(StoreErrorKind::LockTimeout), Exit::LockTimeout);

    let refusal = Refusal { reason: "r".to_owned(), hint: "h".to_owned(), passes_with_time: false };
    let refused = || AdvanceError::Refused { to: Stage::Live, refusals: vec![refusal.clone()] };
    assert_eq!(ends_with(refused(), Exit::Refused).refusals.len(), 1);
    let nested = RollbackError::Stage { stage: Stage::RampDown, error: Box::new(refused()) };
    assert_eq!(ends_with(nested, Exit::Refused).refusals.len(), 1);

    let illegal = || direction(Stage::Complete, Stage::Live).unwrap_err();
    ends_with(AdvanceError::Illegal(illegal()), Exit::Refused);
    ends_with(RollbackError::TooLate(illegal()), Exit::Refused);

    let epoch = Epoch::new(3);
    let waited = std::time::Duration::from_secs(30);
    let holder = crossfade_store::EpochHolder { pid: 7, description: "user app".to_owned() };
    let held = || CloseError::Held { epoch, waited, holders: vec![holder.clone()] };
    let close = |error| AdvanceError::Close { stage: Stage::Live, error };
    let failure = ends_with(close(held()), Exit::LockTimeout);
    assert!(failure.hint.is_some_and(|hint| hint.contains("--terminate-stragglers")));
    let unknown = CloseError::Held { epoch, waited, holders: Vec::new() };
    let failure = ends_with(close(unknown), Exit::LockTimeout);
    assert!(failure.hint.is_some_and(|hint| hint.contains("does not tell")));
    let nested = RollbackError::Stage { stage: Stage::RampDown, error: Box::new(close(held())) };
    ends_with(nested, Exit::LockTimeout);
    let lost = CloseError::Store { epoch, error: store(StoreErrorKind::Unavailable) };
    assert_eq!(ends_with(close(lost), Exit::Failed).causes.len(), 3);

    let migration = "m".parse().unwrap();
    ends_with(BackfillError::WrongStage { migration, stage: Stage::Off }, Exit::Refused);
    let failure = ends_with(RuleSetError::UnknownVersion { version: 9, newest: 4 }, Exit::Failed);
    assert!(failure.hint.is_some_and(|hint| hint.contains("flag history")));
    ends_with(RuleSetError::Busy { tries: 10 }, Exit::Failed);
    ends_with(RuleSetError::Store(store(StoreErrorKind::LockTimeout)), Exit::LockTimeout);
    let bad = Config::load(Some(std::path::Path::new("no/such/file.toml"))).unwrap_err();
    ends_with(bad, Exit::Usage);
}
