//! Functions and conversions on PostgreSQL.

use std::collections::{BTreeMap, BTreeSet};

use crossfade_core::check::{FunctionFacts, Loss, Volatility, loss};
use sqlx::Error;

use super::convert::Converted;
use crate::session::Session;
use crate::value::args;

/// The mapping's output types, with their lengths and scales.
pub(super) const TYPES: &str = "\
select attname::text, format_type(atttypid, atttypmod) from pg_attribute
where attrelid = 'pg_temp.crossfade_mapping_types'::regclass and attnum > 0 order by attnum";

/// Whether one type is cast to another in an assignment, and back in any way; and whether either
/// holds texts. From and to texts every type is cast.
const CASTS: &str = "\
select s.typcategory = 'S', t.typcategory = 'S',
    s.oid = t.oid or s.typcategory = 'S' or t.typcategory = 'S'
    or exists (select 1 from pg_cast c where c.castsource = s.oid and c.casttarget = t.oid),
    s.oid = t.oid or s.typcategory = 'S' or t.typcategory = 'S'
    or exists (select 1 from pg_cast c where c.castsource = t.oid and c.casttarget = s.oid),
    format_type(s.oid, -1)
from pg_type s, pg_type t where s.oid = to_regtype($1) and t.oid = to_regtype($2)";

/// What the catalog says of functions by these names. Of several of a name, PostgreSQL's own count
/// by the least volatile, since the mapping may mean that one, and others by the most.
pub(super) async fn functions(
    session: &mut Session,
    names: &BTreeSet<String>,
    text: &str,
) -> Result<Vec<FunctionFacts>, Error> {
    let numbers: Vec<String> = (1..=names.len()).map(|number| format!("${number}")).collect();
    let sql = format!(
        "select n.nspname::text, p.proname::text, p.provolatile::text, p.prokind::text, \
         p.proretset, pg_function_is_visible(p.oid) \
         from pg_proc p join pg_namespace n on n.oid = p.pronamespace where p.proname in ({})",
        numbers.join(", ")
    );
    let names = names.iter().map(|name| name.as_str().into()).collect();
    let text = text.to_lowercase();
    let mut found: BTreeMap<(Option<String>, String), FunctionFacts> = BTreeMap::new();
    for row in session.fetch(&sql, names).await? {
        let (schema, name) = (row.text(0), row.text(1));
        if row.int(5) == 0 && !text.contains(&schema.to_lowercase()) {
            continue;
        }
        let own = (schema != "pg_catalog").then_some(schema);
        let volatility = match row.text(2).as_str() {
            "i" => Volatility::Immutable,
            "s" => Volatility::Stable,
            _ => Volatility::Volatile,
        };
        let facts = FunctionFacts {
            name: name.clone(),
            schema: own.clone(),
            volatility,
            aggregate: row.text(3) == "a",
            returns_set: row.int(4) != 0,
        };
        let known = found.entry((own.clone(), name)).or_insert_with(|| facts.clone());
        known.volatility = match own {
            None => known.volatility.min(volatility),
            Some(_) => known.volatility.max(volatility),
        };
        known.aggregate |= facts.aggregate;
        known.returns_set |= facts.returns_set;
    }
    Ok(found.into_values().collect())
}

/// The condition that storing the value changes it: it is converted, converted back, and compared.
pub(super) async fn changes(
    session: &mut Session,
    column: &Converted,
) -> Result<Option<String>, Error> {
    let Some(from) = &column.from else { return Ok(None) };
    let (value, cast) = (format!("m.{}", column.name), &column.cast);
    if loss("postgres", from, &column.to) == Some(Loss::Refused("range")) {
        return Ok(None);
    }
    let Some(row) = session.fetch_one(CASTS, args![from.as_str(), cast.as_str()]).await? else {
        return Ok(None);
    };
    let [from_text, to_text, forth, back] = [0, 1, 2, 3].map(|index| row.int(index) != 0);
    let source = row.text(4);
    Ok(if !forth {
        None
    } else if from_text && to_text {
        cut_text(&value, &column.to)
    } else if from == "json" && column.to == "jsonb" {
        // Blanks between tokens mean nothing.
        let squeezed = |value: &str| format!("regexp_replace({value}::text, '\\s', '', 'g')");
        let stored = format!("{value}::jsonb");
        Some(format!("{} is distinct from {}", squeezed(&value), squeezed(&stored)))
    } else if back && source != "json" {
        Some(format!("({value}::{cast})::{source} is distinct from {value}"))
    } else {
        Some(format!("({value}::{cast})::text is distinct from {value}::text"))
    })
}

/// Blanks at the end, which an assignment cuts without an error, as `char` does always.
fn cut_text(value: &str, to: &str) -> Option<String> {
    let length = to.split_once('(').and_then(|(_, rest)| rest.split_once(')'));
    let length: Option<u32> = length.and_then(|(length, _)| length.parse().ok());
    let text = format!("{value}::text");
    if to.starts_with("character(") || to == "bpchar" || to == "character" {
        return Some(format!("{text} <> rtrim({text}, ' ')"));
    }
    length.map(|length| {
        format!(
            "char_length({text}) > {length} and rtrim(substr({text}, {}), ' ') = ''",
            length + 1
        )
    })
}
