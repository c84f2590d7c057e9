//! From what was seen to a name for it.

use std::fmt::Debug;

use crossfade::{Side, Stage};

use super::act::{Called, Ending};
use super::diagnosis::Diagnosis;
use super::ground::{Row, View};
use super::pair::{Pair, Patching};
use super::story::Verb;

/// A diagnosis and what it was made from.
#[derive(Clone, Debug)]
pub(super) struct Verdict {
    pub(super) diagnosis: Diagnosis,
    /// What was seen, as a sentence.
    pub(super) seen: String,
}

/// What became of a key earlier in the story.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Past {
    /// New's row was taken away in `delete_only`, and none has come since.
    pub(super) removed: bool,
    /// A write of the key was rolled back, and no row has come to New since.
    pub(super) undone: bool,
    /// New's row came by backfill or repair.
    pub(super) copied: bool,
    /// Legacy's row is one that New refuses, or was made from it.
    pub(super) refused: bool,
}

/// An act that has ended, and what both sides held before and after.
pub(super) struct Seen<'a, P: Pair> {
    pub(super) pair: &'a P,
    pub(super) verb: Verb,
    pub(super) key: usize,
    /// The key's text.
    pub(super) name: &'a str,
    pub(super) past: Past,
    pub(super) before: &'a View<P::Value>,
    pub(super) after: &'a View<P::Value>,
    pub(super) calls: &'a [(Side, Called)],
    pub(super) ending: &'a Ending<P::Value>,
}

fn verdict<T>(diagnosis: Diagnosis, seen: impl Into<String>) -> Result<T, Verdict> {
    Err(Verdict { diagnosis, seen: seen.into() })
}

fn held<V: Debug>(row: Option<&V>) -> String {
    row.map_or_else(|| "no row".to_owned(), |row| format!("{row:?}"))
}

impl<P: Pair> Seen<'_, P> {
    /// What the act shows to be wrong.
    pub(super) fn judge(&self) -> Result<(), Verdict> {
        let told = self.calls.iter().any(|(_, called)| *called == Called::Told);
        match self.ending {
            Ending::NeverEnds => verdict(Diagnosis::NeverEnds, "the write was given up on"),
            Ending::Kept => {
                let side = self.calls.last().map_or(Side::New, |(side, _)| *side);
                verdict(Diagnosis::KeepsTransaction, format!("by the {side} side"))
            }
            _ if self.verb == Verb::Read => self.read(),
            Ending::Panicked => self.nothing_stays("a panic"),
            Ending::Dropped => self.both_or_neither(),
            Ending::Failed(_) if told && !self.waited() => self.nothing_stays("an error"),
            _ if told && !self.waited() => self.new_stays_as_it_was(),
            _ => self.quiet(),
        }
    }

    fn old(&self) -> &Row<P::Value> {
        &self.before.rows[self.key]
    }

    fn row(&self) -> &Row<P::Value> {
        &self.after.rows[self.key]
    }

    fn stage(&self) -> Stage {
        self.after.stage
    }

    /// The row that the write was to leave on the authoritative side.
    fn wanted(&self) -> Option<P::Value> {
        let base = match self.stage().authoritative() {
            Side::Legacy => &self.old().legacy,
            Side::New => &self.old().new,
        };
        match self.verb {
            Verb::Put(n) => Some(self.pair.value(n)),
            Verb::PutRefused => self.pair.refused(),
            Verb::Patch(n) => base.clone().map(|row| self.pair.patched(row, n)),
            Verb::Delete => None,
            Verb::Read => base.clone(),
        }
    }

    fn wanted_on_new(&self) -> Option<P::Value> {
        self.wanted().and_then(|row| self.pair.on_new(row))
    }

    /// A side waited for somebody else, although nobody else was there.
    fn waited(&self) -> bool {
        let waited =
            |(_, called): &(Side, Called)| matches!(called, Called::Failed { waited: true, .. });
        self.calls.iter().any(waited)
    }

    fn read(&self) -> Result<(), Verdict> {
        match self.ending {
            Ending::Answered(row) => {
                // In `ramp_down` an instance may not know yet that it is no longer `live`.
                let legacy = self.stage() <= Stage::RampDown && *row == self.old().legacy;
                if legacy || *row == self.old().new {
                    return Ok(());
                }
                let sides = [&self.old().legacy, &self.old().new].map(|row| held(row.as_ref()));
                let seen = format!(
                    "it answers {}, where Legacy holds {} and New {}",
                    held(row.as_ref()),
                    sides[0],
                    sides[1]
                );
                verdict(Diagnosis::ReadsDiffer, seen)
            }
            ending => verdict(Diagnosis::ReadsDiffer, format!("the read ended with {ending:?}")),
        }
    }

    /// The transaction was rolled back.
    fn nothing_stays(&self, after: &str) -> Result<(), Verdict> {
        for (side, old, new) in [
            (Side::Legacy, &self.old().legacy, &self.row().legacy),
            (Side::New, &self.old().new, &self.row().new),
        ] {
            if old != new {
                let (old, new) = (held(old.as_ref()), held(new.as_ref()));
                let seen = format!(
                    "{after} rolled the write back, but {side} now holds {new} instead of {old}"
                );
                return verdict(Diagnosis::WritesOutsideTransaction, seen);
            }
        }
        Ok(())
    }

    /// New's part was undone, and Legacy written alone.
    fn new_stays_as_it_was(&self) -> Result<(), Verdict> {
        if self.row().new != self.old().new && !self.went_with_its_entry() {
            let seen = format!(
                "New's call failed and was rolled back, but New now holds {} instead of {}",
                held(self.row().new.as_ref()),
                held(self.old().new.as_ref())
            );
            return verdict(Diagnosis::WritesOutsideTransaction, seen);
        }
        self.legacy()
    }

    /// In `dual_write` Crossfade deletes New's stale row of a key that goes into quarantine.
    fn went_with_its_entry(&self) -> bool {
        self.stage() == Stage::DualWrite && self.row().marked && self.row().new.is_none()
    }

    /// The write was dropped: it took place as a whole, or not at all.
    fn both_or_neither(&self) -> Result<(), Verdict> {
        let (old, row) = (self.old(), self.row());
        let neither = row.legacy == old.legacy && row.new == old.new;
        let legacy_done = match self.stage() {
            Stage::Complete | Stage::Contracted => row.legacy == old.legacy,
            _ => row.legacy == self.wanted(),
        };
        let new_done = match self.stage() {
            Stage::Off => row.new == old.new,
            Stage::DeleteOnly => row.new.is_none(),
            _ => row.marked || row.new == self.wanted_on_new(),
        };
        if neither || legacy_done && new_done {
            return Ok(());
        }
        let seen = format!(
            "a write whose future was dropped left {} on Legacy and {} on New",
            held(row.legacy.as_ref()),
            held(row.new.as_ref())
        );
        verdict(Diagnosis::WritesOutsideTransaction, seen)
    }

    /// Nothing befell the write.
    fn quiet(&self) -> Result<(), Verdict> {
        let failed = |of: Side| {
            self.calls.iter().rev().find_map(|(side, called)| match called {
                Called::Failed { words, waited } if *side == of => Some((words, *waited)),
                _ => None,
            })
        };
        if let Some((words, _)) = failed(Side::Legacy) {
            return verdict(Diagnosis::LegacyDiffers, format!("Legacy failed: {words}"));
        }
        if let Some((words, waited)) = failed(Side::New) {
            return self.refused(words, waited);
        }
        if self.stage() == Stage::DeleteOnly {
            self.removed()?;
        }
        if let Ending::Failed(words) = self.ending {
            let seen = format!("both sides answered Ok, and the write failed: {words}");
            return verdict(Diagnosis::SwallowsErrors, seen);
        }
        if self.row().marked && !self.old().marked && self.stage() >= Stage::DualWrite {
            let seen = "New answered Ok, and its transaction could not be committed";
            return verdict(Diagnosis::SwallowsErrors, seen);
        }
        self.legacy()?;
        self.others()?;
        if self.stage() >= Stage::DualWrite {
            self.new_row()?;
        }
        Ok(())
    }

    /// New failed by itself.
    fn refused(&self, words: &str, waited: bool) -> Result<(), Verdict> {
        if self.verb == Verb::PutRefused {
            return self.nothing_of_a_refused_row();
        }
        let (old, seen) = (self.old(), format!("New failed: {words}"));
        let diagnosis = match self.verb {
            _ if waited => Diagnosis::WritesOutsideTransaction,
            _ if self.past.removed => Diagnosis::BreaksInDeleteOnly,
            _ if self.past.undone => Diagnosis::RemembersUndoneWrites,
            Verb::Put(_) | Verb::Patch(_) if old.new.is_some() => {
                let by = if self.past.copied { "backfill" } else { "a write before" };
                let seen = format!("onto a row that came by {by}, {seen}");
                return verdict(Diagnosis::NotAnUpsert, seen);
            }
            _ => Diagnosis::RefusesRows,
        };
        verdict(diagnosis, seen)
    }

    fn nothing_of_a_refused_row(&self) -> Result<(), Verdict> {
        if self.row().new == self.old().new || self.went_with_its_entry() {
            return Ok(());
        }
        let seen = format!("New failed and yet holds {}", held(self.row().new.as_ref()));
        verdict(Diagnosis::WritesOutsideTransaction, seen)
    }

    /// In `delete_only` Crossfade deletes New's row itself.
    fn removed(&self) -> Result<(), Verdict> {
        if self.row().new.is_none() && (self.old().marked || !self.row().marked) {
            return Ok(());
        }
        let seen = match &self.row().new {
            Some(row) => format!("New's row was deleted, and New answers {row:?}"),
            None => "New's row could not be deleted".to_owned(),
        };
        verdict(Diagnosis::BreaksInDeleteOnly, seen)
    }

    fn legacy(&self) -> Result<(), Verdict> {
        let writes = self.stage() < Stage::Complete;
        let wanted = if writes { self.wanted() } else { self.old().legacy.clone() };
        if self.row().legacy == wanted {
            return Ok(());
        }
        let (found, wanted) = (held(self.row().legacy.as_ref()), held(wanted.as_ref()));
        verdict(Diagnosis::LegacyDiffers, format!("Legacy holds {found} instead of {wanted}"))
    }

    /// No other key's row may have changed.
    fn others(&self) -> Result<(), Verdict> {
        for (number, (old, row)) in self.before.rows.iter().zip(&self.after.rows).enumerate() {
            if number != self.key && row.new != old.new {
                let (old, row) = (held(old.new.as_ref()), held(row.new.as_ref()));
                let seen =
                    format!("New's row of key {number} changed as well, from {old} to {row}");
                return verdict(Diagnosis::WritesAnotherKey, seen);
            }
        }
        let stray = self.after.strays.difference(&self.before.strays).find(|key| *key != self.name);
        match stray {
            Some(stray) => {
                let seen =
                    format!("the key is {}, and a row of key {stray} came to New", self.name);
                verdict(Diagnosis::WritesAnotherKey, seen)
            }
            None => Ok(()),
        }
    }

    fn new_row(&self) -> Result<(), Verdict> {
        let (old, row, wanted) = (self.old(), self.row(), self.wanted_on_new());
        if row.new == wanted {
            if row.differs && !row.marked {
                let seen = format!("verification finds a difference in {}", held(row.new.as_ref()));
                return verdict(Diagnosis::DiffersFromMapping, seen);
            }
            return Ok(());
        }
        let each_side = P::PATCHING == Patching::EachSide;
        let diagnosis = match self.verb {
            Verb::PutRefused => Diagnosis::SwallowsErrors,
            Verb::Delete => Diagnosis::ForgetsDeletes,
            Verb::Patch(_) if each_side => Diagnosis::ForwardsPartialUpdates,
            _ if row.new.is_none() && self.past.removed => Diagnosis::BreaksInDeleteOnly,
            _ if row.new.is_none() && self.past.undone => Diagnosis::RemembersUndoneWrites,
            _ if row.new.is_none() => Diagnosis::UpdatesOnlyExistingRows,
            _ if row.new == old.new => Diagnosis::NotAnUpsert,
            _ => Diagnosis::StoresAnotherRow,
        };
        let (found, wanted) = (held(row.new.as_ref()), held(wanted.as_ref()));
        verdict(diagnosis, format!("New holds {found} instead of {wanted}"))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::convert::Infallible;

    use crossfade::Db;

    use super::*;

    /// A pair that is never called.
    struct Numbers;

    impl Pair for Numbers {
        type Key = i64;
        type Value = u32;
        type Error = Infallible;

        fn key(&self, n: u32) -> i64 {
            n.into()
        }

        fn value(&self, n: u32) -> u32 {
            n
        }

        async fn put(&self, _: Side, _: Db, _: &i64, _: &u32) -> Result<(), Infallible> {
            Ok(())
        }

        async fn delete(&self, _: Side, _: Db, _: &i64) -> Result<(), Infallible> {
            Ok(())
        }

        async fn get(&self, _: Side, _: Db, _: &i64) -> Result<Option<u32>, Infallible> {
            Ok(None)
        }
    }

    #[track_caller]
    fn check_read(stage: Stage, ending: Ending<u32>, expect: Option<Diagnosis>) {
        let row = Row { legacy: Some(1), new: Some(2), marked: false, differs: false };
        let view = View { stage, rows: vec![row], strays: BTreeSet::new() };
        let seen = Seen {
            pair: &Numbers,
            verb: Verb::Read,
            key: 0,
            name: "0",
            past: Past::default(),
            before: &view,
            after: &view,
            calls: &[],
            ending: &ending,
        };
        assert_eq!(seen.judge().err().map(|verdict| verdict.diagnosis), expect);
    }

    #[test]
    fn a_read_answers_what_a_side_holds() {
        check_read(Stage::Live, Ending::Answered(Some(1)), None);
        check_read(Stage::Live, Ending::Answered(Some(2)), None);
        check_read(Stage::Live, Ending::Answered(Some(3)), Some(Diagnosis::ReadsDiffer));
        check_read(Stage::Complete, Ending::Answered(Some(1)), Some(Diagnosis::ReadsDiffer));
        check_read(Stage::Off, Ending::Failed("gone".to_owned()), Some(Diagnosis::ReadsDiffer));
    }
}
