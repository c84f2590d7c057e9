//! Whether a definition fits the database: every reason why it does not.

use crossfade_core::Definition;
use crossfade_store::{Failure, Problem, StoreError};

use super::inspection::Inspection;
use super::mapping::{self, MappingFacts};
use super::table::TableFacts;
use crate::error::{Doing, failure, store_error};
use crate::session::Session;
use crate::{Database, Engine};

pub(super) async fn problems(
    database: &Database,
    definition: &Definition,
) -> Result<Vec<Problem>, StoreError> {
    let doing = "failed to inspect the tables";
    let engine = database.engine();
    let mut session = match engine.as_str() {
        // Nothing is pinned there, and its transaction that writes would lock others out.
        "sqlite" => database.session().await,
        _ => database.begin_pinned(&definition.pinned).await,
    }
    .doing(doing)?;
    let problems = problems_on(database, &mut session, definition).await;
    session.rollback().await;
    problems
}

async fn problems_on(
    database: &Database,
    session: &mut Session,
    definition: &Definition,
) -> Result<Vec<Problem>, StoreError> {
    let engine = database.engine();
    let inspection = Inspection::new(session, engine, definition).await?;
    let mut problems = inspection.problems();
    if let (Some(legacy), Some(Ok(mapping))) = (&inspection.legacy, &inspection.mapping) {
        if !mapping::reads_legacy(session, legacy, mapping).await? {
            let message = format!(
                "the mapping does not read Legacy by the name `{}` alone, without its schema",
                legacy.name
            );
            problems.push(Problem::in_mapping(message, None));
        }
        if let Some(new) = &inspection.new {
            judge_types(session, engine, mapping, new, &mut problems).await?;
        }
    }
    if let Some(legacy) = &inspection.legacy {
        for column in &definition.legacy_columns {
            if legacy.column(column.as_str()).is_none() {
                problems.push(Problem::missing_on_legacy(format!(
                    "Legacy table `{}` has no column `{column}`, which is to be dropped",
                    definition.legacy.table
                )));
            }
        }
        judge_null_keys(session, engine, definition, legacy, &mut problems).await?;
    }
    if problems.is_empty() {
        // What was looked up for an earlier form of the tables may no longer hold.
        database.forget_shapes();
        judge_insert(session, &inspection, &mut problems).await?;
    }
    Ok(problems)
}

/// Mapped columns that New stores only after a cast. SQLite stores anything, and MariaDB converts
/// what it stores.
async fn judge_types(
    session: &mut Session,
    engine: Engine,
    mapping: &MappingFacts,
    new: &TableFacts,
    problems: &mut Vec<Problem>,
) -> Result<(), StoreError> {
    match engine {
        #[cfg(feature = "postgres")]
        Engine::Postgres => {
            let mapped = mapping.columns.iter();
            let mapped: Vec<(i64, i64)> = mapped
                .filter_map(|column| Some((new.column(&column.name)?.number, column.oid?)))
                .collect();
            let unfit = super::postgres::unfit_columns(session, new, &mapped).await;
            for (name, from, to) in unfit.doing("failed to compare column types")? {
                let message = format!(
                    "the mapping yields `{name}` as `{from}`, which New stores as `{to}` only \
                     after a cast"
                );
                problems.push(Problem::in_mapping(message, None));
            }
        }
        #[cfg(any(feature = "mysql", feature = "sqlite"))]
        _ => {
            let _ = (session, mapping, new, problems);
        }
    }
    Ok(())
}

/// Rows without a key on SQLite, where most primary keys allow NULL.
async fn judge_null_keys(
    session: &mut Session,
    engine: Engine,
    definition: &Definition,
    legacy: &TableFacts,
    problems: &mut Vec<Problem>,
) -> Result<(), StoreError> {
    if engine.as_str() != "sqlite" || legacy.instead.is_some() {
        return Ok(());
    }
    for part in &definition.legacy.key {
        let Some(column) = legacy.column(part.as_str()).filter(|column| column.nullable) else {
            continue;
        };
        let sql = format!(
            "select 1 from {} as t where t.{} is null limit 1",
            legacy.qualified(),
            legacy.quote(&column.name)
        );
        if session.fetch_one(&sql, Vec::new()).await.doing("failed to read keys")?.is_some() {
            problems.push(Problem::from(format!(
                "Legacy table `{}` has rows whose key column `{part}` is NULL",
                definition.legacy.table
            )));
        }
    }
    Ok(())
}

/// Has MariaDB or SQLite parse the statement that backfill will run. PostgreSQL would lock New for
/// it.
async fn judge_insert(
    session: &mut Session,
    inspection: &Inspection<'_>,
    problems: &mut Vec<Problem>,
) -> Result<(), StoreError> {
    let Ok(shape) = inspection.shape() else { return Ok(()) };
    if shape.engine.as_str() == "postgres" {
        return Ok(());
    }
    match mapping::prepare(session, shape.insert_absent_sample()).await {
        Ok(_) => Ok(()),
        Err(error) => match (failure(&error), error.as_database_error()) {
            (Failure::Refused, Some(database)) => {
                let message = format!("rows cannot be inserted on New: {}", database.message());
                problems.push(Problem::from(message));
                Ok(())
            }
            _ => Err(store_error("failed to have the insert on New parsed", error)),
        },
    }
}
