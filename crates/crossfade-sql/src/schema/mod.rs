//! Inspection of tables and the statements that change them.

#[cfg(feature = "postgres")]
mod detached;
mod fit;
#[cfg(feature = "postgres")]
mod index;
mod inspection;
mod mapping;
mod mapping_text;
#[cfg(feature = "mysql")]
mod mariadb;
#[cfg(feature = "postgres")]
mod postgres;
mod rights;
mod rows;
#[cfg(feature = "sqlite")]
mod sqlite;
mod step;
mod surroundings;
mod table;

use async_trait::async_trait;
use crossfade_core::{Definition, Pinned, TableName};
use crossfade_store::{
    Problem, SchemaStore, ScriptStep, Statement, StatementError, StepRun, StoreError, Surroundings,
    Timeouts,
};

use crate::Database;
use crate::catalog;
use crate::error::Doing;
use crate::session::Session;
#[cfg(any(feature = "mysql", feature = "postgres"))]
use crate::value::args;
pub(crate) use inspection::Inspection;
pub(crate) use mapping::{MappingColumn, MappingFacts, parse as parse_mapping};
pub(crate) use mapping_text::skip;
pub(crate) use table::{KeyKind, TableFacts};

#[async_trait]
impl SchemaStore for Database {
    fn engine(&self) -> &'static str {
        Self::engine(self).as_str()
    }

    async fn advance_sequences(&self, definition: &Definition) -> Result<Vec<String>, StoreError> {
        catalog::advance_sequences(self, definition).await
    }

    async fn surroundings(&self) -> Result<Surroundings, StoreError> {
        surroundings::look(self).await
    }

    async fn resolve(
        &self,
        table: &TableName,
        pinned: &Pinned,
    ) -> Result<Option<TableName>, StoreError> {
        surroundings::resolve(self, table, pinned).await
    }

    async fn new_has_rows(&self, definition: &Definition) -> Result<Option<bool>, StoreError> {
        rows::new_has_rows(self, definition).await
    }

    async fn definition_problems(
        &self,
        definition: &Definition,
    ) -> Result<Vec<Problem>, StoreError> {
        fit::problems(self, definition).await
    }

    async fn step_done(&self, step: ScriptStep<'_>) -> Result<Option<String>, StoreError> {
        let mut session = self.session().await.doing("failed to look a script's step up")?;
        step::recorded(&mut session, step).await
    }

    async fn run_step(
        &self,
        step: ScriptStep<'_>,
        statement: &Statement,
        timeouts: Timeouts,
    ) -> Result<StepRun, StatementError> {
        step::run(self, step, statement, timeouts).await
    }

    async fn legacy_grants(&self, definition: &Definition) -> Result<Vec<String>, StoreError> {
        rights::legacy_grants(self, definition).await
    }

    async fn revoke_legacy(&self, definition: &Definition) -> Result<Vec<String>, StoreError> {
        rights::revoke_legacy(self, definition).await
    }

    async fn truncate_new(
        &self,
        definition: &Definition,
        timeouts: Timeouts,
    ) -> Result<(), StoreError> {
        rows::truncate_new(self, definition, timeouts).await
    }
}

/// Bounds what follows in the session's transaction. SQLite's lock timeout belongs to its pool.
pub(crate) async fn bound(
    session: &mut Session,
    engine: crate::Engine,
    timeouts: Timeouts,
) -> Result<(), sqlx::Error> {
    match engine {
        #[cfg(feature = "mysql")]
        crate::Engine::Mysql => {
            let sql = format!(
                "set max_statement_time = {}{}",
                timeouts.statement.as_secs_f64().max(0.001),
                crate::mariadb::lock_bounds(timeouts.lock)
            );
            session.execute(&sql, args![]).await.map(drop)
        }
        #[cfg(feature = "postgres")]
        crate::Engine::Postgres => {
            let sql = "select set_config('lock_timeout', $1, true), \
                       set_config('statement_timeout', $2, true)";
            session.fetch(sql, args![ms(timeouts.lock), ms(timeouts.statement)]).await.map(drop)
        }
        #[cfg(feature = "sqlite")]
        crate::Engine::Sqlite => {
            let _ = (session, timeouts);
            Ok(())
        }
    }
}

/// Milliseconds as PostgreSQL's settings take them: at least 1, as 0 would mean no bound.
#[cfg(feature = "postgres")]
fn ms(duration: std::time::Duration) -> String {
    duration.as_millis().clamp(1, i32::MAX as u128).to_string()
}
