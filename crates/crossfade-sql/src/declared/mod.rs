//! Pairs of statements that an application declares: looked at once, then run with the values of
//! each write.

#[cfg(feature = "postgres")]
mod at_once;
mod fit;
#[cfg(feature = "postgres")]
mod plan;
mod text;
mod values;

use std::sync::Arc;

use async_trait::async_trait;
use crossfade_core::{AtOnce, MigrationState, Side};
use crossfade_store::{AtOnceError, DeclaredStore, Entry, StoreError, StoreErrorKind, Travels};
use sqlx::{AssertSqlSafe, Error};

#[cfg(feature = "postgres")]
use at_once::AtOnceTexts;
pub use values::{Bindable, Bound};

#[cfg(feature = "mysql")]
use crate::mariadb;
use crate::{Database, Engine, Tx};

/// A pair of statements that fits its migration. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Declared(Arc<Pair>);

#[derive(Debug)]
struct Pair {
    legacy: Spelled,
    new: Spelled,
    /// How many values a write has.
    values: usize,
    #[cfg(feature = "postgres")]
    at_once: AtOnceTexts,
}

/// A statement in the engine's own spelling.
#[derive(Debug)]
struct Spelled {
    sql: Arc<str>,
    /// Which value goes to which place, where the engine does not number its parameters.
    #[cfg(feature = "mysql")]
    places: Vec<usize>,
}

impl Spelled {
    fn new(sql: &str, engine: Engine, values: usize) -> Self {
        #[cfg(feature = "mysql")]
        {
            let all: Vec<usize> = (0..values).collect();
            let (sql, places) = match engine {
                Engine::Mysql => mariadb::translate(sql, &all),
                #[cfg(any(feature = "postgres", feature = "sqlite"))]
                _ => (sql.to_owned(), all),
            };
            Self { sql: sql.into(), places }
        }
        #[cfg(not(feature = "mysql"))]
        {
            let _ = (engine, values);
            Self { sql: sql.into() }
        }
    }
}

impl Pair {
    const fn side(&self, side: Side) -> &Spelled {
        match side {
            Side::Legacy => &self.legacy,
            Side::New => &self.new,
        }
    }
}

#[async_trait]
impl DeclaredStore for Database {
    type Declared = Declared;
    type Bound<'q> = Bound<'q>;
    type RunError = Error;

    async fn declare(
        &self,
        state: &MigrationState,
        legacy: &str,
        new: &str,
    ) -> Result<Declared, StoreError> {
        fit::declare(self, state, legacy, new).await
    }

    fn travels(&self, declared: &Declared) -> Travels {
        match self.engine() {
            #[cfg(feature = "postgres")]
            Engine::Postgres => declared.0.at_once.travels(),
            #[cfg(any(feature = "mysql", feature = "sqlite"))]
            _ => {
                let _ = declared;
                let because = "only PostgreSQL has statements that write two tables".to_owned();
                Travels::Transaction { because }
            }
        }
    }

    fn bound<'q>(&self, declared: &Declared) -> Bound<'q> {
        Bound { values: Vec::with_capacity(declared.0.values), declared: declared.clone() }
    }

    fn check_bound(&self, bound: &Bound<'_>) -> Result<(), StoreError> {
        let (wanted, found) = (bound.declared.0.values, bound.values.len());
        if wanted == found {
            return Ok(());
        }
        let message = format!("the write has {found} values, and its statements {wanted}");
        let error = StoreError::new(StoreErrorKind::Invalid, message);
        Err(error.with_hint("bind one value for each of `$1`, `$2` and so on, in their order"))
    }

    async fn at_once(
        &self,
        bound: &Bound<'_>,
        entry: Entry<'_>,
        sides: AtOnce,
        answer: Side,
    ) -> Result<u64, AtOnceError> {
        match self.engine() {
            #[cfg(feature = "postgres")]
            Engine::Postgres => at_once::run(self, bound, entry, sides, answer).await,
            #[cfg(any(feature = "mysql", feature = "sqlite"))]
            _ => {
                let _ = (bound, entry, sides, answer);
                Err(AtOnceError::NeedsTransaction)
            }
        }
    }

    async fn run_side(&self, bound: &Bound<'_>, side: Side, tx: &mut Tx) -> Result<u64, Error> {
        let statement = bound.declared.0.side(side);
        let sql = AssertSqlSafe(Arc::clone(&statement.sql));
        let rows = match tx.engine() {
            #[cfg(feature = "mysql")]
            Engine::Mysql => {
                let query = sqlx::query_with(sql, bound.mysql(&statement.places)?);
                query.execute(tx.mysql()?).await?.rows_affected()
            }
            #[cfg(feature = "postgres")]
            Engine::Postgres => {
                let query = sqlx::query_with(sql, bound.postgres()?);
                query.execute(tx.postgres()?).await?.rows_affected()
            }
            #[cfg(feature = "sqlite")]
            Engine::Sqlite => {
                let query = sqlx::query_with(sql, bound.sqlite()?);
                query.execute(tx.sqlite()?).await?.rows_affected()
            }
        };
        Ok(rows)
    }
}
