//! Counting the rows whose value changes when New stores it.

use std::time::Duration;

use crossfade_core::check::{Conversion, MappingSurvey, loss, may_change};
use sqlx::Error;
use tokio::time::Instant;

use super::{Tried, attempt};
use crate::Engine;
use crate::schema::TableFacts;
use crate::session::Session;
use crate::shape::{Args, Rows};

/// How long rows are counted. What lies beyond is said not to have been looked at.
const BUDGET: Duration = Duration::from_secs(5);
/// Rows of one statement.
const MOST: u32 = 20_000;

/// A column that is looked at.
#[derive(Debug)]
pub(super) struct Converted {
    /// The mapped column, quoted.
    pub(super) name: String,
    /// The type that the mapping yields, where it could be found out.
    pub(super) from: Option<String>,
    /// New's type as declared.
    pub(super) to: String,
    /// New's type that a mapped value is cast to.
    #[cfg_attr(
        not(any(feature = "mysql", feature = "postgres")),
        expect(dead_code, reason = "SQLite's own affinity converts")
    )]
    pub(super) cast: String,
    /// The condition that the value of row `m` changes; `None` where that cannot be, or New refuses
    /// the value instead.
    pub(super) changes: Option<String>,
}

/// Finds the columns whose type is not New's and counts the rows that change.
pub(super) async fn count(
    session: &mut Session,
    tried: &Tried<'_>,
    new: &TableFacts,
    mapping: &mut MappingSurvey,
    unseen: &mut Vec<String>,
) -> Result<(), Error> {
    let engine = tried.engine.as_str();
    let types = types(session, tried).await?;
    if types.is_empty() {
        unseen.push(
            "the mapping's types could not be found out without the right to create temporary \
             tables, so conversions were not looked at"
                .to_owned(),
        );
        return Ok(());
    }
    let mut columns = Vec::new();
    for mapped in &tried.facts.columns {
        let Some(column) = new.column(&mapped.name) else { continue };
        let named = types.iter().find(|(name, _)| *name == mapped.name);
        let from = named.map(|(_, from)| from.clone());
        if from.as_ref().is_some_and(|from| !may_change(engine, from, &column.declared)) {
            continue;
        }
        columns.push((
            column.name.clone(),
            Converted {
                name: tried.quoted(&mapped.name),
                from,
                to: column.declared.clone(),
                cast: column.cast.clone(),
                changes: None,
            },
        ));
    }
    for (_, column) in &mut columns {
        column.changes = condition(session, tried.engine, column).await?;
    }
    let counted = scan(session, tried, &columns).await?;
    let mut changed = counted.changed.into_iter();
    for (name, column) in columns {
        let changed = if column.changes.is_some() { changed.next().unwrap_or(0) } else { 0 };
        let lost = column.from.as_deref().and_then(|from| loss(engine, from, &column.to));
        if changed > 0 || lost.is_some() {
            mapping.conversions.push(Conversion {
                column: name,
                from: column.from,
                to: column.to,
                changed,
                examined: counted.examined,
                whole: counted.whole,
            });
        }
    }
    Ok(())
}

/// The mapping's output types by column name; empty where they could not be found out.
async fn types(session: &mut Session, tried: &Tried<'_>) -> Result<Vec<(String, String)>, Error> {
    let mut create = tried.over("true", Args::default(), "");
    create.text = format!(
        "{} as {}select * from {} as m {}",
        match tried.engine {
            #[cfg(feature = "mysql")]
            Engine::Mysql => "create temporary table crossfade_mapping_types",
            #[cfg(feature = "postgres")]
            Engine::Postgres => "create temporary table crossfade_mapping_types on commit drop",
            #[cfg(feature = "sqlite")]
            Engine::Sqlite => "create temporary table crossfade_mapping_types",
        },
        create.text,
        crossfade_core::MAPPED_ALIAS,
        if tried.engine.as_str() == "postgres" { "with no data" } else { "limit 0" },
    );
    if attempt(session, create).await?.is_none() {
        return Ok(Vec::new());
    }
    let rows = match tried.engine {
        #[cfg(feature = "mysql")]
        Engine::Mysql => super::mariadb::temporary_types(session).await,
        #[cfg(feature = "postgres")]
        Engine::Postgres => session.fetch(super::postgres::TYPES, Vec::new()).await,
        #[cfg(feature = "sqlite")]
        Engine::Sqlite => session.fetch(super::sqlite::TYPES, Vec::new()).await,
    }?;
    Ok(rows.iter().map(|row| (row.text(0), row.text(1))).collect())
}

/// The condition that a column's value changes.
async fn condition(
    session: &mut Session,
    engine: Engine,
    column: &Converted,
) -> Result<Option<String>, Error> {
    match engine {
        #[cfg(feature = "mysql")]
        Engine::Mysql => {
            let _ = session;
            Ok(super::mariadb::changes(column))
        }
        #[cfg(feature = "postgres")]
        Engine::Postgres => super::postgres::changes(session, column).await,
        #[cfg(feature = "sqlite")]
        Engine::Sqlite => {
            let _ = session;
            Ok(Some(super::sqlite::changes(column)))
        }
    }
}

/// What was counted.
#[derive(Debug, Default)]
struct Counted {
    examined: u64,
    whole: bool,
    /// For each column with a condition.
    changed: Vec<u64>,
}

/// Counts in the order of Legacy's key. Rows that the mapping or a conversion fails on are passed
/// over: New refuses those, and `crossfade validate` counts them.
async fn scan(
    session: &mut Session,
    tried: &Tried<'_>,
    columns: &[(String, Converted)],
) -> Result<Counted, Error> {
    let looked_at: Vec<&Converted> = columns
        .iter()
        .map(|(_, column)| column)
        .filter(|column| column.changes.is_some())
        .collect();
    let mut counted = Counted { changed: vec![0; looked_at.len()], whole: true, examined: 0 };
    if looked_at.is_empty() {
        return Ok(counted);
    }
    let forward = tried.table.key_list("t.");
    let (started, mut rows, mut after) = (Instant::now(), MOST, None);
    loop {
        if started.elapsed() > BUDGET {
            counted.whole = false;
            return Ok(counted);
        }
        let mut args = Args::default();
        let choose =
            tried.table.within(Rows::Between { after: after.as_ref(), upto: None }, &mut args);
        let limit = format!("1 offset {}", rows - 1);
        let end = tried.keys(session, &choose, args, &forward, &limit).await?.pop();
        let range = Rows::Between { after: after.as_ref(), upto: end.as_ref() };
        match chunk(session, tried, range, &looked_at).await? {
            Some(found) => {
                counted.examined += found[0];
                for (total, more) in counted.changed.iter_mut().zip(&found[1..]) {
                    *total += more;
                }
                rows = rows.saturating_mul(2).min(MOST);
            }
            None if rows > 1 => {
                rows = rows.div_ceil(8);
                continue;
            }
            None => {}
        }
        match end {
            Some(end) => after = Some(end),
            None => return Ok(counted),
        }
    }
}

/// The number of mapped rows in a range and of those that change, column by column; `None` where one
/// of them fails.
async fn chunk(
    session: &mut Session,
    tried: &Tried<'_>,
    range: Rows<'_>,
    columns: &[&Converted],
) -> Result<Option<Vec<u64>>, Error> {
    let mut args = Args::default();
    let choose = tried.table.within(range, &mut args);
    let integer = tried.engine.integer_type();
    let sums = columns.iter().map(|column| {
        let changes = column.changes.as_deref().unwrap_or("false");
        format!(", cast(coalesce(sum(case when {changes} then 1 else 0 end), 0) as {integer})")
    });
    let sums = format!("select count(*){}", sums.collect::<String>());
    let sql = match tried.engine {
        #[cfg(feature = "sqlite")]
        Engine::Sqlite => {
            if !super::sqlite::store(session, tried, &choose, args, columns).await? {
                return Ok(None);
            }
            crate::reconcile::Sql {
                text: format!("{sums} from temp.crossfade_stored as m"),
                args: Vec::new(),
            }
        }
        #[cfg(any(feature = "mysql", feature = "postgres"))]
        _ => {
            tried.over(&choose, args, &format!("{sums} from {} as m", crossfade_core::MAPPED_ALIAS))
        }
    };
    let rows = attempt(session, sql).await?;
    Ok(rows.and_then(|rows| {
        let row = rows.into_iter().next()?;
        Some((0..row.0.len()).map(|index| row.int(index).unsigned_abs()).collect())
    }))
}
