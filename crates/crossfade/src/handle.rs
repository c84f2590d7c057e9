//! The handles an application holds.

use crossfade_core::MigrationName;
use crossfade_dual::Instance;
use crossfade_flags::Flags;
use crossfade_sql::{Database, Db};
use crossfade_store::{Lent, StoreError};

/// One running process of the application, as Crossfade sees it. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Crossfade {
    pub(crate) database: Database,
    pub(crate) instance: Instance<Database>,
    pub(crate) flags: Option<Flags>,
}

/// A handle on one migration: `&self`, cheap to clone, shared by all tasks of a server.
pub type Migration = crossfade_dual::Migration<Database>;

/// A transaction of the caller's, in which writes take part. [`Crossfade::begin`] begins one;
/// `transaction.connection()?.postgres()?`, or its like, is the engine's own connection.
pub type Transaction = crossfade_dual::Transaction<Database>;

/// A declared pair of statements, from [`Migration::statement`]. Cheap to clone; get it once, when
/// the application starts, and keep it. A write of it is `execute`d by itself, `execute_once` with an
/// operation id, or `execute_in` a [`Transaction`].
///
/// On PostgreSQL `execute` is one statement in one round trip for pairs that insert given values, in
/// `live` and `ramp_down`, and for any pair in `off` and from `complete` on; see
/// [`Migration::statement`]. Everything else is a transaction.
///
/// ```no_run
/// # async fn example(migration: crossfade::Migration) -> Result<(), Box<dyn std::error::Error>> {
/// let put = migration
///     .statement(
///         "insert into names (id, name) values ($1, $2) \
///          on conflict (id) do update set name = excluded.name", // Legacy
///         "insert into names_v2 (name_id, name) values ($1, $2) \
///          on conflict (name_id) do update set name = excluded.name", // New
///     )
///     .await?;
/// put.bind(7i64).bind("Ada").execute(&7i64).await?;
///
/// // Exactly once, also when it is asked for again.
/// let operation = crossfade::OperationId::random();
/// let _ = put.bind(7i64).bind("Ada").execute_once(&operation, &7i64).await?;
/// # Ok(())
/// # }
/// ```
///
/// [`Migration::statement`]: crossfade_dual::Migration::statement
pub type Statement = crossfade_dual::Statement<Database>;

/// The transaction that a write's closures are lent. It converts into a [`Db`](crate::Db), and
/// `tx.mysql()?`, `tx.postgres()?` or `tx.sqlite()?` is the engine's own connection.
pub type Tx = Lent<crossfade_sql::Tx>;

/// A side's repository, on a pool or in the transaction of a write: what the wrapper that
/// [`repository`](macro@crate::repository) generates asks of both sides.
///
/// ```
/// # use crossfade::{Db, InTransaction, Tx};
/// struct LegacySettings {
///     db: Db, // where a pool was
/// }
///
/// impl InTransaction for LegacySettings {
///     fn within(&self, tx: Tx) -> Self {
///         Self { db: tx.into() }
///     }
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be had in the transaction of a write",
    label = "implement `crossfade::InTransaction` for it",
    note = "a repository that holds a `crossfade::Db` does so by `Self {{ db: tx.into() }}`"
)]
pub trait InTransaction: Sized {
    /// The same repository in a transaction, with whatever else it holds. It must not outlive the
    /// call that it is made for, or the write fails with [`WriteError::TransactionKept`].
    ///
    /// [`WriteError::TransactionKept`]: crate::WriteError::TransactionKept
    #[must_use]
    fn within(&self, tx: Tx) -> Self;

    /// The same repository for a read through `reader`, which the closures of
    /// [`read_compared_in`](crossfade_dual::Migration::read_compared_in) are given: in the snapshot
    /// that a comparison shares, and as it is outside any.
    #[must_use]
    fn reading(&self, reader: Db) -> Self
    where
        Self: Clone,
    {
        reader.into_transaction().map_or_else(|| self.clone(), |tx| self.within(tx))
    }
}

/// No migration of this name is registered in the database.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown migration `{name}`; known: {}", if known.is_empty() { "none".into() } else { known.join(", ") })]
pub struct UnknownMigration {
    /// What was asked for.
    pub name: String,
    /// What there is. `crossfade expand NAME` registers another.
    pub known: Vec<String>,
}

impl Crossfade {
    /// A handle on the migration of that name. Get it once and keep it.
    ///
    /// # Errors
    ///
    /// [`UnknownMigration`] when `crossfade expand` has not registered it.
    pub fn migration(&self, name: &str) -> Result<Migration, UnknownMigration> {
        let parsed = name.parse::<MigrationName>().ok();
        parsed.and_then(|name| self.instance.migration(&name)).ok_or_else(|| UnknownMigration {
            name: name.to_owned(),
            known: self.instance.names().iter().map(ToString::to_string).collect(),
        })
    }

    /// Begins a transaction for statements of the application's own beside writes of migrations, all
    /// or nothing:
    ///
    /// ```no_run
    /// # use crossfade::{Crossfade, Migration};
    /// # async fn put(_: impl Send) -> Result<(), std::fmt::Error> { Ok(()) }
    /// # #[cfg(feature = "sqlite")]
    /// # async fn example(crossfade: Crossfade, orders: Migration) -> Result<(), Box<dyn std::error::Error>> {
    /// let mut transaction = crossfade.begin().await?;
    /// orders.write_in(&mut transaction, &7i64, |tx| put(tx), |tx| put(tx)).await?;
    /// sqlx::query("insert into outbox (event) values ('order 7')")
    ///     .execute(transaction.connection()?.sqlite()?)
    ///     .await?;
    /// transaction.commit().await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// Kind `Unavailable` when the pool has no connection to give; on SQLite also while another
    /// write transaction of this process stays open for too long.
    ///
    /// # Cancel safety
    ///
    /// Nothing is held when dropped midway.
    pub async fn begin(&self) -> Result<Transaction, StoreError> {
        self.instance.begin().await
    }

    /// The database, for repositories that share its pool.
    #[must_use]
    pub fn database(&self) -> &Database {
        &self.database
    }

    /// The client of the rule set in the database, for the application's own flags; `None` when
    /// [`Builder::flags`](crate::Builder::flags) named where the read flag comes from.
    #[must_use]
    pub fn flags(&self) -> Option<&Flags> {
        self.flags.as_ref()
    }

    /// This instance's id, as `crossfade status` shows it.
    #[must_use]
    pub fn instance_id(&self) -> &str {
        self.instance.id()
    }

    /// Ends this instance's lease at a clean shutdown, so that no gate waits for it.
    ///
    /// # Errors
    ///
    /// Whatever the database answers; the lease then lapses by itself.
    pub async fn sign_off(&self) -> Result<(), StoreError> {
        self.instance.sign_off().await
    }
}
