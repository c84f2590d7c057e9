//! One running process of the application.

use std::collections::HashMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError, RwLock};

use crossfade_core::{Epoch, MigrationName, MigrationState};
use crossfade_store::{
    ControlStore, FencedStore, Heartbeat, ReadFlag, ReplicaStore, SnapshotStore, StoreError,
    StoreErrorKind,
};
use tokio::sync::{Mutex, Notify, mpsc};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::breaker::Guard;
use crate::options::Omission;
use crate::replica::{self, Follower};
use crate::rollback::{self, Opened};
use crate::routes::Routes;
use crate::shadow::Shadows;
use crate::shared::{Gap, Shared};
use crate::{Migration, Options, Transaction, clock, follow, forget};

/// What the request path asks of an adapter.
pub trait RequestStore: SnapshotStore + FencedStore + ControlStore + ReplicaStore {}

impl<S: SnapshotStore + FencedStore + ControlStore + ReplicaStore> RequestStore for S {}

/// A running process: follows the control tables, holds the lease, hands out handles. Its
/// background tasks end when the last handle and the instance itself are dropped.
#[derive(Debug)]
pub struct Instance<S: RequestStore> {
    core: Arc<Core<S>>,
    tasks: Arc<Tasks>,
}

impl<S: RequestStore> Clone for Instance<S> {
    fn clone(&self) -> Self {
        Self { core: Arc::clone(&self.core), tasks: Arc::clone(&self.tasks) }
    }
}

/// The background tasks, which themselves hold the core. Only instances and handles hold this, so
/// the tasks end with the last of them.
#[derive(Debug)]
pub(crate) struct Tasks(Vec<JoinHandle<()>>);

impl Drop for Tasks {
    fn drop(&mut self) {
        self.0.iter().for_each(JoinHandle::abort);
    }
}

/// How the last attempt to regain a lease failed.
#[derive(Debug)]
struct Failed {
    at: Instant,
    kind: StoreErrorKind,
    message: String,
}

#[derive(Debug)]
pub(crate) struct Core<S> {
    pub(crate) id: String,
    pub(crate) store: S,
    pub(crate) flags: Arc<dyn ReadFlag>,
    pub(crate) options: Options,
    /// Where breakers tell that they opened, if anybody is to be told.
    opened: Option<mpsc::Sender<Opened>>,
    pub(crate) followers: Vec<Arc<Follower>>,
    migrations: RwLock<HashMap<MigrationName, Arc<Shared>>>,
    /// Orders look-ups, so that an older answer never replaces a newer one.
    looking: Mutex<()>,
    /// Orders renewals, and lets one of many readers regain a lapsed lease for all.
    renewing: Mutex<Option<Failed>>,
    /// Asks the lease task to renew at once.
    pub(crate) renew: Notify,
}

impl<S: RequestStore> Instance<S> {
    /// Loads every migration and begins to follow them.
    ///
    /// # Errors
    ///
    /// Kind `NotInstalled` before `crossfade init`, `Unavailable` when nothing answers.
    pub async fn start(
        store: S,
        flags: Arc<dyn ReadFlag>,
        options: Options,
    ) -> Result<Self, StoreError> {
        let id = format!("{}-{:08x}", std::process::id(), rand::random::<u32>());
        let switch = options.auto_rollback.clone();
        let (opened, openings) = mpsc::channel(rollback::WAITING);
        let replicas = store.replicas().into_iter();
        let core = Arc::new(Core {
            id,
            followers: replicas.map(|replica| Arc::new(Follower::new(replica))).collect(),
            store,
            flags,
            options,
            opened: switch.is_some().then_some(opened),
            migrations: RwLock::default(),
            looking: Mutex::default(),
            renewing: Mutex::default(),
            renew: Notify::new(),
        });
        core.look_up().await?;
        let mut tasks = vec![
            tokio::spawn(follow::changes(Arc::clone(&core))),
            tokio::spawn(follow::lease(Arc::clone(&core))),
            tokio::spawn(forget::operations(Arc::clone(&core))),
        ];
        if let Some(switch) = switch {
            tasks.push(tokio::spawn(rollback::follow(Arc::clone(&core), switch, openings)));
        }
        tasks.extend(core.followers.iter().map(|follower| {
            tokio::spawn(replica::measure(Arc::clone(&core), Arc::clone(follower)))
        }));
        Ok(Self { core, tasks: Arc::new(Tasks(tasks)) })
    }

    /// A handle on a migration; `None` when no such migration is registered.
    #[must_use]
    pub fn migration(&self, name: &MigrationName) -> Option<Migration<S>> {
        let shared = self.core.shared(name)?;
        if !shared.in_use.swap(true, Ordering::AcqRel) {
            self.core.renew.notify_one();
        }
        Some(Migration::new(Arc::clone(&self.core), shared, Arc::clone(&self.tasks)))
    }

    /// Begins a transaction for [`write_in`](Migration::write_in).
    ///
    /// # Errors
    ///
    /// Kind `Unavailable` when the pool has no connection to give; on SQLite also while another
    /// write transaction of this process stays open for too long.
    ///
    /// # Cancel safety
    ///
    /// Nothing is held when dropped midway.
    pub async fn begin(&self) -> Result<Transaction<S>, StoreError> {
        Transaction::begin(Arc::clone(&self.core)).await
    }

    /// The names of the registered migrations, in order.
    #[must_use]
    pub fn names(&self) -> Vec<MigrationName> {
        let mut names: Vec<_> = self.core.all().keys().cloned().collect();
        names.sort();
        names
    }

    /// This instance's id, as `crossfade status` shows it.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.core.id
    }

    /// Ends the lease, so that no gate waits for this instance. Handles stay usable; the next
    /// operation takes a lease again.
    ///
    /// # Errors
    ///
    /// Whatever the database answers.
    pub async fn sign_off(&self) -> Result<(), StoreError> {
        // Held to the end, so that no renewal in flight comes after.
        let _ordered = self.core.renewing.lock().await;
        for shared in self.core.all().values() {
            shared.in_use.store(false, Ordering::Release);
            shared.end_lease();
        }
        self.core.store.sign_off(&self.core.id).await
    }
}

impl<S: RequestStore> Core<S> {
    fn all(&self) -> HashMap<MigrationName, Arc<Shared>> {
        self.migrations.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether reads of any migration may use replicas.
    pub(crate) fn replicas_in_use(&self) -> bool {
        self.all().values().any(|shared| shared.routes.allowed())
    }

    fn shared(&self, name: &MigrationName) -> Option<Arc<Shared>> {
        self.migrations.read().unwrap_or_else(PoisonError::into_inner).get(name).cloned()
    }

    /// Loads the newest states and swaps them in. Returns whether an epoch now waits to be
    /// acknowledged.
    pub(crate) async fn look_up(&self) -> Result<bool, StoreError> {
        let _ordered = self.looking.lock().await;
        let mut changed = false;
        for state in self.store.migrations().await? {
            changed |= self.take_in(state);
        }
        for shared in self.all().values() {
            // The first lease and the first write ask again, and tell what is wrong.
            if let Err(error) = self.look_up_spelling(shared).await {
                tracing::debug!(%error, "could not look the types of a key up");
            }
        }
        Ok(changed)
    }

    /// Looks one migration up unless somebody else has meanwhile found an epoch after `epoch`.
    pub(crate) async fn look_up_past(
        &self,
        shared: &Shared,
        epoch: Epoch,
    ) -> Result<(), StoreError> {
        let _ordered = self.looking.lock().await;
        if shared.snapshot().epoch > epoch {
            return Ok(());
        }
        self.look_up_one(shared).await
    }

    /// Renews a lapsed lease, unless somebody else just has. Readers that waited while an attempt
    /// failed share its failure instead of failing one after the other.
    pub(crate) async fn regain_lease(&self, shared: &Shared) -> Result<(), StoreError> {
        let asked = Instant::now();
        let mut last = self.renewing.lock().await;
        if shared.lease().is_some() {
            return Ok(());
        }
        if let Some(failed) = last.as_ref().filter(|failed| failed.at >= asked) {
            return Err(StoreError::new(failed.kind, failed.message.clone()));
        }
        shared.in_use.store(true, Ordering::Release);
        let renewed = self.renew_one(shared).await;
        *last = renewed.as_ref().err().map(|error| Failed {
            at: Instant::now(),
            kind: error.kind,
            message: error.message.clone(),
        });
        renewed
    }

    async fn look_up_in_turn(&self, shared: &Shared) -> Result<(), StoreError> {
        let _ordered = self.looking.lock().await;
        self.look_up_one(shared).await
    }

    async fn look_up_one(&self, shared: &Shared) -> Result<(), StoreError> {
        let state = self.store.migration(&shared.snapshot().definition.name).await?;
        if self.take_in(state) {
            self.renew.notify_one();
        }
        Ok(())
    }

    fn take_in(&self, state: MigrationState) -> bool {
        if let Some(shared) = self.shared(&state.definition.name) {
            let before = shared.snapshot();
            let changed = shared.replace(state);
            let after = shared.snapshot();
            if before.epoch != after.epoch {
                tracing::info!(
                    migration = %after.definition.name,
                    epoch = after.epoch.get(),
                    stage = %after.stage,
                    "the stage changed"
                );
            }
            return changed;
        }
        let name = state.definition.name.clone();
        let breaker = Guard::new(&self.options, name.clone(), self.opened.clone());
        let routes = Routes::new(&self.options, self.followers.len(), &name);
        let shadows = Shadows::new(&self.options, &name);
        let shared = Arc::new(Shared::new(state, shadows, breaker, routes));
        self.migrations.write().unwrap_or_else(PoisonError::into_inner).insert(name, shared);
        true
    }

    /// Renews the lease of one migration, telling what is acknowledged.
    ///
    /// After a gap the fleet may have gone on by several stages, since no gate waited for this
    /// instance. So the lease only counts again once the stage was looked up behind the gap.
    async fn renew_one(&self, shared: &Shared) -> Result<(), StoreError> {
        let asked_ms = clock::now_ms();
        let early = !self.options.keeps(Omission::LookUpLast);
        if early {
            self.look_up_in_turn(shared).await?;
        }
        let acknowledged = if self.options.keeps(Omission::Drain) {
            shared.acknowledged()
        } else {
            shared.snapshot().epoch
        };
        self.look_up_spelling(shared).await?;
        let beat = Heartbeat {
            instance: &self.id,
            version: &self.options.version,
            migration: &shared.snapshot().definition.name,
            acknowledged,
            legacy_read_in: shared.legacy_read_in(),
            ttl: self.options.lease,
        };
        self.store.heartbeat(beat).await?;
        shared.told.store(acknowledged.get(), Ordering::Release);
        let gap = if shared.lease().is_none() { Gap::Lapsed } else { Gap::None };
        if gap == Gap::Lapsed && shared.had_lease() {
            shared.meter.lapses.increment(1);
        }
        if gap == Gap::Lapsed && !early && self.options.keeps(Omission::LookUp) {
            self.look_up_in_turn(shared).await?;
        }
        // A tenth is left for clocks that run apart.
        let ends_ms = asked_ms + clock::ms(self.options.lease) * 9 / 10;
        shared.lease_until(ends_ms, gap);
        Ok(())
    }

    /// Renews every lease in use, in the order of the migrations' names. One that fails holds up no
    /// other; the last error is returned.
    pub(crate) async fn renew_all(&self) -> Result<(), StoreError> {
        let mut all: Vec<_> = self.all().into_iter().collect();
        all.sort_by(|(one, _), (other, _)| one.cmp(other));
        let mut renewed = Ok(());
        for (migration, shared) in all {
            let _ordered = self.renewing.lock().await;
            if shared.in_use.load(Ordering::Acquire)
                && let Err(error) = self.renew_one(&shared).await
            {
                tracing::debug!(%migration, %error, "could not renew a lease");
                renewed = Err(error);
            }
        }
        renewed
    }

    /// Whether an acknowledgement waits to be stored, or to be possible at all.
    pub(crate) fn acknowledgements(&self) -> Acknowledgements {
        let all = self.all();
        let mut in_use = all.values().filter(|shared| shared.in_use.load(Ordering::Acquire));
        if in_use.clone().any(|shared| shared.has_news()) {
            return Acknowledgements::ToStore;
        }
        match in_use.any(|shared| shared.draining()) {
            true => Acknowledgements::Draining,
            false => Acknowledgements::None,
        }
    }
}

/// What the lease task waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Acknowledgements {
    /// Nothing.
    None,
    /// Operations in flight hold an earlier epoch.
    Draining,
    /// An epoch can be acknowledged.
    ToStore,
}
