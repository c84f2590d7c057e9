//! `crossfade new`: the folder of a new migration.

use crossfade_core::MigrationName;
use serde_json::json;

use crate::{
    app::App,
    failure::{Exit, Failure},
};

/// Make the folder of a new migration, to be filled in.
///
/// Makes migrations/NAME with commented files to fill in. Never overwrites.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  crossfade new user_settings")]
pub(crate) struct Args {
    /// Name of the migration: lower-case letters, digits and underscores.
    name: MigrationName,
}

pub(crate) fn run(app: &App, args: &Args) -> Result<Exit, Failure> {
    let files = crossfade_schema::scaffold(&app.config.migrations, &args.name)?;
    for file in &files {
        app.output.line(format_args!("made {}", file.display()));
    }
    app.output.line(format_args!("fill them in, then run `crossfade expand {}`", args.name));
    app.output.result(&json!({ "migration": args.name.as_str(), "created": files }));
    Ok(Exit::Done)
}
