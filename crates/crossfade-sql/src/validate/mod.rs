//! Trying rows against New before they are moved: in transactions that are rolled back, and by
//! queries that count.
//!
//! Each engine's file says how New is made where it is not there yet, and what its unique indexes
//! compare.

#[cfg(feature = "mysql")]
mod mariadb;
#[cfg(feature = "postgres")]
mod postgres;
#[cfg(feature = "sqlite")]
mod sqlite;

use async_trait::async_trait;
use crossfade_core::{Definition, Key};
use crossfade_store::{Duplicates, StoreError, StoreErrorKind, Trial, Tried, ValidateStore};

use crate::catalog::try_expand;
use crate::error::Doing;
use crate::reconcile::{LOCKS, Sifting, groups, refusal};
use crate::schema::{Inspection, TableFacts, bound};
use crate::session::Session;
use crate::shape::{Rows, Shape};
use crate::{Database, Engine};

const DOING: &str = "failed to try rows";

/// Keys that are named of each index.
const SAMPLES: usize = 5;

/// What a unique index compares: expressions over a mapped row `n` with New's column names.
struct UniqueIndex {
    name: String,
    parts: Vec<String>,
    /// The rows that belong to it; `None` for all.
    predicate: Option<String>,
    /// Whether rows with a NULL in it are compared too.
    nulls_equal: bool,
}

#[async_trait]
impl ValidateStore for Database {
    async fn open_trial(
        &self,
        definition: &Definition,
        expand: &[String],
    ) -> Result<Trial, StoreError> {
        let mut session = self.session().await.doing(DOING)?;
        let engine = self.engine();
        let new = TableFacts::find(&mut session, engine, &definition.new.table).await?;
        let mut trial = Trial {
            definition: definition.clone(),
            makes: Vec::new(),
            scratch: None,
            unseen: Vec::new(),
        };
        #[cfg(feature = "mysql")]
        if engine == Engine::Mysql {
            mariadb::drop_leftovers(&mut session).await?;
            return match new {
                Some(_) => {
                    mariadb::expect_transactions(&mut session, definition).await.map(|()| trial)
                }
                None => mariadb::open(&mut session, definition, expand).await,
            };
        }
        if new.is_none() {
            trial.makes = expand.to_vec();
        }
        Ok(trial)
    }

    async fn try_rows(
        &self,
        trial: &Trial,
        after: Option<&Key>,
        rows: u32,
    ) -> Result<Tried, StoreError> {
        let (mut session, shape) = enter(self, trial).await?;
        let range = Rows::Between { after, upto: None };
        let mut keys = shape.batch_keys(range, rows.max(1));
        keys.text = keys.text.replace(self.engine().for_share(), "");
        let found = session.fetch(&keys.text, keys.args).await.doing(DOING)?;
        let keys: Vec<Key> = found.iter().filter_map(|row| shape.legacy.key_of(row, 0)).collect();
        let sifting = Sifting { after, most: usize::MAX, first: keys.len(), locks: false };
        let sifted = groups(&mut session, &shape, sifting, &keys).await;
        session.rollback().await;
        let mut sifted = sifted?;
        if let Some(scratch) = &trial.scratch {
            let scratch = format!("{}.", self.engine().quote(scratch));
            for (_, reason) in &mut sifted.refused {
                *reason = reason.replace(&scratch, "");
            }
        }
        let ends = sifted.handled == keys.len() && keys.len() < rows.max(1) as usize;
        let last = sifted.handled.checked_sub(1).and_then(|last| keys.get(last));
        Ok(Tried {
            rows: sifted.handled as u64,
            refused: sifted.refused,
            next: last.filter(|_| !ends).cloned(),
        })
    }

    async fn duplicates(&self, trial: &Trial) -> Result<Vec<Duplicates>, StoreError> {
        let doing = "failed to count duplicates";
        let (mut session, shape) = enter(self, trial).await?;
        let indexes = match self.engine() {
            #[cfg(feature = "mysql")]
            Engine::Mysql => mariadb::unique_indexes(&mut session, &shape).await,
            #[cfg(feature = "postgres")]
            Engine::Postgres => postgres::unique_indexes(&mut session, &shape).await,
            #[cfg(feature = "sqlite")]
            Engine::Sqlite => sqlite::unique_indexes(&mut session, &shape).await,
        };
        let indexes = indexes.doing(doing)?;
        // A query of the whole table holds no lock of the DDL that made New.
        session.rollback().await;
        let mut session = look(self, trial).await.doing(doing)?;
        let mut found = Vec::new();
        for index in indexes {
            let query = shape.duplicates(&index);
            let counted = format!("{query} limit {SAMPLES}");
            match session.fetch(&counted, Vec::new()).await {
                Ok(rows) => {
                    let Some(first) = rows.first() else { continue };
                    let total = first.int(0).unsigned_abs();
                    let samples = rows.iter().filter_map(|row| shape.new.key_of(row, 1)).collect();
                    let rows = Some(total);
                    found.push(Duplicates { index: index.name, rows, samples, query });
                }
                // Rows that the mapping fails on are found by trying.
                Err(error) if refusal(&error).is_some() => {
                    let (index, samples) = (index.name, Vec::new());
                    found.push(Duplicates { index, rows: None, samples, query });
                    // PostgreSQL takes nothing more in a transaction that failed.
                    session.rollback().await;
                    session = look(self, trial).await.doing(doing)?;
                }
                Err(error) => return Err(error).doing(doing),
            }
        }
        session.rollback().await;
        Ok(found)
    }

    async fn close_trial(&self, trial: &Trial) -> Result<(), StoreError> {
        #[cfg(feature = "mysql")]
        if let Some(scratch) = &trial.scratch {
            let mut session = self.session().await.doing(DOING)?;
            return mariadb::close(&mut session, scratch).await;
        }
        let _ = trial;
        Ok(())
    }
}

/// Begins a transaction in which New is there. Whoever calls rolls it back.
async fn enter(database: &Database, trial: &Trial) -> Result<(Session, Shape), StoreError> {
    let engine = database.engine();
    let pinned = &trial.definition.pinned;
    let mut session = database.begin_pinned(pinned).await.doing(DOING)?;
    bound(&mut session, engine, LOCKS).await.doing(DOING)?;
    let mut unseen = Vec::new();
    if !trial.makes.is_empty() {
        try_expand(&mut session, &trial.makes, &mut unseen).await.doing(DOING)?;
    }
    let inspection = Inspection::new(&mut session, engine, &trial.definition).await?;
    match inspection.shape() {
        Ok(shape) => Ok((session, shape)),
        Err(mut problems) => {
            session.rollback().await;
            problems.extend(unseen);
            let name = &trial.definition.name;
            let text = format!("the rows of `{name}` cannot be tried");
            Err(StoreError::new(StoreErrorKind::Invalid, text).with_hint(problems.join("; ")))
        }
    }
}

/// Begins a transaction that reads, and keeps no writer waiting.
async fn look(database: &Database, trial: &Trial) -> Result<Session, sqlx::Error> {
    #[cfg(feature = "sqlite")]
    if database.engine() == Engine::Sqlite {
        return database.begin_look().await;
    }
    database.begin_pinned(&trial.definition.pinned).await
}

impl Shape {
    /// The mapped rows that share an index's values with another, after their number.
    fn duplicates(&self, index: &UniqueIndex) -> String {
        let columns: Vec<String> = self
            .columns
            .iter()
            .map(|column| match (self.engine, column.cast.as_str()) {
                #[cfg(feature = "postgres")]
                (Engine::Postgres, cast) => format!("m.{0}::{cast} as {0}", column.name),
                #[cfg(any(feature = "mysql", feature = "sqlite"))]
                _ => format!("m.{0} as {0}", column.name),
            })
            .collect();
        let parts = index.parts.join(", ");
        let mut conditions: Vec<String> = index.predicate.iter().cloned().collect();
        if !index.nulls_equal {
            conditions.extend(index.parts.iter().map(|part| format!("{part} is not null")));
        }
        let conditions = if conditions.is_empty() {
            String::new()
        } else {
            format!(" where {}", conditions.join(" and "))
        };
        format!(
            "with {bare} as (select * from {legacy}), {mapped} \
             select count(*) over (), {keys} from (select n.*, count(*) over (partition by {parts}) \
             as crossfade_copies from (select {columns} from {alias} as m) as n{conditions}) as d \
             where d.crossfade_copies > 1 order by {order}",
            bare = self.legacy.bare,
            legacy = self.legacy.qualified,
            mapped = self.mapped("as"),
            keys = self.new.key_texts("d."),
            columns = columns.join(", "),
            alias = crossfade_core::MAPPED_ALIAS,
            order = self.new.key_list("d."),
        )
    }
}
