//! PostgreSQL's catalog.

use crossfade_core::TableName;
use sqlx::Error;

use super::table::{ColumnFacts, KeyKind, TableFacts};
use crate::Engine;
use crate::session::Session;
use crate::shape::Compared;
use crate::value::args;

const TABLE: &str = "\
select c.oid::bigint, n.nspname::text, c.relname::text, c.relkind::text
from pg_class c join pg_namespace n on n.oid = c.relnamespace
where c.oid = coalesce(to_regclass($1), to_regclass($2))";

/// Domains are followed down to the type below them: a cast to a domain would run its checks.
/// Types of strings and bit strings lose their length, to which a cast would cut in silence.
/// So do arrays of them. `numeric` of a declared scale stores every value with that scale. Any type
/// that is not listed as exact is compared by its text: an equality that is not known to be exact
/// may hide a difference.
const COLUMNS: &str = "\
with recursive base (attnum, typ, typmod) as (
    select attnum, atttypid, atttypmod from pg_attribute
    where attrelid = $1::oid and attnum > 0 and not attisdropped
    union all
    select b.attnum, t.typbasetype, t.typtypmod
    from base b join pg_type t on t.oid = b.typ where t.typtype = 'd'
)
select a.attnum::bigint, a.attname::text, format_type(a.atttypid, a.atttypmod),
    format_type(b.typ, case when t.typcategory in ('S', 'V') or e.typcategory in ('S', 'V')
        then -1 else b.typmod end),
    case when t.oid = 'pg_catalog.json'::regtype then 'json'
        when t.oid in ('pg_catalog.float4'::regtype, 'pg_catalog.float8'::regtype) then 'float'
        when t.oid = 'pg_catalog.bpchar'::regtype and b.typmod = -1 then 'blanks'
        when t.oid = 'pg_catalog.numeric'::regtype and b.typmod <> -1 then 'value'
        when coalesce(e.typtype, t.typtype) = 'e' then 'value'
        when coalesce(e.oid, t.oid) in ({exact}) then 'value'
        else 'text' end,
    case when a.attcollation in (select oid from pg_collation where not collisdeterministic)
        then '' else t.typname::text end,
    (select n.nspname || '.' || l.collname from pg_collation l
        join pg_namespace n on n.oid = l.collnamespace where l.oid = a.attcollation),
    not a.attnotnull, a.atthasdef or a.attidentity <> '' or a.attgenerated <> '',
    a.attgenerated <> '' or a.attidentity = 'a'
from pg_attribute a
join base b on b.attnum = a.attnum
join pg_type t on t.oid = b.typ and t.typtype <> 'd'
left join pg_type e on e.oid = t.typelem and t.typcategory = 'A'
where a.attrelid = $1::oid
order by a.attnum";

/// Types whose equality distinguishes any two stored values.
const EXACT: &[&str] = &[
    "bool",
    "\"char\"",
    "name",
    "int2",
    "int4",
    "int8",
    "oid",
    "uuid",
    "bytea",
    "date",
    "time",
    "timetz",
    "timestamp",
    "timestamptz",
    "bit",
    "varbit",
    "inet",
    "cidr",
    "macaddr",
    "macaddr8",
    "pg_lsn",
    "money",
];

/// Indexes that `on conflict` can name by their columns: whole, valid and checked at once.
const UNIQUE: &str = "\
select i.indexrelid::bigint, a.attname::text
from pg_index i
cross join lateral unnest(i.indkey) with ordinality as k (attnum, position)
join pg_attribute a on a.attrelid = i.indrelid and a.attnum = k.attnum
where i.indrelid = $1::oid and k.position <= i.indnkeyatts
and i.indisunique and i.indisvalid and i.indimmediate
and i.indpred is null and i.indexprs is null
order by i.indexrelid, k.position";

/// Mapped columns whose type does not become New's without a cast of the mapping's own.
const UNFIT: &str = "\
select a.attname::text, format_type(m.typ, -1), format_type(a.atttypid, a.atttypmod)
from (values {mapped}) as m (attnum, typ)
join pg_attribute a on a.attrelid = $1::oid and a.attnum = m.attnum
join pg_type s on s.oid = m.typ
join pg_type t on t.oid = a.atttypid
where s.typtype <> 'p' and s.oid <> t.oid and t.typcategory <> 'S'
and not (s.typcategory = 'A' and t.typcategory = 'A')
and coalesce(nullif(s.typbasetype, 0), s.oid) <> coalesce(nullif(t.typbasetype, 0), t.oid)
and not exists (
    select 1 from pg_cast c where c.castcontext in ('a', 'i')
    and c.castsource = coalesce(nullif(s.typbasetype, 0), s.oid)
    and c.casttarget = coalesce(nullif(t.typbasetype, 0), t.oid)
)
order by a.attnum";

pub(super) async fn find_table(
    session: &mut Session,
    table: &TableName,
) -> Result<Option<TableFacts>, Error> {
    let quote = |name: &str| Engine::Postgres.quote(name);
    let schema = table.schema.as_ref().map(|schema| format!("{}.", quote(schema.as_str())));
    let exact = format!("{}{}", schema.unwrap_or_default(), quote(table.name.as_str()));
    let Some(row) = session.fetch_one(TABLE, args![exact, table.to_string()]).await? else {
        return Ok(None);
    };
    let oid = row.int(0);
    let mut facts = TableFacts {
        engine: Engine::Postgres,
        oid,
        schema: row.text(1),
        name: row.text(2),
        instead: match row.text(3).as_str() {
            "r" | "p" => None,
            "v" => Some("a view"),
            "m" => Some("a materialized view"),
            "f" => Some("a foreign table"),
            _ => Some("something else"),
        },
        columns: Vec::new(),
        unique: Vec::new(),
    };
    let exact = EXACT.iter().map(|name| format!("'pg_catalog.{name}'::regtype"));
    let sql = COLUMNS.replace("{exact}", &exact.collect::<Vec<_>>().join(", "));
    for row in session.fetch(&sql, args![oid]).await? {
        facts.columns.push(ColumnFacts {
            number: row.int(0),
            name: row.text(1),
            declared: row.text(2),
            cast: row.text(3),
            compared: compared(&row.text(4)),
            key_kind: key_kind(&row.text(5)),
            collation: row.opt_text(6),
            nullable: row.int(7) != 0,
            has_default: row.int(8) != 0,
            generated: row.int(9) != 0,
        });
    }
    let mut last = None;
    for row in session.fetch(UNIQUE, args![oid]).await? {
        if last.replace(row.int(0)) != Some(row.int(0)) {
            facts.unique.push(Vec::new());
        }
        if let Some(columns) = facts.unique.last_mut() {
            columns.push(row.text(1));
        }
    }
    Ok(Some(facts))
}

fn compared(word: &str) -> Compared {
    match word {
        "value" => Compared::Value,
        "json" => Compared::Json,
        "float" => Compared::Float,
        "blanks" => Compared::Blanks,
        _ => Compared::Text,
    }
}

/// A text whose collation is not deterministic has no name here: it holds different texts for the
/// same key, whose marks and locks would not meet.
fn key_kind(name: &str) -> Option<KeyKind> {
    Some(match name {
        "int2" | "int4" | "int8" => KeyKind::Integer,
        "text" | "varchar" => KeyKind::Text,
        "bpchar" => KeyKind::PaddedText,
        "uuid" => KeyKind::Uuid,
        _ => return None,
    })
}

/// Which of the mapped columns, given as number on New and type, New cannot store. Each with the
/// mapping's type and New's.
pub(super) async fn unfit_columns(
    session: &mut Session,
    new: &TableFacts,
    mapped: &[(i64, i64)],
) -> Result<Vec<(String, String, String)>, Error> {
    if mapped.is_empty() {
        return Ok(Vec::new());
    }
    let values = mapped.iter().map(|(number, oid)| format!("({number}, {oid}::oid)"));
    let sql = UNFIT.replace("{mapped}", &values.collect::<Vec<_>>().join(", "));
    let rows = session.fetch(&sql, args![new.oid]).await?;
    Ok(rows.iter().map(|row| (row.text(0), row.text(1), row.text(2))).collect())
}
