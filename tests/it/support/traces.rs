//! Every span and every event of one thread.

use std::collections::BTreeMap;
use std::fmt::{Debug, Write as _};
use std::sync::{Arc, Mutex, MutexGuard};

use tracing::field::{Field, Visit};
use tracing::subscriber::DefaultGuard;
use tracing::{Event, Subscriber, span};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::{Context, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;

/// Keeps them of the thread that it was begun on, whatever their level. So a test that uses it runs
/// on a runtime of one thread, on which the tasks that it spawns run, too.
#[derive(Clone, Debug, Default)]
pub(crate) struct Traces(Arc<Mutex<Kept>>);

#[derive(Debug, Default)]
struct Kept {
    spans: Vec<String>,
    events: Vec<(String, Vec<String>)>,
    follows: Vec<(String, String)>,
}

impl Traces {
    /// Keeps what happens on this thread until the guard is dropped.
    pub(crate) fn begin() -> (Self, DefaultGuard) {
        let traces = Self::default();
        let subscriber = tracing_subscriber::registry().with(traces.clone());
        let guard = tracing::subscriber::set_default(subscriber);
        (traces, guard)
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().expect("not poisoned")
    }

    /// The spans around each event whose text contains `word`, outermost first, each as
    /// `name field=value`, its fields in the order of their names.
    pub(crate) fn around(&self, word: &str) -> Vec<Vec<String>> {
        let kept = self.lock();
        let told = kept.events.iter().filter(|(text, _)| text.contains(word));
        told.map(|(_, around)| around.clone()).collect()
    }

    /// The spans so far whose text begins with `name`.
    pub(crate) fn spans(&self, name: &str) -> Vec<String> {
        let kept = self.lock();
        kept.spans.iter().filter(|text| text.starts_with(name)).cloned().collect()
    }

    /// Which span follows from which.
    pub(crate) fn follows(&self) -> Vec<(String, String)> {
        self.lock().follows.clone()
    }

    /// All texts of spans and events that contain `word`.
    pub(crate) fn naming(&self, word: &str) -> Vec<String> {
        let kept = self.lock();
        let all = kept.spans.iter().chain(kept.events.iter().map(|(text, _)| text));
        all.filter(|text| text.contains(word)).cloned().collect()
    }
}

#[derive(Default)]
struct Fields(BTreeMap<&'static str, String>);

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.0.insert(field.name(), format!("{value:?}"));
    }
}

impl Fields {
    fn after(&self, name: &str) -> String {
        let mut text = name.to_owned();
        for (name, value) in &self.0 {
            write!(text, " {name}={value}").expect("a string takes it");
        }
        text
    }
}

/// A span's text, kept beside it.
struct Text(String);

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Traces {
    fn on_new_span(
        &self,
        attributes: &span::Attributes<'_>,
        id: &span::Id,
        context: Context<'_, S>,
    ) {
        let mut fields = Fields::default();
        attributes.record(&mut fields);
        let text = fields.after(attributes.metadata().name());
        self.lock().spans.push(text.clone());
        let span = context.span(id).expect("it is new");
        span.extensions_mut().insert(Text(text));
    }

    fn on_record(&self, _: &span::Id, values: &span::Record<'_>, _: Context<'_, S>) {
        let mut fields = Fields::default();
        values.record(&mut fields);
        self.lock().spans.push(fields.after("recorded later:"));
    }

    fn on_follows_from(&self, span: &span::Id, follows: &span::Id, context: Context<'_, S>) {
        let text = |id| {
            let span = context.span(id).expect("it is open");
            let extensions = span.extensions();
            extensions.get::<Text>().map_or_else(String::new, |text| text.0.clone())
        };
        self.lock().follows.push((text(span), text(follows)));
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let mut fields = Fields::default();
        event.record(&mut fields);
        let spans = context.event_scope(event).into_iter().flat_map(|scope| scope.from_root());
        let around = spans.filter_map(|span| Some(span.extensions().get::<Text>()?.0.clone()));
        let around = around.collect();
        self.lock().events.push((fields.after(event.metadata().target()), around));
    }
}
