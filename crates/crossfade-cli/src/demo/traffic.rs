//! The traffic that goes on while the migration is walked from stage to stage.

mod reader;
mod tally;
mod writer;

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};
use std::time::Duration;

use rand::RngExt as _;
use tokio::{
    sync::{OwnedRwLockWriteGuard, RwLock},
    task::JoinSet,
    time::sleep,
};
use tracing::{instrument::WithSubscriber as _, subscriber::NoSubscriber};

pub(super) use self::tally::{Counts, Tally};
use super::{
    domain::{dual::Pair, new::NewReads},
    log::Log,
};

/// Keys that half of all operations go to, so that reads and writes meet.
const HOT_KEYS: usize = 64;

/// The longest pause of a task between two operations, in microseconds. The demo shows that
/// nothing goes wrong, not how fast two processors can be kept busy.
const LONGEST_PAUSE_US: u64 = 4000;

/// What every task of the traffic shares.
struct Shared {
    log: Arc<Log>,
    tally: Arc<Tally>,
    /// One wrapped repository for each instance of the application.
    instances: Vec<Pair>,
    /// How many writers there are. Each owns the keys whose number leaves its own as remainder.
    writers: usize,
    new_reads_fail: AtomicBool,
    /// Held shared during each operation, so that holding it alone means that nothing is under way.
    running: Arc<RwLock<()>>,
}

/// Readers and writers at work. They end when this is dropped.
pub(super) struct Traffic {
    shared: Arc<Shared>,
    tasks: JoinSet<()>,
}

/// Nothing is under way until this is dropped.
pub(super) struct Paused {
    _alone: OwnedRwLockWriteGuard<()>,
}

impl Traffic {
    /// Starts as many readers as writers.
    pub(super) fn start(log: Arc<Log>, instances: Vec<Pair>, writers: usize) -> Self {
        let shared = Arc::new(Shared {
            log,
            tally: Arc::default(),
            instances,
            writers,
            new_reads_fail: AtomicBool::new(false),
            running: Arc::default(),
        });
        let mut tasks = JoinSet::new();
        for number in 0..writers {
            tasks.spawn(writer::work(Arc::clone(&shared), number));
            // Each read that falls back to Legacy is worth a warning; the demo's own fault would
            // make thousands of them.
            let reader = reader::work(Arc::clone(&shared));
            tasks.spawn(reader.with_subscriber(NoSubscriber::default()));
        }
        Self { shared, tasks }
    }

    /// The counters.
    pub(super) fn tally(&self) -> &Tally {
        &self.shared.tally
    }

    /// Lets reads of New fail, or work again.
    pub(super) fn set_new_reads(&self, new_reads: NewReads) {
        self.shared.new_reads_fail.store(new_reads == NewReads::Fail, Ordering::Relaxed);
    }

    /// Waits for the operations under way and holds the others up.
    pub(super) async fn pause(&self) -> Paused {
        Paused { _alone: Arc::clone(&self.shared.running).write_owned().await }
    }

    /// Ends all tasks once nothing is under way, and tells what they did.
    pub(super) async fn stop(mut self) -> Counts {
        let _paused = self.pause().await;
        self.tasks.abort_all();
        while let Some(ended) = self.tasks.join_next().await {
            if let Err(error) = ended
                && error.is_panic()
            {
                self.tally().failed();
                self.shared.log.find(|| format!("a task ended early: {error}"));
            }
        }
        self.tally().counts()
    }
}

impl Shared {
    fn instance(&self) -> &Pair {
        &self.instances[rand::rng().random_range(0..self.instances.len())]
    }

    fn new_reads(&self) -> NewReads {
        match self.new_reads_fail.load(Ordering::Relaxed) {
            true => NewReads::Fail,
            false => NewReads::Work,
        }
    }

    /// A key that this writer owns: one of the hot ones or any, each half of the time.
    fn key_of(&self, writer: usize) -> usize {
        let mut rng = rand::rng();
        let len = self.log.len();
        let index = if rng.random_bool(0.5) {
            // Spread over the whole table, ahead of a backfill's cursor and behind it.
            rng.random_range(0..HOT_KEYS) * len / HOT_KEYS
        } else {
            rng.random_range(0..len)
        };
        let owned = index - index % self.writers + writer;
        if owned < len { owned } else { writer }
    }
}

async fn rest() {
    let pause = rand::rng().random_range(0..LONGEST_PAUSE_US);
    sleep(Duration::from_micros(pause)).await;
}
