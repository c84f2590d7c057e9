//! Comparing on MariaDB, which has no full join: one join for the rows that the mapping yields, and
//! one for the keys that only New has.
//!
//! MariaDB evaluates a common table expression wherever it is named, so the second join asks for its
//! key alone, which an index answers where the mapping is simple. Entries of the quarantine are a
//! grouped derived table, which is made once and indexed: a subquery would run for each row.

use crossfade_core::{MAPPED_ALIAS, MigrationName};

use super::{DIFFERING, Entries, MISSING, ORPHANED, equal};
use crate::shape::{Args, Compared, MappedColumn, ResolvedTable, Rows, Shape};

pub(super) fn compare(
    shape: &Shape,
    migration: &MigrationName,
    range: Rows<'_>,
    entries: Entries,
    args: &mut Args,
) -> String {
    let name = args.add(migration.as_str());
    let mut join = |table: &ResolvedTable, of: &str| match entries {
        Entries::None => (String::new(), String::new()),
        Entries::Some => {
            let entries = shape.entries(migration, args);
            let on = equal(table, of, &|n| format!("q.crossfade_k{n}"));
            (format!(" left join {entries} as q on {on}"), "q.crossfade_k0 is null".to_owned())
        }
    };
    let (join_legacy, legacy_free) = join(&shape.legacy, "t");
    let (join_new, new_free) = join(&shape.new, "n");
    let legacy_rows = match legacy_free.is_empty() {
        true => String::new(),
        false => format!("{join_legacy} where {legacy_free}"),
    };
    let new_free = if new_free.is_empty() { new_free } else { format!(" and {new_free}") };
    let parts = shape.parts(range, "as", &legacy_rows, name, args);
    let key = &shape.new.key;
    format!(
        "with {mapped} select f.kind, {texts}, f.columns from (\
         select case when n.{first} is null then {MISSING} else {DIFFERING} end as kind, {of_mapped}, \
         case when n.{first} is null then '' else {columns} end as columns \
         from {MAPPED_ALIAS} as m left join {new_table} as n on {same_key} \
         where n.{first} is null or {differ} \
         union all select {ORPHANED}, {of_new}, '' from {new} \
         left join {MAPPED_ALIAS} as m on {same_key}{join_new} where m.{first} is null{new_free}\
         ) as f where {unjournaled} order by {order}",
        mapped = parts.mapped,
        texts = shape.numbered(|n| format!("cast(f.k{n} as char)")),
        first = key[0].name,
        of_mapped = shape.numbered(|n| format!("m.{} as k{n}", key[n].name)),
        columns = parts.columns,
        new_table = shape.new.qualified,
        same_key = parts.same_key,
        differ = parts.differ,
        of_new = shape.numbered(|n| format!("n.{}", key[n].name)),
        new = parts.new,
        unjournaled = parts.unjournaled,
        order = shape.numbered(|n| format!("f.k{n}")),
    )
}

pub(super) fn entry(legacy: &ResolvedTable, part: usize) -> String {
    let column = &legacy.key[part];
    let stored = match legacy.key.len() {
        1 => "crossfade_quarantine.key".to_owned(),
        _ => format!("json_unquote(json_extract(crossfade_quarantine.key, '$[{part}]'))"),
    };
    match (column.cast.as_str(), &column.collation) {
        ("", None) => stored,
        // Two columns of different collations cannot be compared.
        ("", Some(collation)) => {
            let charset = collation.split('_').next().unwrap_or_default();
            format!("convert({stored} using {charset}) collate {collation}")
        }
        (cast, _) => format!("cast({stored} as {cast})"),
    }
}

pub(super) fn differs(column: &MappedColumn) -> String {
    let MappedColumn { name, cast, .. } = column;
    let (mapped, new) = (text("m", column), text("n", column));
    match column.compared {
        Compared::Text => format!("not ({mapped} <=> {new})"),
        // A document that cannot be normalized is compared as it is spelled.
        Compared::MariaDbJson { normalize } => {
            let form = if normalize { "json_normalize" } else { "json_compact" };
            let document = |text: &str| format!("{form}({text}) collate utf8mb4_nopad_bin");
            format!(
                "(not ({mapped} <=> {new}) and not coalesce({} = {}, false))",
                document(&mapped),
                document(&new)
            )
        }
        Compared::Timestamp(digits) => format!(
            "(not (cast(m.{name} as {cast}) <=> n.{name}) or \
             not (truncate(unix_timestamp(m.{name}), {digits}) <=> unix_timestamp(n.{name})))"
        ),
        _ if cast.is_empty() => format!("not (m.{name} <=> n.{name})"),
        _ => format!("not (cast(m.{name} as {cast}) <=> n.{name})"),
    }
}

/// A text under the collation that tells any two apart. New's own needs no conversion where it is
/// stored in the same character set.
fn text(of: &str, column: &MappedColumn) -> String {
    let MappedColumn { name, cast, .. } = column;
    let converted = of == "n"
        && column.collation.as_ref().is_some_and(|collation| collation.starts_with("utf8mb4_"));
    let value = match converted {
        true => format!("{of}.{name}"),
        false => format!("convert({of}.{name} using utf8mb4)"),
    };
    let collation = match column.compared {
        Compared::MariaDbJson { .. } => "utf8mb4_nopad_bin",
        _ => cast,
    };
    format!("{value} collate {collation}")
}

pub(super) fn shown(column: &MappedColumn) -> (String, String) {
    let MappedColumn { name, cast, .. } = column;
    let text = |value: String| match cast.as_str() {
        "binary" => format!("hex({value})"),
        cast if cast.starts_with("binary(") => format!("hex({value})"),
        _ => format!("convert({value} using utf8mb4)"),
    };
    let mapped = match column.compared {
        Compared::Text | Compared::MariaDbJson { .. } => format!("m.{name}"),
        _ if cast.is_empty() => format!("m.{name}"),
        _ => format!("cast(m.{name} as {cast})"),
    };
    (text(mapped), text(format!("n.{name}")))
}
