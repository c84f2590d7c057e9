//! Crossfade moves a live table to a new schema without downtime.
//!
//! An application wraps its repository: every write goes to both schemas in one transaction, and
//! a flag, evaluated for each user, picks the side that a read uses. Operators move the migration
//! from stage to stage with the command line `crossfade`; one flip of the flag puts every read
//! back.
//!
//! ```no_run
//! use crossfade::{Crossfade, Db, Flags};
//!
//! #[derive(Clone)]
//! struct Names(Db); // one side's repository: works on a pool and inside a shared transaction
//!
//! # #[cfg(feature = "sqlite")]
//! impl Names {
//!     async fn put(&self, id: i64, name: &str) -> Result<(), sqlx::Error> {
//!         let mut conn = self.0.conn().await.map_err(|e| sqlx::Error::Configuration(e.into()))?;
//!         let sql = "insert into names (id, name) values (?, ?) \
//!                    on conflict (id) do update set name = excluded.name";
//!         sqlx::query(sql).bind(id).bind(name).execute(conn.sqlite()?).await.map(drop)
//!     }
//! }
//!
//! # #[cfg(feature = "sqlite")]
//! # async fn example(pool: sqlx::SqlitePool) -> Result<(), Box<dyn std::error::Error>> {
//! let crossfade = Crossfade::builder(pool).build().await?;
//! let migration = crossfade.migration("names_v2")?;
//! migration
//!     .write(
//!         &7i64,
//!         |tx| async move { Names(tx.into()).put(7, "Ada").await }, // Legacy
//!         |tx| async move { Names(tx.into()).put(7, "Ada").await }, // New
//!     )
//!     .await?;
//! # Ok(())
//! # }
//! ```

mod answers_once;
mod builder;
mod flag_switch;
mod handle;
mod opaque;

pub use answers_once::AnswersOnce;
pub use builder::{BuildError, Builder};
pub use crossfade_core::{
    Backoff, BreakerCounts, BreakerOptions, BreakerState, BreakerTrip, Comparison, FieldDifference,
    FlagKey, Key, MigrationName, MigrationState, NameError, ReplicaRefusal, Side, Stage, ToKey,
    by_equality,
};
pub use crossfade_dual::{
    BreakerStatus, Fields, InvalidOperationId, Known, Mismatch, Once, OperationId, Options,
    ReadError, ReplicaReads, ReplicaStatus, RouteStats, ShadowStats, TransactionError, WriteError,
    on_primary,
};
pub use crossfade_flags::{self as flags, Context, Flags};
pub use crossfade_macros::repository;
#[cfg(feature = "mysql")]
pub use crossfade_sql::MySqlConn;
#[cfg(feature = "postgres")]
pub use crossfade_sql::PgConn;
pub use crossfade_sql::{AnyPool, Bindable, Conn, Database, Db, Engine, WrongEngine};
pub use crossfade_store::{
    FlagAnswer, FlagOff, ReadFlag, ReadFlagSwitch, StoreError, StoreErrorKind, SwitchedOff, Travels,
};
pub use handle::{
    Crossfade, InTransaction, Migration, Statement, Transaction, Tx, UnknownMigration,
};
pub use opaque::Opaque;
