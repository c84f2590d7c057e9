//! The log of one process: what it was about to do, and what came of it.
//!
//! One line a record, written at once and by itself, so that a killed process loses none that it
//! has written. Times are microseconds of the machine's monotonic clock, which all processes share.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;

use rustix::time::{ClockId, clock_gettime};

use crate::rows::Row;

/// What a line ends with that was written whole.
const END: &str = " .";

/// Microseconds of the monotonic clock.
pub(crate) fn now() -> u64 {
    let now = clock_gettime(ClockId::Monotonic);
    let (seconds, nanos) = (now.tv_sec.unsigned_abs(), now.tv_nsec.unsigned_abs());
    seconds * 1_000_000 + nanos / 1000
}

/// What a write does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verb {
    /// Inserts or replaces the key's row.
    Put,
    /// Deletes it.
    Delete,
    /// The same by a statement that was declared.
    Declared,
    /// Reads it and replaces it.
    Modify,
    /// The same with an operation id, called again while nobody knows what became of it.
    Once,
    /// Writes a note beside the pair.
    Note,
}

impl Verb {
    /// Whether it writes what it has made of what it read.
    pub(crate) const fn changes(self) -> bool {
        matches!(self, Self::Modify | Self::Once)
    }
}

const VERBS: [(Verb, &str); 6] = [
    (Verb::Put, "put"),
    (Verb::Declared, "declared"),
    (Verb::Delete, "delete"),
    (Verb::Modify, "modify"),
    (Verb::Once, "once"),
    (Verb::Note, "note"),
];

/// How a write ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Acknowledged; a change says what it had read.
    Done(Option<Row>),
    /// Refused: it must not be seen, now or later.
    Failed(String),
    /// Dropped midway, or lost at its commit.
    Unknown(String),
}

/// One line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Record {
    /// A write is about to begin.
    Begin { at: u64, tag: String, verb: Verb, key: u32 },
    /// It has ended.
    End { at: u64, tag: String, outcome: Outcome },
    /// A read began, ended, and found this.
    Read { from: u64, to: u64, key: u32, found: Option<Row> },
    /// A read failed.
    ReadFailed { at: u64, key: u32, why: String },
    /// A verification found that the sides differ.
    Differs { at: u64, key: String },
}

struct Found<'a>(&'a Option<Row>);

impl fmt::Display for Found<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(row) => write!(f, "{}:{}", row.tag, row.version),
            None => f.write_str("-"),
        }
    }
}

impl fmt::Display for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Begin { at, tag, verb, key } => {
                let verb =
                    VERBS.iter().find(|(known, _)| known == verb).map_or("", |(_, word)| word);
                write!(f, "begin {at} {tag} {verb} {key}")
            }
            Self::End { at, tag, outcome } => match outcome {
                Outcome::Done(base) => write!(f, "end {at} {tag} done {}", Found(base)),
                Outcome::Failed(why) => write!(f, "end {at} {tag} failed {why}"),
                Outcome::Unknown(why) => write!(f, "end {at} {tag} unknown {why}"),
            },
            Self::Read { from, to, key, found } => {
                write!(f, "read {from} {to} {key} {}", Found(found))
            }
            Self::ReadFailed { at, key, why } => write!(f, "unread {at} {key} {why}"),
            Self::Differs { at, key } => write!(f, "differs {at} {key}"),
        }
    }
}

fn row(text: &str) -> Option<Option<Row>> {
    if text == "-" {
        return Some(None);
    }
    let (tag, version) = text.split_once(':')?;
    Some(Some(Row { tag: tag.to_owned(), version: version.parse().ok()? }))
}

impl Record {
    /// Reads a line; `None` for one that a kill has cut short.
    pub(crate) fn parse_line(line: &str) -> Option<Self> {
        Self::parse(line.strip_suffix(END)?)
    }

    fn parse(line: &str) -> Option<Self> {
        let (kind, rest) = line.split_once(' ')?;
        let (first, rest) = rest.split_once(' ')?;
        let at = first.parse().ok()?;
        Some(match kind {
            "begin" => {
                let mut words = rest.split(' ');
                let tag = words.next()?.to_owned();
                let verb = words.next()?;
                let (verb, _) = VERBS.into_iter().find(|(_, word)| *word == verb)?;
                Self::Begin { at, tag, verb, key: words.next()?.parse().ok()? }
            }
            "end" => {
                let (tag, rest) = rest.split_once(' ')?;
                let (how, rest) = rest.split_once(' ')?;
                let outcome = match how {
                    "done" => Outcome::Done(row(rest)?),
                    "failed" => Outcome::Failed(rest.to_owned()),
                    "unknown" => Outcome::Unknown(rest.to_owned()),
                    _ => return None,
                };
                Self::End { at, tag: tag.to_owned(), outcome }
            }
            "read" => {
                let mut words = rest.split(' ');
                let to = words.next()?.parse().ok()?;
                let key = words.next()?.parse().ok()?;
                Self::Read { from: at, to, key, found: row(words.next()?)? }
            }
            "unread" => {
                let (key, why) = rest.split_once(' ')?;
                Self::ReadFailed { at, key: key.parse().ok()?, why: why.to_owned() }
            }
            "differs" => Self::Differs { at, key: rest.to_owned() },
            _ => return None,
        })
    }
}

/// The end of a log that grows.
#[derive(Debug)]
pub(crate) struct Log(File);

impl Log {
    /// Opens it behind what an earlier process of the same place has written, whose last line may
    /// be cut short.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let file = OpenOptions::new().create(true).append(true).open(path)?;
        if file.metadata()?.len() > 0 {
            (&file).write_all(b"\n")?;
        }
        Ok(Self(file))
    }

    /// Writes one record, in one call.
    pub(crate) fn write(&self, record: &Record) -> io::Result<()> {
        let line = record.to_string().replace('\n', " ");
        (&self.0).write_all(format!("{line}{END}\n").as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_come_back() {
        let row = || Some(Row { tag: "a0g1t2n3".to_owned(), version: 7 });
        let tag = || "a0g1t2n3".to_owned();
        let mut records: Vec<Record> = VERBS
            .iter()
            .map(|(verb, _)| Record::Begin { at: 1, tag: tag(), verb: *verb, key: 9 })
            .collect();
        for outcome in [
            Outcome::Done(None),
            Outcome::Done(row()),
            Outcome::Failed("two words".to_owned()),
            Outcome::Unknown("dropped".to_owned()),
        ] {
            records.push(Record::End { at: 2, tag: tag(), outcome });
        }
        for found in [None, row()] {
            records.push(Record::Read { from: 1, to: 2, key: 9, found });
        }
        records.push(Record::ReadFailed { at: 1, key: 9, why: "no lease".to_owned() });
        records.push(Record::Differs { at: 1, key: "key 009".to_owned() });
        for record in records {
            assert_eq!(Record::parse(&record.to_string()), Some(record));
        }
    }

    #[test]
    fn a_line_cut_short_is_none() {
        for line in ["", "rea", "read 1 2 9 a:1", "begin 1 a0g1t2n3 put 1"] {
            assert_eq!(Record::parse_line(line), None, "{line}");
            assert_eq!(Record::parse_line(&format!("{line}{END}")), Record::parse(line));
        }
    }

    #[test]
    fn a_second_process_goes_on_behind_the_first() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("log");
        let record = Record::Differs { at: 1, key: "1".to_owned() };
        Log::open(&path).expect("opens").0.write_all(b"begin 1 cut").expect("written");
        Log::open(&path).expect("opens").write(&record).expect("written");
        let text = std::fs::read_to_string(&path).expect("read");
        let records: Vec<Record> = text.lines().filter_map(Record::parse_line).collect();
        assert_eq!(records, [record]);
    }
}
