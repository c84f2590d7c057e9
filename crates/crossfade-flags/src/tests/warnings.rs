//! What is warned of, and with which fields.

use std::{
    fmt::{Debug, Write},
    fs,
    sync::{Arc, Mutex},
};

use tracing::{
    Event, Level, Metadata, Subscriber,
    field::{Field, Visit},
    span,
};

use super::{BAD, FLAG, document, until, within_deadline};
use crate::Flags;

/// Keeps each warning as a line of `field=value`.
#[derive(Clone, Debug, Default)]
struct Warnings(Arc<Mutex<Vec<String>>>);

impl Warnings {
    fn of<'a>(&self, word: &'a str) -> impl Iterator<Item = String> + use<'a> {
        self.0.lock().unwrap().clone().into_iter().filter(move |line| line.contains(word))
    }
}

struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        write!(self.0, "{}={value:?} ", field.name()).unwrap();
    }
}

impl Subscriber for Warnings {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() == Level::WARN && metadata.target().starts_with("crossfade_flags")
    }

    fn event(&self, event: &Event<'_>) {
        let mut line = Line(String::new());
        event.record(&mut line);
        self.0.lock().unwrap().push(line.0);
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}
    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}
    fn enter(&self, _: &span::Id) {}
    fn exit(&self, _: &span::Id) {}
}

#[tokio::test]
async fn a_refused_file_is_named_with_line_and_reason() {
    let warnings = Warnings::default();
    let _guard = tracing::subscriber::set_default(warnings.clone());
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("flags.json");
    fs::write(&path, document(true)).unwrap();
    let flags = Flags::from_file(&path).await.unwrap();
    let draft = path.with_extension("draft");
    fs::write(&draft, BAD).unwrap();
    fs::rename(draft, &path).unwrap();
    until(&flags, |status| status.last_error().is_some()).await;
    // The status knows first.
    within_deadline(flags.shut_down()).await;

    let lines: Vec<_> = warnings.of("was refused").collect();
    let [line] = lines.as_slice() else { panic!("{lines:?}") };
    for part in ["flags.json", "line=2", "column=1", "flag=\"x\"", "maybe", "last good"] {
        assert!(line.contains(part), "{part} is missing: {line}");
    }
}

#[test]
fn a_flag_without_an_answer_is_warned_of_once() {
    let warnings = Warnings::default();
    let _guard = tracing::subscriber::set_default(warnings.clone());
    let flags = Flags::from_document(&document(true)).unwrap();
    for _ in 0..100 {
        for flag in [FLAG, "asleep", "colour", "nowhere"] {
            let _ = flags.is_enabled(flag, "u1");
        }
    }
    for (flag, expect) in [(FLAG, 0), ("asleep", 0), ("colour", 1), ("nowhere", 1)] {
        assert_eq!(warnings.of(flag).count(), expect, "{flag}");
    }
    assert_eq!(warnings.of("TYPE_MISMATCH").count(), 1);
}
