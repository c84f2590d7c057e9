//! A recorder of metrics that remembers what it was told.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard};

use metrics::{
    Counter, CounterFn, Gauge, GaugeFn, Histogram, HistogramFn, Key, KeyName, Metadata, Recorder,
    SharedString, Unit,
};

/// Labels by their names.
pub(crate) type Labels = BTreeMap<String, String>;

/// Remembers each metric of the thread whose recorder it is. Counters and gauges hold their value,
/// histograms how many values they were told.
#[derive(Clone, Debug, Default)]
pub(crate) struct Recorded(Arc<Mutex<Kept>>);

#[derive(Debug, Default)]
struct Kept {
    values: BTreeMap<(String, Labels), f64>,
    described: BTreeSet<String>,
}

struct Cell {
    metric: (String, Labels),
    kept: Recorded,
}

impl Recorded {
    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().expect("not poisoned")
    }

    /// The value of a metric that was asked for, with exactly these labels.
    #[track_caller]
    pub(crate) fn get(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let labels = labels.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let kept = self.lock();
        let metric = (name.to_owned(), labels.collect());
        *kept.values.get(&metric).unwrap_or_else(|| panic!("{metric:?} is not in {kept:#?}"))
    }

    /// The value of a metric of the migration `people`, with these labels besides.
    #[track_caller]
    pub(crate) fn people(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        self.get(name, &[&[("migration", "people")], labels].concat())
    }

    /// Every metric with the labels that it was asked for with.
    pub(crate) fn metrics(&self) -> BTreeMap<String, Vec<Labels>> {
        let mut metrics = BTreeMap::<_, Vec<_>>::new();
        for (name, labels) in self.lock().values.keys().cloned() {
            metrics.entry(name).or_default().push(labels);
        }
        metrics
    }

    /// The names that were described.
    pub(crate) fn described(&self) -> BTreeSet<String> {
        self.lock().described.clone()
    }

    fn cell(&self, key: &Key) -> Arc<Cell> {
        let labels = key.labels().map(|it| (it.key().to_owned(), it.value().to_owned()));
        let metric = (key.name().to_owned(), labels.collect());
        self.lock().values.entry(metric.clone()).or_default();
        Arc::new(Cell { metric, kept: self.clone() })
    }

    fn describe(&self, key: &KeyName) {
        self.lock().described.insert(key.as_str().to_owned());
    }
}

impl Cell {
    fn update(&self, change: impl FnOnce(&mut f64)) {
        change(self.kept.lock().values.entry(self.metric.clone()).or_default());
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

impl Recorder for Recorded {
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
