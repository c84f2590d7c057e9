//! `crossfade status`: where migrations stand.

mod view;

use std::time::Duration;

use crossfade_control::{Status, Stores, status};
use crossfade_core::MigrationName;
use crossfade_sql::Database;
use serde_json::Value;

use crate::{
    app::{App, migrations},
    failure::{Exit, Failure},
};

/// Pause between two looks with `--watch`.
const EVERY: Duration = Duration::from_secs(2);

/// Clears a terminal and puts the cursor into its first corner.
const CLEAR: &str = "\x1b[2J\x1b[H";

/// Show where migrations stand.
///
/// Shows where migrations stand: stage, fleet, backfill, verification, quarantine, read flag, and
/// every reason against the next stage.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  crossfade status\n  crossfade status user_settings --watch")]
pub(crate) struct Args {
    /// Name of the migration. Without it, all are listed.
    name: Option<MigrationName>,
    /// Look again every two seconds until Ctrl-C.
    #[arg(long)]
    watch: bool,
}

pub(crate) async fn run(app: &App, args: &Args) -> Result<Exit, Failure> {
    let database = app.database().await?;
    if !args.watch {
        show(app, args, &database).await?;
        return Ok(Exit::Done);
    }
    loop {
        if app.output.is_screen() {
            app.output.line(CLEAR);
        }
        show(app, args, &database).await?;
        tokio::select! {
            _ = tokio::signal::ctrl_c() => return Ok(Exit::Done),
            () = tokio::time::sleep(EVERY) => {}
        }
    }
}

async fn show(app: &App, args: &Args, database: &Database) -> Result<(), Failure> {
    let stores = Stores::of(database);
    let mut found: Vec<Status> = Vec::new();
    for state in migrations(stores, args.name.as_ref()).await? {
        found.push(status(stores, database, &state.definition.name).await?);
    }
    match (&args.name, &found[..]) {
        (Some(_), [one]) => {
            app.output.line(view::page(one));
            app.output.result(&view::as_json(one));
        }
        _ => {
            app.output.line(view::table(&found));
            app.output.result(&found.iter().map(view::as_json).collect::<Vec<Value>>());
        }
    }
    Ok(())
}
