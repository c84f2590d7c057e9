//! The judge: what the logs of all processes say about what was read and about the rows.
//!
//! A key that one task alone writes has a sequence of writes. A look at it may find what the last
//! write has left that was acknowledged before the look began, or what any later one leaves that
//! has begun by the look's end and was not refused. A key that every task changes is only ever
//! read and replaced, so its order is that of its versions, and no version is acknowledged twice. A
//! change is written with one version, however often it was tried.
//!
//! A declared write may travel as one statement. Where its outcome is unknown, a database that has
//! the statement may carry it out even after later writes of the key.

mod history;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap, HashSet};

use crossfade::Stage;

use crate::place::{KEYS, Round};
use crate::record::{Outcome, Record, Verb};
use crate::rows::{Row, Snapshot};
use history::{History, Look, Verdict};

/// What was counted, and what is wrong by kind. All of the latter are zero when nothing is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub(crate) struct Counts {
    /// Reads that were answered.
    pub(crate) reads: u64,
    /// Reads that failed for their caller.
    pub(crate) failed_reads: u64,
    /// Writes that were acknowledged.
    pub(crate) writes: u64,
    /// Writes that were refused.
    pub(crate) failed: u64,
    /// Writes whose outcome is not known.
    pub(crate) unknown: u64,
    /// Acknowledged writes that are not there.
    pub(crate) lost: u64,
    /// Values that are there although they were deleted, or refused.
    pub(crate) resurrected: u64,
    /// Reads, and changes, that saw an older state than the one acknowledged before.
    pub(crate) stale: u64,
    /// Values under another key than their own, and versions that two changes were told.
    pub(crate) duplicated: u64,
    /// Keys whose sides differ where they must not.
    pub(crate) differing: u64,
}

impl Counts {
    /// Whatever is wrong.
    pub(crate) const fn faults(&self) -> u64 {
        self.lost + self.resurrected + self.stale + self.duplicated + self.differing
    }

    /// Adds another round's.
    pub(crate) fn add(&mut self, other: &Self) {
        for (sum, part) in [
            (&mut self.reads, other.reads),
            (&mut self.failed_reads, other.failed_reads),
            (&mut self.writes, other.writes),
            (&mut self.failed, other.failed),
            (&mut self.unknown, other.unknown),
            (&mut self.lost, other.lost),
            (&mut self.resurrected, other.resurrected),
            (&mut self.stale, other.stale),
            (&mut self.duplicated, other.duplicated),
            (&mut self.differing, other.differing),
        ] {
            *sum += part;
        }
    }
}

/// Something that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Finding {
    /// In words.
    pub(crate) text: String,
    /// The key, whose story the logs tell.
    pub(crate) key: Option<u32>,
}

/// When a snapshot was taken, and what must hold of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moment {
    /// Its beginning.
    pub(crate) from: u64,
    /// Its end.
    pub(crate) to: u64,
    /// The stage meanwhile.
    pub(crate) stage: Stage,
}

/// The judge of one round.
#[derive(Debug)]
pub(crate) struct Oracle {
    round: Round,
    keys: Vec<History>,
    /// Which key a write is about.
    writes: HashMap<String, (u32, Verb)>,
    /// Looks that were not judged yet.
    looks: Vec<Look>,
    /// Notes that were acknowledged and not seen yet.
    notes: HashSet<String>,
    /// Each key is told once for each kind.
    told: HashSet<(Kind, String)>,
    counts: Counts,
    findings: Vec<Finding>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Kind {
    Lost,
    Resurrected,
    Stale,
    Duplicated,
    Differing,
}

impl Oracle {
    /// Of a round whose tables are empty.
    pub(crate) fn new(round: Round) -> Self {
        Self {
            round,
            keys: (0..KEYS).map(History::new).collect(),
            writes: HashMap::new(),
            looks: Vec::new(),
            notes: HashSet::new(),
            told: HashSet::new(),
            counts: Counts::default(),
            findings: Vec::new(),
        }
    }

    /// What was counted so far.
    pub(crate) fn counts(&self) -> Counts {
        self.counts
    }

    /// What was found since this was asked last.
    pub(crate) fn take_findings(&mut self) -> Vec<Finding> {
        std::mem::take(&mut self.findings)
    }

    /// Takes in the next record of some process. Those of one process come in their order.
    pub(crate) fn take_in(&mut self, record: Record) {
        match record {
            Record::Begin { at, tag, verb, key } => {
                if verb != Verb::Note {
                    self.keys[key as usize].begin(at, tag.clone(), verb);
                }
                self.writes.insert(tag, (key, verb));
            }
            Record::End { at, tag, outcome } => self.end(at, tag, outcome),
            Record::Read { from, to, key, found } => {
                self.counts.reads += 1;
                self.looks.push(Look { from, to, key, found, by: "a read".to_owned() });
            }
            Record::ReadFailed { .. } => self.counts.failed_reads += 1,
            Record::Differs { key, .. } => {
                let index = self.round.key_of(&key);
                self.find(Kind::Differing, &key, index, || {
                    format!("a verification found that key `{key}` differs")
                });
            }
        }
    }

    fn end(&mut self, at: u64, tag: String, outcome: Outcome) {
        match outcome {
            Outcome::Done(_) => self.counts.writes += 1,
            Outcome::Failed(_) => self.counts.failed += 1,
            Outcome::Unknown(_) => self.counts.unknown += 1,
        }
        let Some((key, verb)) = self.writes.get(&tag).copied() else { return };
        if verb == Verb::Note {
            if matches!(outcome, Outcome::Done(_)) {
                self.notes.insert(tag);
            }
            return;
        }
        let history = &mut self.keys[key as usize];
        let from = history.end(at, &tag, &outcome);
        let Outcome::Done(base) = outcome else { return };
        if !verb.changes() {
            return;
        }
        let version = base.as_ref().map_or(0, |row| row.version) + 1;
        if let Some(other) = history.claim(version, &tag) {
            self.find(Kind::Duplicated, &key.to_string(), Some(key), || {
                format!("version {version} of key {key} was acknowledged to {other} and to {tag}")
            });
        }
        self.looks.push(Look { from, to: at, key, found: base, by: format!("the change {tag}") });
    }

    /// Judges the looks so far. Everything that was logged by now must have been taken in, and
    /// whoever logs must be pausing.
    pub(crate) fn judge_looks(&mut self) {
        for look in std::mem::take(&mut self.looks) {
            let verdict = self.keys[look.key as usize].judge(&look);
            let found = self.described(&look);
            self.enter(verdict, look.key, Kind::Stale, || {
                format!("{} of key {} found {found}", look.by, look.key)
            });
        }
    }

    /// Judges the rows of both sides by the logs, and by each other.
    pub(crate) fn judge_rows(&mut self, snapshot: &Snapshot, moment: Moment) {
        let stage = moment.stage;
        let (legacy, new) = (self.by_key(&snapshot.legacy), self.by_key(&snapshot.new));
        let marked: HashSet<u32> =
            snapshot.marked.iter().filter_map(|text| self.round.key_of(text)).collect();
        for key in 0..KEYS {
            let sides = (legacy.get(&key), new.get(&key));
            let (on_legacy, on_new) = sides;
            if stage <= Stage::RampDown {
                self.judge_row(key, "Legacy", on_legacy, moment);
            } else {
                self.judge_row(key, "New", on_new, moment);
            }
            let may_lack = stage < Stage::Live && on_new.is_none();
            let compared = (Stage::DeleteOnly..=Stage::RampDown).contains(&stage);
            if compared && on_legacy != on_new && !may_lack && !marked.contains(&key) {
                self.find(Kind::Differing, &key.to_string(), Some(key), || {
                    format!("key {key} is {on_legacy:?} on Legacy and {on_new:?} on New in {stage}")
                });
            }
        }
        let notes: HashSet<&str> = snapshot.notes.iter().map(String::as_str).collect();
        for note in std::mem::take(&mut self.notes) {
            if !notes.contains(note.as_str()) {
                self.find(Kind::Lost, &note, None, || {
                    format!("the note {note} was acknowledged and is not there")
                });
            }
        }
    }

    fn judge_row(&mut self, key: u32, side: &str, row: Option<&Row>, moment: Moment) {
        let (from, to) = (moment.from, moment.to);
        let look = Look { from, to, key, found: row.cloned(), by: String::new() };
        let verdict = self.keys[key as usize].judge(&look);
        let found = self.described(&look);
        self.enter(verdict, key, Kind::Lost, || {
            format!("key {key} on {side} in {} holds {found}", moment.stage)
        });
    }

    /// What a look found, and whose it is where it is another key's.
    fn described(&self, look: &Look) -> String {
        match &look.found {
            None => "nothing".to_owned(),
            Some(row) => match self.writes.get(&row.tag) {
                Some((key, _)) if *key == look.key => format!("{row:?}"),
                Some((key, _)) => format!("{row:?}, which is of key {key}"),
                None => format!("{row:?}, which nobody wrote"),
            },
        }
    }

    fn enter(&mut self, verdict: Verdict, key: u32, older: Kind, text: impl Fn() -> String) {
        let (kind, why) = match verdict {
            Verdict::Right => return,
            Verdict::Older(expected) => (older, format!("instead of {expected} or later")),
            Verdict::Deleted => (Kind::Resurrected, "after it was deleted".to_owned()),
            Verdict::Refused => (Kind::Resurrected, "which was refused".to_owned()),
            Verdict::Foreign => (Kind::Duplicated, "which was never written to it".to_owned()),
            Verdict::Early => (Kind::Duplicated, "before it was begun".to_owned()),
            Verdict::Twice(other) => {
                (Kind::Duplicated, format!("which was written as version {other} too"))
            }
        };
        self.find(kind, &key.to_string(), Some(key), || format!("{}, {why}", text()));
    }

    fn find(&mut self, kind: Kind, what: &str, key: Option<u32>, text: impl FnOnce() -> String) {
        if !self.told.insert((kind, what.to_owned())) {
            return;
        }
        *match kind {
            Kind::Lost => &mut self.counts.lost,
            Kind::Resurrected => &mut self.counts.resurrected,
            Kind::Stale => &mut self.counts.stale,
            Kind::Duplicated => &mut self.counts.duplicated,
            Kind::Differing => &mut self.counts.differing,
        } += 1;
        self.findings.push(Finding { text: format!("{kind:?}: {}", text()), key });
    }

    fn by_key(&self, rows: &[(String, Row)]) -> BTreeMap<u32, Row> {
        let known = |(text, row): &(String, Row)| Some((self.round.key_of(text)?, row.clone()));
        rows.iter().filter_map(known).collect()
    }
}
