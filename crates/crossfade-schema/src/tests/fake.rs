//! The ports in memory, as far as scripts ask for them.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use crossfade_core::check::Survey;
use crossfade_core::{Definition, Epoch, Facts, MigrationName, MigrationState, Pinned, TableName};
use crossfade_store::{
    AuditEntry, AuditRecord, CatalogStore, Changes, ControlStore, EpochHolder, Heartbeat,
    InstanceRecord, Problem, Registration, SchemaStore, ScriptStep, StageChange, Statement,
    StatementError, StepRun, StoreError, StoreErrorKind, Surroundings, SurveyRequest, Timeouts,
};

#[derive(Debug, Default)]
pub(super) struct Inner {
    pub(super) done: BTreeMap<u32, String>,
    pub(super) ran: Vec<(String, Timeouts)>,
    /// Tries for a lock that still fail.
    pub(super) locked_for: u32,
    /// The statement that the database refuses, and where it points.
    pub(super) refused: Option<(&'static str, usize)>,
    /// Digest of the step that another operator records in the same moment.
    pub(super) rival: Option<String>,
    /// Whether statements take longer than they may.
    pub(super) slow: bool,
    pub(super) tries: u32,
    pub(super) problems: Vec<Problem>,
    pub(super) registered: bool,
}

#[derive(Debug, Default)]
pub(super) struct Fake(Mutex<Inner>);

impl Fake {
    pub(super) fn get(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn error(kind: StoreErrorKind) -> StoreError {
    StoreError::new(kind, "the fake says so")
}

#[async_trait]
impl CatalogStore for Fake {
    async fn survey(&self, _: SurveyRequest<'_>) -> Result<Survey, StoreError> {
        Ok(Survey::default())
    }
}

#[async_trait]
impl SchemaStore for Fake {
    async fn advance_sequences(&self, _: &Definition) -> Result<Vec<String>, StoreError> {
        unreachable!()
    }

    fn engine(&self) -> &'static str {
        "postgres"
    }

    async fn surroundings(&self) -> Result<Surroundings, StoreError> {
        Ok(Surroundings::default())
    }

    async fn resolve(
        &self,
        table: &TableName,
        _: &Pinned,
    ) -> Result<Option<TableName>, StoreError> {
        Ok(Some(table.clone()))
    }

    async fn new_has_rows(&self, _: &Definition) -> Result<Option<bool>, StoreError> {
        Ok(None)
    }

    async fn definition_problems(&self, _: &Definition) -> Result<Vec<Problem>, StoreError> {
        Ok(self.get().problems.clone())
    }

    async fn step_done(&self, step: ScriptStep<'_>) -> Result<Option<String>, StoreError> {
        Ok(self.get().done.get(&step.position).cloned())
    }

    async fn run_step(
        &self,
        step: ScriptStep<'_>,
        statement: &Statement,
        timeouts: Timeouts,
    ) -> Result<StepRun, StatementError> {
        let mut inner = self.get();
        inner.tries += 1;
        if let Some(digest) = inner.rival.clone() {
            return Ok(StepRun::DoneBefore { digest });
        }
        if inner.slow {
            let error = error(StoreErrorKind::StatementTimeout);
            return Err(StatementError { error, offset: None });
        }
        if inner.locked_for > 0 {
            inner.locked_for -= 1;
            return Err(StatementError { error: error(StoreErrorKind::LockTimeout), offset: None });
        }
        if let Some((text, offset)) = inner.refused
            && statement.text == text
        {
            let offset = Some(offset);
            return Err(StatementError { error: error(StoreErrorKind::Database), offset });
        }
        inner.done.insert(step.position, step.digest.to_owned());
        inner.ran.push((statement.text.clone(), timeouts));
        Ok(StepRun::Ran)
    }

    async fn legacy_grants(&self, _: &Definition) -> Result<Vec<String>, StoreError> {
        unreachable!()
    }

    async fn revoke_legacy(&self, _: &Definition) -> Result<Vec<String>, StoreError> {
        unreachable!()
    }

    async fn truncate_new(&self, _: &Definition, _: Timeouts) -> Result<(), StoreError> {
        unreachable!()
    }
}

#[async_trait]
impl Changes for Fake {
    async fn changed(&self, _: u64) -> Result<u64, StoreError> {
        unreachable!()
    }
}

#[async_trait]
impl ControlStore for Fake {
    async fn register(&self, _: &Definition, _: &str) -> Result<Registration, StoreError> {
        let before = std::mem::replace(&mut self.get().registered, true);
        Ok(if before { Registration::Unchanged } else { Registration::Created })
    }

    async fn migration(&self, _: &MigrationName) -> Result<MigrationState, StoreError> {
        Err(error(StoreErrorKind::NotFound))
    }

    async fn install(&self) -> Result<Vec<String>, StoreError> {
        unreachable!()
    }

    async fn migrations(&self) -> Result<Vec<MigrationState>, StoreError> {
        unreachable!()
    }

    async fn facts(&self, _: &MigrationState) -> Result<Facts, StoreError> {
        unreachable!()
    }

    async fn append_epoch(&self, _: StageChange<'_>) -> Result<Epoch, StoreError> {
        unreachable!()
    }

    async fn close_epoch(
        &self,
        _: &MigrationName,
        _: Epoch,
        _: Duration,
    ) -> Result<(), StoreError> {
        unreachable!()
    }

    async fn epoch_holders(
        &self,
        _: &MigrationName,
        _: Epoch,
    ) -> Result<Vec<EpochHolder>, StoreError> {
        unreachable!()
    }

    async fn terminate(
        &self,
        _: &MigrationName,
        _: Epoch,
        _: &EpochHolder,
    ) -> Result<bool, StoreError> {
        unreachable!()
    }

    async fn heartbeat(&self, _: Heartbeat<'_>) -> Result<(), StoreError> {
        unreachable!()
    }

    async fn sign_off(&self, _: &str) -> Result<(), StoreError> {
        unreachable!()
    }

    async fn instances(&self, _: &MigrationName) -> Result<Vec<InstanceRecord>, StoreError> {
        unreachable!()
    }

    async fn quarantine(
        &self,
        _: &MigrationName,
        _: u32,
    ) -> Result<Vec<(String, String)>, StoreError> {
        unreachable!()
    }

    async fn audit(&self, _: AuditEntry<'_>) -> Result<(), StoreError> {
        unreachable!()
    }

    async fn audit_trail(&self, _: u32) -> Result<Vec<AuditRecord>, StoreError> {
        unreachable!()
    }

    async fn now_ms(&self) -> Result<i64, StoreError> {
        unreachable!()
    }
}
