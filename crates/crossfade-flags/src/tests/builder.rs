//! Several sources, and how a client starts, ages and ends.

use std::{fs, pin::Pin, time::Duration};

use async_trait::async_trait;
use tokio::sync::mpsc;

use super::{BAD, FLAG, document, ended, until, within_deadline};
use crate::{
    Document, FileSource, Flags, FlagsError, Limits, MemorySource, RuleSource, SourceError, State,
    Status,
};

/// A source that says what the test tells it to.
#[derive(Debug)]
struct Told(mpsc::UnboundedReceiver<Result<Option<Document>, SourceError>>);

type Teller = mpsc::UnboundedSender<Result<Option<Document>, SourceError>>;

impl Told {
    fn new() -> (Teller, Self) {
        let (teller, told) = mpsc::unbounded_channel();
        (teller, Self(told))
    }
}

#[async_trait]
impl RuleSource for Told {
    fn origin(&self) -> String {
        "told".to_owned()
    }

    async fn next(&mut self, _: usize) -> Result<Option<Document>, SourceError> {
        match self.0.recv().await {
            Some(answer) => answer,
            None => std::future::pending().await,
        }
    }
}

fn versioned(version: i64, text: String) -> Result<Option<Document>, SourceError> {
    Ok(Some(Document::new(text).at_version(Some(version))))
}

#[tokio::test]
async fn the_first_source_wins_and_the_others_fill_in() {
    let [first, second] = [(); 2].map(|()| MemorySource::new());
    second.set(&document(false)).unwrap();
    let flags = Flags::builder().memory(&first).memory(&second).start().await;
    assert!(!flags.is_enabled(FLAG, "u1"));
    let only = format!(
        r#"{{"flags": {{"{FLAG}": {{"variants": {{"on": true}}, "defaultVariant": "on"}}}}}}"#
    );
    first.set(&only).unwrap();
    assert!(flags.is_enabled(FLAG, "u1"));
    let nobody = crate::Context::anonymous();
    assert_eq!(flags.value("colour", &nobody, String::new()), "f00");

    // A change below does not show through, and the version counts every change.
    let version = flags.version();
    second.set(&document(true)).unwrap();
    second.set(r#"{"flags": {}}"#).unwrap();
    assert_eq!(flags.version(), version + 2);
    assert!(flags.is_enabled(FLAG, "u1"));
    assert_eq!(flags.value("colour", &nobody, String::new()), "");
    first.set(r#"{"flags": {}}"#).unwrap();
    assert!(!flags.is_enabled(FLAG, "u1"));
    let status = flags.status();
    assert_eq!(status.sources().len(), 2);
    assert_eq!(status.sources()[1].version(), 3);
}

#[tokio::test]
async fn a_later_client_begins_with_what_was_accepted() {
    let source = MemorySource::new();
    let first = Flags::builder().memory(&source).start().await;
    source.set(&document(true)).unwrap();
    source.set(BAD).unwrap_err();
    let second = Flags::builder().memory(&source).start().await;
    assert!(first.is_enabled(FLAG, "u1") && second.is_enabled(FLAG, "u1"));
    assert!(second.status().last_error().is_none());
}

#[tokio::test]
async fn one_source_that_is_down_does_not_hold_up_the_other() {
    let folder = tempfile::tempdir().unwrap();
    let memory = MemorySource::new();
    memory.set(&document(true)).unwrap();
    let missing = FileSource::new(folder.path().join("missing.json"));
    let flags = Flags::builder().source(missing).memory(&memory).start().await;
    assert!(flags.is_enabled(FLAG, "u1"));
    let status = flags.status();
    assert!(matches!(status.last_error(), Some(FlagsError::Unreadable { .. })), "{status:?}");
    assert!(status.sources()[0].last_contact().is_none());
    // Nobody knows what that source would say.
    assert_eq!(status.state(), State::Stale);

    fs::write(folder.path().join("missing.json"), document(false)).unwrap();
    let status = until(&flags, |status| status.sources()[0].version() == 1).await;
    assert_eq!(status.state(), State::Current);
    assert!(!flags.is_enabled(FLAG, "u1"));
}

#[tokio::test(start_paused = true)]
async fn a_start_waits_no_longer_than_it_may() {
    let (teller, told) = Told::new();
    let flags = Flags::builder().source(told).first_sync(Duration::from_secs(3)).start().await;
    assert_eq!(flags.status().state(), State::Defaults);
    teller.send(versioned(4, document(true))).unwrap();
    let status = until(&flags, |status| status.version() == 4).await;
    assert_eq!(status.state(), State::Current);
}

/// A source may count from 0.
#[tokio::test]
async fn a_rule_set_at_version_0_is_one() {
    let (teller, told) = Told::new();
    teller.send(versioned(0, document(true))).unwrap();
    let flags = Flags::builder().source(told).start().await;
    assert_eq!((flags.version(), flags.is_enabled(FLAG, "u1")), (0, true));
    assert_eq!(flags.status().state(), State::Current);
    teller.send(versioned(1, document(false))).unwrap();
    within_deadline(flags.wait_for(1)).await;
}

#[tokio::test(start_paused = true)]
async fn silence_makes_a_source_stale_until_it_is_heard_of() {
    let (teller, told) = Told::new();
    teller.send(versioned(1, document(true))).unwrap();
    let stale_after = Duration::from_secs(10);
    let flags = Flags::builder().source(told).stale_after(stale_after).start().await;
    assert_eq!(flags.status().state(), State::Current);
    let begun = tokio::time::Instant::now();
    until(&flags, |status| status.state() == State::Stale).await;
    assert!(begun.elapsed() >= stale_after, "{:?}", begun.elapsed());
    assert!(flags.is_enabled(FLAG, "u1"));

    // Who waits is told of both, however soon the one follows the other.
    teller.send(Ok(None)).unwrap();
    until(&flags, |status| status.state() == State::Current).await;
    until(&flags, |status| status.state() == State::Stale).await;
    teller.send(Ok(None)).unwrap();
    until(&flags, |status| status.state() == State::Current).await;
    // Trouble is no word from the source.
    teller.send(Err(SourceError::new("gone"))).unwrap();
    let status = until(&flags, |status| status.state() == State::Stale).await;
    assert!(matches!(status.last_error(), Some(FlagsError::Unreadable { .. })), "{status:?}");
}

/// A source that panics at first, also before it has a future to give.
#[derive(Debug)]
struct Clumsy(u32);

impl RuleSource for Clumsy {
    fn origin(&self) -> String {
        "clumsy".to_owned()
    }

    fn next<'a, 'f>(
        &'a mut self,
        _: usize,
    ) -> Pin<Box<dyn Future<Output = Result<Option<Document>, SourceError>> + Send + 'f>>
    where
        'a: 'f,
        Self: 'f,
    {
        self.0 += 1;
        assert_ne!(self.0, 1, "before the future");
        let time = self.0;
        Box::pin(async move {
            match time {
                2 => panic!("inside of the future"),
                3 => versioned(1, document(true)),
                _ => std::future::pending().await,
            }
        })
    }
}

#[tokio::test(start_paused = true)]
async fn a_source_that_panics_is_asked_again() {
    let flags = Flags::builder().source(Clumsy(0)).start().await;
    let status = flags.status();
    let error = status.last_error().expect("it is told");
    let cause = std::error::Error::source(error).map(ToString::to_string);
    assert_eq!(cause.as_deref(), Some("the source panicked"));
    assert_eq!(within_deadline(flags.wait_for(1)).await, 1);
    assert!(flags.is_enabled(FLAG, "u1"));
}

#[tokio::test(start_paused = true)]
async fn a_source_is_left_alone_for_as_long_as_it_asks() {
    let (teller, told) = Told::new();
    let pause = Duration::from_secs(100);
    teller.send(Err(SourceError::new("busy").with_pause(pause))).unwrap();
    teller.send(versioned(1, document(true))).unwrap();
    let begun = tokio::time::Instant::now();
    let flags = Flags::builder().source(told).start().await;
    // Its deadline is shorter than the pause.
    flags.wait_for(1).await;
    assert!(begun.elapsed() >= pause, "{:?}", begun.elapsed());
}

#[tokio::test]
async fn a_version_never_goes_back_and_never_changes_its_content() {
    let (teller, told) = Told::new();
    teller.send(versioned(5, document(true))).unwrap();
    let flags = Flags::builder().source(told).start().await;
    assert_eq!(flags.version(), 5);
    teller.send(versioned(4, document(false))).unwrap();
    until(&flags, |status| matches!(status.last_error(), Some(FlagsError::Older { .. }))).await;
    teller.send(versioned(5, document(false))).unwrap();
    until(&flags, |status| matches!(status.last_error(), Some(FlagsError::Altered { .. }))).await;
    assert!(flags.is_enabled(FLAG, "u1"));
    // The way back is the earlier document at a higher version.
    teller.send(versioned(6, document(false))).unwrap();
    let status = until(&flags, |status| status.version() == 6).await;
    assert!(status.last_error().is_none() && !flags.is_enabled(FLAG, "u1"));
    // So is one that was refused before.
    teller.send(versioned(7, document(true))).unwrap();
    within_deadline(flags.wait_for(7)).await;
}

/// A source that can be read again has the trouble that it had before.
#[tokio::test(start_paused = true)]
async fn what_was_refused_is_told_again_behind_other_trouble() {
    let (teller, told) = Told::new();
    teller.send(versioned(1, document(true))).unwrap();
    let flags = Flags::builder().source(told).start().await;
    let refused = |status: &Status| matches!(status.last_error(), Some(FlagsError::Refused { .. }));
    let unreadable =
        |status: &Status| matches!(status.last_error(), Some(FlagsError::Unreadable { .. }));
    teller.send(versioned(2, BAD.to_owned())).unwrap();
    until(&flags, refused).await;
    for again in [Ok(None), versioned(2, BAD.to_owned())] {
        teller.send(Err(SourceError::new("gone"))).unwrap();
        until(&flags, unreadable).await;
        teller.send(again).unwrap();
        until(&flags, refused).await;
    }
    teller.send(versioned(3, document(false))).unwrap();
    let status = until(&flags, |status| status.version() == 3).await;
    assert!(status.last_error().is_none());
}

#[tokio::test]
async fn a_document_may_say_which_version_it_is() {
    let memory = MemorySource::new();
    let flags = Flags::builder().memory(&memory).start().await;
    let at = |version: i64, default: &str| {
        format!(
            r#"{{"metadata": {{"crossfade.version": {version}}}, "flags": {{"{FLAG}":
            {{"variants": {{"on": true, "off": false}}, "defaultVariant": "{default}"}}}}}}"#
        )
    };
    memory.set(&at(7, "on")).unwrap();
    assert_eq!(flags.version(), 7);
    let older = memory.set(&at(6, "off")).unwrap_err();
    assert!(matches!(older, FlagsError::Older { offered: 6, current: 7, .. }), "{older:?}");
    assert!(flags.is_enabled(FLAG, "u1"));
    memory.set(&at(9, "off")).unwrap();
    assert_eq!((flags.version(), flags.is_enabled(FLAG, "u1")), (9, false));
}

/// What counts on from the highest number must neither panic nor begin anew below zero.
#[tokio::test]
async fn the_highest_version_there_is_stays_the_highest() {
    let highest =
        format!(r#"{{"metadata": {{"crossfade.version": {}}}, "flags": {{}}}}"#, i64::MAX);
    let source = MemorySource::new();
    let flags = Flags::builder().memory(&source).start().await;
    source.set(&highest).unwrap();
    source.set(&document(true)).unwrap();
    assert_eq!((flags.version(), flags.is_enabled(FLAG, "u1")), (i64::MAX, true));

    let folder = tempfile::tempdir().unwrap();
    let kept = folder.path().join("kept");
    let [first, second] = [(); 2].map(|()| MemorySource::new());
    first.set(&highest).unwrap();
    drop(Flags::builder().memory(&first).persist_to(&kept).start().await);
    let flags = Flags::builder().memory(&first).memory(&second).persist_to(&kept).start().await;
    second.set(&document(true)).unwrap();
    assert_eq!((flags.version(), flags.is_enabled(FLAG, "u1")), (i64::MAX, true));
}

#[tokio::test]
async fn another_fractional_is_refused_unless_asked_for() {
    let v3 = document(true).replacen('{', r#"{"metadata": {"crossfade.fractional": "v3"},"#, 1);
    let [wary, willing] = [(); 2].map(|()| MemorySource::new());
    let refuses = Flags::builder().memory(&wary).start().await;
    let accepts = Flags::builder().memory(&willing).accept_fractional_change().start().await;
    for source in [&wary, &willing] {
        source.set(&document(false)).unwrap();
    }
    let error = wary.set(&v3).unwrap_err();
    assert!(matches!(error, FlagsError::FractionalChange { .. }), "{error:?}");
    assert!(error.to_string().contains("from v2 to v3"), "{error}");
    assert_eq!((refuses.version(), refuses.is_enabled(FLAG, "u1")), (1, false));
    willing.set(&v3).unwrap();
    assert_eq!((accepts.version(), accepts.is_enabled(FLAG, "u1")), (2, true));
}

#[tokio::test]
async fn limits_are_settable() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("flags.json");
    fs::write(&path, document(true)).unwrap();
    let bytes = document(true).len();
    for (most, version) in [(bytes - 1, 0), (bytes, 1)] {
        let limits = Limits::default().with_document_bytes(most);
        let source = FileSource::new(&path);
        let flags = Flags::builder().source(source).limits(limits).start().await;
        assert_eq!(flags.version(), version, "{:?}", flags.status());
        assert_eq!(flags.status().last_error().is_some(), version == 0);
    }
}

/// A source that holds its task up until the test lets go.
#[derive(Debug)]
struct Stubborn(std::sync::mpsc::Receiver<()>);

impl Drop for Stubborn {
    fn drop(&mut self) {
        let _ = self.0.recv();
    }
}

#[async_trait]
impl RuleSource for Stubborn {
    fn origin(&self) -> String {
        "stubborn".to_owned()
    }

    async fn next(&mut self, _: usize) -> Result<Option<Document>, SourceError> {
        std::future::pending().await
    }
}

/// The first of them may have been given up.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everybody_who_shuts_down_waits() {
    let (let_go, held) = std::sync::mpsc::channel();
    let source = Stubborn(held);
    let flags = Flags::builder().source(source).first_sync(Duration::ZERO).start().await;
    for _ in 0..2 {
        let ended = tokio::time::timeout(Duration::from_millis(50), flags.shut_down()).await;
        assert!(ended.is_err(), "the source is still there");
    }
    drop(let_go);
    within_deadline(flags.shut_down()).await;
}

#[tokio::test]
async fn shutting_down_ends_the_tasks_and_keeps_the_answers() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("flags.json");
    fs::write(&path, document(true)).unwrap();
    let flags = Flags::builder().source(FileSource::new(&path)).start().await;
    let tasks = flags.shared.tasks();
    assert_eq!(tasks.len(), 2);
    within_deadline(flags.shut_down()).await;
    ended(tasks).await;
    assert!(flags.is_enabled(FLAG, "u1"));
    within_deadline(flags.shut_down()).await;

    let flags = Flags::builder().source(FileSource::new(&path)).start().await;
    let (tasks, handle) = (flags.shared.tasks(), flags.handle(FLAG));
    drop(flags);
    assert!(
        tasks.iter().all(|task| !task.is_finished()),
        "a prepared handle is one of the handles"
    );
    drop(handle);
    ended(tasks).await;
}
