//! `crossfade stage`: shows the stage, or changes it.

use crossfade_control::{
    Advance, AdvanceError, Advanced, NewRows, Stores, advance, advance_sequences, check,
};
use crossfade_core::{Approval, Direction, MigrationName, Stage};
use crossfade_sql::Database;
use crossfade_store::ControlStore;
use serde_json::json;

use crate::{
    app::App,
    commands::{
        options::{Reason, Waiting},
        words::{reasons, warn, warnings_json},
    },
    failure::{Exit, Failure},
};

/// Show the stage, or go to the next or the one before, through its gate.
///
/// Shows the stage of a migration, or goes to the next one through its gate, or to the one before
/// where that is safe. Stages: off, delete_only, dual_write, live, ramp_down, complete; the last,
/// contracted, is entered by `crossfade contract`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  crossfade stage user_settings\n  crossfade stage user_settings live --dry-run\n  crossfade stage user_settings complete --approved-by dba --accept-loss user_settings"
)]
pub(crate) struct Args {
    /// Name of the migration.
    name: MigrationName,
    /// The stage to go to. Without it, the stage is shown.
    stage: Option<Stage>,
    /// Print every reason against it and change nothing.
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    reason: Reason,
    /// On the way to `delete_only`: empty the New table of what an earlier try left there.
    #[arg(long)]
    truncate_new: bool,
    /// On the way to `complete`: who approved it.
    #[arg(long, value_name = "NAME")]
    approved_by: Option<String>,
    /// On the way to `complete`: the migration's name, to accept that no flip brings Legacy back.
    #[arg(long, value_name = "MIGRATION")]
    accept_loss: Option<String>,
    /// On the way to `complete`: move sequences of New that are at or below the greatest key.
    #[arg(long)]
    advance_sequences: bool,
    #[command(flatten)]
    waiting: Waiting,
}

impl Args {
    fn approval(&self) -> Approval {
        Approval { approved_by: self.approved_by.clone(), accepted_loss: self.accept_loss.clone() }
    }
}

pub(crate) async fn run(app: &App, args: &Args) -> Result<Exit, Failure> {
    let database = app.database().await?;
    match args.stage {
        None => show(app, args, &database).await,
        Some(to) if args.dry_run => plan(app, args, &database, to).await,
        Some(to) => change(app, args, &database, to).await,
    }
}

async fn show(app: &App, args: &Args, database: &Database) -> Result<Exit, Failure> {
    let state = database.migration(&args.name).await?;
    let next = state.stage.next();
    app.output.line(format_args!("{} is in `{}`, epoch {}", args.name, state.stage, state.epoch));
    if state.previous_open {
        app.output.line(format_args!(
            "the epoch before is still open; `crossfade stage {} {}` closes it",
            args.name, state.stage
        ));
    }
    app.output.result(&json!({
        "migration": args.name.as_str(),
        "stage": state.stage.as_str(),
        "epoch": state.epoch.get(),
        "previous_open": state.previous_open,
        "next": next.map(Stage::as_str),
    }));
    Ok(Exit::Done)
}

async fn plan(app: &App, args: &Args, database: &Database, to: Stage) -> Result<Exit, Failure> {
    let check = check(Stores::of(database), &args.name, to, &args.approval()).await?;
    warn(app.output, &check.warnings);
    if !check.refusals.is_empty() {
        return Err(AdvanceError::Refused { to, refusals: check.refusals }.into());
    }
    let what = match check.direction {
        Some(Direction::Forward) => format!("the gate from `{}` to `{to}` is open", check.from),
        Some(Direction::Back) => format!("`{}` may go back to `{to}`", check.from),
        None => format!("{} is in `{to}` already", args.name),
    };
    app.output.line(format_args!("{what}; nothing was changed"));
    app.output.result(&json!({
        "migration": args.name.as_str(),
        "dry_run": true,
        "from": check.from.as_str(),
        "to": to.as_str(),
        "epoch": check.epoch.get(),
        "previous_open": check.previous_open,
        "refusals": reasons(&check.refusals),
        "warnings": warnings_json(&check.warnings),
    }));
    Ok(Exit::Done)
}

async fn change(app: &App, args: &Args, database: &Database, to: Stage) -> Result<Exit, Failure> {
    let stores = Stores::of(database);
    if to == Stage::Contracted {
        let stage = database.migration(&args.name).await?.stage;
        if stage != Stage::Contracted {
            let message =
                format!("`contracted` is entered by running contract.sql, from `{stage}`");
            return Err(Failure::new(Exit::Refused, message)
                .with_hint(format!("`crossfade contract {} --dry-run`", args.name)));
        }
    }
    let request = Advance {
        migration: &args.name,
        to,
        actor: &app.actor,
        reason: &args.reason.reason,
        approval: args.approval(),
        new_rows: if args.truncate_new { NewRows::Truncate } else { NewRows::Keep },
        patience: args.waiting.patience(),
    };
    let mut moved = Vec::new();
    if args.advance_sequences {
        moved.extend(advance_sequences(stores, &args.name, &app.actor).await?);
    }
    let advanced = advance(stores, &request).await?;
    if args.advance_sequences {
        // Keys that were written until the epoch before was closed.
        moved.extend(advance_sequences(stores, &args.name, &app.actor).await?);
    }
    for statement in &moved {
        app.output.line(format_args!("ran: {statement}"));
    }
    let mut unknown = Vec::new();
    let (changed, epoch) = match advanced {
        Advanced::Changed { from, to, epoch, warnings } => {
            warn(app.output, &warnings);
            unknown = warnings;
            app.output.line(format_args!("{}: `{from}` → `{to}`, epoch {epoch}", args.name));
            (Some(from), epoch)
        }
        Advanced::Resumed { stage, epoch } => {
            app.output.line(format_args!(
                "{} was in `{stage}` already; the epoch before is closed now",
                args.name
            ));
            (None, epoch)
        }
        Advanced::AlreadyThere { stage, epoch } => {
            app.output.line(format_args!("{} is in `{stage}` already", args.name));
            (None, epoch)
        }
    };
    app.output.result(&json!({
        "migration": args.name.as_str(),
        "dry_run": false,
        "from": changed.unwrap_or(to).as_str(),
        "to": to.as_str(),
        "changed": changed.is_some(),
        "sequences_advanced": moved,
        "warnings": warnings_json(&unknown),
        "epoch": epoch.get(),
    }));
    Ok(Exit::Done)
}
