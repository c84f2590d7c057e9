//! The control tables behind the port `ControlStore`.

mod audit;
mod epochs;
mod facts;
mod instances;
#[cfg(feature = "mysql")]
mod mariadb;
pub(crate) mod states;

use std::time::Duration;

use async_trait::async_trait;
use crossfade_core::{Definition, Epoch, Facts, MigrationName, MigrationState};
use crossfade_store::{
    AuditEntry, AuditRecord, ControlStore, EpochHolder, Heartbeat, InstanceRecord, Registration,
    StageChange, StoreError,
};

pub(crate) use audit::append_audit;

use crate::Database;
use crate::error::Doing;
use crate::install::install;
use crate::value::args;

#[async_trait]
impl ControlStore for Database {
    async fn install(&self) -> Result<Vec<String>, StoreError> {
        install(self).await
    }

    async fn register(
        &self,
        definition: &Definition,
        actor: &str,
    ) -> Result<Registration, StoreError> {
        states::register(self, definition, actor).await
    }

    async fn migrations(&self) -> Result<Vec<MigrationState>, StoreError> {
        states::load(self, None).await
    }

    async fn migration(&self, name: &MigrationName) -> Result<MigrationState, StoreError> {
        match states::load(self, Some(name)).await?.pop() {
            Some(state) => Ok(state),
            None => Err(states::unknown(self, name).await?),
        }
    }

    async fn facts(&self, state: &MigrationState) -> Result<Facts, StoreError> {
        facts::gather(self, state).await
    }

    async fn append_epoch(&self, change: StageChange<'_>) -> Result<Epoch, StoreError> {
        epochs::append(self, change).await
    }

    async fn close_epoch(
        &self,
        migration: &MigrationName,
        epoch: Epoch,
        lock_timeout: Duration,
    ) -> Result<(), StoreError> {
        epochs::close(self, migration, epoch, lock_timeout).await
    }

    async fn epoch_holders(
        &self,
        migration: &MigrationName,
        epoch: Epoch,
    ) -> Result<Vec<EpochHolder>, StoreError> {
        epochs::holders(self, migration, epoch).await
    }

    async fn terminate(
        &self,
        migration: &MigrationName,
        epoch: Epoch,
        holder: &EpochHolder,
    ) -> Result<bool, StoreError> {
        epochs::terminate(self, migration, epoch, holder).await
    }

    async fn heartbeat(&self, beat: Heartbeat<'_>) -> Result<(), StoreError> {
        instances::heartbeat(self, beat).await
    }

    async fn sign_off(&self, instance: &str) -> Result<(), StoreError> {
        instances::sign_off(self, instance).await
    }

    async fn instances(&self, name: &MigrationName) -> Result<Vec<InstanceRecord>, StoreError> {
        instances::list(self, name).await
    }

    async fn quarantine(
        &self,
        name: &MigrationName,
        limit: u32,
    ) -> Result<Vec<(String, String)>, StoreError> {
        let doing = "failed to read the quarantine";
        let mut session = self.session().await.doing(doing)?;
        let rows = session
            .fetch(
                "select q.key, q.reason from crossfade_quarantine as q \
                 where q.migration = $1 order by q.key limit $2",
                args![name.as_str(), limit],
            )
            .await
            .doing(doing)?;
        Ok(rows.iter().map(|row| (row.text(0), row.text(1))).collect())
    }

    async fn audit(&self, entry: AuditEntry<'_>) -> Result<(), StoreError> {
        let doing = "failed to write the audit trail";
        let mut session = self.begin().await.doing(doing)?;
        append_audit(self.engine(), &mut session, entry).await.doing(doing)?;
        session.commit_or(doing).await
    }

    async fn audit_trail(&self, limit: u32) -> Result<Vec<AuditRecord>, StoreError> {
        audit::trail(self, limit).await
    }

    async fn now_ms(&self) -> Result<i64, StoreError> {
        let doing = "failed to ask the database for the time";
        let mut session = self.session().await.doing(doing)?;
        let sql = format!("select {}", self.engine().now_ms());
        let row = session.fetch_one(&sql, args![]).await.doing(doing)?;
        Ok(row.map(|row| row.int(0)).unwrap_or_default())
    }
}
