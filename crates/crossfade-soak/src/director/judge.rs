//! The judge's clerk: reads the logs as they grow, and tells a key's story.

use std::collections::{BTreeMap, HashSet};
use std::fs::{self, File};
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::oracle::Oracle;
use crate::place::Round;
use crate::record::Record;

/// Lines of a story that are told, from its end.
const TOLD: usize = 60;

/// The logs of one round, and the oracle that they are fed to.
#[derive(Debug)]
pub(super) struct Judge {
    pub(super) oracle: Oracle,
    round: Round,
    folder: PathBuf,
    /// How far each log was read.
    read: BTreeMap<PathBuf, u64>,
}

impl Judge {
    /// Of logs in a folder.
    pub(super) fn new(round: Round, folder: &Path) -> Self {
        let oracle = Oracle::new(round);
        Self { oracle, round, folder: folder.to_owned(), read: BTreeMap::new() }
    }

    fn logs(&self) -> Result<Vec<PathBuf>> {
        let mut logs = Vec::new();
        for entry in fs::read_dir(&self.folder)? {
            let path = entry?.path();
            if path.extension().is_some_and(|extension| extension == "log") {
                logs.push(path);
            }
        }
        logs.sort();
        Ok(logs)
    }

    /// Takes in what was logged since.
    pub(super) fn catch_up(&mut self) -> Result<()> {
        for path in self.logs()? {
            let read = self.read.entry(path.clone()).or_default();
            let mut file = File::open(&path).context("open a log")?;
            file.seek(SeekFrom::Start(*read))?;
            let mut text = Vec::new();
            file.read_to_end(&mut text)?;
            let whole = text.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
            *read += whole as u64;
            let text = String::from_utf8_lossy(&text[..whole]);
            text.lines().filter_map(Record::parse_line).for_each(|it| self.oracle.take_in(it));
        }
        Ok(())
    }

    /// Everything that the logs say about a key, in the order of time, the end of it.
    pub(super) fn story(&self, key: u32) -> Result<Vec<String>> {
        let mut lines = Vec::new();
        for path in self.logs()? {
            let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            let text = fs::read_to_string(&path)?;
            let mut tags = HashSet::new();
            for record in text.lines().filter_map(Record::parse_line) {
                let at = match &record {
                    Record::Begin { at, tag, key: its, .. } if *its == key => {
                        tags.insert(tag.clone());
                        *at
                    }
                    Record::End { at, tag, .. } if tags.contains(tag) => *at,
                    Record::Read { from, key: its, .. } if *its == key => *from,
                    Record::ReadFailed { at, key: its, .. } if *its == key => *at,
                    Record::Differs { at, key: its } if self.round.key_of(its) == Some(key) => *at,
                    _ => continue,
                };
                lines.push((at, format!("{name:<14} {record}")));
            }
        }
        lines.sort();
        let from = lines.len().saturating_sub(TOLD);
        Ok(lines.drain(from..).map(|(_, line)| line).collect())
    }
}
