//! One file per subcommand.

pub(crate) mod audit;
pub(crate) mod backfill;
pub(crate) mod capture;
pub(crate) mod check;
pub(crate) mod contract;
pub(crate) mod expand;
pub(crate) mod flag;
pub(crate) mod init;
pub(crate) mod new;
pub(crate) mod quarantine;
pub(crate) mod repair;
pub(crate) mod rollback;
pub(crate) mod stage;
pub(crate) mod status;
pub(crate) mod validate;
pub(crate) mod verify;

mod options;
mod words;

use crate::{
    app::App,
    cli::{Cli, Command, Global},
    config::Config,
    demo,
    failure::{Exit, Failure},
    interrupt,
    output::Output,
};

/// Runs the subcommand.
pub(crate) async fn run(cli: Cli, output: &Output) -> Result<Exit, Failure> {
    let Cli { global, command } = cli;
    let config = match (&command, global.config.as_deref()) {
        // The demo brings everything with it; what lies around is not touched.
        (Command::Demo(_), _) => Config::default(),
        (Command::Init(_), Some(path)) if !path.exists() => Config::beside(path),
        (_, named) => Config::load(named)?,
    };
    let app = App::new(&global, config, *output);
    let Some(rest) = interrupt::rest(&command) else {
        return run_to_end(&app, global, command).await;
    };
    tokio::select! {
        outcome = run_to_end(&app, global, command) => outcome,
        failure = interrupt::interrupted(rest) => Err(failure),
    }
}

async fn run_to_end(app: &App, global: Global, command: Command) -> Result<Exit, Failure> {
    match command {
        Command::Init(_) => init::run(app, global.config.as_deref()).await,
        Command::New(args) => new::run(app, &args),
        Command::Expand(args) => expand::run(app, &args).await,
        Command::Check(args) => check::run(app, &args).await,
        Command::Contract(args) => contract::run(app, &args).await,
        Command::Stage(args) => stage::run(app, &args).await,
        Command::Backfill(args) => backfill::run(app, &args).await,
        Command::Validate(args) => validate::run(app, &args).await,
        Command::Verify(args) => verify::run(app, &args).await,
        Command::Capture(args) => capture::run(app, &args).await,
        Command::Repair(args) => repair::run(app, &args).await,
        Command::Quarantine(args) => quarantine::run(app, &args).await,
        Command::Flag(args) => flag::run(app, &args).await,
        Command::Rollback(args) => rollback::run(app, &args).await,
        Command::Status(args) => status::run(app, &args).await,
        Command::Audit(args) => audit::run(app, &args).await,
        Command::Demo(args) => {
            // The demo makes a file of its own; one that was named would be left aside in silence.
            if global.database_url.as_deref().is_some_and(|url| url.starts_with("sqlite:")) {
                let message = "the demo takes the URL of a PostgreSQL server only";
                let hint = "leave --database-url away to run it on SQLite, in a file of its own";
                return Err(Failure::usage(message).with_hint(hint));
            }
            demo::run(args, global.database_url.as_deref(), &app.output).await?;
            Ok(Exit::Done)
        }
    }
}
