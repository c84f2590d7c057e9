//! One worker: backfills as soon as the stage permits it, then verifies, and repairs what New once
//! refused.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result};
use crossfade::Database;
use crossfade_core::{MigrationName, Stage};
use crossfade_reconcile::{
    BackfillHooks, BackfillOutcome, BackfillSettings, Cancel, VerifyHooks, VerifyMode,
    VerifySettings, backfill, verify,
};
use crossfade_store::ControlStore as _;

use crate::mechanism::{Without, weakened};
use crate::orders::{Orders, PAUSE, PAUSED};
use crate::place::{self, LEASE, Round};
use crate::record::{Log, Record, now};

/// Between two rounds of work.
const PAUSE_BETWEEN: Duration = Duration::from_millis(60);

/// What a worker is told.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Args {
    /// Where the database is.
    #[arg(long)]
    pub(crate) url: String,
    /// The round.
    #[arg(long)]
    pub(crate) round: u32,
    /// Its log.
    #[arg(long)]
    pub(crate) log: PathBuf,
    /// What it does without.
    #[arg(long)]
    pub(crate) without: Option<Without>,
}

/// Works until the director says that it is enough, or a kill. Whatever fails is tried again.
pub(crate) async fn run(args: Args) -> Result<()> {
    let log = Log::open(&args.log).context("open the log")?;
    let name: MigrationName = Round(args.round).migration().parse()?;
    let mut orders = Orders::of_this_process();
    let working = async {
        loop {
            if let Ok(database) = place::open(&args.url).await {
                let database = weakened(&database, args.without);
                while let Ok(done) = work(&database, &name, &log).await {
                    done?;
                    tokio::time::sleep(PAUSE_BETWEEN).await;
                }
            }
            tokio::time::sleep(PAUSE_BETWEEN).await;
        }
    };
    let ordered = async {
        while let Some(order) = orders.next().await {
            // It writes nothing of its own, and what it copies is compared at any time.
            if order == PAUSE {
                println!("{PAUSED}");
            }
        }
    };
    tokio::select! {
        ended = Box::pin(working) => ended,
        () = ordered => Ok(()),
    }
}

/// One round of work. The outer error is the database's, the inner one the log's.
async fn work(database: &Database, name: &MigrationName, log: &Log) -> Result<Result<()>> {
    let stage = database.migration(name).await?.stage;
    if stage == Stage::DualWrite {
        let settings = BackfillSettings {
            batch_size: Some(12),
            delay: Some(Duration::from_millis(3)),
            workers: 1,
            lease: LEASE,
            max_refusals: None,
        };
        let hooks = BackfillHooks { progress: &|_| {}, cancel: Cancel::never() };
        let report = backfill(database, database, name, settings, hooks).await?;
        if report.outcome == BackfillOutcome::Interrupted {
            return Ok(Ok(()));
        }
    }
    if !matches!(stage, Stage::DualWrite | Stage::Live | Stage::RampDown) {
        return Ok(Ok(()));
    }
    let marked = database.migration(name).await?.quarantined;
    let mode = match marked.is_empty() || stage == Stage::RampDown {
        true => VerifyMode::Compare,
        false => VerifyMode::Repair,
    };
    let settings = VerifySettings { chunk_rows: Some(50), mode, ..VerifySettings::default() };
    let hooks = VerifyHooks { progress: &|_| {}, cancel: Cancel::never() };
    let report = verify(database, database, name, settings, hooks).await?;
    let samples = report.samples;
    let differing = [samples.differing, samples.missing, samples.orphaned].concat();
    let still_marked = database.migration(name).await?.quarantined;
    for key in differing {
        let key = key.text().into_owned();
        // A marked key may differ until it is repaired.
        if marked.contains(&key) || still_marked.contains(&key) {
            continue;
        }
        if let Err(error) = log.write(&Record::Differs { at: now(), key }) {
            return Ok(Err(error.into()));
        }
    }
    Ok(Ok(()))
}
