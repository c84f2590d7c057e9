//! SQLite's catalog.

use crossfade_core::TableName;
use sqlx::Error;

use super::table::{ColumnFacts, KeyKind, TableFacts};
use crate::Engine;
use crate::session::Session;
use crate::shape::Compared;
use crate::value::args;

const TABLE: &str = "\
select schema, name, type, strict from pragma_table_list
where lower(name) = lower($1) and lower(schema) = lower($2)";

const COLUMNS: &str = "\
select cid, name, type, \"notnull\", dflt_value is not null, pk, hidden
from pragma_table_xinfo($1, $2) order by cid";

/// Unique indexes over whole tables and plain columns, with the collation they compare by.
const UNIQUE: &str = "\
select i.name, x.name, x.coll, i.origin
from pragma_index_list($1, $2) i, pragma_index_xinfo(i.name, $2) x
where i.\"unique\" and not i.partial and x.key
and not exists (select 1 from pragma_index_xinfo(i.name, $2) e where e.key and e.cid < 0)
order by i.seq, x.seqno";

pub(super) async fn find_table(
    session: &mut Session,
    table: &TableName,
) -> Result<Option<TableFacts>, Error> {
    let schema = table.schema.as_ref().map_or("main", |schema| schema.as_str());
    let Some(row) = session.fetch_one(TABLE, args![table.name.as_str(), schema]).await? else {
        return Ok(None);
    };
    let mut facts = TableFacts {
        engine: Engine::Sqlite,
        oid: 0,
        schema: row.text(0),
        name: row.text(1),
        instead: match row.text(2).as_str() {
            "table" => None,
            "view" => Some("a view"),
            _ => Some("a virtual table"),
        },
        columns: Vec::new(),
        unique: Vec::new(),
    };
    let (name, schema) = (facts.name.clone(), facts.schema.clone());
    let strict = row.int(3) != 0;
    let mut primary = Vec::new();
    for row in session.fetch(COLUMNS, args![name.as_str(), schema.as_str()]).await? {
        let declared = row.text(2);
        if row.int(5) > 0 {
            primary.push(row.text(1));
        }
        facts.columns.push(ColumnFacts {
            number: row.int(0),
            name: row.text(1),
            cast: String::new(),
            compared: compared(&declared, strict),
            key_kind: key_kind(&declared),
            declared,
            collation: None,
            nullable: row.int(3) == 0,
            has_default: row.int(4) != 0,
            generated: row.int(6) != 0,
        });
    }
    let mut last = None;
    let mut primary_has_index = false;
    for row in session.fetch(UNIQUE, args![name, schema]).await? {
        if last.as_ref() != Some(&row.text(0)) {
            last = Some(row.text(0));
            facts.unique.push(Vec::new());
        }
        if let Some(columns) = facts.unique.last_mut() {
            columns.push(row.text(1));
        }
        primary_has_index |= row.text(3) == "pk";
        let column = facts.columns.iter_mut().find(|column| column.name == row.text(1));
        if let Some(column) = column {
            let collation = row.text(2);
            // Marks and locks are found by a key's bytes.
            if collation != "BINARY" && column.key_kind != Some(KeyKind::Integer) {
                column.key_kind = None;
            }
            column.collation.get_or_insert(collation);
        }
    }
    if let ([single], false) = (&primary[..], primary_has_index) {
        // The row id itself: never NULL, filled in when left out, and without an index.
        if let Some(column) = facts.columns.iter_mut().find(|column| column.name == *single) {
            column.nullable = false;
            column.has_default = true;
        }
        facts.unique.push(primary);
    }
    Ok(Some(facts))
}

/// A column without affinity stores values as they come, and 1 equals 1.0.
fn compared(declared: &str, strict: bool) -> Compared {
    let declared = declared.to_ascii_uppercase();
    let converts = ["INT", "CHAR", "CLOB", "TEXT"].iter().any(|word| declared.contains(word));
    let keeps = declared.is_empty()
        || (strict && declared == "ANY")
        || (!converts && declared.contains("BLOB"));
    if keeps { Compared::StorageClass } else { Compared::Value }
}

/// By SQLite's rules of affinity. A column declared `uuid` has numeric affinity, which leaves the
/// text of a uuid as it is.
fn key_kind(declared: &str) -> Option<KeyKind> {
    let declared = declared.to_ascii_uppercase();
    let has = |words: &[&str]| words.iter().any(|word| declared.contains(word));
    if has(&["INT"]) {
        Some(KeyKind::Integer)
    } else if has(&["CHAR", "CLOB", "TEXT"]) {
        Some(KeyKind::Text)
    } else if declared == "UUID" {
        Some(KeyKind::Uuid)
    } else {
        None
    }
}
