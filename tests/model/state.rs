//! The database, the fleet and everybody at work on them, at one moment.
//!
//! Rows hold the number of the write that left them, so that a lost, stale or resurrected one
//! shows; the mapping is the identity. What a transaction has written but not committed is in its
//! [`Tx`]; a lock is held by whoever's `Tx` says so, to its end.

use crossfade_core::Stage;

use crate::actors::{Operator, Reader, Verifier, Worker, Writer};

/// Most keys, epochs and actors of a kind that a state has room for.
pub(crate) const KEYS: usize = 2;
pub(crate) const EPOCHS: usize = 8;
pub(crate) const PAIR: usize = 2;

/// A row's value: the number of the write that left it.
pub(crate) type Value = u8;

/// No row.
pub(crate) const ABSENT: Value = 0;

/// Values from here on are refused by New.
pub(crate) const REFUSED_FROM: Value = 16;

/// A number of an epoch, from 1; 0 stands for none.
pub(crate) type EpochNumber = u8;

/// Everything at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct State {
    /// Committed rows of Legacy.
    pub(crate) legacy: [Value; KEYS],
    /// Committed rows of New.
    pub(crate) new: [Value; KEYS],
    /// What the authoritative side held after the newest write that was acknowledged.
    pub(crate) truth: [Value; KEYS],
    /// Keys in quarantine.
    pub(crate) marks: Marks,
    pub(crate) epochs: Epochs,
    pub(crate) run: Run,
    pub(crate) parity: Parity,
    /// What the read flag's newest rule set says.
    pub(crate) flag: bool,
    pub(crate) faults: Faults,
    pub(crate) instances: [Instance; PAIR],
    pub(crate) writers: [Writer; PAIR],
    pub(crate) readers: [Reader; PAIR],
    pub(crate) workers: [Worker; PAIR],
    pub(crate) verifier: Verifier,
    pub(crate) operators: [Operator; PAIR],
}

/// A set of keys in quarantine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Marks(u8);

impl Marks {
    pub(crate) fn has(self, key: u8) -> bool {
        self.0 & (1 << key) != 0
    }

    pub(crate) fn set(&mut self, key: u8) {
        self.0 |= 1 << key;
    }

    pub(crate) fn clear(&mut self, key: u8) {
        self.0 &= !(1 << key);
    }

    pub(crate) fn count(self) -> u64 {
        u64::from(self.0.count_ones())
    }
}

/// The table of epochs, and the fence that writers look at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Epochs {
    pub(crate) newest: EpochNumber,
    open: u8,
    /// Twice the oldest epoch that is open to writers, and one more while the next one is too. It
    /// is no part of a transaction: a change that fails behind it does not take it back.
    fence: u8,
    stages: [Stage; EPOCHS],
}

impl Epochs {
    /// The stages up to `stage`, each passed once, with only the last open.
    pub(crate) fn up_to(stage: Stage) -> Self {
        let mut epochs = Self { newest: 0, open: 0, fence: 0, stages: [Stage::Off; EPOCHS] };
        for passed in Stage::ALL.into_iter().take_while(|passed| *passed <= stage) {
            epochs.open = 0;
            epochs.append(passed);
        }
        epochs.fence = 2 * epochs.newest;
        epochs
    }

    pub(crate) fn append(&mut self, stage: Stage) {
        self.open_fence();
        self.stages[usize::from(self.newest)] = stage;
        self.open |= 1 << self.newest;
        self.newest += 1;
    }

    /// Lets the writers of the next epoch in, beside those of the newest.
    pub(crate) fn open_fence(&mut self) {
        self.fence = 2 * self.newest + 1;
    }

    /// Closes an epoch before the newest. Whoever comes late does not move the fence back.
    pub(crate) fn close(&mut self, epoch: EpochNumber) {
        if self.is_open(epoch) && epoch < self.newest {
            self.shut_fence(epoch);
            self.open &= !(1 << (epoch - 1));
        }
    }

    /// Keeps the writers of `epoch` out.
    pub(crate) fn shut_fence(&mut self, epoch: EpochNumber) {
        self.fence = 2 * (epoch + 1);
    }

    /// Whether the fence lets a transaction of `epoch` in.
    pub(crate) fn lets_in(&self, epoch: EpochNumber) -> bool {
        (self.fence / 2..=self.fence.div_ceil(2)).contains(&epoch)
    }

    pub(crate) fn is_open(&self, epoch: EpochNumber) -> bool {
        epoch > 0 && self.open & (1 << (epoch - 1)) != 0
    }

    pub(crate) fn open_count(&self) -> u32 {
        self.open.count_ones()
    }

    /// Whether an epoch before the newest is open.
    pub(crate) fn previous_open(&self) -> bool {
        self.open_count() > 1
    }

    pub(crate) fn stage_of(&self, epoch: EpochNumber) -> Stage {
        self.stages[usize::from(epoch) - 1]
    }

    /// The stage of the newest epoch.
    pub(crate) fn stage(&self) -> Stage {
        self.stage_of(self.newest)
    }

    /// Whether some step led back.
    pub(crate) fn went_back(&self) -> bool {
        let passed = &self.stages[..usize::from(self.newest)];
        passed.windows(2).any(|pair| pair[1] < pair[0])
    }
}

/// What the table of runs says of the newest run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) enum RunStatus {
    /// There is none.
    #[default]
    None,
    Running,
    Done,
    Void,
}

/// The newest run and its one segment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Run {
    /// Its number, from 1.
    pub(crate) id: u8,
    pub(crate) status: RunStatus,
    /// Keys below it are Legacy's keys as the run began.
    pub(crate) upper: u8,
    /// Whether the segment was cut off, which covers every key.
    pub(crate) cut: bool,
    /// Keys below it were handled.
    pub(crate) cursor: u8,
    /// The worker that holds the segment, plus one; 0 for nobody.
    pub(crate) holder: u8,
}

impl Run {
    pub(crate) fn counts(&self) -> bool {
        matches!(self.status, RunStatus::Running | RunStatus::Done)
    }

    /// Whether New must hold the key's row by now.
    pub(crate) fn has_passed(&self, key: u8) -> bool {
        self.counts() && (self.status == RunStatus::Done || key < self.cursor || key >= self.upper)
    }
}

/// The newest recorded verification; `epoch` is 0 before the first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Parity {
    /// The run that it compared, 0 for none.
    pub(crate) run: u8,
    /// Whether that run was done as it began.
    pub(crate) after_run: bool,
    /// The newest epoch as it began.
    pub(crate) epoch: EpochNumber,
    pub(crate) differences: u8,
    pub(crate) repaired: u8,
}

/// What went wrong on the way and does not show in rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Faults {
    /// A read answered with a value older than a write that was acknowledged before it began.
    pub(crate) stale_read: bool,
    /// A read-modify-write was based on something else than the row it replaced.
    pub(crate) lost_update: bool,
    /// Legacy was read after it may have been dropped.
    pub(crate) read_of_gone: bool,
    /// The cursor of a run went back.
    pub(crate) went_back: bool,
}

/// What an instance knows of the control tables.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Snapshot {
    pub(crate) epoch: EpochNumber,
    pub(crate) previous_open: bool,
    pub(crate) marks: Marks,
}

/// How an instance stands with its lease.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) enum Lease {
    /// Reads count, and gates wait for it.
    Held,
    /// Gates wait for it again, but it has not looked the stage up yet: reads do not count.
    Regaining,
    /// Reads do not count, and gates do not wait.
    #[default]
    Lapsed,
}

/// One process of the application.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Instance {
    pub(crate) snapshot: Snapshot,
    pub(crate) lease: Lease,
    /// The epoch that it has told the control tables it acknowledges.
    pub(crate) acknowledged: EpochNumber,
    /// The half of a look-up that has been read; epoch 0 while none is under way.
    pub(crate) looking: Snapshot,
}

/// What a transaction has done and not committed, and what it holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Tx {
    /// The epoch whose lock it shares; 0 for none.
    pub(crate) epoch: EpochNumber,
    /// The one key it is about.
    pub(crate) key: u8,
    pub(crate) key_lock: bool,
    /// Legacy's row of the key is locked against changes.
    pub(crate) share: bool,
    /// The row it leaves on Legacy, if it wrote there.
    pub(crate) legacy: Option<Value>,
    /// The row it leaves on New, if it wrote there.
    pub(crate) new: Option<Value>,
    /// Whether Legacy's row was deleted on the way, so that whoever waits for it finds it gone.
    pub(crate) replaced: bool,
    pub(crate) mark: MarkChange,
}

/// What a transaction does to the key's mark.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) enum MarkChange {
    #[default]
    Keep,
    Set,
    Clear,
}

/// Who is at work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Actor {
    Writer(u8),
    Worker(u8),
    Verifier,
}

impl State {
    /// Every transaction with its owner. Those that are not open hold nothing.
    fn transactions(&self) -> impl Iterator<Item = (Actor, &Tx)> {
        let writers = self.writers.iter().zip(0..).map(|(it, n)| (Actor::Writer(n), &it.tx));
        let workers = self.workers.iter().zip(0..).map(|(it, n)| (Actor::Worker(n), &it.tx));
        writers.chain(workers).chain([(Actor::Verifier, &self.verifier.tx)])
    }

    fn others(&self, me: Actor, key: u8) -> impl Iterator<Item = &Tx> {
        self.transactions()
            .filter(move |(actor, tx)| *actor != me && tx.key == key)
            .map(|(_, tx)| tx)
    }

    /// Whether a transaction shares the lock of `epoch`.
    pub(crate) fn is_shared(&self, epoch: EpochNumber) -> bool {
        self.transactions().any(|(_, tx)| tx.epoch == epoch)
    }

    pub(crate) fn key_is_locked(&self, me: Actor, key: u8) -> bool {
        self.others(me, key).any(|tx| tx.key_lock)
    }

    /// Whether a write of Legacy's row has to wait. One that finds no row takes no lock; an insert
    /// waits for another insert of the key.
    pub(crate) fn legacy_write_waits(&self, me: Actor, key: u8, inserts: bool) -> bool {
        let there = self.legacy[usize::from(key)] != ABSENT;
        self.others(me, key).any(|tx| tx.share || tx.legacy.is_some() && (there || inserts))
    }

    /// As [`legacy_write_waits`](Self::legacy_write_waits), on New.
    pub(crate) fn new_write_waits(&self, me: Actor, key: u8, inserts: bool) -> bool {
        let there = self.new[usize::from(key)] != ABSENT;
        self.others(me, key).any(|tx| tx.new.is_some() && (there || inserts))
    }

    /// Whether Legacy's row is there and another transaction has written it.
    pub(crate) fn legacy_lock_waits(&self, me: Actor, key: u8) -> bool {
        let there = self.legacy[usize::from(key)] != ABSENT;
        there && self.others(me, key).any(|tx| tx.legacy.is_some())
    }

    /// Whether some transaction has written New.
    pub(crate) fn new_is_written(&self) -> bool {
        self.transactions().any(|(_, tx)| tx.new.is_some())
    }

    /// Makes a transaction's changes everybody's and lets go of its locks.
    pub(crate) fn commit(&mut self, tx: Tx) {
        let key = usize::from(tx.key);
        if let Some(value) = tx.legacy {
            self.legacy[key] = value;
        }
        if let Some(value) = tx.new {
            self.new[key] = value;
        }
        match tx.mark {
            MarkChange::Keep => {}
            MarkChange::Set => self.marks.set(tx.key),
            MarkChange::Clear => self.marks.clear(tx.key),
        }
        if tx.replaced {
            for worker in &mut self.workers {
                worker.found_gone |= worker.waits_for(tx.key);
            }
        }
    }

    /// What the newest acknowledged write left, from now on. Reads under way may see it.
    pub(crate) fn acknowledge(&mut self, key: u8, value: Value) {
        self.truth[usize::from(key)] = value;
        for reader in &mut self.readers {
            reader.may_see(key, value);
        }
    }

    /// The snapshot that a look-up finds now.
    pub(crate) fn current(&self) -> Snapshot {
        Snapshot {
            epoch: self.epochs.newest,
            previous_open: self.epochs.previous_open(),
            marks: self.marks,
        }
    }
}
