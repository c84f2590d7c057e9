//! What the request path counts, through the `metrics` facade. `docs/metrics.md` explains each.

use std::error::Error;
use std::fmt;
use std::time::Instant;

use crossfade_core::{MigrationName, MigrationState, Side};
use metrics::{Counter, Gauge, Histogram, Unit, counter, gauge, histogram};

use crate::WriteError;

/// The handles of one migration. Each is asked of the recorder once, when the migration is first
/// seen, so a call costs an atomic addition and no look-up.
pub(crate) struct Meter {
    reads: [ReadMeter; 2],
    pub(crate) fallbacks: Counter,
    writes: [Counter; RESULTS.len()],
    write_seconds: [Histogram; 2],
    call_seconds: Histogram,
    pub(crate) fence_refusals: Counter,
    pub(crate) retries: Counter,
    pub(crate) quarantined: Counter,
    pub(crate) lapses: Counter,
    quarantined_keys: Gauge,
    stage: Gauge,
    epoch: Gauge,
}

struct ReadMeter {
    ok: Counter,
    error: Counter,
    seconds: Histogram,
}

/// How a write ends. A write is `dropped` until it has ended otherwise.
const RESULTS: [&str; 11] = [
    "dropped",
    "ok",
    "fenced",
    "commit_unknown",
    "legacy_failed",
    "new_failed",
    "store_failed",
    "transaction_kept",
    "other_key",
    "transaction_aborted",
    "transaction_over",
];
const OK: usize = 1;

fn result_of<E: Error + 'static>(error: &WriteError<E>) -> usize {
    match error {
        WriteError::Fenced { .. } => 2,
        WriteError::CommitUnknown(_) => 3,
        WriteError::Legacy(_) => 4,
        WriteError::New(_) => 5,
        WriteError::Store(_) => 6,
        WriteError::TransactionKept => 7,
        WriteError::OtherKey => 8,
        WriteError::Aborted(_) => 9,
        WriteError::TransactionOver => 10,
    }
}

const SIDES: [&str; 2] = ["legacy", "new"];

const fn place(side: Side) -> usize {
    match side {
        Side::Legacy => 0,
        Side::New => 1,
    }
}

impl Meter {
    pub(crate) fn new(migration: &MigrationName) -> Self {
        let name = migration.as_str().to_owned();
        let count = |what: &'static str, text: &'static str| counter!(description: text, what, "migration" => name.clone());
        let level = |what: &'static str, text: &'static str| gauge!(description: text, what, "migration" => name.clone());
        let read = |side: &'static str, result: &'static str| {
            let text = "Reads of a side for a caller.";
            let (what, name) = ("crossfade_reads_total", name.clone());
            counter!(description: text, what, "migration" => name, "side" => side, "result" => result)
        };
        let seconds = |what: &'static str, text: &'static str, side: &'static str| {
            let (unit, name) = (Unit::Seconds, name.clone());
            histogram!(description: text, unit: unit, what, "migration" => name, "side" => side)
        };
        Self {
            reads: SIDES.map(|side| ReadMeter {
                ok: read(side, "ok"),
                error: read(side, "failed"),
                seconds: seconds("crossfade_read_seconds", "Time of a side's read.", side),
            }),
            fallbacks: count("crossfade_read_fallbacks_total", "Reads that fell back to Legacy."),
            writes: RESULTS.map(|result| {
                let (text, name) = ("Wrapped writes by how they ended.", name.clone());
                let what = "crossfade_writes_total";
                counter!(description: text, what, "migration" => name, "result" => result)
            }),
            write_seconds: SIDES.map(|side| {
                seconds("crossfade_write_seconds", "Time of a side's part of a write.", side)
            }),
            call_seconds: histogram!(
                description: "Time of a write with all its tries.",
                unit: Unit::Seconds,
                "crossfade_write_call_seconds",
                "migration" => name.clone()
            ),
            fence_refusals: count(
                "crossfade_fence_refusals_total",
                "Tries of a write that found their epoch closed.",
            ),
            retries: count(
                "crossfade_write_retries_total",
                "Tries of a write that the database rolled back.",
            ),
            quarantined: count(
                "crossfade_quarantined_total",
                "Writes that New refused, and that put their key into quarantine.",
            ),
            lapses: count(
                "crossfade_lease_lapses_total",
                "Leases that lapsed before they were renewed.",
            ),
            quarantined_keys: level("crossfade_quarantined_keys", "Keys in quarantine."),
            stage: level("crossfade_stage", "The stage, from 0 (off) to 6 (contracted)."),
            epoch: level("crossfade_epoch", "The epoch that this instance is in."),
        }
    }

    /// Tells the state that operations are carried out in from now on.
    pub(crate) fn state(&self, state: &MigrationState) {
        self.stage.set(f64::from(state.stage as u8));
        #[expect(clippy::cast_precision_loss, reason = "epochs and keys are far fewer than 2^52")]
        {
            self.epoch.set(state.epoch.get() as f64);
            self.quarantined_keys.set(state.quarantined.len() as f64);
        }
    }

    /// Awaits a side's read and counts it.
    pub(crate) async fn read<T, E>(
        &self,
        side: Side,
        read: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        let begun = Instant::now();
        let answer = read.await;
        let meter = &self.reads[place(side)];
        meter.seconds.record(begun.elapsed());
        if answer.is_ok() { &meter.ok } else { &meter.error }.increment(1);
        answer
    }

    /// A side's part of a write has ended.
    pub(crate) fn part_ended(&self, side: Side, begun: Instant) {
        self.write_seconds[place(side)].record(begun.elapsed());
    }

    /// A whole write begins. It is counted when this is dropped, and so when its caller drops it, too.
    pub(crate) fn call(&self) -> Call<'_> {
        Call { meter: self, begun: Instant::now(), result: 0 }
    }
}

impl Call<'_> {
    /// The write has ended.
    pub(crate) fn ended<T, E: Error + 'static>(&mut self, answer: &Result<T, WriteError<E>>) {
        self.result = answer.as_ref().err().map_or(OK, result_of);
    }
}

/// A write under way.
pub(crate) struct Call<'a> {
    meter: &'a Meter,
    begun: Instant,
    result: usize,
}

impl Drop for Call<'_> {
    fn drop(&mut self) {
        self.meter.writes[self.result].increment(1);
        self.meter.call_seconds.record(self.begun.elapsed());
    }
}

impl fmt::Debug for Meter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Meter").finish_non_exhaustive()
    }
}
