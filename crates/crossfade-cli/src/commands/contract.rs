//! `crossfade contract`: the last stage. Rights go first, then Legacy itself.

use crossfade_control::{Advance, AdvanceError, NewRows, Stores, advance, check, pass_gate};
use crossfade_core::{Approval, MigrationName, Stage};
use crossfade_schema::{
    Manifest, Mode, StepOutcome, StepReport, run_script, safe_contract, shadowed,
};
use crossfade_sql::{Database, Engine};
use crossfade_store::{AuditEntry, ControlStore, Depth, SchemaStore};
use serde_json::json;

use crate::{
    app::App,
    commands::{
        check::lines,
        expand::{steps, steps_json},
        options::{Reason, Waiting},
    },
    failure::{Exit, Failure},
};

/// The check of columns that the mapping never reads.
const UNREAD_COLUMN: &str = "unread-column";

/// Take rights on Legacy away and run contract.sql, through its gate.
///
/// Takes rights on Legacy away, runs contract.sql and goes to `contracted`, once no instance and no
/// statistic of the database shows Legacy in use. Only a backup brings Legacy back.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  crossfade contract user_settings --dry-run\n  crossfade contract user_settings --reason 'two weeks without a reader'"
)]
pub(crate) struct Args {
    /// Name of the migration.
    name: MigrationName,
    /// Print what would be run and every reason against it, and change nothing.
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    reason: Reason,
    #[command(flatten)]
    waiting: Waiting,
}

pub(crate) async fn run(app: &App, args: &Args) -> Result<Exit, Failure> {
    let database = app.database().await?;
    let registered = database.migration(&args.name).await?.definition;
    // What runs is what was registered: the folder may be another checkout's.
    let written = app.manifest(&args.name, &database)?;
    safe_contract(&written, database.engine().as_str())?;
    let manifest = written.registered_as(&registered)?;
    let script = &manifest.contract;
    let planned = run_script(&database, &registered, script, app.timeouts(), Mode::Plan).await?;
    let is_planned = |step: &StepReport| step.outcome == StepOutcome::Planned;
    if planned.iter().any(is_planned)
        && let Some(shadowed) = shadowed(&database, &written, &registered).await?
    {
        return Err(shadowed.into());
    }
    lost_columns(app, &database, &manifest).await?;
    if args.dry_run {
        return plan(app, args, &database, &manifest).await;
    }
    let stores = Stores::of(&database);
    let request = Advance {
        migration: &args.name,
        to: Stage::Contracted,
        actor: &app.actor,
        reason: &args.reason.reason,
        approval: Approval::default(),
        new_rows: NewRows::Keep,
        patience: args.waiting.patience(),
    };
    let state = pass_gate(stores, &request).await?;
    let mut revoked = Vec::new();
    if state.stage != Stage::Contracted {
        revoked = database.revoke_legacy(&state.definition).await?;
        for right in &revoked {
            app.output.line(format_args!("revoked: {right}"));
        }
        record(app, args, &database, state.stage, &revoked).await?;
    }
    let has_rights =
        database.engine() != Engine::Sqlite && state.definition.legacy_columns.is_empty();
    if has_rights && state.stage != Stage::Contracted {
        let table = &state.definition.legacy.table;
        app.output.line(match database.engine() {
            Engine::Mysql => format!("rights on more than {table} alone stay as they are"),
            _ => format!("the owner of {table} keeps its rights"),
        });
    }
    let report = run_script(&database, &registered, script, app.timeouts(), Mode::Run).await;
    let report = report.map_err(|error| match has_rights {
        true => without_rights(error.into()),
        false => error.into(),
    })?;
    steps(app.output, &report);
    advance(stores, &request).await?;
    app.output.line(format_args!("{} is contracted", args.name));
    app.output.result(&json!({
        "migration": args.name.as_str(),
        "dry_run": false,
        "stage": Stage::Contracted.as_str(),
        "revoked": revoked,
        "steps": steps_json(&report),
    }));
    Ok(Exit::Done)
}

/// Names the columns of Legacy that the mapping never read, which are gone afterwards.
async fn lost_columns(app: &App, database: &Database, manifest: &Manifest) -> Result<(), Failure> {
    let looked = crossfade_schema::check(database, database, manifest, Depth::Catalog).await?;
    for finding in looked.findings.iter().filter(|finding| finding.check.id == UNREAD_COLUMN) {
        app.output.note(lines(finding));
    }
    Ok(())
}

/// Leaves the rights that were taken away in the audit trail.
async fn record(
    app: &App,
    args: &Args,
    database: &Database,
    stage: Stage,
    revoked: &[String],
) -> Result<(), Failure> {
    if revoked.is_empty() {
        return Ok(());
    }
    let rights = revoked.join("; ");
    let reason = match args.reason.reason.as_str() {
        "" => rights,
        reason => format!("{reason}: {rights}"),
    };
    let entry = AuditEntry {
        action: "rights.revoked",
        subject: args.name.as_str(),
        from: stage.as_str(),
        to: "",
        actor: &app.actor,
        reason: &reason,
    };
    Ok(database.audit(entry).await?)
}

/// A script that failed once the rights were gone.
fn without_rights(failure: Failure) -> Failure {
    let stay = "the rights on Legacy stay revoked, and `crossfade audit` lists them";
    let hint = failure.hint.as_ref().map_or(stay.to_owned(), |hint| format!("{hint}; {stay}"));
    failure.with_hint(hint)
}

async fn plan(
    app: &App,
    args: &Args,
    database: &Database,
    manifest: &Manifest,
) -> Result<Exit, Failure> {
    let (stores, to) = (Stores::of(database), Stage::Contracted);
    let check = check(stores, &args.name, to, &Approval::default()).await?;
    let grants = match check.from {
        Stage::Contracted => Vec::new(),
        _ => {
            let definition = database.migration(&args.name).await?.definition;
            database.legacy_grants(&definition).await?
        }
    };
    for right in &grants {
        app.output.line(format_args!("would revoke: {right}"));
    }
    let script = &manifest.contract;
    let definition = &manifest.definition;
    let report = run_script(database, definition, script, app.timeouts(), Mode::Plan).await?;
    steps(app.output, &report);
    app.output.line("nothing was changed");
    if !check.refusals.is_empty() {
        return Err(AdvanceError::Refused { to, refusals: check.refusals }.into());
    }
    app.output.result(&json!({
        "migration": args.name.as_str(),
        "dry_run": true,
        "stage": check.from.as_str(),
        "would_revoke": grants,
        "steps": steps_json(&report),
    }));
    Ok(Exit::Done)
}
