//! The file of all differences, as JSON lines.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use crossfade_store::Difference;
use serde_json::json;

use super::show::kind;
use crate::failure::Failure;

/// A file that is written as the pass goes on and gets its name once the pass has ended. Until then
/// it is called like it with `.partial` at the end.
#[derive(Debug)]
pub(super) struct DifferenceFile {
    path: PathBuf,
    partial: PathBuf,
    writer: Mutex<Writer>,
}

#[derive(Debug)]
struct Writer {
    file: BufWriter<File>,
    /// The first error; nothing is written after it.
    failed: Option<io::Error>,
}

impl DifferenceFile {
    pub(super) fn create(path: &Path) -> Result<Self, Failure> {
        let mut partial = path.as_os_str().to_owned();
        partial.push(".partial");
        let partial = PathBuf::from(partial);
        let file = File::create(&partial).map_err(|error| failed(&partial, &error))?;
        let writer = Writer { file: BufWriter::new(file), failed: None };
        Ok(Self { path: path.to_owned(), partial, writer: Mutex::new(writer) })
    }

    pub(super) fn add(&self, difference: &Difference) {
        let columns: Vec<&str> = difference.columns.iter().map(AsRef::as_ref).collect();
        let line = json!({
            "key": difference.key.text(),
            "kind": kind(difference.kind),
            "columns": columns,
        });
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        if writer.failed.is_none() {
            writer.failed = writeln!(writer.file, "{line}").err();
        }
    }

    /// Ends the file and returns where it is: under its name if the pass was compared to its end.
    pub(super) fn finish(self, whole: bool) -> Result<PathBuf, Failure> {
        let Writer { mut file, failed: error } =
            self.writer.into_inner().unwrap_or_else(PoisonError::into_inner);
        let ended = match error {
            Some(error) => Err(error),
            None => file.flush().and_then(|()| file.get_ref().sync_all()),
        };
        ended.map_err(|error| failed(&self.partial, &error))?;
        if !whole {
            return Ok(self.partial);
        }
        fs::rename(&self.partial, &self.path).map_err(|error| failed(&self.path, &error))?;
        Ok(self.path)
    }
}

fn failed(path: &Path, error: &io::Error) -> Failure {
    Failure::failed(format!("failed to write {}", path.display()), error)
}
