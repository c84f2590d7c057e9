//! The director: starts the processes, disturbs them, changes stages, and has the logs judged.

mod round;
mod run;

mod chaos;
mod fleet;
mod judge;
mod operator;
mod server;

mod account;

use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use crate::mechanism::{CAN_WEAKEN, Without};
use account::{Account, Summary};
use run::{Extent, Plan};
use server::EngineName;

/// How long a run without a mechanism may take to notice.
const NOTICED_WITHIN: Duration = Duration::from_secs(300);

/// The chaos run: four application processes and two workers on each engine, with kills, crashes,
/// cuts, stops, flips and stage changes, judged by the clients' own logs.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Args {
    /// Acknowledged writes, shared out to the engines.
    #[arg(long, value_name = "N", default_value_t = 50_000)]
    writes: u64,
    /// Processes to kill, shared out to the engines. Crashes, stops and cuts come on top.
    #[arg(long, value_name = "N", default_value_t = 20)]
    kills: u64,
    /// How long each engine is run, instead of a number of writes; about two kills come every five
    /// seconds then.
    #[arg(long, value_name = "SECONDS")]
    duration: Option<u64>,
    /// Which engine; `all` runs one after the other.
    #[arg(long, value_name = "ENGINE", default_value = "all")]
    engine: EngineName,
    /// What chance begins with; drawn, and told, unless it is given.
    #[arg(long)]
    seed: Option<u64>,
    /// Takes a mechanism out and ends at the first fault.
    #[arg(long, value_name = "MECHANISM")]
    without: Option<Without>,
    /// Takes out one mechanism after the other, on PostgreSQL unless `--engine` names another, and
    /// tells how long each took to be noticed.
    #[arg(long, conflicts_with = "without")]
    self_test: bool,
    /// Prints the outcome as JSON.
    #[arg(long)]
    json: bool,
}

/// Runs what was asked for.
///
/// # Errors
///
/// When the run could not go on: a server does not come back, a stage cannot be reached.
pub(crate) async fn run(args: Args) -> Result<ExitCode> {
    let weakens = args.self_test || args.without.is_some();
    ensure!(
        CAN_WEAKEN || !weakens,
        "this build lacks the feature `mutants`, which takes things out"
    );
    let account = Account::new(args.json);
    let seed = args.seed.unwrap_or_else(rand::random);
    account.line(&format!("seed {seed}"));
    let began = Instant::now();
    let mut summary = Summary::new(seed);
    let limit = args.duration.map_or(NOTICED_WITHIN, Duration::from_secs);
    if weakens {
        let out = args.without.map_or(Without::ALL.to_vec(), |without| vec![without]);
        let engine = args.engine.first();
        for without in out {
            let extent = Extent::Time { limit, kills: kills_within(limit.as_secs()) };
            let plan = Plan { engine, extent, seed, without: Some(without), account };
            let engine = Box::pin(run::run(plan)).await?;
            account.noticed(without, &engine, limit);
            summary.noticed.insert(without.as_str(), engine.first_fault);
            summary.engines.push(engine);
        }
    } else {
        let engines = args.engine.engines();
        let share = |whole: u64| whole.div_ceil(engines.len() as u64);
        for engine in engines.iter().copied() {
            let extent = match args.duration {
                Some(seconds) => {
                    let limit = Duration::from_secs(seconds);
                    Extent::Time { limit, kills: kills_within(seconds) }
                }
                None => Extent::Writes { writes: share(args.writes), kills: share(args.kills) },
            };
            let plan = Plan { engine, extent, seed, without: None, account };
            summary.engines.push(Box::pin(run::run(plan)).await?);
        }
    }
    summary.seconds = began.elapsed().as_secs_f64();
    let good = match weakens {
        true => summary.noticed.values().all(|noticed| is_in_time(*noticed, limit)),
        false => summary.faults() == 0,
    };
    account.summary(&summary);
    Ok(if good { ExitCode::SUCCESS } else { ExitCode::from(4) })
}

/// Whether a missing mechanism was noticed after so many seconds, and soon enough. A round that is
/// under way when time is up goes on to its end, and may find something then.
fn is_in_time(noticed: Option<f64>, limit: Duration) -> bool {
    noticed.is_some_and(|seconds| seconds <= limit.as_secs_f64())
}

/// Two in five seconds.
fn kills_within(seconds: u64) -> u64 {
    (seconds * 2 / 5).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_noticed_too_late_counts_for_nothing() {
        for (noticed, in_time) in
            [(Some(0.1), true), (Some(300.0), true), (Some(310.0), false), (None, false)]
        {
            assert_eq!(is_in_time(noticed, NOTICED_WITHIN), in_time, "{noticed:?}");
        }
    }
}
