//! The last good rule sets, kept on disk for a start without their sources.
//!
//! The file holds one line of JSON, which names version and length of each source's document, and then
//! the documents as they were handed out. It is written beside and renamed into place, so that it is
//! whole or not there, and can be read by its owner only.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use crossfade_store::Document;
use serde_json::{Value, json};

use crate::{
    PersistError,
    layers::{Kept, Name},
};

/// What the first line says the file is.
const FORMAT: &str = "crossfade rule sets, 1";

/// Keeps rule sets in one file.
#[derive(Debug)]
pub(crate) struct Keeper {
    path: PathBuf,
    /// Held while writing, so that the last writer has the latest documents.
    writing: Mutex<Health>,
}

/// Whether the file could be written last time, so that trouble is warned of once.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Health {
    Well,
    Failing,
}

/// What an earlier process kept.
#[derive(Debug)]
pub(crate) struct Archive {
    /// The version that resulted from all documents.
    pub(crate) version: i64,
    /// Each source with its document.
    pub(crate) documents: Vec<(Name, Document)>,
}

impl Keeper {
    pub(crate) fn new(path: PathBuf) -> Self {
        Self { path, writing: Mutex::new(Health::Well) }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Writes what `documents` answers. Warns when that begins to fail.
    pub(crate) fn keep(
        &self,
        documents: impl FnOnce() -> (i64, Vec<Kept>),
    ) -> Result<(), PersistError> {
        let mut health = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let (version, documents) = documents();
        let written = write(&self.path, version, &documents);
        let now = if written.is_ok() { Health::Well } else { Health::Failing };
        let before = std::mem::replace(&mut *health, now);
        written.map_err(|source| {
            if before == Health::Well {
                let file = self.path.display();
                tracing::warn!(%file, error = %source, "the rule set cannot be kept on disk");
            }
            PersistError::Unwritable { path: self.path.clone(), source: Arc::new(source) }
        })
    }

    /// Reads what was kept; `None` when nothing was.
    pub(crate) fn read(&self) -> Result<Option<Archive>, PersistError> {
        let text = match fs::read_to_string(&self.path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => {
                let source = Arc::new(source);
                return Err(PersistError::Unreadable { path: self.path.clone(), source });
            }
        };
        let archive = parse(&text);
        let damaged = |reason| PersistError::Damaged { path: self.path.clone(), reason };
        archive.map(Some).map_err(damaged)
    }
}

fn write(path: &Path, version: i64, documents: &[Kept]) -> io::Result<()> {
    let sources = documents.iter().map(|kept| {
        let Name { origin, place } = &kept.name;
        json!({
            "origin": &**origin,
            "place": place,
            "version": kept.version,
            "bytes": kept.text.len(),
        })
    });
    let sources: Vec<_> = sources.collect();
    let header = json!({ "format": FORMAT, "version": version, "sources": sources });
    // Another client may write the same file at once, in a container even by the same process number.
    let mut draft = path.as_os_str().to_owned();
    draft.push(format!(".{:016x}", rand::random::<u64>()));
    let draft = PathBuf::from(draft);
    let mut file = create(&draft)?;
    let written = (|| {
        writeln!(file, "{header}")?;
        for kept in documents {
            file.write_all(kept.text.as_bytes())?;
        }
        file.sync_all()?;
        fs::rename(&draft, path)
    })();
    if written.is_err() {
        // There may be no draft; what matters is the error at hand.
        let _ = fs::remove_file(&draft);
    }
    written
}

fn create(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    // Never what somebody else has put there, such as a link to another file.
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

fn parse(text: &str) -> Result<Archive, &'static str> {
    let (header, mut rest) = text.split_once('\n').ok_or("it has no first line")?;
    let header: Value = serde_json::from_str(header).map_err(|_| "its first line is not JSON")?;
    if header["format"] != FORMAT {
        return Err("its first line names another format");
    }
    let version = header["version"].as_i64().ok_or("its first line has no version")?;
    let sources = header["sources"].as_array().ok_or("its first line has no sources")?;
    let mut documents = Vec::new();
    for source in sources {
        let origin = source["origin"].as_str().ok_or("a source has no origin")?;
        let bytes = source["bytes"].as_u64().and_then(|bytes| usize::try_from(bytes).ok());
        let split = bytes.and_then(|bytes| rest.split_at_checked(bytes));
        let (text, after) = split.ok_or("it ends too early")?;
        rest = after;
        let document = Document::new(text).at_version(source["version"].as_i64());
        // Files of earlier versions name no place.
        let place = source["place"].as_u64().and_then(|place| usize::try_from(place).ok());
        let name = Name { origin: origin.into(), place: place.unwrap_or_default() };
        documents.push((name, document));
    }
    if rest.is_empty() {
        Ok(Archive { version, documents })
    } else {
        Err("it goes on behind its last rule set")
    }
}
