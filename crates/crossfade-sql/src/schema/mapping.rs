//! What the database makes of the mapping: its columns, or why it does not parse.

use crossfade_core::{Definition, MAPPED_ALIAS};
use crossfade_store::{Failure, Problem, StoreError};
use sqlx::{AssertSqlSafe, Column, Error, Executor, SqlSafeStr, Statement};

use super::mapping_text::{place, single_select};
use super::table::TableFacts;
use crate::Engine;
use crate::error::{failure, hidden_by_policy, store_error};
use crate::session::{Raw, Session};

/// A mapping that the database accepts.
#[derive(Clone, Debug)]
pub(crate) struct MappingFacts {
    /// Its text without a closing semicolon.
    pub(crate) text: String,
    /// Its output columns.
    pub(crate) columns: Vec<MappingColumn>,
}

/// An output column: its name, and the catalog's number of its type where there is one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct MappingColumn {
    pub(crate) name: String,
    pub(crate) oid: Option<i64>,
}

/// Has the database parse the mapping over `legacy`, without running it. The inner error is the
/// reason why it is refused.
pub(crate) async fn parse(
    session: &mut Session,
    engine: Engine,
    definition: &Definition,
    legacy: &TableFacts,
) -> Result<Result<MappingFacts, Problem>, StoreError> {
    let text = match single_select(&definition.mapping, engine) {
        Ok(text) => text,
        Err(reason) => return Ok(Err(reason)),
    };
    let head = format!(
        "with {} as (select {} from {}), {MAPPED_ALIAS} as (",
        legacy.quote(&legacy.name),
        legacy.quoted_columns().join(", "),
        legacy.qualified()
    );
    match prepare(session, format!("{head}{text}\n) select * from {MAPPED_ALIAS}")).await {
        Ok(columns) => Ok(Ok(MappingFacts { text: text.to_owned(), columns })),
        Err(error) => Ok(Err(refused(error, text, head.chars().count())?)),
    }
}

/// Whether the mapping reads Legacy by its bare name, which is where the locked rows of a batch
/// are put in its place. It does so if it is another one, or none, once the table of that name
/// has lost its columns.
pub(super) async fn reads_legacy(
    session: &mut Session,
    legacy: &TableFacts,
    mapping: &MappingFacts,
) -> Result<bool, StoreError> {
    let sql = format!(
        "with {} as (select 1 as crossfade_nothing), {MAPPED_ALIAS} as ({}\n) \
         select * from {MAPPED_ALIAS}",
        legacy.quote(&legacy.name),
        mapping.text
    );
    match prepare(session, sql).await {
        Ok(columns) => Ok(columns != mapping.columns),
        Err(error) => refused(error, "", 0).map(|_| true),
    }
}

/// The database's words on a mapping it refuses, with the place in the mapping where it gives
/// one; an error when it could not be asked.
fn refused(error: Error, mapping: &str, head: usize) -> Result<Problem, StoreError> {
    let database = match (failure(&error), error.as_database_error()) {
        (Failure::Refused, Some(database)) if !hidden_by_policy(&error) => database,
        _ => return Err(store_error("failed to have the mapping parsed", error)),
    };
    // Positions count characters of the whole statement from 1.
    let at = position(&error).and_then(|position| position.checked_sub(1 + head));
    let at = at.and_then(|at| mapping.char_indices().nth(at));
    let message = format!("the mapping: {}", database.message());
    Ok(Problem::in_mapping(message, at.map(|(at, _)| place(mapping, at))))
}

/// Where in the statement's text the database points, in characters from 1.
pub(super) fn position(error: &Error) -> Option<usize> {
    #[cfg(feature = "postgres")]
    {
        use sqlx::postgres::{PgDatabaseError, PgErrorPosition};
        let database = error.as_database_error()?.try_downcast_ref::<PgDatabaseError>()?;
        if let Some(PgErrorPosition::Original(position)) = database.position() {
            return Some(position);
        }
    }
    #[cfg(not(feature = "postgres"))]
    let _ = error;
    None
}

/// The output columns of a statement that is parsed and not run.
pub(super) async fn prepare(
    session: &mut Session,
    sql: String,
) -> Result<Vec<MappingColumn>, Error> {
    #[cfg(feature = "postgres")]
    if session.engine() == Engine::Postgres && session.in_transaction() {
        // A statement that does not parse would end the transaction for those that follow.
        session.execute("savepoint crossfade_parse", Vec::new()).await?;
        let prepared = prepare_plain(session, sql).await;
        let end = "rollback to savepoint crossfade_parse; release savepoint crossfade_parse";
        session.run_script(end).await?;
        return prepared;
    }
    prepare_plain(session, sql).await
}

async fn prepare_plain(session: &mut Session, sql: String) -> Result<Vec<MappingColumn>, Error> {
    let sql = AssertSqlSafe(sql).into_sql_str();
    Ok(match session.raw() {
        #[cfg(feature = "mysql")]
        Raw::Mysql(connection) => {
            let statement = connection.prepare(sql).await?;
            let column = |column: &sqlx::mysql::MySqlColumn| MappingColumn {
                name: column.name().to_owned(),
                oid: None,
            };
            statement.columns().iter().map(column).collect()
        }
        #[cfg(feature = "postgres")]
        Raw::Postgres(connection) => {
            let statement = connection.prepare(sql).await?;
            let column = |column: &sqlx::postgres::PgColumn| MappingColumn {
                name: column.name().to_owned(),
                oid: column.type_info().oid().map(|oid| i64::from(oid.0)),
            };
            statement.columns().iter().map(column).collect()
        }
        #[cfg(feature = "sqlite")]
        Raw::Sqlite(connection) => {
            let statement = connection.prepare(sql).await?;
            let column = |column: &sqlx::sqlite::SqliteColumn| MappingColumn {
                name: column.name().to_owned(),
                oid: None,
            };
            statement.columns().iter().map(column).collect()
        }
    })
}
