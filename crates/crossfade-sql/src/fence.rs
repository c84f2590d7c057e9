//! The fence, and the write transactions that pass it.

#[cfg(feature = "mysql")]
mod open_epochs;
#[cfg(feature = "postgres")]
mod sequence;

use std::error::Error;
#[cfg(any(feature = "mysql", feature = "postgres"))]
use std::fmt;
#[cfg(feature = "postgres")]
use std::sync::atomic::Ordering;
use std::time::Duration;

use async_trait::async_trait;
#[cfg(feature = "postgres")]
use crossfade_core::epoch_lock_id;
#[cfg(feature = "postgres")]
use crossfade_core::key_lock_id;
use crossfade_core::{Definition, Epoch, Key, KeyText, MigrationName, MigrationState};
use crossfade_store::{
    Admission, CommitError, EnterError, Entry, Failure, FencedStore, Operation, StoreError,
};

use crate::control::states;
use crate::error::code;
#[cfg(feature = "mysql")]
use crate::error::mysql_number;
use crate::error::{Doing, failure, failure_in_chain, store_error, words_in_chain};
use crate::interrupt::Mark;
use crate::mechanism::Mechanism;
use crate::quarantine::{self, mark};
use crate::session::Session;
use crate::value::{Value, args};
use crate::{Database, Engine, Tx, joined, operations};
#[cfg(feature = "mysql")]
pub(crate) use open_epochs::{mend as mend_open_epochs, row_of};
#[cfg(feature = "postgres")]
pub(crate) use sequence::{
    HOLDS, expect_named, halves, inside, is_named, mend_fence, name_fence, schema_in_literals,
};

/// What an error of the fence's statements was met by.
pub(crate) const ENTERING: &str = "failed to begin a fenced transaction";

/// SQLSTATE that the fence raises for a closed epoch.
#[cfg(any(feature = "mysql", feature = "postgres"))]
pub(crate) const CLOSED: &str = "CFF01";

/// What MariaDB says of a statement that somebody has killed, or that took too long.
#[cfg(feature = "mysql")]
const INTERRUPTED: u16 = 1317;
#[cfg(feature = "mysql")]
const OUT_OF_TIME: u16 = 1969;

/// What MariaDB says when an engine has failed in the midst of a commit.
#[cfg(feature = "mysql")]
const FAILED_TO_COMMIT: u16 = 1180;

/// SQLSTATE that `crossfade_enter` raises in a transaction of another isolation than READ COMMITTED.
#[cfg(feature = "postgres")]
const OTHER_ISOLATION: &str = "CFF02";

impl Database {
    /// Begins a write transaction inside the epoch and, where one is given, under the key's lock.
    ///
    /// The key's lock orders everything that touches one key even while its row does not exist,
    /// which a row lock cannot: without it a delete that finds no Legacy row may take away the New
    /// row of an insert that committed in between.
    pub(crate) async fn enter_epoch(
        &self,
        migration: &MigrationName,
        epoch: Epoch,
        key: Option<&Key>,
    ) -> Result<Session, EnterError> {
        self.enter_bounded(migration, epoch, key, None).await
    }

    /// Whether a transaction has to name READ COMMITTED, as far as is known.
    #[cfg(feature = "postgres")]
    pub(crate) fn names_isolation(&self) -> bool {
        self.inner.name_isolation.load(Ordering::Relaxed)
    }

    /// [`enter_epoch`](Self::enter_epoch), with a bound on each wait for a lock.
    async fn enter_bounded(
        &self,
        migration: &MigrationName,
        epoch: Epoch,
        key: Option<&Key>,
        lock_timeout: Option<Duration>,
    ) -> Result<Session, EnterError> {
        match self.engine() {
            #[cfg(feature = "mysql")]
            Engine::Mysql => {
                let begun = self.begin_mariadb(migration, epoch, key, lock_timeout, "");
                begun.await.map_err(turned_away)
            }
            #[cfg(feature = "postgres")]
            Engine::Postgres => {
                let arguments = self.enter_arguments(migration, epoch, key, lock_timeout);
                let entered = self.begin_postgres(&Enter(&arguments), lock_timeout.is_some()).await;
                entered.map_err(|error| match code(&error).as_deref() {
                    Some("22012") if !self.keeps(Mechanism::FreshCheck) => EnterError::Closed,
                    _ => turned_away(error),
                })
            }
            #[cfg(feature = "sqlite")]
            Engine::Sqlite => {
                // `begin immediate` is SQLite's one writer: it is lock of epoch and key at once.
                let _ = (key, lock_timeout);
                let mut session = self.begin().await.doing(ENTERING)?;
                let looked = self.look_sqlite(&mut session, migration, epoch).await;
                if matches!(looked, Err(EnterError::Closed)) {
                    session.rollback().await;
                    return Err(EnterError::Closed);
                }
                looked.map(|()| session)
            }
        }
    }
}

#[cfg(feature = "sqlite")]
impl Database {
    /// Looks whether the epoch is open.
    pub(crate) async fn look_sqlite(
        &self,
        session: &mut Session,
        migration: &MigrationName,
        epoch: Epoch,
    ) -> Result<(), EnterError> {
        let open = session
            .fetch_one(
                "select 1 from crossfade_epochs \
                 where migration = $1 and epoch = $2 and closed_ms is null",
                args![migration.as_str(), epoch.get()],
            )
            .await
            .doing(ENTERING)?;
        if open.is_some() || !self.keeps(Mechanism::FenceCheck) {
            return Ok(());
        }
        Err(EnterError::Closed)
    }
}

#[cfg(feature = "postgres")]
impl Database {
    /// What a transaction enters an epoch with.
    pub(crate) fn enter_arguments<'a>(
        &'a self,
        migration: &'a MigrationName,
        epoch: Epoch,
        key: Option<&Key>,
        lock_timeout: Option<Duration>,
    ) -> EnterArguments<'a> {
        let namespace = &self.inner.namespace;
        let key = key.filter(|_| self.keeps(Mechanism::KeyLock));
        EnterArguments {
            database: self,
            migration,
            epoch,
            epoch_lock: epoch_lock_id(namespace, migration, epoch),
            key_lock: key.map(|key| key_lock_id(namespace, migration, key)),
            lock_ms: lock_timeout.map(|timeout| timeout.as_millis().clamp(1, i32::MAX as u128)),
        }
    }

    /// Begins a transaction with `enter` in the same round trip. One whose waits are bounded can be
    /// found by its mark.
    pub(crate) async fn begin_postgres(
        &self,
        enter: &impl fmt::Display,
        bounded: bool,
    ) -> Result<Session, sqlx::Error> {
        let named = &self.inner.name_isolation;
        let mark = bounded.then(Mark::random);
        let marking = mark.map_or_else(String::new, |mark| format!("; {}", mark.on_postgres()));
        loop {
            let naming = named.load(Ordering::Relaxed);
            let level = if naming { " isolation level read committed" } else { "" };
            match self.begin_by(format!("begin{level}; {enter}{marking}")).await {
                Err(error) if !naming && code(&error).as_deref() == Some(OTHER_ISOLATION) => {
                    named.store(true, Ordering::Relaxed);
                }
                begun => {
                    return begun.map(|mut session| {
                        session.mark = mark;
                        session
                    });
                }
            }
        }
    }
}

/// The arguments of `crossfade_enter` and `crossfade_pass`, as the text of a statement has them.
#[cfg(feature = "postgres")]
pub(crate) struct EnterArguments<'a> {
    database: &'a Database,
    migration: &'a MigrationName,
    epoch: Epoch,
    epoch_lock: i64,
    key_lock: Option<i64>,
    lock_ms: Option<u128>,
}

#[cfg(feature = "postgres")]
impl fmt::Display for EnterArguments<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fence = self.database.fence_literal(self.migration);
        let (key_lock, lock_ms) = (OrNull(self.key_lock), OrNull(self.lock_ms));
        write!(f, "{fence}, {}, {}, {key_lock}, {lock_ms}", self.epoch, self.epoch_lock)
    }
}

/// The statement by which a transaction of PostgreSQL enters an epoch and locks a key.
#[cfg(feature = "postgres")]
pub(crate) struct Enter<'a>(pub(crate) &'a EnterArguments<'a>);

#[cfg(feature = "postgres")]
impl fmt::Display for Enter<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let arguments @ EnterArguments { database, migration, epoch, epoch_lock, key_lock, .. } =
            self.0;
        if !database.keeps(Mechanism::FreshCheck) {
            // Fails on purpose, by a division, where the epoch is closed.
            write!(
                f,
                "select 1 / count(*) from crossfade_epochs, \
                 (select pg_advisory_xact_lock_shared({epoch_lock}) offset 0) as locked \
                 where migration = '{migration}' and epoch = {epoch} and closed_ms is null"
            )
        } else if !database.keeps(Mechanism::TriedLock) {
            write!(
                f,
                "select pg_advisory_xact_lock_shared({epoch_lock}); \
                 call crossfade_pass({arguments})"
            )
        } else if database.keeps(Mechanism::FenceCheck) {
            write!(f, "call crossfade_pass({arguments})")
        } else {
            // Keys are locked all the same.
            let key_lock = OrNull(*key_lock);
            write!(
                f,
                "select pg_advisory_xact_lock_shared({epoch_lock}), \
                 pg_advisory_xact_lock({key_lock})"
            )
        }
    }
}

/// A number in a statement, or `null`.
#[cfg(any(feature = "mysql", feature = "postgres"))]
struct OrNull<T>(Option<T>);

#[cfg(any(feature = "mysql", feature = "postgres"))]
impl<T: fmt::Display> fmt::Display for OrNull<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Some(number) => number.fmt(f),
            None => f.write_str("null"),
        }
    }
}

/// Why the fence's statements failed.
#[cfg(any(feature = "mysql", feature = "postgres"))]
pub(crate) fn turned_away(error: sqlx::Error) -> EnterError {
    if code(&error).as_deref() == Some(CLOSED) {
        return EnterError::Closed;
    }
    EnterError::Store(store_error(ENTERING, error))
}

#[async_trait]
impl FencedStore for Database {
    type Tx = Tx;

    async fn enter(
        &self,
        entry: Entry<'_>,
        lock_timeout: Option<Duration>,
    ) -> Result<Tx, EnterError> {
        let Entry { migration, epoch, key } = entry;
        let session = self.enter_bounded(migration, epoch, Some(key), lock_timeout).await?;
        Ok(Tx { session })
    }

    async fn enter_once(
        &self,
        entry: Entry<'_>,
        operation: Operation<'_>,
        lock_timeout: Option<Duration>,
    ) -> Result<Admission<Tx>, EnterError> {
        operations::enter(self, entry, operation, lock_timeout).await
    }

    async fn forget_operations(
        &self,
        older_than: Duration,
        at_most: u32,
    ) -> Result<u64, StoreError> {
        operations::forget(self, older_than, at_most).await
    }

    async fn begin_unfenced(&self) -> Result<Tx, StoreError> {
        let session = self.begin().await.doing("failed to begin a transaction")?;
        Ok(Tx { session })
    }

    async fn join(
        &self,
        tx: &mut Tx,
        entry: Entry<'_>,
        lock_timeout: Option<Duration>,
    ) -> Result<(), EnterError> {
        joined::join(self, &mut tx.session, entry, lock_timeout).await
    }

    async fn step_back(&self, tx: &mut Tx) -> Result<(), StoreError> {
        joined::step_back(&mut tx.session).await
    }

    async fn settle(&self, tx: &mut Tx, check_new: Option<&Definition>) -> Result<(), StoreError> {
        joined::settle(&mut tx.session, check_new).await
    }

    fn found_by(&self, tx: &Tx) -> Option<u64> {
        tx.session.mark.map(Mark::number)
    }

    async fn interrupt(&self, number: u64) -> Result<(), StoreError> {
        Mark::of(number).interrupt(self).await
    }

    fn intact(&self, tx: &Tx) -> bool {
        tx.session.intact()
    }

    async fn state_within(
        &self,
        tx: &mut Tx,
        name: &MigrationName,
    ) -> Result<MigrationState, StoreError> {
        states::within(self, &mut tx.session, name).await
    }

    async fn key_texts(&self, definition: &Definition) -> Result<Option<Vec<KeyText>>, StoreError> {
        self.texts_of_keys(definition).await
    }

    async fn remove_new(
        &self,
        tx: &mut Tx,
        definition: &Definition,
        key: &Key,
    ) -> Result<(), StoreError> {
        if !self.keeps(Mechanism::Removal) {
            return Ok(());
        }
        let shape = self.shape(&mut tx.session, definition).await?;
        let sql = format!("delete from {} where {}", shape.new.qualified, shape.new.key_equals(1));
        let values = key.parts().iter().map(|part| Value::from(part.as_str())).collect();
        tx.session.execute(&sql, values).await.doing("failed to delete on New")?;
        Ok(())
    }

    async fn delete_stale(
        &self,
        tx: &mut Tx,
        definition: &Definition,
        key: &Key,
    ) -> Result<(), StoreError> {
        let shape = self.shape(&mut tx.session, definition).await?;
        quarantine::delete_stale(&mut tx.session, &shape, key).await
    }

    async fn put_into_quarantine(
        &self,
        tx: &mut Tx,
        entry: Entry<'_>,
        reason: &str,
    ) -> Result<(), StoreError> {
        mark(self, &mut tx.session, entry, reason).await
    }

    async fn release_from_quarantine(
        &self,
        tx: &mut Tx,
        entry: Entry<'_>,
    ) -> Result<(), StoreError> {
        let migration = entry.migration.as_str();
        tx.session
            .execute(
                "delete from crossfade_quarantine \
                 where migration = $1 and crossfade_quarantine.key = $2",
                args![migration, entry.key.text().as_ref()],
            )
            .await
            .doing("failed to release a key from quarantine")?;
        announce(self.engine(), &mut tx.session).await
    }

    async fn commit(&self, tx: Tx) -> Result<(), CommitError> {
        tx.session.commit().await.map_err(|error| {
            let what = match failure(&error) {
                Failure::Refused if leaves_open(self.engine(), &error) => Failure::ConnectionLost,
                what => what,
            };
            let error = store_error("failed to commit", error);
            match what {
                Failure::ConnectionLost => CommitError::Unknown(error),
                Failure::Transient | Failure::LockTimeout => CommitError::Transient(error),
                Failure::Refused => CommitError::Refused(error),
            }
        })
    }

    async fn rollback(&self, tx: Tx) {
        tx.session.rollback().await;
    }

    fn classify(&self, error: &(dyn Error + 'static)) -> Failure {
        failure_in_chain(error)
    }

    fn words(&self, error: &(dyn Error + 'static)) -> String {
        words_in_chain(error)
    }
}

/// Whether an error of the commit leaves open what became of it. MariaDB's goes on behind the commit
/// itself and does not say how far it came when somebody interrupts it, or what its engine has kept
/// when that failed. SQLite may not have got to disk what the next to open the file finds there.
fn leaves_open(engine: Engine, error: &sqlx::Error) -> bool {
    match engine {
        #[cfg(feature = "mysql")]
        Engine::Mysql => {
            matches!(mysql_number(error), Some(INTERRUPTED | OUT_OF_TIME | FAILED_TO_COMMIT))
        }
        #[cfg(feature = "postgres")]
        Engine::Postgres => {
            let _ = error;
            false
        }
        // SQLITE_IOERR, whose kinds are in the other bytes.
        #[cfg(feature = "sqlite")]
        Engine::Sqlite => {
            let code = code(error).and_then(|code| code.parse::<u32>().ok());
            code.is_some_and(|code| code & 0xff == 10)
        }
    }
}

/// Tells every instance, once the transaction commits, that the control tables changed.
pub(crate) async fn announce(engine: Engine, session: &mut Session) -> Result<(), StoreError> {
    if let Some(sql) = engine.announce() {
        session.execute(&sql, args![]).await.doing("failed to announce a change")?;
    }
    Ok(())
}

/// Makes what the fence reads, with `first` open. SQLite's reads the table of epochs itself.
pub(crate) async fn create_fence(
    database: &Database,
    session: &mut Session,
    migration: &MigrationName,
    first: Epoch,
) -> Result<(), StoreError> {
    match database.engine() {
        #[cfg(feature = "postgres")]
        Engine::Postgres => sequence::create(database, session, migration, first).await,
        #[cfg(feature = "mysql")]
        Engine::Mysql => open_epochs::open(session, migration, first).await,
        #[cfg(feature = "sqlite")]
        Engine::Sqlite => {
            let _ = (session, migration, first);
            Ok(())
        }
    }
}

/// Opens an epoch behind the one before, which stays open. On PostgreSQL that is at once and for
/// good, whatever becomes of the transaction.
pub(crate) async fn open_fence(
    database: &Database,
    session: &mut Session,
    migration: &MigrationName,
    epoch: Epoch,
    before: Epoch,
) -> Result<(), StoreError> {
    match database.engine() {
        #[cfg(feature = "mysql")]
        Engine::Mysql => {
            let _ = before;
            open_epochs::open(session, migration, epoch).await
        }
        #[cfg(feature = "postgres")]
        Engine::Postgres => {
            let _ = epoch;
            sequence::move_to(database, session, migration, before, true).await
        }
        #[cfg(feature = "sqlite")]
        Engine::Sqlite => {
            let _ = (session, migration, epoch, before);
            Ok(())
        }
    }
}

/// Closes an epoch, at once and for good on PostgreSQL. The one behind it stays open.
pub(crate) async fn close_fence(
    database: &Database,
    session: &mut Session,
    migration: &MigrationName,
    epoch: Epoch,
) -> Result<(), StoreError> {
    match database.engine() {
        #[cfg(feature = "mysql")]
        Engine::Mysql => open_epochs::close(session, migration, epoch).await,
        #[cfg(feature = "postgres")]
        Engine::Postgres => {
            sequence::move_to(database, session, migration, epoch.next(), false).await
        }
        #[cfg(feature = "sqlite")]
        Engine::Sqlite => {
            let _ = (session, migration, epoch);
            Ok(())
        }
    }
}
