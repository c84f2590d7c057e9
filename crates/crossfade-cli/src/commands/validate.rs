//! `crossfade validate`: the rows that would not fit, before any is moved.

use crossfade_core::{Key, MigrationName};
use crossfade_reconcile::{ValidateHooks, ValidateReport, validate};
use serde_json::{Value, json};

use crate::{
    app::App,
    commands::words::{count, short},
    failure::{Exit, Failure},
    interrupt::Interrupt,
    progress::Progress,
};

/// Count the rows that the mapping or New would refuse, before any is moved.
///
/// Inserts the mapped row of every Legacy row into New, in transactions that are rolled back, and
/// counts the rows that are not unique under New's unique indexes. Before `expand`, New is made by
/// expand.sql inside these transactions; on MariaDB in a scratch database that is dropped. Shows
/// keys and reasons, no values. Exits with 4 when any row is found.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  crossfade validate user_settings\n  crossfade validate user_settings --json"
)]
pub(crate) struct Args {
    /// Name of the migration.
    name: MigrationName,
}

pub(crate) async fn run(app: &App, args: &Args) -> Result<Exit, Failure> {
    let database = app.database().await?;
    let manifest = app.manifest(&args.name, &database)?;
    let expand: Vec<String> =
        manifest.expand.statements.iter().map(|statement| statement.text.clone()).collect();
    let interrupt = Interrupt::listen(app.output);
    let progress = Progress::start(app.output, "validate");
    let show = |rows: u64, refused: u64| {
        let message = if refused == 0 { String::new() } else { format!("{refused} refused") };
        progress.show(rows, None, message);
    };
    let hooks = ValidateHooks { progress: &show, cancel: interrupt.cancel.clone() };
    let report = validate(&database, &manifest.definition, &expand, hooks).await?;
    drop(progress);
    lines(app, &args.name, &report);
    app.output.result(&as_json(&args.name, &report));
    if report.interrupted {
        let message = format!("interrupted after {}", count(report.rows, "row"));
        return Err(Failure::new(Exit::Failed, message).with_hint("nothing was changed"));
    }
    Ok(if report.fits() { Exit::Done } else { Exit::Differ })
}

fn lines(app: &App, name: &MigrationName, report: &ValidateReport) {
    let (tried, took) = (count(report.rows, "row"), short(report.elapsed));
    app.output.line(format_args!("{name}: {tried} tried in {took}"));
    for (reason, kind) in &report.refused {
        app.output.line(format_args!("  {} refused: {reason}", count(kind.rows, "row")));
        app.output.line(format_args!("    keys: {}", texts(&kind.samples).join(", ")));
    }
    for found in &report.duplicates {
        match found.rows {
            Some(rows) => {
                let rows = count(rows, "row");
                app.output.line(format_args!("  {rows} not unique under {}", found.index));
                app.output.line(format_args!("    keys: {}", texts(&found.samples).join(", ")));
                app.output.line(format_args!("    all of them: {}", found.query));
            }
            None => app.output.line(format_args!(
                "  rows under {} could not be counted: the mapping fails on some row",
                found.index
            )),
        }
    }
    for unseen in &report.unseen {
        app.output.line(format_args!("  not tried: {unseen}"));
    }
    if report.fits() && !report.interrupted {
        app.output.line("  every row fits");
    }
}

fn as_json(name: &MigrationName, report: &ValidateReport) -> Value {
    let refused = report.refused.iter().map(|(reason, kind)| {
        json!({ "reason": reason, "rows": kind.rows, "samples": texts(&kind.samples) })
    });
    let duplicates = report.duplicates.iter().map(|found| {
        json!({
            "index": found.index,
            "rows": found.rows,
            "samples": texts(&found.samples),
            "query": found.query,
        })
    });
    json!({
        "migration": name.as_str(),
        "rows": report.rows,
        "refused": refused.collect::<Vec<_>>(),
        "duplicates": duplicates.collect::<Vec<_>>(),
        "not_tried": report.unseen,
        "fits": report.fits(),
        "interrupted": report.interrupted,
        "elapsed_ms": report.elapsed.as_millis(),
    })
}

fn texts(keys: &[Key]) -> Vec<String> {
    keys.iter().map(ToString::to_string).collect()
}
