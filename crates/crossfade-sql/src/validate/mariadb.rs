//! A scratch database for a New that is not there yet, and what MariaDB's unique indexes compare.
//!
//! MariaDB commits before and after each statement that defines something, so New cannot be made in
//! a transaction that is rolled back.

use crossfade_core::Definition;
use crossfade_store::{StoreError, StoreErrorKind, Trial};

use super::UniqueIndex;
use crate::Engine;
use crate::catalog::{created_table, makes_only, words};
use crate::error::Doing;
use crate::session::Session;
use crate::shape::Shape;
use crate::value::args;

/// How the names of scratch databases begin; then comes the connection that uses it.
const PREFIX: &str = "crossfade_scratch_";

const DOING: &str = "failed to make a scratch database";

/// Makes New in a scratch database. Foreign keys are not part of it: their tables are elsewhere.
pub(super) async fn open(
    session: &mut Session,
    definition: &Definition,
    expand: &[String],
) -> Result<Trial, StoreError> {
    let qualified = expand.iter().any(|statement| is_qualified(statement));
    if qualified || definition.new.table.schema.is_some() {
        let text = "expand.sql names a database, so New cannot be made in a scratch database";
        let hint = "validate after `crossfade expand`, or leave the database's name away";
        return Err(StoreError::new(StoreErrorKind::Invalid, text).with_hint(hint));
    }
    let row = session
        .fetch_one("select database(), cast(connection_id() as signed)", args![])
        .await
        .doing(DOING)?;
    let (home, number) = row.map(|row| (row.text(0), row.int(1))).unwrap_or_default();
    let scratch = format!("{PREFIX}{number}");
    let quote = |name: &str| Engine::Mysql.quote(name);
    let made = session.run_script(&format!("create database {}", quote(&scratch))).await;
    if let Err(error) = made {
        let hint = "New is not there yet, so its rows are tried in a database `crossfade_scratch_…`, \
                    which this user may not create; grant it, or validate after `crossfade expand`";
        return Err(crate::error::store_error(DOING, error).with_hint(hint));
    }
    let mut trial = Trial {
        definition: definition.clone(),
        makes: Vec::new(),
        scratch: Some(scratch.clone()),
        unseen: vec!["foreign keys of New are tried after `expand` only".to_owned()],
    };
    let begin = format!("use {}; set foreign_key_checks = 0", quote(&scratch));
    let mut ran = session.run_script(&begin).await;
    let mut made = Vec::new();
    for statement in expand {
        let words = words(statement);
        let kind = words.get(1).map(String::as_str);
        let confined = makes_only(&words, &made) && !matches!(kind, Some("schema" | "database"));
        if ran.is_ok() && confined && words[0] != "grant" {
            ran = session.run_script(statement).await;
            made.extend(created_table(&words).map(str::to_owned));
        }
    }
    let end = format!("use {}; set foreign_key_checks = default", quote(&home));
    let ended = session.run_script(&end).await;
    if let Err(error) = ran.and(ended) {
        close(session, &scratch).await?;
        return Err(error).doing("failed to run expand.sql in a scratch database");
    }
    let table = format!("{scratch}.{}", definition.new.table.name);
    trial.definition.new.table = table
        .parse()
        .map_err(|error| StoreError::new(StoreErrorKind::Invalid, DOING).with_source(error))?;
    Ok(trial)
}

/// Whether a statement may name something outside of the session's database: a dot with a name on
/// either side. A text that looks so counts too.
fn is_qualified(statement: &str) -> bool {
    let characters: Vec<char> = statement.chars().filter(|char| !char.is_whitespace()).collect();
    characters.windows(3).any(|window| {
        let named = |char: char| char.is_alphabetic() || matches!(char, '_' | '`' | '$');
        window[1] == '.' && (named(window[0]) || window[0].is_numeric()) && named(window[2])
    })
}

pub(super) async fn close(session: &mut Session, scratch: &str) -> Result<(), StoreError> {
    let sql = format!("drop database if exists {}", Engine::Mysql.quote(scratch));
    session.run_script(&sql).await.doing("failed to drop a scratch database")
}

/// Drops the scratch databases whose connection has ended.
pub(super) async fn drop_leftovers(session: &mut Session) -> Result<(), StoreError> {
    let doing = "failed to look for scratch databases";
    let sql = "select s.schema_name from information_schema.schemata as s \
               where s.schema_name regexp '^crossfade_scratch_[0-9]+$' and not exists \
               (select 1 from information_schema.processlist as p \
               where concat('crossfade_scratch_', p.id) = s.schema_name)";
    for row in session.fetch(sql, args![]).await.doing(doing)? {
        close(session, &row.text(0)).await?;
    }
    Ok(())
}

/// Refuses a New that a rollback would not empty again.
pub(super) async fn expect_transactions(
    session: &mut Session,
    definition: &Definition,
) -> Result<(), StoreError> {
    let sql = "select t.engine from information_schema.tables as t join information_schema.engines \
               as e on e.engine = t.engine where t.table_schema = coalesce($1, database()) \
               and t.table_name = $2 and coalesce(e.transactions, 'NO') <> 'YES'";
    let schema = definition.new.table.schema.as_ref().map(ToString::to_string);
    let args = args![schema, definition.new.table.name.as_str()];
    let row = session.fetch_one(sql, args).await.doing("failed to look up New's engine")?;
    match row {
        None => Ok(()),
        Some(row) => {
            let text = format!("New's engine {} has no transactions to roll back", row.text(0));
            Err(StoreError::new(StoreErrorKind::Invalid, text))
        }
    }
}

/// Every unique index of New, with the prefixes of its columns and their collations.
pub(super) async fn unique_indexes(
    session: &mut Session,
    shape: &Shape,
) -> Result<Vec<UniqueIndex>, sqlx::Error> {
    let sql = "select s.index_name, s.column_name, s.sub_part, c.collation_name, \
               c.character_set_name from information_schema.statistics as s \
               join information_schema.columns as c on c.table_schema = s.table_schema \
               and c.table_name = s.table_name and c.column_name = s.column_name \
               where concat('`', replace(s.table_schema, '`', '``'), '`.`', \
               replace(s.table_name, '`', '``'), '`') = $1 and s.non_unique = 0 \
               order by s.index_name, s.seq_in_index";
    let mut indexes: Vec<UniqueIndex> = Vec::new();
    for row in session.fetch(sql, args![shape.new.qualified.as_str()]).await? {
        let name = row.text(0);
        let mut part = format!("n.{}", Engine::Mysql.quote(&row.text(1)));
        if let (Some(collation), Some(charset)) = (row.opt_text(3), row.opt_text(4)) {
            part = format!("convert({part} using {charset}) collate {collation}");
        }
        if let Some(length) = row.opt_int(2) {
            part = format!("left({part}, {length})");
        }
        match indexes.last_mut().filter(|index| index.name == name) {
            Some(index) => index.parts.push(part),
            None => indexes.push(UniqueIndex {
                name,
                parts: vec![part],
                predicate: None,
                nulls_equal: false,
            }),
        }
    }
    Ok(indexes)
}
