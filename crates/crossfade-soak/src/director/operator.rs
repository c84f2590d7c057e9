//! The operator: does what the commands of `crossfade` do, again and again until it is done.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use crossfade::{Database, Stage};
use crossfade_control::{
    Advance, AdvanceError, FlagChange, FlagEdit, NewRows, Patience, Stores, advance, change_flag,
    rollback,
};
use crossfade_core::{Approval, Epoch, FlagKey, MigrationName};
use crossfade_store::{ControlStore as _, SchemaStore as _, StageChange, Timeouts};
use rand::{RngExt as _, rngs::StdRng};

use crate::place::Round;

const ACTOR: &str = "soak";
const REASON: &str = "soak";
/// How long a stage may take to be reached, crashes, stops and leases of the dead included.
const PATIENCE: Duration = Duration::from_secs(120);
const AGAIN: Duration = Duration::from_millis(100);

/// Changes stages and flags of one round.
#[derive(Debug)]
pub(super) struct Operator {
    /// Connected to the server itself.
    pub(super) database: Database,
    name: MigrationName,
    flag: FlagKey,
}

impl Operator {
    /// Of a round.
    pub(super) fn new(database: Database, round: Round) -> Result<Self> {
        let (name, flag) = (round.migration().parse()?, round.flag().parse()?);
        Ok(Self { database, name, flag })
    }

    /// `crossfade stage NAME STAGE`, at times cut short.
    pub(super) async fn go(&self, to: Stage, chance: &mut StdRng) -> Result<()> {
        let request = Advance {
            migration: &self.name,
            to,
            actor: ACTOR,
            reason: REASON,
            approval: Approval {
                approved_by: Some(ACTOR.to_owned()),
                accepted_loss: Some(self.name.to_string()),
            },
            new_rows: NewRows::Truncate,
            patience: Patience { writers: Duration::from_secs(5), ..Patience::default() },
        };
        if chance.random_range(0..4) == 0 {
            let short = Duration::from_millis(chance.random_range(1..30));
            let cut = advance(Stores::of(&self.database), &request);
            let _ = tokio::time::timeout(short, Box::pin(cut)).await;
        }
        self.until_done(&format!("reach `{to}`"), async || {
            match Box::pin(advance(Stores::of(&self.database), &request)).await {
                Ok(_) => Ok(()),
                Err(AdvanceError::Refused { refusals, .. }) => {
                    let reasons: Vec<String> = refusals.iter().map(ToString::to_string).collect();
                    Err(reasons.join("; "))
                }
                Err(error) => Err(format!("{:#}", anyhow::Error::from(error))),
            }
        })
        .await
    }

    /// `crossfade flag set`
    pub(super) async fn read_new(&self, percent: f64) -> Result<()> {
        let edit = FlagEdit::Percent(percent);
        let change = FlagChange { flag: &self.flag, edit, actor: ACTOR, reason: REASON };
        self.until_done("flip the flag", async || {
            let changed = Box::pin(change_flag(Stores::of(&self.database), change)).await;
            changed.map(drop).map_err(|error| format!("{:#}", anyhow::Error::from(error)))
        })
        .await
    }

    /// `crossfade rollback NAME`
    pub(super) async fn roll_back(&self) -> Result<()> {
        self.until_done("roll back", async || {
            let stores = Stores::of(&self.database);
            let patience = Patience { writers: Duration::from_secs(5), ..Patience::default() };
            let rolled = Box::pin(rollback(stores, &self.name, ACTOR, REASON, patience)).await;
            rolled.map(drop).map_err(|error| format!("{:#}", anyhow::Error::from(error)))
        })
        .await
    }

    /// From `off` to `dual_write`, or back, past `delete_only`, as no command would. The epoch
    /// before is left open.
    pub(super) async fn skip(&self, to: Stage) -> Result<Epoch> {
        let state = self.database.migration(&self.name).await?;
        if to == Stage::DualWrite {
            let timeouts =
                Timeouts { lock: Duration::from_secs(1), statement: Duration::from_secs(10) };
            self.database.truncate_new(&state.definition, timeouts).await?;
        }
        let change = StageChange {
            migration: &self.name,
            definition: &state.definition,
            from_epoch: state.epoch,
            from: state.stage,
            to,
            actor: ACTOR,
            reason: REASON,
        };
        self.database.append_epoch(change).await?;
        Ok(state.epoch)
    }

    /// Closes what [`skip`](Self::skip) has left open.
    pub(super) async fn close(&self, epoch: Epoch) -> Result<()> {
        let wait = Duration::from_millis(500);
        self.until_done("close an epoch", async || {
            let closed = self.database.close_epoch(&self.name, epoch, wait).await;
            closed.map_err(|error| format!("{:#}", anyhow::Error::from(error)))
        })
        .await
    }

    async fn until_done(
        &self,
        what: &str,
        work: impl AsyncFn() -> Result<(), String>,
    ) -> Result<()> {
        let began = Instant::now();
        loop {
            // Whoever waits for a server that is gone waits for ever.
            let done = tokio::time::timeout(PATIENCE / 2, work()).await;
            let why = match done {
                Ok(Ok(())) => return Ok(()),
                Ok(Err(why)) => why,
                Err(_) => "it hangs".to_owned(),
            };
            if began.elapsed() > PATIENCE {
                bail!("could not {what} within {PATIENCE:?}: {why}");
            }
            tokio::time::sleep(AGAIN).await;
        }
    }
}
