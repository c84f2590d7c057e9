//! What the mapping is made of as the database sees it, and what it does to rows.
//!
//! Every part has a transaction of its own, which is rolled back: one that fails is listed as not
//! seen and keeps no other from looking. The trial and the counts read one snapshot each, so that a
//! concurrent write is never taken for an unstable mapping.

mod convert;
mod functions;
#[cfg(feature = "mysql")]
mod mariadb;
#[cfg(feature = "postgres")]
mod postgres;
#[cfg(feature = "sqlite")]
mod sqlite;
mod trial;

use crossfade_core::check::{MappingSurvey, Survey};
use crossfade_core::{Definition, Key, MAPPED_ALIAS};
use crossfade_store::{Depth, Failure, StoreError};

use super::{DOING, TRIAL};
use crate::error::{Doing, failure};
use crate::reconcile::Sql;
use crate::schema::{MappingFacts, TableFacts, bound, parse_mapping};
use crate::session::Session;
use crate::shape::{Args, ResolvedTable, Rows};
use crate::value::Row;
use crate::{Database, Engine};

/// Fills in what is known of the mapping. Nothing where Legacy is not there, is no table, or the
/// mapping does not parse: that is reported elsewhere.
pub(super) async fn look(
    database: &Database,
    definition: &Definition,
    legacy: &TableFacts,
    new: Option<&TableFacts>,
    depth: Depth,
    survey: &mut Survey,
) -> Result<(), StoreError> {
    let engine = database.engine();
    let Survey { mapping, unseen, .. } = survey;
    mapping.legacy_columns = legacy.columns.iter().map(|column| column.name.clone()).collect();
    let mut session = begin(database, definition).await?;
    mapping.functions =
        functions::called(&mut session, engine, &definition.mapping).await.doing(DOING)?;
    let parsed = parse_mapping(&mut session, engine, definition, legacy).await;
    session.rollback().await;
    let (Depth::Rows, Ok(facts), Some(table)) =
        (depth, parsed?, legacy.resolve(&definition.legacy.key))
    else {
        return Ok(());
    };
    let tried = Tried { engine, definition, table, facts };
    let parts = [
        ("look at the keys", Part::Keys),
        ("trial of the mapping", Part::Trial),
        ("count of converted values", Part::Convert),
    ];
    for (what, part) in parts {
        // A key of another storage class may have no text to name it by.
        if !mapping.odd_keys.is_empty() {
            break;
        }
        let mut session = begin(database, definition).await?;
        let done = match part {
            Part::Trial => trial::run(&mut session, &tried, mapping, unseen).await,
            Part::Convert => match new {
                Some(new) => convert::count(&mut session, &tried, new, mapping, unseen).await,
                None => Ok(()),
            },
            Part::Keys => odd_keys(&mut session, &tried, legacy, new, mapping).await,
        };
        session.rollback().await;
        match done {
            Err(error) if failure(&error) == Failure::Refused => {
                let words = error.as_database_error().map(ToString::to_string).unwrap_or_default();
                unseen.push(format!("the {what} failed: {words}"));
            }
            done => done.doing(DOING)?,
        }
    }
    Ok(())
}

/// The parts of a look at rows.
enum Part {
    Keys,
    Trial,
    Convert,
}

/// A transaction under the pinned settings that sees one moment and is rolled back. It may write,
/// since the mapping's functions may.
async fn begin(database: &Database, definition: &Definition) -> Result<Session, StoreError> {
    let engine = database.engine();
    let mut session = match engine {
        #[cfg(feature = "mysql")]
        Engine::Mysql => database.begin_by(crate::mariadb::begin_look()).await,
        #[cfg(feature = "postgres")]
        Engine::Postgres => {
            database.begin_by("begin isolation level repeatable read".to_owned()).await
        }
        #[cfg(feature = "sqlite")]
        Engine::Sqlite => database.begin_look().await,
    }
    .doing(DOING)?;
    session.pin(database, &definition.pinned).await.doing(DOING)?;
    bound(&mut session, engine, TRIAL).await.doing(DOING)?;
    Ok(session)
}

/// What is tried on rows.
struct Tried<'a> {
    engine: Engine,
    definition: &'a Definition,
    table: ResolvedTable,
    facts: MappingFacts,
}

impl Tried<'_> {
    /// A query over what the mapping makes of the Legacy rows that `choose` picks: `tail` follows
    /// the mapped rows, which it calls `m` where it names them so.
    fn over(&self, choose: &str, args: Args, tail: &str) -> Sql {
        let text = format!(
            "with {bare} {once} (select {columns} from {table} as t where {choose}), \
             {MAPPED_ALIAS} as ({mapping}\n) {tail}",
            bare = self.table.bare,
            once = self.engine.materialized(),
            columns = self.table.column_list("t."),
            table = self.table.qualified,
            mapping = self.facts.text,
        );
        Sql { text, args: args.0 }
    }

    /// The condition that a row has one of the keys.
    fn one_of(&self, keys: &[&Key], args: &mut Args) -> String {
        let each = keys.iter().map(|key| self.table.within(Rows::One(key), args));
        each.map(|equal| format!("({equal})")).collect::<Vec<_>>().join(" or ")
    }

    /// Mapped columns by name as statements write them.
    fn quoted(&self, name: &str) -> String {
        self.engine.quote(name)
    }

    /// The keys of up to `rows` rows of Legacy in order from a condition on, or from the end.
    async fn keys(
        &self,
        session: &mut Session,
        choose: &str,
        args: Args,
        order: &str,
        rows: &str,
    ) -> Result<Vec<Key>, sqlx::Error> {
        let table = &self.table;
        let sql = format!(
            "select {} from {} as t where {choose} order by {order} limit {rows}",
            table.key_texts("t."),
            table.qualified,
        );
        let found = session.fetch(&sql, args.0).await?;
        Ok(found.iter().filter_map(|row| table.key_of(row, 0)).collect())
    }
}

/// Runs a query that rows may make fail; `None` where they did. PostgreSQL's transaction goes on
/// after the failure.
async fn attempt(session: &mut Session, sql: Sql) -> Result<Option<Vec<Row>>, sqlx::Error> {
    let undo = session.engine().as_str() == "postgres";
    if undo {
        session.execute("savepoint crossfade_look", Vec::new()).await?;
    }
    match session.fetch(&sql.text, sql.args).await {
        Ok(rows) => {
            if undo {
                session.execute("release savepoint crossfade_look", Vec::new()).await?;
            }
            Ok(Some(rows))
        }
        Err(error) if failure(&error) == Failure::Refused => {
            if undo {
                session.execute("rollback to savepoint crossfade_look", Vec::new()).await?;
            }
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// Key values of a storage class that the column's type does not promise. Servers store no others.
async fn odd_keys(
    session: &mut Session,
    tried: &Tried<'_>,
    legacy: &TableFacts,
    new: Option<&TableFacts>,
    mapping: &mut MappingSurvey,
) -> Result<(), sqlx::Error> {
    #[cfg(feature = "sqlite")]
    if tried.engine == Engine::Sqlite {
        let sides = [
            ("Legacy", Some(legacy), &tried.definition.legacy.key),
            ("New", new, &tried.definition.new.key),
        ];
        for (side, facts, key) in sides {
            let Some(facts) = facts else { continue };
            let found = sqlite::odd_keys(session, side, facts, key).await?;
            mapping.odd_keys.extend(found);
        }
    }
    let _ = (session, tried, legacy, new, mapping);
    Ok(())
}
