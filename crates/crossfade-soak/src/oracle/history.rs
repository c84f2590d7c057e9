//! The writes of one key, and what a look at it may find.

use std::collections::{BTreeMap, HashMap};

use crate::place::is_shared;
use crate::record::{Outcome, Verb};
use crate::rows::Row;

/// A look at a key: a read, the base of a change, or a row of a snapshot.
#[derive(Clone, Debug)]
pub(super) struct Look {
    /// Before it began.
    pub(super) from: u64,
    /// After it ended.
    pub(super) to: u64,
    /// The key.
    pub(super) key: u32,
    /// What was there.
    pub(super) found: Option<Row>,
    /// Whose it is.
    pub(super) by: String,
}

/// What a look found, by the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// What it may find.
    Right,
    /// Something older than this.
    Older(String),
    /// A value, though the key was deleted and not written since.
    Deleted,
    /// The value of a write that was refused.
    Refused,
    /// A value of another key, or of nobody.
    Foreign,
    /// The value of a write that began later.
    Early,
    /// That of a write which has been seen, or acknowledged, with this version.
    Twice(i64),
}

/// How a write ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// It has not, or nobody knows how.
    Unknown,
    /// Acknowledged at that time; the version, where it is the outcome of a change.
    Done(u64),
    /// Refused.
    Failed,
}

#[derive(Clone, Debug)]
struct Write {
    tag: String,
    verb: Verb,
    at: u64,
    end: End,
    /// The version that it was written with, where that was seen or told.
    version: Option<i64>,
}

impl Write {
    /// Whether it may still be carried out when later writes have been.
    fn may_come_late(&self) -> bool {
        self.verb == Verb::Declared && self.end == End::Unknown
    }
}

/// The writes of one key.
#[derive(Debug)]
pub(super) struct History {
    shared: bool,
    writes: Vec<Write>,
    by_tag: HashMap<String, usize>,
    /// Of a shared key: the acknowledged changes.
    versions: BTreeMap<i64, String>,
    /// Of a shared key: when a version was acknowledged, and that version, both going up.
    floors: Vec<(u64, i64)>,
}

impl History {
    /// Of a key that holds nothing yet.
    pub(super) fn new(key: u32) -> Self {
        Self {
            shared: is_shared(key),
            writes: Vec::new(),
            by_tag: HashMap::new(),
            versions: BTreeMap::new(),
            floors: Vec::new(),
        }
    }

    /// A write is about to begin.
    pub(super) fn begin(&mut self, at: u64, tag: String, verb: Verb) {
        self.by_tag.insert(tag.clone(), self.writes.len());
        self.writes.push(Write { tag, verb, at, end: End::Unknown, version: None });
    }

    /// A write has ended. Returns when it began.
    pub(super) fn end(&mut self, at: u64, tag: &str, outcome: &Outcome) -> u64 {
        let Some(write) = self.by_tag.get(tag).map(|place| &mut self.writes[*place]) else {
            return at;
        };
        write.end = match outcome {
            Outcome::Done(base) => {
                let version = base.as_ref().map_or(0, |row| row.version) + 1;
                if self.shared {
                    self.floors.push((at, version));
                }
                if write.verb.changes() {
                    write.version = Some(version);
                }
                End::Done(at)
            }
            Outcome::Failed(_) => End::Failed,
            Outcome::Unknown(_) => End::Unknown,
        };
        write.at
    }

    /// A change was told that this version is its own. Returns whom it was told before.
    pub(super) fn claim(&mut self, version: i64, tag: &str) -> Option<String> {
        match self.shared {
            true => self.versions.insert(version, tag.to_owned()),
            false => None,
        }
    }

    /// Whether a look found what it may find.
    pub(super) fn judge(&mut self, look: &Look) -> Verdict {
        let found = match &look.found {
            None => None,
            Some(row) => {
                match self.by_tag.get(&row.tag).map(|place| (*place, &mut self.writes[*place])) {
                    None => return Verdict::Foreign,
                    Some((_, write)) if write.end == End::Failed => return Verdict::Refused,
                    Some((_, write)) if write.verb == Verb::Delete => return Verdict::Foreign,
                    Some((_, write)) if write.at > look.to => return Verdict::Early,
                    Some((place, write)) => {
                        let version = *write.version.get_or_insert(row.version);
                        if version != row.version {
                            return Verdict::Twice(version);
                        }
                        Some((place, row))
                    }
                }
            }
        };
        match self.shared {
            true => self.judge_version(look, found.map(|(_, row)| row)),
            false => self.judge_place(look, found.map(|(place, _)| place)),
        }
    }

    fn judge_version(&self, look: &Look, found: Option<&Row>) -> Verdict {
        let floor = self.floors.iter().filter(|(at, _)| *at < look.from);
        let floor = floor.map(|(_, version)| *version).max().unwrap_or(0);
        let version = found.map_or(0, |row| row.version);
        if version < floor {
            return Verdict::Older(format!("version {floor}"));
        }
        match (self.versions.get(&version), found) {
            (Some(tag), Some(row)) if *tag != row.tag => Verdict::Older(format!("{tag}:{version}")),
            _ => Verdict::Right,
        }
    }

    fn judge_place(&self, look: &Look, found: Option<usize>) -> Verdict {
        let before = |write: &Write| matches!(write.end, End::Done(at) if at < look.from);
        let floor = self.writes.iter().rposition(before);
        let possible = &self.writes[floor.unwrap_or(0)..];
        let possible = || possible.iter().filter(|it| it.end != End::Failed && it.at <= look.to);
        let empty = floor.is_none() || possible().any(|write| write.verb == Verb::Delete);
        let Some(place) = found else {
            return match empty {
                true => Verdict::Right,
                false => Verdict::Older(self.expected(floor)),
            };
        };
        if floor.is_none_or(|floor| place >= floor) || self.writes[place].may_come_late() {
            Verdict::Right
        } else if possible().all(|write| write.verb == Verb::Delete) {
            Verdict::Deleted
        } else {
            Verdict::Older(self.expected(floor))
        }
    }

    fn expected(&self, floor: Option<usize>) -> String {
        floor.map_or_else(String::new, |floor| {
            let Write { tag, verb, .. } = &self.writes[floor];
            format!("{tag} ({verb:?})")
        })
    }
}
