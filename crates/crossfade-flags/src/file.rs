//! Rule sets from a file.

use std::{
    error::Error,
    ffi::OsStr,
    fmt,
    fs::{self, File},
    io::{self, Read},
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime},
};

use async_trait::async_trait;
use crossfade_store::{Document, RuleSource, SourceError};
use notify::{
    Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher,
    event::{AccessKind, AccessMode},
};
use serde::de::IgnoredAny;
use tokio::{sync::Notify, time::sleep};

/// How often the content is compared, for what the watcher cannot see: a symbolic link swapped in
/// some other folder, a network file system.
const POLL_INTERVAL: Duration = Duration::from_secs(2);

/// What an optional file holds while it is not there.
const NO_FLAGS: &str = r#"{"flags": {}}"#;

/// How long a file that is no whole document is left to be written to its end.
const SETTLE: Duration = Duration::from_millis(50);

/// A file that is loaded again whenever its content changes.
///
/// Its folder is watched, so that an editor's rename and a swapped symbolic link (as Kubernetes does
/// for mounted maps) are seen at once; besides, the content is compared every 2 s, and a folder that
/// has been replaced is watched in the place of the old one. A file that is written in place is read
/// once it is whole.
pub struct FileSource {
    path: PathBuf,
    /// What was handed out last.
    seen: Option<String>,
    watch: Option<Watch>,
    asked: bool,
    absence: Absence,
    /// How often the content is compared.
    poll: Duration,
}

/// What it means that there is no such file.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Absence {
    Trouble,
    NoFlags,
}

/// A watch on the folder of the file.
#[derive(Debug)]
struct Watch {
    changed: Arc<Notify>,
    folder: Option<Folder>,
    /// Watches until it is dropped; `None` when the system has no watch to give.
    _watcher: Option<RecommendedWatcher>,
}

impl FileSource {
    /// The file at this path. It need not exist yet.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            seen: None,
            watch: None,
            asked: false,
            absence: Absence::Trouble,
            poll: POLL_INTERVAL,
        }
    }

    /// Takes a file that is not there for one without flags, as for overrides that are made when they
    /// are needed. Default: it is trouble, and the last good rule set stays.
    #[must_use]
    pub fn optional(self) -> Self {
        Self { absence: Absence::NoFlags, ..self }
    }

    /// What the file holds, when that is not what was handed out last.
    async fn look(&self, most_bytes: usize) -> Result<Option<String>, SourceError> {
        let text = match read(&self.path, most_bytes).await {
            Err(error) if self.absence == Absence::NoFlags && is_absence(&error) => {
                NO_FLAGS.to_owned()
            }
            text => text?,
        };
        Ok((self.seen.as_ref() != Some(&text)).then_some(text))
    }

    /// Watches the folder, unless it is watched already. A watch stays with a folder that was deleted
    /// or renamed, and is of no use any more when another has taken its place.
    async fn watch(&mut self) -> Result<(), SourceError> {
        let path = self.path.clone();
        let watched = self.watch.as_ref().map(|watch| watch.folder);
        // A file system over a network may keep the thread waiting.
        let renewed = tokio::task::spawn_blocking(move || {
            let found = Folder::of(&path);
            (watched != Some(found)).then(|| Watch::of(&path, found))
        });
        let renewed = renewed
            .await
            .map_err(|error| SourceError::new("failed to watch the file").caused_by(error))?;
        if let Some(watch) = renewed {
            self.watch = Some(watch);
        }
        Ok(())
    }
}

/// Whether there was no file to read.
fn is_absence(error: &SourceError) -> bool {
    let cause = error.source().and_then(|cause| cause.downcast_ref::<io::Error>());
    cause.is_some_and(|cause| cause.kind() == io::ErrorKind::NotFound)
}

/// Which folder it is, behind all symbolic links.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Folder {
    /// Device and number, where the system has them.
    place: Option<(u64, u64)>,
    /// When it was made: numbers are used again.
    made: Option<SystemTime>,
}

impl Folder {
    /// `None` where there is none.
    fn of(path: &Path) -> Option<Self> {
        let found = fs::metadata(folder(path)).ok().filter(fs::Metadata::is_dir)?;
        #[cfg(unix)]
        let place = {
            use std::os::unix::fs::MetadataExt;
            Some((found.dev(), found.ino()))
        };
        #[cfg(not(unix))]
        let place = None;
        Some(Self { place, made: found.created().ok() })
    }
}

impl fmt::Debug for FileSource {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("FileSource").field("path", &self.path).finish_non_exhaustive()
    }
}

#[async_trait]
impl RuleSource for FileSource {
    fn origin(&self) -> String {
        format!("file {}", self.path.display())
    }

    async fn next(&mut self, most_bytes: usize) -> Result<Option<Document>, SourceError> {
        if let Some(watch) = self.watch.as_ref().filter(|_| self.asked) {
            tokio::select! {
                () = watch.changed.notified() => {}
                () = sleep(self.poll) => {}
            }
        }
        // Watching begins before the read, so that no change falls in between.
        self.watch().await?;
        let mut news = self.look(most_bytes).await?;
        if let Some(watch) =
            self.watch.as_ref().filter(|_| news.as_deref().is_some_and(is_cut_short))
        {
            tokio::select! {
                () = watch.changed.notified() => watch.changed.notify_one(),
                () = sleep(SETTLE) => {}
            }
            news = self.look(most_bytes).await?;
        }
        self.asked = true;
        let Some(text) = news else { return Ok(None) };
        self.seen = Some(text.clone());
        Ok(Some(Document::new(text)))
    }
}

/// Whether the text is not yet, or no longer, a whole JSON document, as while a file is written in
/// place.
fn is_cut_short(text: &str) -> bool {
    serde_json::from_str::<IgnoredAny>(text).is_err_and(|error| error.is_eof())
}

async fn read(path: &Path, most_bytes: usize) -> Result<String, SourceError> {
    let path = path.to_owned();
    let read = tokio::task::spawn_blocking(move || {
        let most = u64::try_from(most_bytes).unwrap_or(u64::MAX);
        let mut bytes = Vec::new();
        File::open(path)?.take(most.saturating_add(1)).read_to_end(&mut bytes)?;
        Ok::<_, io::Error>(bytes)
    });
    let bytes = read.await.unwrap_or_else(|error| Err(io::Error::other(error)));
    match bytes {
        // A cut may go through a character, so that this is asked first.
        Ok(bytes) if bytes.len() > most_bytes => Err(SourceError::too_large(most_bytes)),
        Ok(bytes) => String::from_utf8(bytes).map_err(|error| {
            SourceError::new("the file is no UTF-8").caused_by(error.utf8_error())
        }),
        Err(error) => Err(SourceError::new("failed to read the file").caused_by(error)),
    }
}

fn folder(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

impl Watch {
    /// Watches this folder of the file; warns when the system has no watch to give.
    fn of(path: &Path, found: Option<Folder>) -> Self {
        let changed = Arc::new(Notify::new());
        let name = path.file_name().map(OsStr::to_owned).unwrap_or_default();
        let told = Arc::clone(&changed);
        if found.is_none() {
            // What keeps the file from being read says it.
            return Self { changed, folder: None, _watcher: None };
        }
        let started = notify::recommended_watcher(move |event: notify::Result<Event>| {
            if event.map_or(true, |event| concerns(&event, &name)) {
                told.notify_one();
            }
        })
        .and_then(|mut watcher| {
            watcher.watch(folder(path), RecursiveMode::NonRecursive)?;
            Ok(watcher)
        });
        let watcher = started.inspect_err(|error| {
            let seconds = POLL_INTERVAL.as_secs();
            tracing::warn!(file = %path.display(), %error, seconds, "the flag file is only polled");
        });
        Self { changed, folder: found, _watcher: watcher.ok() }
    }
}

/// Whether an event may have changed the content of the file with this name.
fn concerns(event: &Event, name: &OsStr) -> bool {
    let reading = match event.kind {
        EventKind::Access(kind) => kind != AccessKind::Close(AccessMode::Write),
        _ => false,
    };
    // Kubernetes mounts a map through a link named `..data`, which it swaps.
    let ours = |path: &PathBuf| {
        path.file_name()
            .is_none_or(|other| other == name || other.as_encoded_bytes().starts_with(b".."))
    };
    !reading && (event.need_rescan() || event.paths.is_empty() || event.paths.iter().any(ours))
}

#[cfg(test)]
mod tests {
    use notify::event::{CreateKind, ModifyKind, RenameMode};

    use super::*;

    #[track_caller]
    fn check(kind: EventKind, name: &str, expect: bool) {
        let event = Event::new(kind).add_path(Path::new("/etc/app").join(name));
        assert_eq!(concerns(&event, OsStr::new("flags.json")), expect, "{event:?}");
    }

    #[test]
    fn reading_and_other_files_are_no_change() {
        let renamed = EventKind::Modify(ModifyKind::Name(RenameMode::To));
        let open = EventKind::Access(AccessKind::Open(AccessMode::Any));
        let read = EventKind::Access(AccessKind::Close(AccessMode::Read));
        let written = EventKind::Access(AccessKind::Close(AccessMode::Write));
        check(renamed, "flags.json", true);
        check(written, "flags.json", true);
        check(open, "flags.json", false);
        check(read, "flags.json", false);
        check(renamed, "..data", true);
        check(renamed, "flags.json.swp", false);
        check(EventKind::Create(CreateKind::File), "other", false);
    }

    /// Without the comparison every 2 s to fall back on.
    #[tokio::test]
    async fn a_rename_is_seen_by_the_watch() {
        let folder = tempfile::tempdir().unwrap();
        let [path, draft] = ["flags.json", "draft"].map(|name| folder.path().join(name));
        let watch = Watch::of(&path, Folder::of(&path));
        std::fs::write(&draft, "{}").unwrap();
        std::fs::rename(&draft, &path).unwrap();
        tokio::time::timeout(Duration::from_secs(20), watch.changed.notified()).await.unwrap();
    }

    /// The old folder's watch tells nothing of the new one.
    #[tokio::test]
    async fn a_folder_that_was_replaced_is_watched_again() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("now");
        let path = folder.join("flags.json");
        fs::create_dir(&folder).unwrap();
        fs::write(&path, "{}").unwrap();
        let mut source = FileSource::new(&path);
        assert!(source.next(100).await.unwrap().is_some());
        // Its number may be used again at once.
        fs::remove_dir_all(&folder).unwrap();
        fs::create_dir(&folder).unwrap();
        fs::write(&path, "[]").unwrap();
        let seen = tokio::time::timeout(Duration::from_secs(20), source.next(100)).await;
        assert_eq!(seen.unwrap().unwrap(), Some(Document::new("[]")));

        let watch = source.watch.as_ref().unwrap();
        fs::write(&path, "[1]").unwrap();
        tokio::time::timeout(Duration::from_secs(20), watch.changed.notified()).await.unwrap();
    }

    #[tokio::test]
    async fn what_is_too_large_and_what_is_no_text_are_told_apart() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("flags.json");
        for (bytes, expect) in [
            ("\u{fc}\u{fc}\u{fc}\u{fc}".as_bytes(), "the document has more than 6 bytes"),
            (&b"{\xff}"[..], "the file is no UTF-8"),
        ] {
            fs::write(&path, bytes).unwrap();
            let error = FileSource::new(&path).next(6).await.unwrap_err();
            assert_eq!(error.to_string(), expect);
        }
        fs::write(&path, "\u{fc}\u{fc}\u{fc}").unwrap();
        assert!(FileSource::new(&path).next(6).await.unwrap().is_some());
    }

    /// Each try would warn that there is nothing to watch.
    #[tokio::test]
    async fn a_folder_that_is_missing_is_not_watched_in_vain() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("later").join("flags.json");
        let mut source = FileSource::new(&path);
        for _ in 0..2 {
            assert!(source.next(100).await.is_err());
            assert!(source.watch.as_ref().is_some_and(|watch| watch.folder.is_none()));
        }
        fs::create_dir(path.parent().unwrap()).unwrap();
        fs::write(&path, "{}").unwrap();
        assert!(source.next(100).await.unwrap().is_some());
        assert!(source.watch.as_ref().is_some_and(|watch| watch._watcher.is_some()));
    }

    /// The same through the source, which would look again by itself only in an hour.
    #[tokio::test]
    async fn a_change_is_handed_out_when_the_watch_tells_of_it() {
        let folder = tempfile::tempdir().unwrap();
        let [path, draft] = ["flags.json", "draft"].map(|name| folder.path().join(name));
        std::fs::write(&path, "{}").unwrap();
        let poll = Duration::from_secs(3600);
        let mut source = FileSource { poll, ..FileSource::new(&path) };
        assert_eq!(source.next(100).await.unwrap(), Some(Document::new("{}")));
        std::fs::write(&draft, "[]").unwrap();
        std::fs::rename(&draft, &path).unwrap();
        let changed = async {
            loop {
                if let Some(document) = source.next(100).await.unwrap() {
                    return document;
                }
            }
        };
        let changed = tokio::time::timeout(Duration::from_secs(20), changed).await;
        assert_eq!(changed.unwrap(), Document::new("[]"));
    }
}
