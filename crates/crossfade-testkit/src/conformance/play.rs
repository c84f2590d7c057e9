//! Playing one story to its end, or to the first thing that is wrong.

use std::time::{Duration, Instant};

use crossfade::{Database, Db, Side, Stage};
use crossfade_core::Definition;

use super::act::{Act, Called, Ending};
use super::ground::{Ground, View};
use super::judge::{Past, Seen, Verdict};
use super::story::{KEYS, Mishap, Step, Verb};
use super::{ConformanceError, Diagnosis, Pair};

/// How long a clock of New's own is given to move on.
const TICK: Duration = Duration::from_millis(1500);

/// What every story of a run shares.
pub(super) struct Theatre<'a, P: Pair> {
    pub(super) database: &'a Database,
    pub(super) definition: Definition,
    pub(super) pair: &'a P,
    /// Whether New was not yet given the time to store another row by itself.
    pub(super) may_tick: bool,
    /// How long a write may take.
    pub(super) patience: Duration,
    /// The number of the next story.
    pub(super) next: u32,
    pub(super) played: u32,
    pub(super) steps: u64,
}

/// Where a story showed something.
#[derive(Clone, Debug)]
pub(super) struct Shown {
    pub(super) verdict: Verdict,
    /// How many of its steps it took.
    pub(super) steps: usize,
}

impl<P: Pair> Theatre<'_, P> {
    /// Plays a story with a migration and keys of its own.
    pub(super) async fn play(&mut self, story: &[Step]) -> Result<Option<Shown>, ConformanceError> {
        let number = self.next;
        self.next += 1;
        self.played += 1;
        let ground = Ground::prepare(self.database, &self.definition, self.pair, number).await?;
        let mut play = Play {
            view: ground.view().await?,
            ground,
            patience: self.patience,
            may_tick: self.may_tick,
            past: [Past::default(); KEYS],
        };
        for (index, step) in story.iter().enumerate() {
            self.steps += 1;
            if let Err(verdict) = play.step(*step).await? {
                let steps = index + 1;
                self.may_tick &= verdict.diagnosis != Diagnosis::StoresAnotherRow;
                if !verdict.diagnosis.ends_the_run() {
                    play.ground.leave().await?;
                }
                return Ok(Some(Shown { verdict, steps }));
            }
        }
        play.ground.leave().await?;
        Ok(None)
    }
}

/// A story under way.
struct Play<'a, P: Pair> {
    ground: Ground<'a, P>,
    patience: Duration,
    may_tick: bool,
    view: View<P::Value>,
    past: [Past; KEYS],
}

impl<P: Pair> Play<'_, P> {
    async fn step(&mut self, step: Step) -> Result<Result<(), Verdict>, ConformanceError> {
        match step {
            Step::Go(stage) => self.ground.go(stage).await?,
            Step::Backfill => self.ground.backfill().await?,
            Step::Repair => self.ground.repair().await?,
            Step::Flag(on) => self.ground.flag(on),
            Step::Act { verb, key, mishap } => return self.act(verb, key, mishap).await,
        }
        let before = std::mem::replace(&mut self.view, self.ground.view().await?);
        let rows = before.rows.iter().zip(&self.view.rows);
        for (past, (old, row)) in self.past.iter_mut().zip(rows) {
            past.copied |= old.new.is_none() && row.new.is_some();
            past.removed &= row.new.is_none();
            past.undone &= row.new.is_none();
        }
        Ok(if step == Step::Backfill { self.copied() } else { Ok(()) })
    }

    /// What backfill left must be what the pair says of its mapping.
    fn copied(&self) -> Result<(), Verdict> {
        if self.view.stage != Stage::DualWrite {
            return Ok(());
        }
        for (key, row) in self.view.rows.iter().enumerate() {
            let mapped = self.ground.mapped(row.legacy.clone());
            if !row.marked && row.new != mapped {
                let seen = format!(
                    "after the backfill New answers {:?} for key {key}, and the pair says that \
                     the mapping yields {mapped:?}",
                    row.new
                );
                return Err(Verdict { diagnosis: Diagnosis::DiffersFromMapping, seen });
            }
        }
        Ok(())
    }

    async fn act(
        &mut self,
        verb: Verb,
        key: usize,
        mishap: Mishap,
    ) -> Result<Result<(), Verdict>, ConformanceError> {
        if !self.makes_sense(verb, key) {
            return Ok(Ok(()));
        }
        let act = Act::new(&self.ground, verb, key, mishap);
        let ending = act.carry_out(self.patience).await;
        let calls = act.calls();
        if matches!(ending, Ending::Dropped) {
            self.ground.settle(key).await?;
        }
        let after = match ending {
            // Its transaction may still hold what a look at the rows would wait for.
            Ending::Kept | Ending::NeverEnds => self.view.clone(),
            _ => self.ground.view().await?,
        };
        let name = &self.ground.names[key];
        let seen = Seen {
            pair: self.ground.pair,
            verb,
            key,
            name: &name.text(),
            past: self.past[key],
            before: &self.view,
            after: &after,
            calls: &calls,
            ending: &ending,
        };
        let verdict = seen.judge();
        let whole = matches!(ending, Ending::Written)
            && !calls.iter().any(|(_, called)| *called == Called::Told);
        self.remember(verb, key, whole, &after);
        self.view = after;
        Ok(match verdict {
            Err(verdict) => Err(self.look_again(verb, key, verdict).await?),
            Ok(()) => Ok(()),
        })
    }

    /// A patch needs a row, and one that New will not refuse for what the patch leaves alone.
    fn makes_sense(&self, verb: Verb, key: usize) -> bool {
        let row = &self.view.rows[key];
        match verb {
            Verb::PutRefused => self.ground.pair.refused().is_some(),
            Verb::Patch(_) => {
                let base = match self.view.stage.authoritative() {
                    Side::Legacy => &row.legacy,
                    Side::New => &row.new,
                };
                base.is_some() && !self.past[key].refused
            }
            Verb::Put(_) | Verb::Delete | Verb::Read => true,
        }
    }

    fn remember(&mut self, verb: Verb, key: usize, whole: bool, after: &View<P::Value>) {
        let (old, row, past) = (&self.view.rows[key], &after.rows[key], &mut self.past[key]);
        if verb == Verb::Read {
            return;
        }
        if row.legacy != old.legacy {
            past.refused = verb == Verb::PutRefused;
        }
        if after.stage == Stage::DeleteOnly && old.new.is_some() && row.new.is_none() {
            past.removed = true;
        }
        past.undone |= !whole;
        past.removed &= row.new.is_none();
        past.undone &= row.new.is_none();
        past.copied &= row.new == old.new;
    }

    /// Tells apart what looks alike in one act.
    async fn look_again(
        &self,
        verb: Verb,
        key: usize,
        verdict: Verdict,
    ) -> Result<Verdict, ConformanceError> {
        let pair = self.ground.pair;
        let row = match verb {
            Verb::Put(n) => Some(pair.value(n)),
            Verb::Patch(n) => self.view.rows[key].legacy.clone().map(|row| pair.patched(row, n)),
            _ => None,
        };
        let Some(row) = row else { return Ok(verdict) };
        Ok(match verdict.diagnosis {
            Diagnosis::StoresAnotherRow if self.may_tick => {
                self.another_each_time(key, &row, verdict).await?
            }
            Diagnosis::NotAnUpsert if self.refused_elsewhere(key, &row).await => {
                Verdict { diagnosis: Diagnosis::RefusesRows, ..verdict }
            }
            _ => verdict,
        })
    }

    /// Tells a row of New's own making from one that is always made in the same way, by putting
    /// the same row until another one is stored.
    async fn another_each_time(
        &self,
        key: usize,
        row: &P::Value,
        verdict: Verdict,
    ) -> Result<Verdict, ConformanceError> {
        let first = &self.view.rows[key].new;
        let begun = Instant::now();
        while begun.elapsed() < TICK {
            let db = Db::from(self.ground.database);
            let put = self.ground.pair.put(Side::New, db, &self.ground.keys[key], row).await;
            let found = self.ground.get(Side::New, key).await?;
            if put.is_err() || found != *first {
                let seen = format!("{}, and {found:?} when handed it once more", verdict.seen);
                return Ok(Verdict { diagnosis: Diagnosis::OwnClockOrId, seen });
            }
        }
        Ok(verdict)
    }

    /// Whether New refuses the row also where it has none of that key.
    async fn refused_elsewhere(&self, key: usize, row: &P::Value) -> bool {
        let free = |other: &usize| *other != key && self.view.rows[*other].new.is_none();
        let Some(other) = (0..KEYS).find(free) else { return false };
        let db = Db::from(self.ground.database);
        self.ground.pair.put(Side::New, db, &self.ground.keys[other], row).await.is_err()
    }
}
