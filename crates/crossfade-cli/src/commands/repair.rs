//! `crossfade repair`: makes New equal where it is known, or found, to be behind.

use crossfade_core::MigrationName;
use crossfade_reconcile::{
    JournalHooks, JournalMode, JournalProgress, JournalReport, JournalSettings, VerifyHooks,
    VerifyMode, VerifyProgress, VerifySettings, repair_journal, verify,
};
use serde_json::json;

use crate::{
    app::App,
    commands::{
        verify::{Values, exit, lines, report_json},
        words::{count, short},
    },
    failure::{Exit, Failure},
    interrupt::Interrupt,
    progress::Progress,
};

/// Make New equal; with --follow, carry over what is journaled until stopped.
///
/// Carries the keys of the journal to New, then compares both sides and makes New equal for every
/// key that differs or is in quarantine, as `crossfade verify --repair` does. Exits with 4 when keys
/// differ, or are in quarantine, at the end. With --follow it works off the journal alone, as it
/// grows, until Ctrl-C or SIGTERM; several processes may do so at once.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  crossfade repair user_settings\n  crossfade repair user_settings --follow --workers 4"
)]
pub(crate) struct Args {
    /// Name of the migration.
    name: MigrationName,
    /// Work off the journal until stopped.
    #[arg(long)]
    follow: bool,
    /// Workers of this process on the journal.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=64))]
    workers: u32,
}

pub(crate) async fn run(app: &App, args: &Args) -> Result<Exit, Failure> {
    let database = app.database().await?;
    let mode = if args.follow { JournalMode::Follow } else { JournalMode::Once };
    let settings = JournalSettings { mode, workers: args.workers };
    let interrupt = Interrupt::listen(app.output);
    let progress = Progress::start(app.output, "journal");
    let show = |now: JournalProgress| {
        let message = match now.quarantined {
            0 => String::new(),
            number => format!("{number} in quarantine"),
        };
        progress.show(now.repaired, None, message);
    };
    let hooks = JournalHooks { progress: &show, cancel: interrupt.cancel.clone() };
    let journal = repair_journal(&database, &database, &args.name, settings, hooks).await?;
    drop(progress);
    app.output.line(format_args!(
        "journal: {} repaired in {}, {} in quarantine, {} left",
        count(journal.repaired, "key"),
        short(journal.elapsed),
        journal.quarantined,
        journal.left
    ));
    if args.follow {
        app.output.result(&journal_json(&args.name, &journal));
        return Ok(Exit::Done);
    }
    if journal.interrupted {
        return Err(interrupted(journal.repaired));
    }
    compare(app, args, &database, &interrupt, &journal).await
}

async fn compare(
    app: &App,
    args: &Args,
    database: &crossfade_sql::Database,
    interrupt: &Interrupt,
    journal: &JournalReport,
) -> Result<Exit, Failure> {
    let progress = Progress::start(app.output, "repair");
    let show = |now: VerifyProgress| {
        progress.show(now.compared, now.estimated_rows, format!("{} repaired", now.repaired));
    };
    let settings = VerifySettings { mode: VerifyMode::Repair, ..VerifySettings::default() };
    let hooks = VerifyHooks { progress: &show, cancel: interrupt.cancel.clone() };
    let report = verify(database, database, &args.name, settings, hooks).await?;
    drop(progress);
    lines(app.output, &args.name, &report, Values::Redacted);
    let mut value = journal_json(&args.name, journal);
    value["verification"] = report_json(&args.name, &report, Values::Redacted);
    app.output.result(&value);
    if report.interrupted {
        return Err(interrupted(journal.repaired + report.repaired));
    }
    match exit(&report)? {
        Exit::Done if journal.left > 0 => Ok(Exit::Differ),
        exit => Ok(exit),
    }
}

fn interrupted(repaired: u64) -> Failure {
    let message = format!("interrupted after {}", count(repaired, "repair"));
    Failure::new(Exit::Failed, message).with_hint("what was repaired stays so; run it again")
}

fn journal_json(name: &MigrationName, journal: &JournalReport) -> serde_json::Value {
    json!({
        "migration": name.as_str(),
        "repaired": journal.repaired,
        "quarantined": journal.quarantined,
        "left": journal.left,
        "interrupted": journal.interrupted,
        "elapsed_ms": journal.elapsed.as_millis(),
    })
}
