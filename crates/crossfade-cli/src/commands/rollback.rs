//! `crossfade rollback`: every read back on Legacy.

use crossfade_control::{FlagRollback, Stores, rollback};
use crossfade_core::{MigrationName, Stage};
use serde_json::json;

use crate::{
    app::App,
    commands::options::{Reason, Waiting},
    failure::{Exit, Failure},
};

/// Put every read back on Legacy.
///
/// Turns the read flag off and, from `ramp_down`, goes back to `live`: every read is back on Legacy
/// at once, and writes go on keeping both sides equal. Refused from `complete` on, where Legacy is
/// behind.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  crossfade rollback user_settings --reason 'latency of the new table'"
)]
pub(crate) struct Args {
    /// Name of the migration.
    name: MigrationName,
    #[command(flatten)]
    reason: Reason,
    #[command(flatten)]
    waiting: Waiting,
}

pub(crate) async fn run(app: &App, args: &Args) -> Result<Exit, Failure> {
    let database = app.database().await?;
    let done = rollback(
        Stores::of(&database),
        &args.name,
        &app.actor,
        &args.reason.reason,
        args.waiting.patience(),
    )
    .await?;
    let version = match done.flag {
        FlagRollback::TurnedOff { version } => Some(version),
        FlagRollback::WasOff => None,
    };
    match version {
        Some(version) => {
            app.output.line(format_args!("the read flag is off since rule set {version}"));
        }
        None => app.output.line("the read flag was off already"),
    }
    if let Some(left) = done.left {
        app.output.line(format_args!("{}: `{left}` → `{}`", args.name, done.stage));
    }
    app.output.line(format_args!("{}: every read uses Legacy", args.name));
    app.output.result(&json!({
        "migration": args.name.as_str(),
        "stage": done.stage.as_str(),
        "left": done.left.map(Stage::as_str),
        "flag_version": version,
        "changed": version.is_some() || done.left.is_some(),
    }));
    Ok(Exit::Done)
}
