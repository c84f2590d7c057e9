//! Rule sets from a file that is loaded again when it changes.

use std::{
    ffi::OsStr,
    io,
    path::{Path, PathBuf},
    sync::{Arc, Weak},
    time::Duration,
};

use crossfade_rules::RuleSet;
use notify::{
    Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher,
    event::{AccessKind, AccessMode},
};
use tokio::{sync::Notify, time::sleep};

use crate::{FlagsError, shared::Shared};

/// How often the content is compared, for what the watcher cannot see: a symbolic link swapped in
/// some other folder, a network file system.
const POLL_INTERVAL: Duration = Duration::from_secs(2);

/// How long a burst of events is left to end, so that a half-written file is rarely read.
const SETTLE: Duration = Duration::from_millis(25);

/// Loads the file, and follows it when that succeeds.
pub(crate) async fn open(path: &Path) -> Result<Arc<Shared>, FlagsError> {
    let shared = Shared::new(format!("file {}", path.display()));
    let mut file = FlagFile { path: path.to_owned(), seen: None, version: 0 };
    // Watching begins before the first read, so that no change falls in between.
    let changed = Arc::new(Notify::new());
    let watcher = watch(path, Arc::clone(&changed));
    file.load(&shared).await?;
    shared.follow(|shared| file.follow(shared, changed, watcher));
    Ok(shared)
}

struct FlagFile {
    path: PathBuf,
    /// The content at the last look, good or bad; `None` when it could not be read.
    seen: Option<String>,
    /// How many rule sets were loaded.
    version: i64,
}

impl FlagFile {
    async fn follow(
        mut self,
        shared: Weak<Shared>,
        changed: Arc<Notify>,
        _watcher: Option<RecommendedWatcher>,
    ) {
        loop {
            tokio::select! {
                () = changed.notified() => sleep(SETTLE).await,
                () = sleep(POLL_INTERVAL) => {}
            }
            let content = read(&self.path).await;
            let Some(shared) = shared.upgrade() else { return };
            if self.is_news(&shared, &content)
                && let Err(error) = self.take(&shared, content)
            {
                warn(&self.path, &error);
                shared.failed(error);
            }
        }
    }

    async fn load(&mut self, shared: &Shared) -> Result<(), FlagsError> {
        let content = read(&self.path).await;
        self.take(shared, content)
    }

    /// Whether the content differs from the last look. Trouble reading is news once.
    fn is_news(&self, shared: &Shared, content: &io::Result<String>) -> bool {
        match content {
            Ok(text) => self.seen.as_ref() != Some(text),
            Err(_) => self.seen.is_some() || shared.status.borrow().last_error().is_none(),
        }
    }

    fn take(&mut self, shared: &Shared, content: io::Result<String>) -> Result<(), FlagsError> {
        self.seen = None;
        let text =
            content.map_err(|source| FlagsError::Unreadable { path: self.path.clone(), source })?;
        let text = &*self.seen.insert(text);
        let rule_set = RuleSet::parse(text).map_err(|source| FlagsError::Refused {
            origin: format!("the flag file {}", self.path.display()),
            source,
        })?;
        self.version += 1;
        shared.install(self.version, rule_set);
        tracing::info!(file = %self.path.display(), version = self.version, "rule set loaded");
        Ok(())
    }
}

fn warn(path: &Path, error: &FlagsError) {
    let file = path.display();
    match error {
        FlagsError::Refused { source, .. } => tracing::warn!(
            %file,
            line = source.line(),
            column = source.column(),
            flag = source.flag(),
            error = %source.reason(),
            "the flag file was refused; the last good rule set stays"
        ),
        FlagsError::Unreadable { source, .. } => tracing::warn!(
            %file,
            error = %source,
            "the flag file cannot be read; the last good rule set stays"
        ),
        FlagsError::Store(_) => {}
    }
}

async fn read(path: &Path) -> io::Result<String> {
    let path = path.to_owned();
    let read = tokio::task::spawn_blocking(move || std::fs::read_to_string(path));
    read.await.unwrap_or_else(|error| Err(io::Error::other(error)))
}

/// Watches the folder of the file; `None`, with a warning, when the system has no watch to give.
fn watch(path: &Path, changed: Arc<Notify>) -> Option<RecommendedWatcher> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let name = path.file_name().map(OsStr::to_owned).unwrap_or_default();
    let started = notify::recommended_watcher(move |event: notify::Result<Event>| {
        if event.map_or(true, |event| concerns(&event, &name)) {
            changed.notify_one();
        }
    })
    .and_then(|mut watcher| {
        watcher.watch(folder, RecursiveMode::NonRecursive)?;
        Ok(watcher)
    });
    started
        .inspect_err(|error| {
            let seconds = POLL_INTERVAL.as_secs();
            tracing::warn!(file = %path.display(), %error, seconds, "the flag file is only polled");
        })
        .ok()
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
        let changed = Arc::new(Notify::new());
        let _watcher = watch(&path, Arc::clone(&changed)).unwrap();
        std::fs::write(&draft, "{}").unwrap();
        std::fs::rename(&draft, &path).unwrap();
        tokio::time::timeout(Duration::from_secs(20), changed.notified()).await.unwrap();
    }
}
