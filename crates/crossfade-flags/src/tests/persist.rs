//! Starts without the source, from what was kept on disk.

use std::{fs, path::PathBuf};

use tempfile::TempDir;

use super::{FLAG, document, until, within_deadline};
use crate::{
    FileSource, Flags, FlagsError, MemorySource, PersistError, SigningKey, State, Status,
    TrustedKeys,
};

struct Bench {
    folder: TempDir,
}

impl Bench {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    async fn start(&self) -> Flags {
        let source = FileSource::new(self.path("flags.json"));
        Flags::builder().source(source).persist_to(self.path("kept")).start().await
    }
}

#[tokio::test]
async fn a_start_without_the_source_uses_what_was_kept() {
    let bench = Bench::new();
    fs::write(bench.path("flags.json"), document(true)).unwrap();
    let flags = bench.start().await;
    assert_eq!((flags.version(), flags.status().state()), (1, State::Current));
    fs::write(bench.path("flags.json"), document(false)).unwrap();
    within_deadline(flags.wait_for(2)).await;
    flags.shut_down().await;
    drop(flags);

    fs::rename(bench.path("flags.json"), bench.path("away")).unwrap();
    let flags = bench.start().await;
    let status = flags.status();
    assert_eq!((flags.version(), status.state()), (2, State::Persisted), "{status:?}");
    assert!(status.sources()[0].is_persisted());
    assert!(!flags.boolean(FLAG, &crate::Context::user("u1"), true));

    // The same document again: nothing new, and not from the disk any more.
    fs::rename(bench.path("away"), bench.path("flags.json")).unwrap();
    let status = until(&flags, |status| status.state() == State::Current).await;
    assert_eq!(status.version(), 2);
    fs::write(bench.path("flags.json"), document(true)).unwrap();
    within_deadline(flags.wait_for(3)).await;
}

#[tokio::test]
async fn a_start_with_the_source_does_not_use_what_was_kept() {
    let bench = Bench::new();
    fs::write(bench.path("flags.json"), document(true)).unwrap();
    bench.start().await.shut_down().await;
    fs::write(bench.path("flags.json"), document(false)).unwrap();
    let flags = bench.start().await;
    assert_eq!(flags.status().state(), State::Current);
    // The version goes on from the one that was kept.
    assert_eq!((flags.version(), flags.is_enabled(FLAG, "u1")), (2, false));
}

#[tokio::test]
async fn several_sources_are_kept_each_for_itself() {
    let bench = Bench::new();
    let [first, second] = ["first.json", "second.json"].map(|name| bench.path(name));
    let start = async || {
        let builder = Flags::builder().persist_to(bench.path("kept"));
        builder.source(FileSource::new(&first)).source(FileSource::new(&second)).start().await
    };
    let only = format!(
        r#"{{"flags": {{"{FLAG}": {{"variants": {{"on": true}}, "defaultVariant": "on"}}}}}}"#
    );
    fs::write(&first, only).unwrap();
    fs::write(&second, document(false)).unwrap();
    let flags = start().await;
    let version = flags.version();
    flags.shut_down().await;
    fs::remove_file(&first).unwrap();
    fs::remove_file(&second).unwrap();
    let flags = start().await;
    assert!(flags.version() >= version && flags.status().state() == State::Persisted);
    assert!(flags.is_enabled(FLAG, "u1"));
    assert_eq!(flags.value("colour", &crate::Context::anonymous(), String::new()), "f00");
    fs::write(&first, r#"{"flags": {}}"#).unwrap();
    until(&flags, |status| !status.sources()[0].is_persisted()).await;
    assert!(!flags.is_enabled(FLAG, "u1"));
    assert_eq!(flags.status().state(), State::Persisted);
}

/// As two databases have, or two memories.
#[tokio::test]
async fn sources_of_the_same_origin_are_not_mixed_up() {
    let bench = Bench::new();
    let start = async |sources: &[MemorySource; 3]| {
        let builder = Flags::builder().persist_to(bench.path("kept"));
        sources.iter().fold(builder, |builder, source| builder.memory(source)).start().await
    };
    let sources = [(); 3].map(|()| MemorySource::new());
    let flags = start(&sources).await;
    sources[1].set(&document(true)).unwrap();
    sources[2].set(&document(false)).unwrap();
    let versions = |flags: &Flags| {
        let status = flags.status();
        status.sources().iter().map(crate::SourceStatus::version).collect::<Vec<_>>()
    };
    assert_eq!(versions(&flags), [0, 1, 1]);
    drop(flags);
    let flags = start(&[(); 3].map(|()| MemorySource::new())).await;
    assert_eq!((versions(&flags), flags.is_enabled(FLAG, "u1")), (vec![0, 1, 1], true));
}

/// A source whose key was replaced, say.
#[tokio::test]
async fn one_that_is_refused_does_not_take_the_others_along() {
    let bench = Bench::new();
    let memory = MemorySource::new();
    memory.set(&document(true)).unwrap();
    fs::write(bench.path("flags.json"), r#"{"flags": {}}"#).unwrap();
    let source = || FileSource::new(bench.path("flags.json"));
    let builder = Flags::builder().source(source()).memory(&memory);
    drop(builder.persist_to(bench.path("kept")).start().await);

    fs::remove_file(bench.path("flags.json")).unwrap();
    let signed = Flags::builder().signed_source(source(), TrustedKeys::new());
    let builder = signed.memory(&MemorySource::new()).persist_to(bench.path("kept"));
    let flags = builder.start().await;
    assert!(flags.is_enabled(FLAG, "u1"));
    let status = flags.status();
    let error = status.persistence_error();
    assert!(matches!(error, Some(PersistError::Refused { .. })), "{error:?}");
}

#[cfg(unix)]
#[tokio::test]
async fn what_is_kept_is_for_its_owner_only_and_leaves_no_drafts() {
    use std::os::unix::fs::PermissionsExt;

    let bench = Bench::new();
    fs::write(bench.path("flags.json"), document(true)).unwrap();
    bench.start().await.shut_down().await;
    let mode = fs::metadata(bench.path("kept")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let mut names: Vec<_> = fs::read_dir(bench.folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(names, ["flags.json", "kept"]);
}

/// Who can write into the folder must not choose what is written to.
#[cfg(unix)]
#[tokio::test]
async fn a_link_that_lies_in_wait_is_not_followed() {
    let bench = Bench::new();
    fs::write(bench.path("flags.json"), document(true)).unwrap();
    fs::write(bench.path("victim"), "precious").unwrap();
    let draft = bench.path(&format!("kept.{}", std::process::id()));
    std::os::unix::fs::symlink(bench.path("victim"), draft).unwrap();
    bench.start().await.shut_down().await;
    assert_eq!(fs::read_to_string(bench.path("victim")).unwrap_or_default(), "precious");
    assert!(fs::symlink_metadata(bench.path("kept")).unwrap().is_file());
}

/// Two clients that keep their rule sets in the same file, as two processes of a container do.
#[tokio::test]
async fn two_writers_never_leave_half_of_each() {
    let bench = Bench::new();
    let start = async |source: &MemorySource| {
        Flags::builder().memory(source).persist_to(bench.path("kept")).start().await
    };
    let sources = [(); 2].map(|()| MemorySource::new());
    let [first, second] = [start(&sources[0]).await, start(&sources[1]).await];
    std::thread::scope(|scope| {
        for (flags, source) in [(&first, &sources[0]), (&second, &sources[1])] {
            scope.spawn(move || {
                for round in 0..100 {
                    source.set(&document(round % 2 == 0)).unwrap();
                    let status = flags.status();
                    assert!(status.persistence_error().is_none(), "{status:?}");
                }
            });
        }
    });
    let flags = start(&MemorySource::new()).await;
    assert_eq!((flags.version(), flags.is_enabled(FLAG, "u1")), (100, false));
}

/// Each of these is what was kept, with one thing wrong.
#[tokio::test]
async fn damage_is_told_and_starts_without() {
    type Damage = fn(&str) -> String;
    let damages: [(&str, Damage); 6] = [
        ("first line", |_| String::new()),
        ("not JSON", |text| text.replacen('{', "[", 1)),
        ("another format", |text| text.replace("rule sets, 1", "rule sets, 9")),
        ("too early", |text| text[..text.len() - 1].to_owned()),
        ("behind its last", |text| format!("{text} ")),
        ("was refused", |text| {
            text.replace("\"defaultVariant\": \"on\"", "\"defaultVariant\": \"??\"")
        }),
    ];
    for (expect, damage) in damages {
        let bench = Bench::new();
        fs::write(bench.path("flags.json"), document(true)).unwrap();
        bench.start().await.shut_down().await;
        fs::remove_file(bench.path("flags.json")).unwrap();
        let kept = fs::read_to_string(bench.path("kept")).unwrap();
        assert_ne!(damage(&kept), kept, "{expect}");
        fs::write(bench.path("kept"), damage(&kept)).unwrap();
        let flags = bench.start().await;
        let status = flags.status();
        assert_eq!(status.state(), State::Defaults, "{expect}");
        let error = status.persistence_error().expect("it is told").to_string();
        assert!(error.contains(expect), "{expect}: {error}");
    }
}

#[tokio::test]
async fn a_file_that_cannot_be_written_is_told_and_does_no_harm() {
    let bench = Bench::new();
    let memory = MemorySource::new();
    memory.set(&document(true)).unwrap();
    let nowhere = bench.path("missing").join("kept");
    let flags = Flags::builder().memory(&memory).persist_to(nowhere).start().await;
    assert!(flags.is_enabled(FLAG, "u1"));
    let status = flags.status();
    let error = status.persistence_error();
    assert!(matches!(error, Some(PersistError::Unwritable { .. })), "{error:?}");
    fs::create_dir(bench.path("missing")).unwrap();
    memory.set(&document(false)).unwrap();
    assert!(flags.status().persistence_error().is_none());
}

/// A private key of these bytes, in the fixed encoding of RFC 8410.
fn key(seed: u8) -> SigningKey {
    let mut bytes = b"\x30\x2e\x02\x01\x00\x30\x05\x06\x03\x2b\x65\x70\x04\x22\x04\x20".to_vec();
    bytes.extend([seed; 32]);
    let body = crate::signature::encode(&bytes);
    let pem = format!("-----BEGIN PRIVATE KEY-----\n{body}\n-----END PRIVATE KEY-----");
    SigningKey::from_pem(&pem).unwrap()
}

/// Its content is that of the version in use, and what is kept bears the new signature.
#[tokio::test]
async fn a_document_may_be_signed_anew_at_its_version() {
    let bench = Bench::new();
    let [old, new] = [1, 2].map(key);
    let text = document(true).replacen('{', r#"{"metadata": {"crossfade.version": 7},"#, 1);
    let start = async |keys| {
        let source = FileSource::new(bench.path("flags.json"));
        let builder = Flags::builder().signed_source(source, keys);
        builder.persist_to(bench.path("kept")).start().await
    };
    let both = TrustedKeys::new().with_key("old", &old.public_key()).unwrap();
    let both = both.with_key("new", &new.public_key()).unwrap();
    fs::write(bench.path("flags.json"), old.sign(&text, "old")).unwrap();
    start(both.clone()).await.shut_down().await;
    fs::write(bench.path("flags.json"), new.sign(&text, "new")).unwrap();
    let flags = start(both).await;
    assert!(flags.status().last_error().is_none(), "{:?}", flags.status());
    assert_eq!((flags.version(), flags.status().state()), (7, State::Current));
    flags.shut_down().await;

    fs::remove_file(bench.path("flags.json")).unwrap();
    let flags = start(TrustedKeys::new().with_key("new", &new.public_key()).unwrap()).await;
    assert_eq!((flags.version(), flags.is_enabled(FLAG, "u1")), (7, true));
}

/// The signature is kept along, and asked for again.
#[tokio::test]
async fn what_is_kept_of_a_signed_source_is_still_signed() {
    let bench = Bench::new();
    let [key, stranger] = [1, 2].map(key);
    let start = async || {
        let keys = TrustedKeys::new().with_key("ops", &key.public_key()).unwrap();
        let source = FileSource::new(bench.path("flags.json"));
        let builder = Flags::builder().signed_source(source, keys);
        builder.persist_to(bench.path("kept")).start().await
    };
    fs::write(bench.path("flags.json"), key.sign(&document(true), "ops")).unwrap();
    let flags = start().await;
    assert!(flags.is_enabled(FLAG, "u1"), "{:?}", flags.status());
    for refused in [document(false), stranger.sign(&document(false), "ops")] {
        fs::write(bench.path("flags.json"), refused).unwrap();
        let untrusted =
            |status: &Status| matches!(status.last_error(), Some(FlagsError::Untrusted { .. }));
        until(&flags, untrusted).await;
        assert_eq!((flags.version(), flags.is_enabled(FLAG, "u1")), (1, true));
        fs::write(bench.path("flags.json"), key.sign(&document(true), "ops")).unwrap();
        until(&flags, |status| status.last_error().is_none()).await;
    }
    flags.shut_down().await;

    fs::remove_file(bench.path("flags.json")).unwrap();
    assert!(start().await.is_enabled(FLAG, "u1"));
    let kept = fs::read_to_string(bench.path("kept")).unwrap();
    let forged = stranger.sign(&document(true), "ops");
    let signed = key.sign(&document(true), "ops");
    assert_eq!(forged.len(), signed.len());
    fs::write(bench.path("kept"), kept.replace(&signed, &forged)).unwrap();
    let flags = start().await;
    assert!(!flags.is_enabled(FLAG, "u1"));
    let error = flags.status().persistence_error().map(ToString::to_string);
    assert!(error.as_ref().is_some_and(|error| error.contains("was refused")), "{error:?}");
}
