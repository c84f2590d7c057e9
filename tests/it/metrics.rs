//! What the request path and the flag client count, and that `docs/metrics.md` names it all.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use ::metrics::{
    Counter, CounterFn, Gauge, GaugeFn, Histogram, HistogramFn, Key, KeyName, Metadata, Recorder,
    SharedString, Unit,
};
use crossfade::{Flags, Stage};
use crossfade_sql::Mechanism;

use crate::support::{Bench, PeopleError, engines, eventually, put, read_side};

/// Remembers each metric by its name and the values of its labels.
#[derive(Clone, Debug, Default)]
struct Kept {
    values: Arc<Mutex<BTreeMap<String, f64>>>,
    described: Arc<Mutex<BTreeSet<String>>>,
}

/// Counters and gauges hold their value, histograms how many values they were told.
struct Cell {
    name: String,
    kept: Kept,
}

impl Kept {
    fn cell(&self, key: &Key) -> Arc<Cell> {
        let labels = key.labels().map(|label| format!(" {}", label.value()));
        let name = format!("{}{}", key.name(), labels.collect::<String>());
        self.values.lock().expect("not poisoned").entry(name.clone()).or_default();
        Arc::new(Cell { name, kept: self.clone() })
    }

    fn get(&self, name: &str) -> f64 {
        let values = self.values.lock().expect("not poisoned");
        *values.get(name).unwrap_or_else(|| panic!("{name} is not among {values:#?}"))
    }

    fn names(&self) -> BTreeSet<String> {
        let values = self.values.lock().expect("not poisoned");
        let name = |metric: &String| metric.split(' ').next().unwrap_or_default().to_owned();
        values.keys().map(name).collect()
    }

    fn describe(&self, key: &KeyName) {
        self.described.lock().expect("not poisoned").insert(key.as_str().to_owned());
    }
}

impl Cell {
    fn update(&self, change: impl FnOnce(&mut f64)) {
        let mut values = self.kept.values.lock().expect("not poisoned");
        change(values.entry(self.name.clone()).or_default());
    }
}

#[expect(clippy::cast_precision_loss, reason = "few are counted here")]
impl CounterFn for Cell {
    fn increment(&self, by: u64) {
        self.update(|value| *value += by as f64);
    }

    fn absolute(&self, to: u64) {
        self.update(|value| *value = to as f64);
    }
}

impl GaugeFn for Cell {
    fn increment(&self, by: f64) {
        self.update(|value| *value += by);
    }

    fn decrement(&self, by: f64) {
        self.update(|value| *value -= by);
    }

    fn set(&self, to: f64) {
        self.update(|value| *value = to);
    }
}

impl HistogramFn for Cell {
    fn record(&self, value: f64) {
        assert!((0.0..60.0).contains(&value), "{value} s");
        self.update(|count| *count += 1.0);
    }
}

impl Recorder for Kept {
    fn describe_counter(&self, key: KeyName, _: Option<Unit>, _: SharedString) {
        self.describe(&key);
    }

    fn describe_gauge(&self, key: KeyName, _: Option<Unit>, _: SharedString) {
        self.describe(&key);
    }

    fn describe_histogram(&self, key: KeyName, _: Option<Unit>, _: SharedString) {
        self.describe(&key);
    }

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        Counter::from_arc(self.cell(key))
    }

    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::from_arc(self.cell(key))
    }

    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::from_arc(self.cell(key))
    }
}

/// On one thread, whose recorder is this test's own.
#[tokio::test]
async fn each_call_is_counted_and_each_name_is_documented() {
    engines("metrics", async |db, _| {
        let kept = Kept::default();
        let _here = ::metrics::set_default_local_recorder(&kept);
        let bench = Bench::new(db).await;
        let flags = Flags::from_store(Arc::new(bench.db.clone())).await;
        eventually("the client has told", async || {
            kept.names().contains("crossfade_flags_version")
        })
        .await;
        drop(flags);

        let flags = Flags::forced::<&str, bool>([]);
        // Stage changes are noticed at the fence only.
        let unaware = Bench { db: bench.db.without(Mechanism::Changes) };
        bench.go(Stage::DualWrite).await;
        let app = unaware.app(&flags).await;
        let migration = app.migration("people").expect("registered");
        let people = |metric: &str| kept.get(&metric.replacen(' ', " people ", 1));
        let alone = |metric: &str| kept.get(&format!("{metric} people"));

        put(&migration, 1, "one").await.expect("written");
        put(&migration, 2, "bad").await.expect("written on Legacy");
        assert_eq!(people("crossfade_writes_total ok"), 2.0);
        assert_eq!(people("crossfade_write_seconds legacy"), 3.0, "a refusal is tried again");
        assert_eq!(people("crossfade_write_seconds new"), 2.0);
        assert_eq!(alone("crossfade_write_call_seconds"), 2.0);
        assert_eq!(alone("crossfade_quarantined_total"), 1.0);
        assert_eq!(alone("crossfade_stage"), 2.0);
        assert_eq!(alone("crossfade_fence_refusals_total"), 0.0);

        bench.go(Stage::Live).await;
        put(&migration, 1, "two").await.expect("written");
        assert_eq!(alone("crossfade_fence_refusals_total"), 1.0);
        assert_eq!(alone("crossfade_stage"), 3.0);
        assert_eq!(alone("crossfade_quarantined_keys"), 1.0);
        put(&migration, 3, "bad").await.expect_err("New refuses it");
        assert_eq!(people("crossfade_writes_total new_failed"), 1.0);
        tokio::select! {
            biased;
            _ = put(&migration, 4, "dropped") => panic!("no database answers so soon"),
            () = std::future::ready(()) => {}
        }
        assert_eq!(people("crossfade_writes_total dropped"), 1.0);

        read_side(&migration, 1).await.expect("read");
        flags.force("read_people_v2", true);
        read_side(&migration, 1).await.expect("read");
        let legacy = || async { Ok::<_, PeopleError>(()) };
        migration
            .read(&1, &1, legacy, || async { Err(PeopleError::Told) })
            .await
            .expect("falls back");
        assert_eq!(people("crossfade_reads_total legacy ok"), 2.0);
        assert_eq!(people("crossfade_reads_total new ok"), 1.0);
        assert_eq!(people("crossfade_reads_total new failed"), 1.0);
        assert_eq!(alone("crossfade_read_fallbacks_total"), 1.0);
        assert_eq!(people("crossfade_read_seconds new"), 2.0);

        let documented: BTreeSet<String> = include_str!("../../docs/metrics.md")
            .lines()
            .filter_map(|line| line.strip_prefix("| `crossfade_"))
            .filter_map(|row| row.split('`').next())
            .map(|name| format!("crossfade_{name}"))
            .collect();
        assert_eq!(kept.names(), documented);
        assert_eq!(*kept.described.lock().expect("not poisoned"), documented);
    })
    .await;
}
