//! One application process: tasks that write through the wrapper, tasks that read, and a log of
//! what came of each.

mod operation;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use crossfade::{Crossfade, Database, Migration, Options, Side, Statement};
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use tokio::sync::RwLock;
use tokio::task::JoinSet;

use crate::mechanism::{Without, weakened};
use crate::orders::{Orders, PAUSE, PAUSED, RESUME};
use crate::place::{self, KEYS, LEASE, OWN_KEYS, Round, SHARED_KEYS, WRITERS};
use crate::record::{Log, Record, now};
use crate::rows::{Table, declared_upsert};
use operation::{Operation, carry_out};

/// Tasks that read.
const READERS: u32 = 2;
/// How long a process that starts waits for the database.
const STARTING: Duration = Duration::from_secs(60);
/// Nothing that a task does takes longer; then it is dropped.
const LONGEST: Duration = Duration::from_secs(10);

/// What an application is told.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Args {
    /// Where the database is.
    #[arg(long)]
    pub(crate) url: String,
    /// The round.
    #[arg(long)]
    pub(crate) round: u32,
    /// Which of the applications it is.
    #[arg(long)]
    pub(crate) place: u32,
    /// How many processes had this place before.
    #[arg(long)]
    pub(crate) generation: u32,
    /// What chance begins with.
    #[arg(long)]
    pub(crate) seed: u64,
    /// Its log.
    #[arg(long)]
    pub(crate) log: PathBuf,
    /// What it does without.
    #[arg(long)]
    pub(crate) without: Option<Without>,
}

/// What all tasks share.
pub(crate) struct Shared {
    args: Args,
    round: Round,
    database: Database,
    migration: Migration,
    /// Inserts or replaces a row.
    put: Statement,
    log: Log,
    /// Read by whoever is in the middle of something.
    running: RwLock<()>,
}

/// Works until the director says that it is enough, or a kill.
pub(crate) async fn run(args: Args) -> Result<()> {
    let round = Round(args.round);
    let log = Log::open(&args.log).context("open the log")?;
    let (database, migration, put) = start(&args, round).await?;
    let running = RwLock::new(());
    let shared = Arc::new(Shared { args, round, database, migration, put, log, running });
    let mut tasks = JoinSet::new();
    for task in 0..WRITERS {
        tasks.spawn(write(Arc::clone(&shared), task));
    }
    for task in WRITERS..WRITERS + READERS {
        tasks.spawn(read(Arc::clone(&shared), task));
    }
    let mut orders = Orders::of_this_process();
    let mut pause = None;
    loop {
        tokio::select! {
            ended = tasks.join_next() => match ended {
                Some(Ok(Err(error))) => return Err(error),
                Some(Err(error)) => return Err(error.into()),
                _ => bail!("a task has ended"),
            },
            order = orders.next() => match order.as_deref() {
                Some(PAUSE) => {
                    pause = Some(shared.running.write().await);
                    println!("{PAUSED}");
                }
                Some(RESUME) => drop(pause.take()),
                Some(other) => bail!("`{other}` is no order"),
                None => return Ok(()),
            },
        }
    }
}

/// Opens the database, which may be down just now, starts Crossfade, and declares a statement.
async fn start(args: &Args, round: Round) -> Result<(Database, Migration, Statement)> {
    let began = Instant::now();
    loop {
        let starting = async {
            let database = weakened(&place::open(&args.url).await?, args.without);
            let options = Options::default().lease(LEASE).new_lock_timeout(LEASE);
            let builder = Crossfade::builder_on(database.clone()).options(options);
            let migration = builder.build().await?.migration(&round.migration())?;
            let [legacy, new] = [Side::Legacy, Side::New]
                .map(|side| declared_upsert(side, round, database.engine()));
            let put = migration.statement(&legacy, &new).await?;
            Ok((database, migration, put))
        };
        match starting.await {
            Ok(started) => return Ok(started),
            Err(error) if began.elapsed() > STARTING => return Err(error),
            Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    }
}

impl Shared {
    fn chance(&self, task: u32) -> StdRng {
        let Args { place, generation, seed, .. } = &self.args;
        let own = u64::from(*place) << 48 | u64::from(task) << 32 | u64::from(*generation);
        StdRng::seed_from_u64(seed ^ own.wrapping_mul(0x9E37_79B9_7F4A_7C15))
    }

    fn table(&self, side: Side) -> Table {
        Table::on(side, self.round, &self.database)
    }
}

async fn write(shared: Arc<Shared>, task: u32) -> Result<()> {
    let Args { place, generation, .. } = shared.args;
    let mut chance = shared.chance(task);
    for number in 0u64.. {
        let own = (place * WRITERS + task) * OWN_KEYS + chance.random_range(0..OWN_KEYS);
        let tag = format!("a{place}g{generation}t{task}n{number}");
        let common = KEYS - 1 - chance.random_range(0..SHARED_KEYS);
        let operation = Operation::any(own, common, tag, &mut chance);
        let patience = match chance.random_range(0..100) {
            // The caller gives up midway: somewhere in the few milliseconds that a write takes.
            0..15 => Duration::from_micros(chance.random_range(0..12_000)),
            _ => LONGEST,
        };
        let running = shared.running.read().await;
        let verb = operation.verb;
        shared.log.write(&Record::Begin {
            at: now(),
            tag: operation.tag.clone(),
            verb,
            key: operation.key,
        })?;
        let tag = operation.tag.clone();
        let outcome = Box::pin(carry_out(&shared, operation, patience)).await;
        shared.log.write(&Record::End { at: now(), tag, outcome })?;
        drop(running);
        rest(&mut chance, 6_000).await;
    }
    Ok(())
}

async fn read(shared: Arc<Shared>, task: u32) -> Result<()> {
    let mut chance = shared.chance(task);
    loop {
        let key = chance.random_range(0..KEYS);
        let running = shared.running.read().await;
        let from = now();
        let (legacy, new) = (shared.table(Side::Legacy), shared.table(Side::New));
        // The key as the flag and the marks know it.
        let done = match shared.round.key(key) {
            place::TableKey::Number(user) => {
                let read = shared.migration.read(&user, &user, || legacy.get(key), || new.get(key));
                tokio::time::timeout(LONGEST, read).await
            }
            place::TableKey::Text(user) => {
                let read = shared.migration.read(&user, &user, || legacy.get(key), || new.get(key));
                tokio::time::timeout(LONGEST, read).await
            }
        };
        shared.log.write(&match done {
            Ok(Ok(found)) => Record::Read { from, to: now(), key, found },
            Ok(Err(error)) => Record::ReadFailed { at: now(), key, why: operation::chain(&error) },
            Err(_) => Record::ReadFailed { at: now(), key, why: "it took too long".to_owned() },
        })?;
        drop(running);
        rest(&mut chance, 24_000).await;
    }
}

/// What lies between two operations of a task.
async fn rest(chance: &mut StdRng, longest_us: u64) {
    tokio::time::sleep(Duration::from_micros(chance.random_range(0..longest_us))).await;
}
