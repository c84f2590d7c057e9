//! `crossfade verify`: compares both sides, and repairs New when asked to.

use crossfade_core::{Key, MigrationName};
use crossfade_reconcile::{
    VerifyHooks, VerifyMode, VerifyProgress, VerifyReport, VerifySettings, verify,
};
use serde_json::{Value, json};

use crate::{
    app::App,
    commands::words::{count, short},
    failure::{Exit, Failure},
    interrupt::Interrupt,
    output::Output,
    progress::Progress,
};

/// Compare both sides; with --repair, make New equal.
///
/// Compares the mapped Legacy rows with New over the whole key range. Exits with 4 when keys
/// differ, or are in quarantine, at the end of the pass.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  crossfade verify user_settings\n  crossfade verify user_settings --repair && crossfade verify user_settings"
)]
pub(crate) struct Args {
    /// Name of the migration.
    name: MigrationName,
    /// Make New equal to the mapped Legacy row of every key that differs or is in quarantine. The
    /// gates ask for a pass without repairs after it.
    #[arg(long)]
    repair: bool,
    /// Legacy rows in a chunk [default: as many as take 250 ms].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    chunk_rows: Option<u32>,
}

pub(crate) async fn run(app: &App, args: &Args) -> Result<Exit, Failure> {
    let database = app.database().await?;
    let mode = if args.repair { VerifyMode::Repair } else { VerifyMode::Compare };
    let settings = VerifySettings { chunk_rows: args.chunk_rows, mode };
    let interrupt = Interrupt::listen(app.output);
    let progress = Progress::start(app.output, "verify");
    let show = |now: VerifyProgress| {
        let message = match now.found.total() {
            0 => String::new(),
            found => format!("{found} differ"),
        };
        progress.show(now.compared, now.estimated_rows, message);
    };
    let hooks = VerifyHooks { progress: &show, cancel: interrupt.cancel.clone() };
    let report = verify(&database, &database, &args.name, settings, hooks).await?;
    drop(progress);
    lines(app.output, &args.name, &report);
    app.output.result(&report_json(&args.name, &report));
    if report.interrupted {
        let message = format!("interrupted after {}", count(report.compared, "key"));
        let hint = "a verification counts as a whole only; run it again";
        return Err(Failure::new(Exit::Failed, message).with_hint(hint));
    }
    Ok(if report.remaining == 0 { Exit::Done } else { Exit::Differ })
}

/// What a verification found, for people.
pub(super) fn lines(output: Output, name: &MigrationName, report: &VerifyReport) {
    let found = report.found;
    output.line(format_args!(
        "{} compared in {}: {} differing, {} missing, {} orphaned, {} repaired, {} in quarantine",
        count(report.compared, "key"),
        short(report.elapsed),
        found.differing,
        found.missing,
        found.orphaned,
        report.repaired,
        report.quarantined
    ));
    let samples = &report.samples;
    for (what, keys) in [
        ("differing", &samples.differing),
        ("missing on New", &samples.missing),
        ("only on New", &samples.orphaned),
    ] {
        if !keys.is_empty() {
            output.line(format_args!("  {what}: {}", texts(keys).join(", ")));
        }
    }
    if report.quarantined > 0 {
        output.line(format_args!("  `crossfade quarantine {}` shows the quarantine", name));
    }
}

/// The same for programs.
pub(super) fn report_json(name: &MigrationName, report: &VerifyReport) -> Value {
    let found = report.found;
    json!({
        "migration": name.as_str(),
        "compared": report.compared,
        "differing": found.differing,
        "missing": found.missing,
        "orphaned": found.orphaned,
        "repaired": report.repaired,
        "quarantined": report.quarantined,
        "remaining": report.remaining,
        "interrupted": report.interrupted,
        "elapsed_ms": report.elapsed.as_millis(),
        "samples": samples_json(report),
    })
}

fn samples_json(report: &VerifyReport) -> Value {
    json!({
        "differing": texts(&report.samples.differing),
        "missing": texts(&report.samples.missing),
        "orphaned": texts(&report.samples.orphaned),
    })
}

fn texts(keys: &[Key]) -> Vec<String> {
    keys.iter().map(ToString::to_string).collect()
}
