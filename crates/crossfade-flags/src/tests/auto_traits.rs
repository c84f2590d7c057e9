//! What every application relies on without a word: where a handle may go, and what it prints.

use std::fmt::Debug;

use super::{FLAG, document};
use crate::{
    Builder, Change, Changes, DatabaseSource, Details, Document, Evaluated, FileSource, Flags,
    FlagsError, Handle, MemorySource, PersistError, Recording, SigningKey, SourceStatus, Status,
    TrustedKeys,
};

/// The handles of an application are shared by its threads.
#[test]
fn handles_go_everywhere() {
    fn shared<T: Send + Sync + Debug + Unpin + 'static>() {}
    fn cloned<T: Clone>() {}
    fn sent<T: Send + Debug + 'static>() {}
    fn future<T: Send + 'static>(_: T) {}

    shared::<Flags>();
    shared::<Handle>();
    shared::<Changes>();
    shared::<Recording>();
    shared::<MemorySource>();
    shared::<(Change, Details<bool>, Document, Evaluated, Status, SourceStatus)>();
    shared::<(FlagsError, PersistError, SigningKey, TrustedKeys)>();
    cloned::<(Flags, Handle, MemorySource, Status, FlagsError, PersistError, TrustedKeys)>();
    sent::<(Builder, FileSource, DatabaseSource)>();

    let flags = Flags::forced([(FLAG, true)]);
    let (waiting, mut changes, ending) = (flags.clone(), flags.changes(), flags.clone());
    future(async move { waiting.wait_for(1).await });
    future(async move { changes.next().await });
    future(async move { ending.shut_down().await });
    future(Flags::builder().source(FileSource::new("flags.json")).start());
}

/// Applications print their whole state, and a rule set is large and may name users.
#[tokio::test]
async fn no_rule_set_is_printed() {
    let source = MemorySource::new();
    source.set(&document(true)).unwrap();
    let flags = Flags::builder().memory(&source).start().await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("flags.json");
    std::fs::write(&path, document(true)).unwrap();
    let mut file = FileSource::new(&path);
    assert!(crate::RuleSource::next(&mut file, 10_000).await.unwrap().is_some());
    let details = flags.details(FLAG, &crate::Context::user("u1"), false);
    let (handle, changes) = (flags.handle("other"), flags.changes());
    for printed in [
        format!("{flags:?}"),
        format!("{handle:?}"),
        format!("{changes:?}"),
        format!("{details:?}"),
        format!("{source:?}"),
        format!("{file:?}"),
    ] {
        assert!(!printed.contains(FLAG) && !printed.contains("f00"), "{printed}");
    }
    assert!(format!("{flags:?}").contains("version: 1"), "{flags:?}");
}
