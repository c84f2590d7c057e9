//! The settings of a transaction that runs the mapping, writes New or judges rows.
//!
//! A result must not depend on the role, the URL or the pool that a command was started with, so
//! every setting that changes what a mapping yields, what New accepts or which rows are visible is
//! set here, for one transaction, and given back when it ends.
//!
//! SQLite has no such settings but pragmas: `foreign_keys` cannot change within a transaction and
//! stays as the pool has it, and `case_sensitive_like` cannot be read, so neither is pinned.

#[cfg(feature = "mysql")]
mod mariadb;
#[cfg(feature = "postgres")]
mod postgres;

use crossfade_core::Pinned;

use super::Session;
use crate::{Database, Engine};

#[cfg(feature = "mysql")]
pub(crate) use mariadb::unpin;
#[cfg(feature = "postgres")]
pub(crate) use postgres::with_control_tables;

impl Database {
    /// Begins a transaction that writes, under the pinned settings.
    pub(crate) async fn begin_pinned(&self, pinned: &Pinned) -> Result<Session, sqlx::Error> {
        let mut session = self.begin().await?;
        session.pin(self, pinned).await?;
        Ok(session)
    }

    /// A transaction of SQLite's that takes no writer's place. It may write temporary tables.
    #[cfg(feature = "sqlite")]
    pub(crate) async fn begin_look(&self) -> Result<Session, sqlx::Error> {
        self.begin_as("begin deferred".to_owned(), |_| {}).await
    }

    /// Begins a transaction that reads one snapshot, under the pinned settings.
    pub(crate) async fn read_pinned(&self, pinned: &Pinned) -> Result<Session, sqlx::Error> {
        let mut session = self.begin_as(self.begin_snapshot(), |_| {}).await?;
        session.pin(self, pinned).await?;
        Ok(session)
    }
}

impl Session {
    /// Whether a transaction may be open on it.
    #[cfg(feature = "postgres")]
    pub(crate) fn in_transaction(&self) -> bool {
        self.open
    }

    /// Pins what a statement of a script runs with until the open transaction ends. On MariaDB
    /// that is the server's own `sql_mode`, which triggers and routines keep.
    pub(crate) async fn pin_script(&mut self, pinned: &Pinned) -> Result<(), sqlx::Error> {
        match self.engine() {
            #[cfg(feature = "mysql")]
            Engine::Mysql => mariadb::pin_script(self, pinned).await,
            // Without the schema of the control tables, which the script's author has not named.
            #[cfg(feature = "postgres")]
            Engine::Postgres => postgres::pin(self, "", pinned).await,
            #[cfg(feature = "sqlite")]
            Engine::Sqlite => {
                let _ = pinned;
                Ok(())
            }
        }
    }

    /// Pins the settings until the open transaction ends. Comes before [`bound`](crate::schema::bound),
    /// whose limits are given back with them.
    pub(crate) async fn pin(
        &mut self,
        database: &Database,
        pinned: &Pinned,
    ) -> Result<(), sqlx::Error> {
        match self.engine() {
            #[cfg(feature = "mysql")]
            Engine::Mysql => {
                let _ = database;
                mariadb::pin(self, pinned).await
            }
            #[cfg(feature = "postgres")]
            Engine::Postgres => postgres::pin(self, &database.inner.namespace, pinned).await,
            #[cfg(feature = "sqlite")]
            Engine::Sqlite => {
                let _ = (database, pinned);
                Ok(())
            }
        }
    }
}
