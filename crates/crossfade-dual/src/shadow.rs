//! Shadow comparisons: bounded, off the caller's path, dropped when there are too many.

use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossfade_core::{Comparison, FieldDifference, Key, MigrationName, Observation, Probe, Side};
use metrics::counter;
use tokio::sync::Semaphore;
use tracing::{Instrument, Span};

use crate::Options;
use crate::breaker::Guard;
use crate::mismatches::{Mismatch, Mismatches};
use crate::seldom::Seldom;
use crate::spans;
use crate::tally::Tally;

/// What shadow comparisons found so far in this process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ShadowStats {
    /// Comparisons that ended.
    pub compared: u64,
    /// Comparisons whose sides differed: in one snapshot, or still when read again.
    pub mismatched: u64,
    /// Comparisons that were not begun, because too many ran.
    pub dropped: u64,
    /// Comparisons that came to nothing: a side failed, Legacy never stood still, or as many
    /// snapshots as may be were open.
    pub failed: u64,
    /// Comparisons that took too long.
    pub timed_out: u64,
    /// Comparisons in which a closure panicked.
    pub panicked: u64,
}

#[derive(Debug)]
struct Counts {
    compared: Tally,
    mismatched: Tally,
    dropped: Tally,
    failed: Tally,
    timed_out: Tally,
    panicked: Tally,
    warning: Seldom,
    mismatches: Mismatches,
}

#[derive(Debug)]
pub(crate) struct Shadows {
    permits: Arc<Semaphore>,
    timeout: Duration,
    counts: Arc<Counts>,
}

/// What a comparison belongs to.
#[derive(Debug)]
pub(crate) struct About {
    pub(crate) key: Key,
    /// The probe that it is, if it is one.
    pub(crate) probe: Option<Probe>,
    /// Who is told how it ended; nobody where no breaker has a say.
    pub(crate) breaker: Option<Arc<Guard>>,
    /// What it runs in, to the telling of how it ended.
    pub(crate) span: Span,
}

/// What came out of a comparison; nothing where a side failed or never stood still.
pub(crate) type Finding = Option<Comparison>;

/// How often sides that a write came between are read again.
const TRIES: u32 = 5;

impl Shadows {
    pub(crate) fn new(options: &Options, migration: &MigrationName) -> Self {
        let count = |result: &'static str| {
            let text = "Shadow comparisons by what became of them.";
            let (what, name) = ("crossfade_shadow_total", migration.as_str().to_owned());
            Tally::new(counter!(description: text, what, "migration" => name, "result" => result))
        };
        Self {
            permits: Arc::new(Semaphore::new(options.shadow_in_flight)),
            timeout: options.shadow_timeout,
            counts: Arc::new(Counts {
                compared: count("compared"),
                mismatched: count("mismatched"),
                dropped: count("dropped"),
                failed: count("failed"),
                timed_out: count("timed_out"),
                panicked: count("panicked"),
                warning: Seldom::new(),
                mismatches: Mismatches::new(options.mismatches_kept),
            }),
        }
    }

    pub(crate) fn stats(&self) -> ShadowStats {
        let counts = &self.counts;
        ShadowStats {
            compared: counts.compared.get(),
            mismatched: counts.mismatched.get(),
            dropped: counts.dropped.get(),
            failed: counts.failed.get(),
            timed_out: counts.timed_out.get(),
            panicked: counts.panicked.get(),
        }
    }

    pub(crate) fn mismatches(&self) -> Vec<Mismatch> {
        self.counts.mismatches.all()
    }

    /// Runs a comparison in a task of its own and returns at once.
    pub(crate) fn run(
        &self,
        about: About,
        comparison: impl Future<Output = Finding> + Send + 'static,
    ) {
        let counts = Arc::clone(&self.counts);
        let Ok(permit) = Arc::clone(&self.permits).try_acquire_owned() else {
            counts.dropped.one();
            return;
        };
        let timeout = self.timeout;
        let span = about.span.clone();
        let task = async move {
            let _permit = permit;
            let running = Running(&counts);
            let found = tokio::time::timeout(timeout, comparison).await;
            std::mem::forget(running);
            match found {
                Ok(Some(Comparison::Equal)) => counts.ended(about, None),
                Ok(Some(Comparison::Different(fields))) => counts.ended(about, Some(fields)),
                Ok(Some(Comparison::Impossible(reason))) => counts.failed(&about, &reason),
                Ok(None) => counts.failed(&about, "a side could not be read"),
                Err(_) => {
                    counts.timed_out.one();
                }
            }
        };
        tokio::spawn(task.instrument(span));
    }
}

impl Counts {
    fn ended(
        &self,
        About { key, probe, breaker, .. }: About,
        differ: Option<Vec<FieldDifference>>,
    ) {
        self.compared.one();
        let agreed = differ.is_none();
        if let Some(fields) = differ {
            self.mismatched.one();
            if let Some(times) = self.warning.count() {
                let names: Vec<&str> = fields.iter().take(8).map(|it| it.field.as_str()).collect();
                tracing::warn!(%key, fields = ?names, times, "the sides differ");
            }
            self.mismatches.add(key, fields);
        }
        if let Some(breaker) = breaker {
            breaker.observe(probe, Observation::Compared { agreed });
        }
    }

    fn failed(&self, About { key, .. }: &About, reason: &str) {
        self.failed.one();
        tracing::debug!(%key, reason, "a comparison came to nothing");
    }
}

/// Dropped by nothing but a panic of the application's code, or the end of the runtime.
struct Running<'a>(&'a Counts);

impl Drop for Running<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.panicked.one();
        }
    }
}

/// Compares what two sides answer, each by itself: Legacy is read before and after New, and only
/// sides between which Legacy stood still can disagree. Nothing comes out when it never did.
pub(crate) async fn one_after_the_other<T, E, LF, NF>(
    breaker: Option<Arc<Guard>>,
    legacy: impl Fn() -> LF,
    new: impl Fn() -> NF,
    compare: impl Fn(&T, &T) -> Comparison,
) -> Finding
where
    LF: Future<Output = Result<T, E>>,
    NF: Future<Output = Result<T, E>>,
{
    let legacy = || legacy().instrument(spans::shadow_side(Side::Legacy));
    let begun = Instant::now();
    let mut before = legacy().await.ok()?;
    if let Some(breaker) = breaker {
        breaker.legacy_answered(begun.elapsed());
    }
    for _ in 0..TRIES {
        let other = new().instrument(spans::shadow_side(Side::New)).await.ok()?;
        let found = compare(&before, &other);
        if !matches!(found, Comparison::Different(_)) {
            return Some(found);
        }
        let after = legacy().await.ok()?;
        if compare(&before, &after) == Comparison::Equal {
            return Some(found);
        }
        before = after;
    }
    None
}
