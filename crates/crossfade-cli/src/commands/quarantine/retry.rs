//! `crossfade quarantine NAME retry`: tries the keys again.

use std::collections::BTreeSet;

use crossfade_core::MigrationName;
use crossfade_reconcile::{RetryHooks, RetryReport, retry_quarantine};
use crossfade_sql::Database;
use crossfade_store::Quarantined;
use serde_json::json;

use super::Picks;
use crate::{
    app::App,
    commands::words::{count, short},
    failure::{Exit, Failure},
    interrupt::Interrupt,
    progress::Progress,
};

/// Repair the keys, and take those that New accepts out of quarantine.
///
/// Exits with 4 when some are refused still.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    picks: Picks,
    /// Only these keys, as `list` shows them.
    #[arg(long, value_name = "KEY")]
    key: Vec<String>,
}

pub(super) async fn run(
    app: &App,
    database: &Database,
    name: &MigrationName,
    args: &Args,
) -> Result<Exit, Failure> {
    let keys: BTreeSet<&str> = args.key.iter().map(String::as_str).collect();
    let picks = |entry: &Quarantined| {
        args.picks.picks(entry) && (keys.is_empty() || keys.contains(entry.key.as_str()))
    };
    let interrupt = Interrupt::listen(app.output);
    let progress = Progress::start(app.output, "retry");
    let show = |now: RetryReport| {
        progress.show(now.mended, None, format!("{} refused", now.refused));
    };
    let hooks = RetryHooks { picks: &picks, progress: &show, cancel: interrupt.cancel.clone() };
    let report = retry_quarantine(database, database, name, hooks).await?;
    drop(progress);
    app.output.line(format_args!(
        "{} mended, {} refused still, in {}",
        count(report.mended, "key"),
        report.refused,
        short(report.elapsed)
    ));
    app.output.result(&json!({
        "migration": name.as_str(),
        "mended": report.mended,
        "refused": report.refused,
        "interrupted": report.interrupted,
        "elapsed_ms": report.elapsed.as_millis(),
    }));
    if report.interrupted {
        let failure = Failure::new(Exit::Failed, "interrupted");
        return Err(failure.with_hint("keys that are mended stay mended; run it again"));
    }
    Ok(if report.refused == 0 { Exit::Done } else { Exit::Differ })
}
