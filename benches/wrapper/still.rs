//! A store that answers at once, or when it is asked again, so that only the wrapper is timed.

use std::error::Error;
use std::future::{Future, pending};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use async_trait::async_trait;
use crossfade_core::{
    BackfillOptions, Definition, Epoch, Facts, GateOptions, Key, KeyText, MigrationName,
    MigrationState, SideTable, Stage,
};
use crossfade_store::{
    Admission, AuditEntry, AuditRecord, Changes, CommitError, ControlStore, EnterError, Entry,
    EpochHolder, Failure, FencedStore, Heartbeat, InstanceRecord, Lent, Operation, PrimaryStanding,
    Registration, Replica, ReplicaStore, SnapshotStore, StageChange, StoreError, StoreErrorKind,
};

/// An exchange with the store.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Exchange {
    /// It is answered when it is first asked.
    AtOnce,
    /// It is answered when it is asked again, for which the task is woken at once.
    Yielding,
}

impl Exchange {
    pub(crate) fn take(self) -> Answer {
        Answer { due: matches!(self, Self::Yielding) }
    }
}

/// The answer of an [`Exchange`].
pub(crate) struct Answer {
    due: bool,
}

impl Future for Answer {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        if std::mem::take(&mut self.due) {
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        Poll::Ready(())
    }
}

/// A transaction as large as one on a pooled connection.
#[derive(Debug)]
pub(crate) struct Held {
    pub(crate) exchange: Exchange,
    _session: [u64; 16],
}

/// The store.
#[derive(Debug)]
pub(crate) struct Still {
    pub(crate) exchange: Exchange,
}

impl Still {
    pub(crate) async fn begin(&self) -> Held {
        self.exchange.take().await;
        Held { exchange: self.exchange, _session: [0; 16] }
    }
}

/// One migration, in stage `live`.
pub(crate) fn state() -> MigrationState {
    let side = |table: &str| SideTable {
        table: table.parse().expect("a table name"),
        key: vec!["id".parse().expect("an identifier")],
    };
    let definition = Definition {
        name: "user_settings".parse().expect("a name"),
        read_flag: "read_user_settings_v2".parse().expect("a flag key"),
        legacy: side("users"),
        legacy_columns: Vec::new(),
        new: side("user_settings"),
        mapping: "select id from users".to_owned(),
        backfill: BackfillOptions::default(),
        gates: GateOptions::default(),
        accepted: Vec::new(),
        pinned: crossfade_core::Pinned::default(),
    };
    MigrationState {
        definition,
        stage: Stage::Live,
        epoch: Epoch::new(7),
        previous_open: false,
        quarantined: std::collections::BTreeSet::new(),
    }
}

fn none<T>() -> Result<T, StoreError> {
    Err(StoreError::new(StoreErrorKind::Invalid, "only writes are timed"))
}

#[async_trait]
impl FencedStore for Still {
    type Tx = Held;

    async fn enter(&self, _: Entry<'_>, _: Option<Duration>) -> Result<Held, EnterError> {
        Ok(self.begin().await)
    }

    async fn enter_once(
        &self,
        _: Entry<'_>,
        _: Operation<'_>,
        _: Option<Duration>,
    ) -> Result<Admission<Held>, EnterError> {
        Ok(none()?)
    }

    async fn forget_operations(&self, _: Duration, _: u32) -> Result<u64, StoreError> {
        Ok(0)
    }

    async fn begin_unfenced(&self) -> Result<Held, StoreError> {
        none()
    }

    async fn join(
        &self,
        _: &mut Held,
        _: Entry<'_>,
        _: Option<Duration>,
    ) -> Result<(), EnterError> {
        Ok(none()?)
    }

    async fn step_back(&self, _: &mut Held) -> Result<(), StoreError> {
        none()
    }

    async fn settle(&self, _: &mut Held, _: Option<&Definition>) -> Result<(), StoreError> {
        none()
    }

    fn found_by(&self, _: &Held) -> Option<u64> {
        None
    }

    async fn interrupt(&self, _: u64) -> Result<(), StoreError> {
        none()
    }

    fn intact(&self, _: &Held) -> bool {
        true
    }

    async fn state_within(
        &self,
        _: &mut Held,
        _: &MigrationName,
    ) -> Result<MigrationState, StoreError> {
        none()
    }

    async fn key_texts(&self, _: &Definition) -> Result<Option<Vec<KeyText>>, StoreError> {
        Ok(Some(vec![KeyText::Integer]))
    }

    async fn remove_new(&self, _: &mut Held, _: &Definition, _: &Key) -> Result<(), StoreError> {
        none()
    }

    async fn delete_stale(&self, _: &mut Held, _: &Definition, _: &Key) -> Result<(), StoreError> {
        none()
    }

    async fn put_into_quarantine(
        &self,
        _: &mut Held,
        _: Entry<'_>,
        _: &str,
    ) -> Result<(), StoreError> {
        none()
    }

    async fn release_from_quarantine(&self, _: &mut Held, _: Entry<'_>) -> Result<(), StoreError> {
        none()
    }

    async fn commit(&self, tx: Held) -> Result<(), CommitError> {
        tx.exchange.take().await;
        Ok(())
    }

    async fn rollback(&self, tx: Held) {
        tx.exchange.take().await;
    }

    fn classify(&self, _: &(dyn Error + 'static)) -> Failure {
        Failure::Refused
    }

    fn words(&self, error: &(dyn Error + 'static)) -> String {
        error.to_string()
    }
}

#[async_trait]
impl SnapshotStore for Still {
    type Reader = ();

    fn reader(&self) {}

    fn reader_in(&self, _: Lent<Held>) {}

    async fn snapshot(&self) -> Result<Held, StoreError> {
        none()
    }
}

#[async_trait]
impl ReplicaStore for Still {
    fn replicas(&self) -> Vec<Arc<dyn Replica>> {
        Vec::new()
    }

    async fn primary_standing(&self, _: &str) -> Result<PrimaryStanding, StoreError> {
        none()
    }
}

#[async_trait]
impl Changes for Still {
    async fn changed(&self, seen: u64) -> Result<u64, StoreError> {
        match seen {
            0 => Ok(1),
            _ => pending().await,
        }
    }
}

#[async_trait]
impl ControlStore for Still {
    async fn install(&self) -> Result<Vec<String>, StoreError> {
        none()
    }

    async fn register(&self, _: &Definition, _: &str) -> Result<Registration, StoreError> {
        none()
    }

    async fn migrations(&self) -> Result<Vec<MigrationState>, StoreError> {
        Ok(vec![state()])
    }

    async fn migration(&self, _: &MigrationName) -> Result<MigrationState, StoreError> {
        Ok(state())
    }

    async fn facts(&self, _: &MigrationState) -> Result<Facts, StoreError> {
        none()
    }

    async fn append_epoch(&self, _: StageChange<'_>) -> Result<Epoch, StoreError> {
        none()
    }

    async fn close_epoch(
        &self,
        _: &MigrationName,
        _: Epoch,
        _: Duration,
    ) -> Result<(), StoreError> {
        none()
    }

    async fn epoch_holders(
        &self,
        _: &MigrationName,
        _: Epoch,
    ) -> Result<Vec<EpochHolder>, StoreError> {
        none()
    }

    async fn terminate(
        &self,
        _: &MigrationName,
        _: Epoch,
        _: &EpochHolder,
    ) -> Result<bool, StoreError> {
        none()
    }

    async fn heartbeat(&self, _: Heartbeat<'_>) -> Result<(), StoreError> {
        Ok(())
    }

    async fn sign_off(&self, _: &str) -> Result<(), StoreError> {
        Ok(())
    }

    async fn instances(&self, _: &MigrationName) -> Result<Vec<InstanceRecord>, StoreError> {
        none()
    }

    async fn quarantine(
        &self,
        _: &MigrationName,
        _: u32,
    ) -> Result<Vec<(String, String)>, StoreError> {
        none()
    }

    async fn audit(&self, _: AuditEntry<'_>) -> Result<(), StoreError> {
        none()
    }

    async fn audit_trail(&self, _: u32) -> Result<Vec<AuditRecord>, StoreError> {
        none()
    }

    async fn now_ms(&self) -> Result<i64, StoreError> {
        none()
    }
}
