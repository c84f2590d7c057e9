//! One engine's run: rounds, one after the other, with disturbances until there were enough.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use crossfade::Engine;
use rand::{SeedableRng as _, rngs::StdRng};
use tempfile::TempDir;

use super::account::{Account, EngineSummary};
use super::chaos::{self, Trouble, Troubles, disturb};
use super::fleet::{Fleet, Terms};
use super::judge::Judge;
use super::operator::Operator;
use super::round::{Scene, script};
use super::server::{Server, name_of};
use crate::mechanism::Without;
use crate::oracle::Counts;
use crate::place::{self, Round};

/// Between two looks at the logs.
const LOOK: Duration = Duration::from_millis(200);
/// Between two lines of the account.
const TELL: Duration = Duration::from_secs(2);

/// How long a run is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Extent {
    /// So many acknowledged writes and kills.
    Writes { writes: u64, kills: u64 },
    /// So long, with so many kills.
    Time { limit: Duration, kills: u64 },
}

/// What is asked for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Plan {
    pub(super) engine: Engine,
    pub(super) extent: Extent,
    pub(super) seed: u64,
    pub(super) without: Option<Without>,
    pub(super) account: Account,
}

/// What the rounds of a run share.
#[derive(Debug)]
pub(super) struct Run {
    pub(super) plan: Plan,
    pub(super) server: Server,
    pub(super) began: Instant,
    troubles: Mutex<VecDeque<Trouble>>,
    planned: usize,
    summary: Mutex<EngineSummary>,
    /// What was counted in the rounds before.
    before: Mutex<Counts>,
    pub(super) chance: Mutex<StdRng>,
    logs: TempDir,
}

/// Runs one engine to its end, or, without a mechanism, to the first fault.
pub(super) async fn run(plan: Plan) -> Result<EngineSummary> {
    let server = Server::of(plan.engine).await?;
    let mut chance = StdRng::seed_from_u64(plan.seed);
    let (Extent::Writes { kills, .. } | Extent::Time { kills, .. }) = plan.extent;
    let troubles = chaos::plan(kills, plan.without, &server, &mut chance);
    let summary = EngineSummary { engine: name_of(plan.engine), ..EngineSummary::default() };
    let mut run = Run {
        plan,
        server,
        began: Instant::now(),
        planned: troubles.len(),
        troubles: Mutex::new(troubles.into()),
        summary: Mutex::new(summary),
        before: Mutex::default(),
        chance: Mutex::new(chance),
        logs: tempfile::tempdir().context("make a folder for the logs")?,
    };
    for number in 0.. {
        let round = Round(number);
        Box::pin(run.round(round)).await.with_context(|| {
            format!("round {number} on {} (seed {})", name_of(plan.engine), plan.seed)
        })?;
        if run.is_over() {
            break;
        }
    }
    let mut summary = run.summary().clone();
    summary.seconds = run.began.elapsed().as_secs_f64();
    if summary.faults() > 0 && plan.without.is_none() {
        run.logs.disable_cleanup(true);
        plan.account.line(&format!("the logs are kept in {}", run.logs.path().display()));
    }
    Ok(summary)
}

fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Run {
    /// The summary so far, for a moment.
    pub(super) fn summary(&self) -> MutexGuard<'_, EngineSummary> {
        held(&self.summary)
    }

    /// A generator that begins where the run's stands.
    pub(super) fn chance(&self) -> StdRng {
        StdRng::from_rng(&mut *held(&self.chance))
    }

    /// Whether there was enough of everything, or a fault where one is looked for.
    pub(super) fn is_over(&self) -> bool {
        let out_of_time = match self.plan.extent {
            Extent::Time { limit, .. } => self.began.elapsed() >= limit,
            Extent::Writes { .. } => self.share() >= 1.0 && held(&self.troubles).is_empty(),
        };
        out_of_time || self.has_what_it_looks_for()
    }

    /// Whether a mechanism is missing and that was noticed.
    pub(super) fn has_what_it_looks_for(&self) -> bool {
        self.plan.without.is_some() && self.summary().first_fault.is_some()
    }

    /// How much of the run is behind it, 0.0 to 1.0 and beyond.
    fn share(&self) -> f64 {
        match self.plan.extent {
            Extent::Writes { writes, .. } => {
                self.summary().counts.writes as f64 / writes.max(1) as f64
            }
            Extent::Time { limit, .. } => self.began.elapsed().as_secs_f64() / limit.as_secs_f64(),
        }
    }

    async fn round(&self, round: Round) -> Result<()> {
        let folder = self.logs.path().join(round.0.to_string());
        std::fs::create_dir(&folder).context("make a folder for the round's logs")?;
        let database = place::open(&self.server.url).await?;
        round.prepare(&database).await?;
        let Plan { seed, without, .. } = self.plan;
        let terms = Terms { round, seed, without, folder: folder.clone() };
        let fleet = Fleet::start(terms, &self.server).await?;
        let scene = Scene {
            run: self,
            round,
            fleet: Arc::new(tokio::sync::Mutex::new(fleet)),
            judge: Mutex::new(Judge::new(round, &folder)),
            operator: Operator::new(database, round)?,
        };
        // The script ends with the fleet in its hands, so no trouble is cut short.
        tokio::select! {
            ended = Box::pin(script(&scene)) => ended?,
            failed = Box::pin(self.disturb(&scene)) => failed?,
        }
        self.tell(&scene, "round over")?;
        let counts = held(&scene.judge).oracle.counts();
        held(&self.before).add(&counts);
        self.summary().rounds += 1;
        let faults = self.summary().faults();
        if faults == 0 {
            // Nobody will ask for its stories.
            std::fs::remove_dir_all(&folder).context("remove the round's logs")?;
        }
        Ok(())
    }

    /// Lets troubles come as the run goes on, and tells how it does.
    async fn disturb(&self, scene: &Scene<'_>) -> Result<()> {
        let mut chance = self.chance();
        let mut told = Instant::now();
        loop {
            tokio::time::sleep(LOOK).await;
            self.look(scene)?;
            if told.elapsed() >= TELL {
                told = Instant::now();
                self.tell(scene, "")?;
            }
            let due = {
                let mut troubles = held(&self.troubles);
                let had = self.planned - troubles.len();
                let due = (had as f64) < self.share() * self.planned as f64;
                if due { troubles.pop_front() } else { None }
            };
            let Some(trouble) = due else { continue };
            let mut counts: Troubles = self.summary().troubles;
            let mut fleet = scene.fleet.lock().await;
            let stages = || self.summary().stage_changes;
            disturb(trouble, &mut fleet, &self.server, &mut counts, &mut chance, stages).await?;
            self.summary().troubles = counts;
            if trouble == Trouble::Oversleep {
                // Before what it may have done is written over.
                scene.look(&mut fleet).await?;
            }
        }
    }

    /// Takes in what was logged, and counts it.
    pub(super) fn look(&self, scene: &Scene<'_>) -> Result<()> {
        let mut judge = held(&scene.judge);
        judge.catch_up()?;
        let mut counts = *held(&self.before);
        counts.add(&judge.oracle.counts());
        self.summary().counts = counts;
        Ok(())
    }

    fn tell(&self, scene: &Scene<'_>, what: &str) -> Result<()> {
        self.look(scene)?;
        let summary = self.summary().clone();
        let what = if what.is_empty() { summary.doing.clone() } else { what.to_owned() };
        let seconds = self.began.elapsed().as_secs_f64();
        self.plan.account.progress(&format!("{}: {what}", scene.round.0), seconds, &summary);
        Ok(())
    }
}
