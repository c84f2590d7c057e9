//! `crossfade expand`: runs expand.sql, registers the migration, creates its read flag.

use crossfade_control::{FlagChange, FlagEdit, Stores, change_flag};
use crossfade_core::MigrationName;
use crossfade_schema::{ExpandReport, Mode, Severity, StepOutcome, StepReport, expand, lint};
use crossfade_store::Registration;
use serde_json::{Value, json};

use crate::{
    app::App,
    commands::{
        check::{as_json, brief, tried},
        words::short,
    },
    failure::{Exit, Failure},
    output::Output,
};

/// Run expand.sql and register the migration.
///
/// Runs expand.sql with bounds on locks and time, checks that mapping and tables fit, registers the
/// migration in stage `off` and creates its read flag, off. Statements that were run are not run
/// again.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  crossfade expand user_settings --dry-run\n  crossfade expand user_settings"
)]
pub(crate) struct Args {
    /// Name of the migration.
    name: MigrationName,
    /// Print what would be run and change nothing.
    #[arg(long)]
    dry_run: bool,
}

pub(crate) async fn run(app: &App, args: &Args) -> Result<Exit, Failure> {
    let database = app.database().await?;
    let manifest = app.manifest(&args.name, &database)?;
    let mode = if args.dry_run { Mode::Plan } else { Mode::Run };
    for finding in lint(&manifest.expand, database.engine().as_str()) {
        if finding.severity == Severity::Warning {
            app.output.note(format_args!("warning: {finding}; {}", finding.hint));
        }
    }
    let report =
        expand(&database, &database, &database, &manifest, app.timeouts(), mode, &app.actor)
            .await?;
    for finding in &report.checked.findings {
        app.output.note(brief(finding));
    }
    if !report.checked.findings.is_empty() {
        let name = &args.name;
        app.output.note(format_args!("`crossfade check {name}` prints what to do about each"));
    }
    if let Some(rows) = report.checked.rows_tried {
        app.output.note(tried(rows));
    }
    steps(app.output, &report.steps);
    pinned(app.output, &report);
    let flag = &manifest.definition.read_flag;
    if mode == Mode::Run {
        let reason = format!("read flag of {}", args.name);
        let change =
            FlagChange { flag, edit: FlagEdit::Ensure, actor: &app.actor, reason: &reason };
        change_flag(Stores::of(&database), change).await?;
    }
    let registration = report.registration.map(|registration| match registration {
        Registration::Created => "created",
        Registration::Updated => "updated",
        Registration::Unchanged => "unchanged",
    });
    match registration {
        Some("created") => app.output.line(format_args!(
            "registered {name} in stage `off`; next: `crossfade stage {name} delete_only`",
            name = args.name
        )),
        Some(what) => app.output.line(format_args!("registration {what}")),
        None => app.output.line("nothing was changed"),
    }
    app.output.result(&json!({
        "migration": args.name.as_str(),
        "dry_run": args.dry_run,
        "steps": steps_json(&report.steps),
        "findings": report.checked.findings.iter().map(as_json).collect::<Vec<_>>(),
        "not_seen": report.checked.unseen,
        "rows_tried": report.checked.rows_tried,
        "warnings": report.warnings.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "registration": registration,
        "legacy": report.definition.legacy.table.to_string(),
        "new": report.definition.new.table.to_string(),
        "search_path": report.definition.pinned.search_path,
        "time_zone": report.definition.pinned.time_zone,
        "time_zone_source": report.surroundings.as_ref().map(|found| found.zone_source),
        "read_flag": flag.as_str(),
    }));
    Ok(Exit::Done)
}

/// What every later session runs with.
fn pinned(output: Output, report: &ExpandReport) {
    let definition = &report.definition;
    let (legacy, new) = (&definition.legacy.table, &definition.new.table);
    output.line(format_args!("pinned: Legacy {legacy}, New {new}"));
    if let Some(path) = &definition.pinned.search_path {
        output.line(format_args!("pinned: search path {path}"));
    }
    let Some(zone) = &definition.pinned.time_zone else { return };
    match &report.surroundings {
        Some(found) if found.zone_assumed => {
            output
                .line(format_args!("pinned: time zone {zone}, assumed from {}", found.zone_source));
            output.note(format_args!(
                "warning: this role may not read which time zone the server's configuration sets; \
                 name one with `alter database … set timezone` if it is not {zone}"
            ));
        }
        Some(found) => {
            output.line(format_args!("pinned: time zone {zone}, of {}", found.zone_source));
        }
        None => output.line(format_args!("pinned: time zone {zone}")),
    }
}

/// The statements of a script for people.
pub(super) fn steps(output: Output, steps: &[StepReport]) {
    for step in steps {
        let what = match step.outcome {
            StepOutcome::Ran => "done",
            StepOutcome::AlreadyDone => "was done",
            StepOutcome::Planned => "would run",
        };
        output.line(format_args!(
            "-- line {}: {what}, at most {} for a lock and {} in all",
            step.line,
            short(step.timeouts.lock),
            short(step.timeouts.statement)
        ));
        output.line(format_args!("{};", step.text));
    }
}

/// The statements of a script for programs.
pub(super) fn steps_json(steps: &[StepReport]) -> Vec<Value> {
    let one = |step: &StepReport| {
        json!({
            "line": step.line,
            "sql": step.text,
            "outcome": match step.outcome {
                StepOutcome::Ran => "ran",
                StepOutcome::AlreadyDone => "already_done",
                StepOutcome::Planned => "planned",
            },
            "lock_timeout_ms": step.timeouts.lock.as_millis(),
            "statement_timeout_ms": step.timeouts.statement.as_millis(),
        })
    };
    steps.iter().map(one).collect()
}
