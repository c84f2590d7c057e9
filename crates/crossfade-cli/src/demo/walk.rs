//! The way from `off` to `contracted`, with a fault and a rollback on it.

use std::time::{Duration, Instant};

use crossfade::Stage;
use tokio::time::sleep;

use super::{
    Result,
    account::{Account, Summary, rounded},
    compare::{self, Wrong},
    domain::new::NewReads,
    log::Log,
    operator::Operator,
    traffic::Traffic,
};
use crate::failure::{Exit, Failure};

/// Steps that the time of the demo is shared out to.
const STEPS: u32 = 18;

/// Shares of users that read New, on the first way up and on the one after the rollback.
const RAMP: [f64; 5] = [1.0, 5.0, 25.0, 50.0, 100.0];
const SECOND_RAMP: [f64; 2] = [50.0, 100.0];

/// How long New must not have answered any read to count as left, and how long that may take.
const QUIET: Duration = Duration::from_millis(500);
const LONGEST_ROLLBACK: Duration = Duration::from_secs(15);

/// How often a counter is looked at.
const POLL: Duration = Duration::from_millis(10);

/// Everything that the way leads past.
#[derive(Clone, Copy)]
pub(super) struct Scene<'a> {
    pub(super) operator: &'a Operator,
    pub(super) traffic: &'a Traffic,
    pub(super) log: &'a Log,
    pub(super) account: Account,
}

/// Walks the migration to its end and enters what came of it into `summary`.
pub(super) async fn walk(scene: Scene<'_>, time: Duration, summary: &mut Summary) -> Result<()> {
    let began = Instant::now();
    scene.account.heads();
    let bake = scene.operator.definition().gates.bake_time + Duration::from_millis(200);
    let mut walk = Walk { scene, pause: time / STEPS, summary };
    walk.up_to_live().await?;
    walk.ramp(&RAMP).await?;
    walk.fault().await?;
    walk.rollback().await?;
    walk.ramp(&SECOND_RAMP).await?;
    walk.verify(bake).await?;
    walk.down_to_contracted(bake).await?;
    let left = time.saturating_sub(began.elapsed());
    if !left.is_zero() {
        walk.step("contracted", left, async { Ok(()) }, nothing).await?;
    }
    Ok(())
}

struct Walk<'a, 's> {
    scene: Scene<'a>,
    /// How long the traffic goes on after each step.
    pause: Duration,
    summary: &'s mut Summary,
}

impl Walk<'_, '_> {
    async fn up_to_live(&mut self) -> Result<()> {
        let Scene { operator, .. } = self.scene;
        let pause = self.pause;
        self.step("off", pause, async { Ok(()) }, nothing).await?;
        self.step("expand", pause, operator.expand(), nothing).await?;
        for stage in [Stage::DeleteOnly, Stage::DualWrite] {
            self.step(stage.as_str(), pause, operator.advance(stage), nothing).await?;
        }
        let report = self
            .step("backfill", Duration::ZERO, operator.backfill(), |report| {
                let rate = report.read as f64 / report.elapsed.as_secs_f64().max(1e-3);
                format!("{} rows, {rate:.0} rows/s", report.read)
            })
            .await?;
        let rate = report.read as f64 / report.elapsed.as_secs_f64().max(1e-3);
        self.summary.backfill_rows_per_s = rate.round();
        self.verify(Duration::ZERO).await?;
        self.step("live", pause, operator.advance(Stage::Live), nothing).await
    }

    async fn verify(&mut self, least: Duration) -> Result<()> {
        let operator = self.scene.operator;
        let pause = self.pause.max(least);
        let report = self
            .step("verify", pause, operator.verify(), |report| {
                format!("{} keys, {} differ", report.compared, report.found.total())
            })
            .await?;
        self.summary.differing += report.found.total() + report.quarantined;
        for key in [&report.samples.differing, &report.samples.missing, &report.samples.orphaned]
            .into_iter()
            .flatten()
        {
            self.scene.log.find(|| format!("verify: user {key} differs"));
        }
        Ok(())
    }

    async fn ramp(&mut self, percents: &[f64]) -> Result<()> {
        let operator = self.scene.operator;
        for percent in percents {
            let name = format!("live at {percent} %");
            let flip = operator.read_new(*percent);
            self.step(&name, self.pause, flip, nothing).await?;
        }
        Ok(())
    }

    /// Reads of New fail for a while; every one of them falls back to Legacy within its call.
    async fn fault(&mut self) -> Result<()> {
        let traffic = self.scene.traffic;
        let pause = self.pause;
        let fault = async {
            traffic.set_new_reads(NewReads::Fail);
            sleep(pause).await;
            traffic.set_new_reads(NewReads::Work);
            Ok(())
        };
        self.step("fault on New", Duration::ZERO, fault, |()| {
            "New failed; its reads fell back to Legacy".to_owned()
        })
        .await?;
        let mended = Instant::now();
        while traffic.tally().new_answered_after(mended).is_zero() {
            if mended.elapsed() > LONGEST_ROLLBACK {
                return Err(Failure::new(Exit::Failed, "New answers no reads after the fault"));
            }
            sleep(POLL).await;
        }
        Ok(())
    }

    async fn rollback(&mut self) -> Result<()> {
        let Scene { operator, traffic, .. } = self.scene;
        let rollback = async {
            let began = Instant::now();
            operator.rollback().await?;
            loop {
                let answered = traffic.tally().new_answered_after(began);
                if began.elapsed() >= answered + QUIET {
                    return Ok(answered);
                }
                if began.elapsed() > LONGEST_ROLLBACK {
                    return Err(Failure::new(Exit::Failed, "the rollback is not noticed"));
                }
                sleep(POLL).await;
            }
        };
        let took = self
            .step("rollback", self.pause, rollback, |took| {
                format!("New answered its last read after {:.0} ms", took.as_secs_f64() * 1e3)
            })
            .await?;
        self.summary.rollback_ms = rounded(took.as_secs_f64() * 1e3);
        Ok(())
    }

    async fn down_to_contracted(&mut self, bake: Duration) -> Result<()> {
        let Scene { operator, traffic, log, .. } = self.scene;
        let pause = self.pause;
        let ramp_down = operator.advance(Stage::RampDown);
        self.step("ramp_down", pause.max(bake), ramp_down, nothing).await?;
        self.verify(Duration::ZERO).await?;
        let complete = async {
            let paused = traffic.pause().await;
            let wrong = compare::both_sides(operator.database(), log).await?;
            drop(paused);
            operator.advance(Stage::Complete).await?;
            Ok(wrong)
        };
        let wrong = self.step("complete", pause, complete, equal).await?;
        self.summary.enter(wrong);
        self.step("contract", pause, operator.contract(), nothing).await
    }

    /// Takes one step, lets the traffic go on for a while and tells how it went.
    async fn step<T>(
        &mut self,
        name: &str,
        pause: Duration,
        work: impl Future<Output = Result<T>>,
        note: impl FnOnce(&T) -> String,
    ) -> Result<T> {
        let tally = self.scene.traffic.tally();
        let (began, before) = (Instant::now(), tally.counts());
        let done = work.await.map_err(|failure| at(name, failure))?;
        sleep(pause).await;
        let counts = tally.counts().since(before);
        let report = self.scene.account.stage(name, began.elapsed(), counts, &note(&done));
        self.summary.stages.push(report);
        Ok(done)
    }
}

fn nothing(_: &()) -> String {
    String::new()
}

fn equal(wrong: &Wrong) -> String {
    match wrong.total() {
        0 => "log, Legacy and New were equal before it".to_owned(),
        total => format!("{total} keys were wrong before it"),
    }
}

/// Says at which step the demo failed.
fn at(step: &str, mut failure: Failure) -> Failure {
    let message = format!("the demo failed at `{step}`");
    failure.causes.insert(0, std::mem::replace(&mut failure.message, message));
    failure
}
