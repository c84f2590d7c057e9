//! MariaDB's catalog, and its statements that commit by themselves.

use std::time::Duration;

use crossfade_core::{TableName, script_lock_id};
use crossfade_store::{ScriptStep, Statement, StatementError, StepRun, Timeouts};
use sqlx::Error;
use tokio::time::Instant;

use super::bound;
use super::step::{RECORD_KEY, failed, plain, record, recorded};
use super::table::{ColumnFacts, KeyKind, TableFacts};
use crate::session::Session;
use crate::shape::Compared;
use crate::value::{Row, args};
use crate::{Database, Engine, mariadb};

/// Names are compared without case; of several the one so spelled comes first.
const TABLE: &str = "\
select table_schema, table_name, table_type, engine, version() from information_schema.tables
where table_schema = coalesce($1, database()) and table_name = $2
order by binary table_name = binary $2 desc limit 1";

const COLUMNS: &str = "\
select cast(ordinal_position as signed), column_name, data_type, column_type, collation_name, is_nullable = 'YES',
    column_default is not null or extra like '%auto_increment%', is_generated = 'ALWAYS',
    cast(numeric_precision as signed), cast(numeric_scale as signed),
    cast(datetime_precision as signed), cast(character_maximum_length as signed)
from information_schema.columns where table_schema = $1 and table_name = $2
order by ordinal_position";

/// The checks of a table. Its `json` columns are `longtext` with the check `json_valid`.
const CHECKS: &str = "\
select check_clause from information_schema.check_constraints
where constraint_schema = $1 and table_name = $2";

/// Unique indexes over whole columns.
const UNIQUE: &str = "\
select s.index_name, s.column_name from information_schema.statistics s
where s.table_schema = $1 and s.table_name = $2 and s.non_unique = 0 and not exists (
    select 1 from information_schema.statistics e where e.table_schema = s.table_schema
    and e.table_name = s.table_name and e.index_name = s.index_name
    and (e.sub_part is not null or e.column_name is null))
order by s.index_name, s.seq_in_index";

/// How long another operator's statement is waited for.
const PATIENCE: Duration = Duration::from_secs(60);

pub(super) async fn find_table(
    session: &mut Session,
    table: &TableName,
) -> Result<Option<TableFacts>, Error> {
    let schema = table.schema.as_ref().map(|schema| schema.as_str().to_owned());
    let Some(row) = session.fetch_one(TABLE, args![schema, table.name.as_str()]).await? else {
        return Ok(None);
    };
    let (schema, name) = (row.text(0), row.text(1));
    let normalize = mariadb::release(&row.text(4)) >= Some((10, 7));
    let columns = session.fetch(COLUMNS, args![schema.as_str(), name.as_str()]).await?;
    let mut facts = TableFacts {
        engine: Engine::Mysql,
        oid: 0,
        schema,
        name,
        instead: match (row.text(2).as_str(), row.text(3).as_str()) {
            ("BASE TABLE", "InnoDB") => None,
            ("BASE TABLE", _) => Some("kept without transactions, which is not InnoDB"),
            ("VIEW" | "SYSTEM VIEW", _) => Some("a view"),
            ("SYSTEM VERSIONED", _) => Some("a table with history"),
            _ => Some("something else"),
        },
        columns: columns.iter().map(column).collect(),
        unique: Vec::new(),
    };
    let names = args![facts.schema.as_str(), facts.name.as_str()];
    let checks: Vec<String> =
        session.fetch(CHECKS, names).await?.iter().map(|row| condensed(&row.text(0))).collect();
    for column in &mut facts.columns {
        let check = format!("json_valid({})", condensed(&column.name));
        if column.compared == Compared::Text && checks.contains(&check) {
            column.compared = Compared::MariaDbJson { normalize };
        }
    }
    let mut last = None;
    let names = args![facts.schema.as_str(), facts.name.as_str()];
    for row in session.fetch(UNIQUE, names).await? {
        if last.replace(row.text(0)) != Some(row.text(0)) {
            facts.unique.push(Vec::new());
        }
        if let Some(columns) = facts.unique.last_mut() {
            columns.push(row.text(1));
        }
    }
    Ok(Some(facts))
}

/// A condition without what its spelling leaves open.
fn condensed(condition: &str) -> String {
    let insignificant = |c: char| c == '`' || c.is_whitespace();
    condition.to_lowercase().replace(insignificant, "")
}

fn column(row: &Row) -> ColumnFacts {
    let (kind, full, collation) = (row.text(2), row.text(3), row.opt_text(4));
    let declared = match &collation {
        Some(collation) => format!("{full} collate {collation}"),
        None => full.clone(),
    };
    let (cast, compared) = stored_as(row, &kind, &full);
    ColumnFacts {
        number: row.int(0),
        name: row.text(1),
        declared,
        cast,
        compared,
        key_kind: key_kind(&kind, collation.as_deref()),
        collation,
        nullable: row.int(5) != 0,
        has_default: row.int(6) != 0,
        generated: row.int(7) != 0,
    }
}

/// The type that a value takes when it is stored; for a text, the collation that tells any two
/// apart, but for blanks at the end where the column drops them.
fn stored_as(row: &Row, kind: &str, full: &str) -> (String, Compared) {
    let (digits, scale, fraction) = (row.int(8), row.int(9), row.int(10));
    let cast = match kind {
        "char" => return ("utf8mb4_bin".to_owned(), Compared::Text),
        "varchar" | "tinytext" | "text" | "mediumtext" | "longtext" | "enum" | "set" => {
            return ("utf8mb4_nopad_bin".to_owned(), Compared::Text);
        }
        "tinyint" | "smallint" | "mediumint" | "int" | "bigint" if full.contains("unsigned") => {
            "unsigned".to_owned()
        }
        "tinyint" | "smallint" | "mediumint" | "int" | "bigint" => "signed".to_owned(),
        "bit" | "year" => "unsigned".to_owned(),
        "decimal" => format!("decimal({digits}, {scale})"),
        "timestamp" => return (format!("datetime({fraction})"), Compared::Timestamp(fraction)),
        "datetime" => format!("datetime({fraction})"),
        "time" => format!("time({fraction})"),
        "binary" => format!("binary({})", row.int(11)),
        "varbinary" | "tinyblob" | "blob" | "mediumblob" | "longblob" => "binary".to_owned(),
        "float" | "double" | "date" | "uuid" | "inet4" | "inet6" => kind.to_owned(),
        _ => String::new(),
    };
    (cast, Compared::Value)
}

/// A text serves as a key only where bytes are compared: a mark or a lock is found by the key's
/// text, so two texts that the database takes for the same key would not meet.
fn key_kind(kind: &str, collation: Option<&str>) -> Option<KeyKind> {
    match (kind, collation) {
        ("tinyint" | "smallint" | "mediumint" | "int" | "bigint", _) => Some(KeyKind::Integer),
        ("uuid", _) => Some(KeyKind::Uuid),
        ("varchar", Some(collation)) if collation.ends_with("nopad_bin") => Some(KeyKind::Text),
        ("varchar" | "char", Some(collation)) if collation.ends_with("_bin") => {
            Some(KeyKind::PaddedText)
        }
        _ => None,
    }
}

/// Runs a statement that commits by itself and records it behind it. A lock of the session's keeps
/// two operators apart; should this one die in between, the statement is run again.
pub(super) async fn run(
    database: &Database,
    step: ScriptStep<'_>,
    statement: &Statement,
    timeouts: Timeouts,
) -> Result<StepRun, StatementError> {
    let started = Instant::now();
    let mut session = database.begin().await.map_err(failed)?;
    let lock = script_lock_id(&database.inner.namespace, step.migration);
    let lock = format!("crossfade_{lock}");
    if !mariadb::take(&mut session, &lock, PATIENCE).await.map_err(failed)? {
        session.rollback().await;
        return Ok(StepRun::Busy { waited: started.elapsed() });
    }
    // Whoever had the lock before may have run this very step.
    if let Some(digest) = recorded(&mut session, step).await.map_err(plain)? {
        mariadb::let_go(session, &lock).await;
        return Ok(StepRun::DoneBefore { digest });
    }
    let outcome = async {
        session.pin_script(step.pinned).await?;
        bound(&mut session, Engine::Mysql, timeouts).await?;
        session.run_script(&statement.text).await?;
        let (sql, args) = record(Engine::Mysql, step);
        session.insert_new(&sql, RECORD_KEY, args).await?;
        session.execute("commit", args![]).await
    };
    let outcome = outcome.await;
    mariadb::let_go(session, &lock).await;
    outcome.map_err(failed)?;
    Ok(StepRun::Ran)
}
