//! `crossfade backfill`: moves the rows that exist.

use std::time::Duration;

use crossfade_core::{MaxRefusals, MigrationName};
use crossfade_reconcile::{
    BackfillError, BackfillHooks, BackfillOutcome, BackfillProgress, BackfillReport,
    BackfillSettings, backfill,
};
use crossfade_store::{ControlStore, StoreError, StoreErrorKind};
use serde_json::json;

use crate::{
    app::App,
    commands::{
        quarantine::summary,
        words::{count, short},
    },
    failure::{Exit, Failure},
    interrupt::Interrupt,
    progress::Progress,
};

/// Insert on New what Legacy already holds.
///
/// Inserts on New what Legacy already holds, batch by batch, beside readers and writers. Several
/// processes may run it at once. Ctrl-C finishes the batch; running it again goes on from there. Rows
/// that New refuses go into quarantine; backfill stops, with exit code 1, when they are too many.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  crossfade backfill user_settings\n  crossfade backfill user_settings --batch-size 500 --delay 100ms --workers 4\n  crossfade backfill user_settings --max-refusals none"
)]
pub(crate) struct Args {
    /// Name of the migration.
    name: MigrationName,
    /// Rows in a batch [default: as many as take 100 ms].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    batch_size: Option<u32>,
    /// Pause after a batch [default: half the batch's time, at least 20 ms].
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
    delay: Option<Duration>,
    /// Workers of this process.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=64))]
    workers: u32,
    /// Rows that New may refuse before backfill stops: a number, a share such as 1%, or `none`
    /// [default: `[backfill] max_refusals` of migration.toml, else 1 % of the rows, at least 50 and at
    /// most 1,000].
    #[arg(long, value_name = "N", value_parser = refusals)]
    max_refusals: Option<Refusals>,
}

/// How many rows New may refuse.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Refusals {
    Unlimited,
    AtMost(MaxRefusals),
}

fn refusals(text: &str) -> Result<Refusals, String> {
    if text == "none" {
        return Ok(Refusals::Unlimited);
    }
    let max = text.parse().map(Refusals::AtMost);
    max.map_err(|_| "expected a number of rows, a share such as `1%`, or `none`".to_owned())
}

pub(crate) async fn run(app: &App, args: &Args) -> Result<Exit, Failure> {
    let database = app.database().await?;
    let pace = database.migration(&args.name).await?.definition.backfill;
    let settings = BackfillSettings {
        batch_size: args.batch_size.or(pace.batch_size).or(app.config.batch_size),
        delay: args.delay.or(pace.delay).or(app.config.backfill_delay),
        workers: args.workers,
        max_refusals: match args.max_refusals {
            None => Some(pace.max_refusals),
            Some(Refusals::AtMost(max)) => Some(max),
            Some(Refusals::Unlimited) => None,
        },
        ..BackfillSettings::default()
    };
    let interrupt = Interrupt::listen(app.output);
    let progress = Progress::start(app.output, "backfill");
    let show = |now: BackfillProgress| {
        let message = match now.quarantined {
            0 => String::new(),
            number => format!("{number} in quarantine"),
        };
        progress.show(now.read, now.estimated_rows, message);
    };
    let hooks = BackfillHooks { progress: &show, cancel: interrupt.cancel.clone() };
    let report = backfill(&database, &database, &args.name, settings, hooks).await;
    drop(progress);
    if let Err(BackfillError::TooManyRefused { .. }) = &report {
        for line in summary(&database, &args.name).await?.lines() {
            app.output.line(line);
        }
    }
    let report = report.map_err(|error| failure(error, &args.name))?;
    tell(app, args, &report);
    if report.outcome == BackfillOutcome::Interrupted {
        let message = format!("interrupted after {}", count(report.read, "row"));
        let hint = format!("`crossfade backfill {}` goes on from there", args.name);
        return Err(Failure::new(Exit::Failed, message).with_hint(hint));
    }
    Ok(Exit::Done)
}

/// Batches that are done stay done, also when the database goes away.
fn failure(error: BackfillError, name: &MigrationName) -> Failure {
    let lost = matches!(
        &error,
        BackfillError::Store(StoreError { kind: StoreErrorKind::Unavailable, .. })
    );
    let failure = Failure::from(error);
    match lost {
        true => failure.with_hint(format!(
            "once the database is up, `crossfade backfill {name}` goes on after the last batch"
        )),
        false => failure,
    }
}

fn tell(app: &App, args: &Args, report: &BackfillReport) {
    let rate = rate(report);
    match report.outcome {
        BackfillOutcome::AlreadyDone => {
            app.output.line(format_args!("backfill run {} was done before", report.run));
        }
        BackfillOutcome::Done | BackfillOutcome::Interrupted => app.output.line(format_args!(
            "backfill run {}: {} looked at, {} inserted, {} in quarantine, {} ({rate} rows/s)",
            report.run,
            count(report.read, "row"),
            count(report.inserted, "row"),
            count(report.quarantined, "key"),
            short(report.elapsed)
        )),
    }
    if report.outcome == BackfillOutcome::Done {
        app.output.line(format_args!("next: `crossfade verify {}`", args.name));
    }
    app.output.result(&json!({
        "migration": args.name.as_str(),
        "run": report.run.get(),
        "outcome": match report.outcome {
            BackfillOutcome::Done => "done",
            BackfillOutcome::AlreadyDone => "already_done",
            BackfillOutcome::Interrupted => "interrupted",
        },
        "read": report.read,
        "inserted": report.inserted,
        "quarantined": report.quarantined,
        "elapsed_ms": report.elapsed.as_millis(),
        "rows_per_s": rate,
    }));
}

fn rate(report: &BackfillReport) -> u64 {
    let seconds = report.elapsed.as_secs_f64();
    if seconds > 0.0 { (report.read as f64 / seconds) as u64 } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outage_says_how_to_go_on() {
        let name: MigrationName = "people".parse().unwrap();
        for (kind, goes_on) in
            [(StoreErrorKind::Unavailable, true), (StoreErrorKind::NotFound, false)]
        {
            let failure = failure(StoreError::new(kind, "lost").into(), &name);
            let hint = failure.hint.unwrap_or_default();
            assert_eq!(hint.contains("`crossfade backfill people` goes on"), goes_on, "{hint}");
        }
    }
}
