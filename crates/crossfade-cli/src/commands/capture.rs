//! `crossfade capture`: what becomes of writers that go around the SDK.

use std::time::Duration;

use clap::Subcommand;
use crossfade_control::{
    CaptureChanged, CaptureRequest, CaptureStatus, capture_status, change_capture, plan_capture,
};
use crossfade_core::{CaptureMode, MigrationName};
use serde_json::{Value, json};

use crate::{
    app::App,
    commands::{
        options::Reason,
        words::{count, date, short},
    },
    failure::{Exit, Failure},
};

const EXAMPLES: &str = "\
Examples:
  crossfade capture install user_settings --mode observe --dry-run
  crossfade capture install user_settings --mode observe      who goes around the SDK?
  crossfade capture status user_settings
  crossfade capture install user_settings --mode journal      and, beside it:
  crossfade repair user_settings --follow
  crossfade capture install user_settings --mode reject       once nobody should any more
  crossfade capture remove user_settings

Modes, for writes on Legacy that did not pass the fence:
  observe  they are counted
  journal  they are counted, and their keys wait for `crossfade repair`; up to `live`
  reject   they fail";

/// Observe, journal or reject writers that go around the SDK.
///
/// Installs triggers on Legacy, on PostgreSQL and MariaDB, that let writes of the SDK pass and
/// observe, journal or reject all others: cron jobs, consoles, other services.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Install the capture, or change its mode. Writers wait for a moment.
    Install {
        /// Name of the migration.
        name: MigrationName,
        /// What becomes of writes around the SDK: observe, journal or reject.
        #[arg(long)]
        mode: CaptureMode,
        #[command(flatten)]
        change: Change,
    },
    /// Take the capture away. Keys that are in the journal stay there until they are repaired.
    Remove {
        /// Name of the migration.
        name: MigrationName,
        #[command(flatten)]
        change: Change,
    },
    /// Show the mode, who went around the SDK, and what waits in the journal.
    Status {
        /// Name of the migration.
        name: MigrationName,
    },
}

#[derive(Debug, clap::Args)]
struct Change {
    /// Print the statements and change nothing.
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    reason: Reason,
}

pub(crate) async fn run(app: &App, args: &Args) -> Result<Exit, Failure> {
    match &args.command {
        Command::Install { name, mode, change } => alter(app, name, Some(*mode), change).await,
        Command::Remove { name, change } => alter(app, name, None, change).await,
        Command::Status { name } => show(app, name).await,
    }
}

async fn alter(
    app: &App,
    name: &MigrationName,
    mode: Option<CaptureMode>,
    change: &Change,
) -> Result<Exit, Failure> {
    let database = app.database().await?;
    let word = mode.map_or("none", CaptureMode::as_str);
    if change.dry_run {
        let statements = plan_capture(&database, &database, name, mode).await?;
        for statement in &statements {
            app.output.line(format_args!("{statement};\n"));
        }
        app.output.line("nothing was changed");
        app.output.result(&json!({
            "migration": name.as_str(),
            "dry_run": true,
            "mode": mode.map(CaptureMode::as_str),
            "statements": statements,
        }));
        return Ok(Exit::Done);
    }
    let request = CaptureRequest {
        migration: name,
        mode,
        actor: &app.actor,
        reason: &change.reason.reason,
        timeouts: app.timeouts(),
    };
    let changed = change_capture(&database, &database, request).await?;
    match changed {
        CaptureChanged::Changed { from } => {
            let from = from.map_or("none", CaptureMode::as_str);
            app.output.line(format_args!("capture of {name}: `{from}` → `{word}`"));
        }
        CaptureChanged::Unchanged => {
            app.output.line(format_args!("capture of {name}: `{word}` already"));
        }
    }
    match mode {
        Some(CaptureMode::Journal) => app.output.line(format_args!(
            "next: `crossfade repair {name} --follow` carries what is journaled to New"
        )),
        Some(_) => {
            app.output.line(format_args!("`crossfade capture status {name}` tells what it sees"));
        }
        None => {}
    }
    app.output.result(&json!({
        "migration": name.as_str(),
        "dry_run": false,
        "mode": mode.map(CaptureMode::as_str),
        "changed": changed != CaptureChanged::Unchanged,
    }));
    Ok(Exit::Done)
}

async fn show(app: &App, name: &MigrationName) -> Result<Exit, Failure> {
    let database = app.database().await?;
    let status = capture_status(&database, &database, name).await?;
    for line in lines(&status) {
        app.output.line(line);
    }
    app.output.result(&as_json(&status));
    Ok(Exit::Done)
}

fn lines(status: &CaptureStatus) -> Vec<String> {
    let name = &status.state.definition.name;
    let mut lines = vec![match &status.capture {
        None => format!("{name}: no capture; nobody looks at writers around the SDK"),
        Some(capture) => {
            format!("{name}: capture in mode `{}` since {}", capture.mode, date(capture.since_ms))
        }
    }];
    if let Some(capture) = status.capture.as_ref().filter(|capture| !capture.in_place) {
        lines.push(format!(
            "  its triggers are not in place; `crossfade capture install {name} --mode {}` mends \
             that",
            capture.mode
        ));
    }
    for bypass in &status.bypasses {
        let application = match bypass.application.as_str() {
            "" => String::new(),
            application => format!(" ({application})"),
        };
        lines.push(format!(
            "  {}{application}: {} by {}, first {}, last {}",
            bypass.writer,
            count(bypass.writes, "write"),
            bypass.operation,
            date(bypass.first_ms),
            date(bypass.last_ms)
        ));
    }
    if status.capture.is_some() && status.bypasses.is_empty() {
        lines.push("  nobody was seen".to_owned());
    }
    let oldest = status.journal.oldest.map(|age| format!(", the oldest for {}", short(age)));
    lines.push(format!(
        "  journal: {}{}",
        count(status.journal.keys, "key"),
        oldest.unwrap_or_default()
    ));
    lines
}

fn as_json(status: &CaptureStatus) -> Value {
    json!({
        "migration": status.state.definition.name.as_str(),
        "stage": status.state.stage.as_str(),
        "mode": status.capture.as_ref().map(|capture| capture.mode.as_str()),
        "since": status.capture.as_ref().map(|capture| date(capture.since_ms)),
        "in_place": status.capture.as_ref().map(|capture| capture.in_place),
        "observed": status.bypasses.iter().map(|bypass| bypass.writes).sum::<u64>(),
        "writers": status.bypasses.iter().map(|bypass| json!({
            "user": bypass.writer,
            "application": bypass.application,
            "operation": bypass.operation,
            "writes": bypass.writes,
            "first": date(bypass.first_ms),
            "last": date(bypass.last_ms),
        })).collect::<Vec<_>>(),
        "journal": {
            "keys": status.journal.keys,
            "oldest_ms": status.journal.oldest.map(|age: Duration| age.as_millis()),
        },
    })
}
