//! `crossfade demo`: a whole migration under traffic, in a database of its own, with every read
//! and every row checked against a log of what was acknowledged.
//!
//! The domain is that of the example `user_settings`, whose files are compiled in. [`traffic`]
//! reads and writes through two instances of its wrapped repository while [`walk`] does what an
//! operator does; [`oracle`] is the judge of both.

mod walk;

mod account;
mod compare;
mod operator;
mod traffic;

mod log;
mod oracle;

mod domain;
mod place;
mod population;

use std::error::Error;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossfade::{Crossfade, Database, Options};

use self::{
    account::{Account, Summary, rounded},
    domain::dual::{Pair, wrap},
    log::Log,
    operator::Operator,
    place::Place,
    traffic::Traffic,
    walk::{Scene, walk},
};
use crate::{
    failure::{Exit, Failure},
    output::Output,
};

/// Instances of the application, each with a pool and a lease of its own. A stage change waits for
/// both.
const INSTANCES: usize = 2;

type Result<T, E = Failure> = std::result::Result<T, E>;

/// Arguments of `crossfade demo`.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Args {
    /// Users that the demo begins with.
    #[arg(long, value_name = "N", default_value_t = 50_000)]
    #[arg(value_parser = clap::value_parser!(u32).range(100..=10_000_000))]
    users: u32,
    /// Tasks that write. As many read.
    #[arg(long, value_name = "N", default_value_t = 4)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=64))]
    writers: u32,
    /// Seconds of traffic, shared out to the stages; backfill and verification come on top.
    #[arg(long, value_name = "S", default_value_t = 20)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=3600))]
    seconds: u32,
    /// Keep the database, and say where it is.
    #[arg(long)]
    keep: bool,
}

/// Runs the demo: on a PostgreSQL URL in a schema of its own, on a MariaDB URL in a database of its
/// own, else on SQLite in a temporary folder.
///
/// # Errors
///
/// With exit code 4 when anything was lost, stale, resurrected or differing.
pub(crate) async fn run(args: Args, url: Option<&str>, output: &Output) -> Result<()> {
    let account = Account::new(*output);
    let place = Place::make(url).await?;
    account.line(&format!("{} users on {}", args.users, place.describe()));
    let outcome = tokio::select! {
        outcome = perform(&args, &place, account) => outcome,
        interrupted = tokio::signal::ctrl_c() => Err(match interrupted {
            Ok(()) => Failure::new(Exit::Failed, "interrupted"),
            Err(error) => Failure::failed("Ctrl-C cannot be noticed", &error),
        }),
    };
    // What was found is told even when cleaning up fails.
    if let Ok(summary) = &outcome {
        account.summary(summary);
    }
    let removed = match args.keep {
        true => {
            account.line(&format!("kept: {}", place.keep()));
            Ok(())
        }
        false => place.remove().await,
    };
    let summary = outcome?;
    removed?;
    if summary.is_clean() {
        return Ok(());
    }
    Err(Failure::new(Exit::Differ, "the demo found rows or reads that are not as they must be"))
}

async fn perform(args: &Args, place: &Place, account: Account) -> Result<Summary> {
    let began = Instant::now();
    let operator = Operator::prepare(place.open().await?, place.folder()).await?;
    let users = population::population(args.users);
    population::load(operator.database(), &users).await?;
    let log = Arc::new(Log::new(users));
    let mut fleet = Vec::with_capacity(INSTANCES);
    for _ in 0..INSTANCES {
        fleet.push(Instance::start(place.open().await?, &operator).await?);
    }

    let wrapped = fleet.iter().map(|instance| instance.settings.clone()).collect();
    let traffic = Traffic::start(Arc::clone(&log), wrapped, args.writers as usize);
    let mut summary = Summary {
        engine: operator.database().engine().to_string(),
        users: args.users.into(),
        instances: INSTANCES as u64,
        ..Summary::default()
    };
    let scene = Scene { operator: &operator, traffic: &traffic, log: &log, account };
    let time = Duration::from_secs(args.seconds.into());
    let walked = walk(scene, time, &mut summary).await;
    summary.count(traffic.stop().await);
    match walked {
        Ok(()) => summary.enter(compare::new_side(operator.database(), &log).await?),
        // What is wrong is worth more than the gate that refused because of it.
        Err(failure) if !summary.is_clean() => summary.findings.push(in_one_line(&failure)),
        Err(failure) => return Err(failure),
    }
    for instance in fleet {
        instance.crossfade.sign_off().await?;
    }
    summary.findings.extend(log.findings());
    summary.seconds = rounded(began.elapsed().as_secs_f64());
    Ok(summary)
}

/// One instance of the application.
struct Instance {
    crossfade: Crossfade,
    settings: Pair,
}

impl Instance {
    async fn start(database: Database, operator: &Operator) -> Result<Self> {
        // Each read is checked against the log. A comparison with the other side would warn of
        // every row that the backfill has yet to reach.
        let options = Options::default().version("demo").shadow_sample(0.0);
        let crossfade = Crossfade::builder_on(database.clone()).options(options).build().await;
        let crossfade = crossfade.map_err(|error| Failure::of(Exit::Failed, &error))?;
        let migration = crossfade.migration(operator.definition().name.as_str());
        let migration = migration.map_err(|error| Failure::of(Exit::Failed, &error))?;
        Ok(Self { crossfade, settings: wrap(migration, &database) })
    }
}

/// A failure with its causes and a gate's reasons.
fn in_one_line(failure: &Failure) -> String {
    let reasons = failure.refusals.iter().map(|refusal| refusal.reason.as_str());
    let causes = failure.causes.iter().map(String::as_str);
    let parts: Vec<&str> =
        std::iter::once(failure.message.as_str()).chain(causes).chain(reasons).collect();
    parts.join(": ")
}

/// The texts of an error and of what lies beneath it.
fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(error) = next {
        text = format!("{text}: {error}");
        next = error.source();
    }
    text
}
