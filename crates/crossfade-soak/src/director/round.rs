//! One round: a migration from `off` to `complete`, with steps back on the way, looked at between
//! the steps.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use crossfade::{Side, Stage};
use crossfade_store::ControlStore as _;
use rand::{RngExt as _, rngs::StdRng};
use rustix::process::Signal;

use super::fleet::Fleet;
use super::judge::Judge;
use super::operator::Operator;
use super::run::Run;
use crate::mechanism::Without;
use crate::oracle::{Finding, Moment};
use crate::place::{APPLICATIONS, Round};
use crate::record::now;
use crate::rows::{Row, Snapshot};

/// Findings that are kept word for word.
const KEPT: usize = 20;
/// How long the database may take to show its rows.
const PATIENCE: Duration = Duration::from_secs(60);

/// What a round's script works with.
pub(super) struct Scene<'a> {
    pub(super) run: &'a Run,
    pub(super) round: Round,
    pub(super) fleet: Arc<tokio::sync::Mutex<Fleet>>,
    pub(super) judge: Mutex<Judge>,
    pub(super) operator: Operator,
}

/// Goes through the stages. Ends with everybody at rest and the last look taken.
pub(super) async fn script(scene: &Scene<'_>) -> Result<()> {
    let mut chance = scene.run.chance();
    let chance = &mut chance;
    scene.dwell("off", chance).await?;
    let turns = if scene.run.plan.without.is_some() { 8 } else { chance.random_range(1..3) };
    for _ in 0..turns {
        if scene.enough() {
            break;
        }
        if scene.run.plan.without == Some(Without::DeleteOnly) {
            scene.skip_delete_only(chance).await?;
            continue;
        }
        scene.go(Stage::DeleteOnly, chance).await?;
        scene.go(Stage::DualWrite, chance).await?;
        if scene.run.plan.without == Some(Without::SourceLock) {
            scene.watch_backfill(chance).await?;
        }
        scene.go(Stage::DeleteOnly, chance).await?;
        if chance.random() {
            scene.go(Stage::DualWrite, chance).await?;
            scene.go(Stage::DeleteOnly, chance).await?;
        }
        scene.go(Stage::Off, chance).await?;
    }
    for stage in [Stage::DeleteOnly, Stage::DualWrite, Stage::Live] {
        scene.go(stage, chance).await?;
    }
    for percent in [10.0, 50.0, 100.0, 0.0] {
        scene.flip(percent, chance).await?;
    }
    for _ in 0..2 {
        for _ in 0..chance.random_range(0..4) {
            let percent = chance.random_range(0..=100);
            scene.flip(f64::from(percent), chance).await?;
        }
        scene.flip(100.0, chance).await?;
        scene.go(Stage::RampDown, chance).await?;
        scene.roll_back(chance).await?;
    }
    scene.flip(100.0, chance).await?;
    scene.go(Stage::RampDown, chance).await?;
    scene.go(Stage::Complete, chance).await?;
    let mut fleet = scene.fleet.lock().await;
    scene.look(&mut fleet).await
}

impl Scene<'_> {
    /// Whether there is no need to go on.
    fn enough(&self) -> bool {
        self.run.is_over()
    }

    async fn go(&self, to: Stage, chance: &mut StdRng) -> Result<()> {
        if self.run.has_what_it_looks_for() {
            return Ok(());
        }
        self.doing(&format!("to {to}"));
        Box::pin(self.operator.go(to, chance)).await?;
        self.run.summary().stage_changes += 1;
        self.dwell(to.as_str(), chance).await
    }

    async fn flip(&self, percent: f64, chance: &mut StdRng) -> Result<()> {
        if self.run.has_what_it_looks_for() {
            return Ok(());
        }
        Box::pin(self.operator.read_new(percent)).await?;
        self.run.summary().flips += 1;
        self.dwell(&format!("flag at {percent} %"), chance).await
    }

    async fn roll_back(&self, chance: &mut StdRng) -> Result<()> {
        if self.run.has_what_it_looks_for() {
            return Ok(());
        }
        Box::pin(self.operator.roll_back()).await?;
        self.run.summary().stage_changes += 1;
        self.run.summary().flips += 1;
        self.dwell("rolled back", chance).await
    }

    fn doing(&self, what: &str) {
        what.clone_into(&mut self.run.summary().doing);
    }

    /// Lets the traffic go on for a while, and looks, unless a process stands still just now.
    async fn dwell(&self, what: &str, chance: &mut StdRng) -> Result<()> {
        self.doing(what);
        if !self.enough() {
            tokio::time::sleep(Duration::from_millis(chance.random_range(150..600))).await;
        }
        match self.fleet.try_lock() {
            Ok(mut fleet) => self.look(&mut fleet).await,
            Err(_) => Ok(()),
        }
    }

    /// Looks again and again while workers copy, before writers write over what they did.
    async fn watch_backfill(&self, chance: &mut StdRng) -> Result<()> {
        for _ in 0..12 {
            if self.enough() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(chance.random_range(30..150))).await;
            let mut fleet = self.fleet.lock().await;
            self.look(&mut fleet).await?;
        }
        Ok(())
    }

    /// `off` and `dual_write` beside each other, as nothing in Crossfade would allow: a process
    /// that stands still for a moment goes on in `off`, while others already write both sides.
    async fn skip_delete_only(&self, chance: &mut StdRng) -> Result<()> {
        for to in [Stage::DualWrite, Stage::Off] {
            if self.enough() {
                return Ok(());
            }
            self.doing("past delete_only");
            let mut fleet = self.fleet.lock().await;
            let asleep = chance.random_range(0..APPLICATIONS as usize);
            fleet.signal(asleep, Signal::STOP)?;
            let epoch = self.operator.skip(to).await?;
            tokio::time::sleep(Duration::from_millis(300)).await;
            fleet.signal(asleep, Signal::CONT)?;
            tokio::time::sleep(Duration::from_millis(chance.random_range(1..60))).await;
            self.operator.close(epoch).await?;
            self.run.summary().stage_changes += 1;
            self.look(&mut fleet).await?;
        }
        Ok(())
    }

    /// Everybody comes to rest, and logs and rows are judged.
    pub(super) async fn look(&self, fleet: &mut Fleet) -> Result<()> {
        fleet.pause().await?;
        let (snapshot, moment) = self.snapshot().await?;
        self.run.look(self)?;
        let findings = {
            let mut judge = self.judge.lock().unwrap_or_else(PoisonError::into_inner);
            judge.oracle.judge_looks();
            judge.oracle.judge_rows(&snapshot, moment);
            let findings = judge.oracle.take_findings();
            findings
                .into_iter()
                .map(|finding| {
                    let story = finding.key.map_or_else(|| Ok(Vec::new()), |key| judge.story(key));
                    Ok((finding, story?))
                })
                .collect::<Result<Vec<_>>>()?
        };
        for (finding, story) in findings {
            self.tell(&finding, &story, &snapshot);
        }
        for accident in std::mem::take(&mut fleet.accidents) {
            self.tell(&Finding { text: accident, key: None }, &[], &snapshot);
            self.run.summary().accidents += 1;
        }
        self.run.look(self)?;
        fleet.resume().await
    }

    fn tell(&self, finding: &Finding, story: &[String], snapshot: &Snapshot) {
        let account = self.run.plan.account;
        let seconds = self.run.began.elapsed().as_secs_f64();
        let told = {
            let mut summary = self.run.summary();
            summary.first_fault.get_or_insert(seconds);
            let told = summary.findings.len();
            if told < KEPT {
                summary.findings.push(finding.text.clone());
            }
            told
        };
        if told >= KEPT {
            return;
        }
        account.line(&format!("! {:.1} s, seed {}: {}", seconds, self.run.plan.seed, finding.text));
        let Some(key) = finding.key else { return };
        // Where a fault is looked for, the first story is enough.
        if self.run.plan.without.is_some() && told > 0 {
            return;
        }
        for (side, rows) in [(Side::Legacy, &snapshot.legacy), (Side::New, &snapshot.new)] {
            let row: Option<&Row> = rows
                .iter()
                .find(|(text, _)| self.round.key_of(text) == Some(key))
                .map(|(_, row)| row);
            account.line(&format!("    {side}: {row:?}"));
        }
        for line in story {
            account.line(&format!("    {line}"));
        }
    }

    /// The rows, and the stage in which they were as they are: what is true of a stage is so while
    /// the one before is still open.
    async fn snapshot(&self) -> Result<(Snapshot, Moment)> {
        let began = Instant::now();
        loop {
            let why = match Box::pin(self.try_snapshot()).await {
                Ok(Some(taken)) => return Ok(taken),
                Ok(None) => "the stage changes again and again".to_owned(),
                Err(error) => format!("{error:#}"),
            };
            if began.elapsed() > PATIENCE {
                bail!("the rows cannot be read: {why}");
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// `None` when the stage was changed meanwhile.
    async fn try_snapshot(&self) -> Result<Option<(Snapshot, Moment)>> {
        let (database, name) = (&self.operator.database, self.round.migration().parse()?);
        let from = now();
        let before = database.migration(&name).await?;
        let snapshot = Snapshot::take(database, self.round).await?;
        let after = database.migration(&name).await?;
        let moment = Moment { from, to: now(), stage: after.stage };
        Ok((before.epoch == after.epoch).then_some((snapshot, moment)))
    }
}
