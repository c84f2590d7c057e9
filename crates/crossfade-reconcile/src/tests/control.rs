//! The fake's control tables: as much of them as the engines ask for.

use std::time::Duration;

use async_trait::async_trait;
use crossfade_core::{Definition, Epoch, Facts, MigrationName, MigrationState};
use crossfade_store::{
    AuditEntry, AuditRecord, Changes, ControlStore, EpochHolder, Heartbeat, InstanceRecord,
    Registration, StageChange, StoreError,
};
use tokio::task::yield_now;

use super::fake::Fake;

#[async_trait]
impl Changes for Fake {
    async fn changed(&self, _: u64) -> Result<u64, StoreError> {
        unreachable!()
    }
}

#[async_trait]
impl ControlStore for Fake {
    async fn migration(&self, _: &MigrationName) -> Result<MigrationState, StoreError> {
        yield_now().await;
        Ok(self.get().state.clone())
    }

    async fn now_ms(&self) -> Result<i64, StoreError> {
        Ok(1)
    }

    async fn install(&self) -> Result<Vec<String>, StoreError> {
        unreachable!()
    }

    async fn register(&self, _: &Definition, _: &str) -> Result<Registration, StoreError> {
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
}
