//! Whether two statements fit their migration, and each other.

use std::sync::Arc;

use crossfade_core::{MigrationState, Side, SideTable, Stage};
use crossfade_store::{Failure, StoreError, StoreErrorKind};
#[cfg(any(feature = "mysql", feature = "sqlite"))]
use sqlx::{AssertSqlSafe, Executor, SqlSafeStr};

#[cfg(feature = "postgres")]
use super::at_once::AtOnceTexts;
#[cfg(feature = "postgres")]
use super::plan::{self, Judged};
use super::text::Text;
use super::{Declared, Pair, Spelled};
use crate::error::{Doing, failure, store_error, words_in_chain};
use crate::schema::TableFacts;
#[cfg(any(feature = "mysql", feature = "sqlite"))]
use crate::session::Raw;
use crate::session::Session;
use crate::{Database, Engine};

/// What both statements are given.
const SAME_VALUES: &str = "both statements are given the same values, `$1`, `$2` and so on, in one \
    order";

pub(super) async fn declare(
    database: &Database,
    state: &MigrationState,
    legacy: &str,
    new: &str,
) -> Result<Declared, StoreError> {
    let engine = database.engine();
    let (legacy, new) = (text(legacy, engine, Side::Legacy)?, text(new, engine, Side::New)?);
    let values = values(&legacy, &new)?;
    let definition = &state.definition;
    let mut judged = Vec::new();
    for (side, text, table) in
        [(Side::Legacy, &legacy, &definition.legacy), (Side::New, &new, &definition.new)]
    {
        // Legacy is gone, or what its statement writes of it is.
        if side == Side::Legacy && state.stage == Stage::Contracted {
            judged.push(None);
            continue;
        }
        let mut session = database.session().await.doing("failed to look a statement over")?;
        let facts = find(&mut session, engine, side, table).await?;
        judged.push(match engine {
            #[cfg(feature = "postgres")]
            Engine::Postgres => {
                // A pool may have one connection only.
                drop(session);
                let (migration, facts) = (&definition.name, &facts);
                let statement = plan::Statement { migration, side, text, values, table, facts };
                Some(plan::judge(database, statement).await?)
            }
            #[cfg(any(feature = "mysql", feature = "sqlite"))]
            _ => {
                if let Some(target) = &text.target
                    && !target.may_be(&facts.schema, &facts.name)
                {
                    return Err(other_table(side, &target.name, table));
                }
                prepare(&mut session, Spelled::new(&text.sql, engine, values))
                    .await
                    .map_err(|error| refused(side, error))?;
                None
            }
        });
    }
    #[cfg(feature = "postgres")]
    let at_once = {
        let judged: Vec<Option<Judged>> = judged;
        if let [Some(legacy), Some(new)] = &judged[..] {
            same_types(legacy, new)?;
        }
        let fence = database.fence_literal(&definition.name).to_string();
        AtOnceTexts::new(&fence, [&legacy, &new], values, &judged)
    };
    #[cfg(not(feature = "postgres"))]
    let _: Vec<Option<()>> = judged;
    Ok(Declared(Arc::new(Pair {
        legacy: Spelled::new(&legacy.sql, engine, values),
        new: Spelled::new(&new.sql, engine, values),
        values,
        #[cfg(feature = "postgres")]
        at_once,
    })))
}

/// What a side is called in errors.
pub(super) const fn name(side: Side) -> &'static str {
    match side {
        Side::Legacy => "Legacy",
        Side::New => "New",
    }
}

fn invalid(message: String, hint: impl Into<String>) -> StoreError {
    StoreError::new(StoreErrorKind::Invalid, message).with_hint(hint)
}

fn text(sql: &str, engine: Engine, side: Side) -> Result<Text, StoreError> {
    Text::read(sql, engine).map_err(|(reason, hint)| {
        invalid(format!("the statement for {} {reason}", name(side)), hint)
    })
}

/// How many values the statements are given. Each is used by one of them at least.
fn values(legacy: &Text, new: &Text) -> Result<usize, StoreError> {
    for (side, text) in [(Side::Legacy, legacy), (Side::New, new)] {
        if text.parameters.is_empty() || text.parameters.contains(&0) {
            let message = format!("the statement for {} has no parameter `$1`", name(side));
            return Err(invalid(message, SAME_VALUES));
        }
    }
    let used = &legacy.parameters | &new.parameters;
    let most = used.last().copied().unwrap_or_default();
    match (1..=most).find(|number| !used.contains(number)) {
        None => Ok(most),
        Some(number) => {
            let message = format!("`${most}` is a parameter, and `${number}` is none");
            Err(invalid(message, SAME_VALUES))
        }
    }
}

async fn find(
    session: &mut Session,
    engine: Engine,
    side: Side,
    table: &SideTable,
) -> Result<TableFacts, StoreError> {
    TableFacts::find(session, engine, &table.table).await?.ok_or_else(|| {
        let message = format!("{} table `{}` does not exist", name(side), table.table);
        invalid(message, "run `crossfade expand` first, and look at the connection's schema")
    })
}

/// The error of a statement that writes another table than its side's.
pub(super) fn other_table(side: Side, found: &str, table: &SideTable) -> StoreError {
    let message =
        format!("the statement for {} writes `{found}`, not `{}`", name(side), table.table);
    invalid(message, "Legacy's statement comes first, and each writes its table of the manifest")
}

/// The error of a statement that the database does not take, or could not be asked about.
pub(super) fn refused(side: Side, error: sqlx::Error) -> StoreError {
    if failure(&error) != Failure::Refused {
        return store_error("failed to have a statement parsed", error);
    }
    let message = format!("the statement for {} is refused by the database", name(side));
    let mut error = store_error(&message, error);
    error.kind = StoreErrorKind::Invalid;
    let words = words_in_chain(&error);
    error.with_hint(words)
}

/// Has MariaDB or SQLite parse a statement, without running it.
#[cfg(any(feature = "mysql", feature = "sqlite"))]
async fn prepare(session: &mut Session, statement: Spelled) -> Result<(), sqlx::Error> {
    let sql = AssertSqlSafe(statement.sql).into_sql_str();
    match session.raw() {
        #[cfg(feature = "mysql")]
        Raw::Mysql(connection) => connection.prepare(sql).await.map(drop),
        #[cfg(feature = "postgres")]
        Raw::Postgres(connection) => connection.prepare(sql).await.map(drop),
        #[cfg(feature = "sqlite")]
        Raw::Sqlite(connection) => connection.prepare(sql).await.map(drop),
    }
}

/// Looks whether each value can be what both statements take it for.
#[cfg(feature = "postgres")]
fn same_types(legacy: &Judged, new: &Judged) -> Result<(), StoreError> {
    let pairs = legacy.parameters.iter().zip(&new.parameters);
    for (index, pair) in pairs.enumerate() {
        let (Some(legacy), Some(new)) = pair else { continue };
        if !legacy.fits(new) {
            let number = index + 1;
            let (legacy, new) = (&legacy.name, &new.name);
            let message = format!("`${number}` is `{legacy}` for Legacy and `{new}` for New");
            let hint = format!(
                "{SAME_VALUES}; where the order is right, write what is bound and cast it, as in \
                 `${number}::{legacy}::{new}` for New"
            );
            return Err(invalid(message, hint));
        }
    }
    Ok(())
}
