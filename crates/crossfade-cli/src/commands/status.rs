//! `crossfade status`: where migrations stand.

mod view;

use std::io;
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
    pub(crate) watch: bool,
}

pub(crate) async fn run(app: &App, args: &Args) -> Result<Exit, Failure> {
    let database = app.database().await?;
    if !args.watch {
        // A reader that went away has seen what it wanted.
        let _ = show(app, look(args, &database).await?);
        return Ok(Exit::Done);
    }
    tokio::select! {
        _ = tokio::signal::ctrl_c() => Ok(Exit::Done),
        outcome = watch(app, args, &database) => outcome,
    }
}

/// Looks again and again until nobody reads any more. What fails at the first look ends it; a
/// later outage is told, and looked past.
async fn watch(app: &App, args: &Args, database: &Database) -> Result<Exit, Failure> {
    let mut looked = look(args, database).await?;
    loop {
        if app.output.is_screen() {
            app.output.line(CLEAR);
        }
        if show(app, looked).is_err() {
            return Ok(Exit::Done);
        }
        looked = loop {
            tokio::time::sleep(EVERY).await;
            match look(args, database).await {
                Ok(page) => break page,
                Err(failure) => app.output.failure(&failure),
            };
        };
    }
}

/// What a look found: for people, and for programs.
type Page = (String, Value);

fn show(app: &App, (text, value): Page) -> io::Result<()> {
    app.output.one_of_many(text, &value)
}

async fn look(args: &Args, database: &Database) -> Result<Page, Failure> {
    let stores = Stores::of(database);
    let mut found: Vec<Status> = Vec::new();
    for state in migrations(stores, args.name.as_ref()).await? {
        found.push(status(stores, database, &state.definition.name).await?);
    }
    Ok(match (&args.name, &found[..]) {
        (Some(_), [one]) => (view::page(one), view::as_json(one)),
        _ => (view::table(&found), found.iter().map(view::as_json).collect()),
    })
}
