//! `crossfade init`: files to begin with, and the control tables.

use std::path::Path;

use crossfade_core::check::Severity;
use crossfade_core::{UnfitSetting, unfit_settings};
use crossfade_schema::Scaffolded;
use crossfade_sql::Database;
use crossfade_store::ControlStore;
use serde_json::json;

use crate::{
    app::App,
    config::DEFAULT_FILE,
    failure::{Exit, Failure},
    output::Output,
};

/// Make configuration, flags file, migrations folder and control tables.
///
/// Makes crossfade.toml, flags.json, the migrations folder, and the control tables. What exists is
/// left as it is, so running it again does no harm.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  crossfade init --database-url sqlite://app.db\n  crossfade init --config deploy/crossfade.toml"
)]
pub(crate) struct Args {}

/// Refuses a server whose settings stop a migration midway.
async fn fit(output: Output, database: &Database) -> Result<(), Failure> {
    let settings = database.server_settings().await?;
    let (unfit, worse): (Vec<_>, Vec<_>) = unfit_settings(database.engine().as_str(), &settings)
        .into_iter()
        .partition(|unfit| unfit.severity != Severity::Warning);
    for UnfitSetting { name, value, why, remedy, .. } in &worse {
        output.note(format_args!("warning: {name} = {value}: {why}; {remedy}"));
    }
    if unfit.is_empty() {
        return Ok(());
    }
    let message = match unfit.len() {
        1 => "a setting of the server stops a migration midway".to_owned(),
        several => format!("{several} settings of the server stop a migration midway"),
    };
    let causes = unfit.iter().map(|UnfitSetting { name, value, why, remedy, .. }| {
        format!("{name} = {value}: {why}; {remedy}")
    });
    let mut failure = Failure::new(Exit::Refused, message);
    failure.causes = causes.collect();
    Err(failure.with_hint("nothing was made; run `crossfade init` again afterwards"))
}

pub(crate) async fn run(app: &App, config: Option<&Path>) -> Result<Exit, Failure> {
    // A wrong URL is found before any file is made.
    let database = match app.url {
        Some(_) => Some(app.new_database().await?),
        None => None,
    };
    if let Some(database) = &database {
        fit(app.output, database).await?;
    }
    let config = config.unwrap_or(Path::new(DEFAULT_FILE));
    let files = crossfade_schema::init(config, &app.config.migrations)?;
    let (mut created, mut kept) = (Vec::new(), Vec::new());
    for file in files {
        match file {
            Scaffolded::Created(path) => {
                app.output.line(format_args!("made {}", path.display()));
                created.push(path);
            }
            Scaffolded::Kept(path) => {
                app.output.line(format_args!("kept {}", path.display()));
                kept.push(path);
            }
        }
    }
    let mut applied = Vec::new();
    let url = database.as_ref().map(|database| database.redacted_url());
    match (&database, url) {
        (Some(database), Some(url)) => {
            applied = database.install().await?;
            match applied.is_empty() {
                true => app.output.line(format_args!("control tables in {url} are up to date")),
                false => app.output.line(format_args!("made control tables in {url}")),
            }
        }
        _ => app.output.line(
            "no control tables yet: name a database with --database-url or in the configuration, \
             then run `crossfade init` again",
        ),
    }
    app.output.result(&json!({
        "created": created,
        "kept": kept,
        "database": url,
        "applied": applied,
    }));
    Ok(Exit::Done)
}
