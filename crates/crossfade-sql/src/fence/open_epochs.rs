//! The rows that MariaDB's fence meets, one for each epoch that is open, and the transactions that
//! hold them.

use std::time::Duration;

use crossfade_core::{Epoch, Key, MigrationName, epoch_lock_id, key_lock_id};
use crossfade_store::StoreError;

use super::{CLOSED, OrNull};
use crate::Database;
use crate::error::Doing;
use crate::interrupt::Mark;
use crate::mariadb;
use crate::mechanism::Mechanism;
use crate::session::Session;
use crate::value::args;

/// How many rows `crossfade_key_locks` has.
const KEY_LOCKS: i64 = 16_384;

/// The number of an epoch's row, whatever the schema is called that a backup is restored to. Two
/// epochs with one number could not both be opened.
pub(crate) fn row_of(migration: &MigrationName, epoch: Epoch) -> i64 {
    epoch_lock_id("", migration, epoch)
}

impl Database {
    /// The row that stands for the key's lock, where one is to be locked.
    ///
    /// A row that stands for several keys makes their writers wait for each other, and nothing else:
    /// a transaction takes one of them, after its epoch.
    fn key_row(&self, migration: &MigrationName, key: Option<&Key>) -> Option<i64> {
        let key = key.filter(|_| self.keeps(Mechanism::KeyLock))?;
        Some(key_lock_id(&self.inner.namespace, migration, key).rem_euclid(KEY_LOCKS))
    }

    /// The statements by which a transaction of MariaDB enters an epoch and locks a key.
    pub(crate) fn enter_mariadb(
        &self,
        migration: &MigrationName,
        epoch: Epoch,
        key: Option<&Key>,
    ) -> String {
        let row = row_of(migration, epoch);
        let key = self.key_row(migration, key);
        if self.keeps_fence() {
            return format!("call crossfade_pass({row}, {})", OrNull(key));
        }
        let found = format!("from crossfade_open_epochs where id = {row}");
        let lock = format!("select 1 {found} lock in share mode");
        let look = |lock: &str| {
            format!(
                "begin not atomic declare open int default 0; select 1 into open {found}{lock}; \
                 if open = 0 then signal sqlstate '{CLOSED}'; end if; end"
            )
        };
        let mut sql = if !self.keeps(Mechanism::FenceCheck) {
            lock
        } else if !self.keeps(Mechanism::FreshCheck) {
            // In the isolation that sessions begin with, from a snapshot before the lock.
            let begin = "start transaction with consistent snapshot";
            let look = look("");
            format!("rollback; {begin}; savepoint {}; {lock}; {look}", mariadb::SAVEPOINT)
        } else if !self.keeps(Mechanism::CloserLock) {
            look("")
        } else {
            look(" lock in share mode")
        };
        if let Some(key) = key {
            let lock = "select 1 from crossfade_key_locks where number =";
            sql.push_str(&format!("; {lock} {key} for update"));
        }
        sql
    }

    /// Whether the fence is whole, as it always is outside of tests.
    fn keeps_fence(&self) -> bool {
        use Mechanism::{CloserLock, FenceCheck, FreshCheck, TriedLock};
        [FenceCheck, FreshCheck, CloserLock, TriedLock].into_iter().all(|it| self.keeps(it))
    }

    /// Begins a transaction that enters an epoch and locks a key, and runs `more` in it, in the same
    /// round trip. One whose waits are bounded can be found by its mark.
    pub(crate) async fn begin_mariadb(
        &self,
        migration: &MigrationName,
        epoch: Epoch,
        key: Option<&Key>,
        lock_timeout: Option<Duration>,
        more: &str,
    ) -> Result<Session, sqlx::Error> {
        let row = row_of(migration, epoch);
        if let (Some(key), None, true) =
            (self.key_row(migration, key), lock_timeout, self.keeps_fence())
        {
            // A migration name holds lower-case letters, digits and underscores.
            let begin = format!("call crossfade_begin('{migration}', {row}, {key}){more}");
            return self.begin_by_call(begin).await;
        }
        let mark = lock_timeout.map(|_| Mark::random());
        let bounds = lock_timeout.map_or_else(String::new, mariadb::lock_bounds);
        let marking = mark.map_or_else(String::new, Mark::on_mariadb);
        let begin = mariadb::begin(&(bounds + &marking + &mariadb::passed_fence(migration)));
        let enter = self.enter_mariadb(migration, epoch, key);
        let mut session = self.begin_by(format!("{begin}; {enter}{more}")).await?;
        session.mark = mark;
        Ok(session)
    }
}

const MOVING: &str = "failed to move the fence";

/// Opens an epoch to writers, once the transaction commits.
pub(crate) async fn open(
    session: &mut Session,
    migration: &MigrationName,
    epoch: Epoch,
) -> Result<(), StoreError> {
    let sql = "insert into crossfade_open_epochs (id, migration, epoch) values ($1, $2, $3)";
    let args = args![row_of(migration, epoch), migration.as_str(), epoch.get()];
    session.execute(sql, args).await.doing(MOVING)?;
    Ok(())
}

/// Closes an epoch to writers, once the transaction commits.
pub(crate) async fn close(
    session: &mut Session,
    migration: &MigrationName,
    epoch: Epoch,
) -> Result<(), StoreError> {
    let sql = "delete from crossfade_open_epochs where id = $1";
    session.execute(sql, args![row_of(migration, epoch)]).await.doing(MOVING)?;
    Ok(())
}

/// Makes the rows that are missing, as they are where the epochs were opened by a version without
/// them, and deletes those of epochs that are closed. Returns the migrations that they are of.
pub(crate) async fn mend(session: &mut Session) -> Result<Vec<String>, StoreError> {
    let doing = "failed to mend the fence";
    let of_epoch = "e.migration = o.migration and e.epoch = o.epoch and e.closed_ms is null";
    let stale = format!(
        "select o.id, o.migration from crossfade_open_epochs o \
         where not exists (select 1 from crossfade_epochs e where {of_epoch})"
    );
    let missing = format!(
        "select e.migration, e.epoch from crossfade_epochs e where e.closed_ms is null \
         and not exists (select 1 from crossfade_open_epochs o where {of_epoch})"
    );
    let mut mended = Vec::new();
    for row in session.fetch(&stale, args![]).await.doing(doing)? {
        let delete = "delete from crossfade_open_epochs where id = $1";
        if session.execute(delete, args![row.int(0)]).await.doing(doing)? > 0 {
            mended.push(row.text(1));
        }
    }
    for row in session.fetch(&missing, args![]).await.doing(doing)? {
        let (Ok(name), epoch) = (row.text(0).parse(), Epoch::new(row.int(1))) else { continue };
        // The epoch's own row is locked against whoever closes it.
        let lock = "select epoch from crossfade_epochs \
                    where migration = $1 and epoch = $2 and closed_ms is null for update";
        let args = args![row.text(0), epoch.get()];
        if session.fetch_one(lock, args).await.doing(doing)?.is_some() {
            open(session, &name, epoch).await?;
            mended.push(row.text(0));
        }
    }
    mended.sort();
    mended.dedup();
    Ok(mended)
}
