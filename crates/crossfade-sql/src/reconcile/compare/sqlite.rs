//! Comparing on SQLite, whose full join has no index to go by: one join for the rows that the
//! mapping yields, and one for the keys that only New has.
//!
//! The common table expressions are not materialized: their rows would be copied, and joined without
//! Legacy's index.

use crossfade_core::{KeyText, MAPPED_ALIAS, MigrationName};

use super::{DIFFERING, Entries, MISSING, ORPHANED};
use crate::shape::{Args, Compared, MappedColumn, ResolvedTable, Rows, Shape};

pub(super) fn compare(
    shape: &Shape,
    migration: &MigrationName,
    range: Rows<'_>,
    entries: Entries,
    args: &mut Args,
) -> String {
    let name = args.add(migration.as_str());
    let mut rows = |table: &ResolvedTable, of: &str| match entries {
        Entries::None => "true".to_owned(),
        Entries::Some => shape.not_entered(table, of, migration, args),
    };
    let legacy_rows = format!(" where {}", rows(&shape.legacy, "t"));
    let unentered = rows(&shape.new, "n");
    let parts = shape.parts(range, "as not materialized", &legacy_rows, name, args);
    let key = &shape.new.key;
    format!(
        "with {mapped} select f.kind, {texts}, f.columns from (\
         select case when n.{first} is null then {MISSING} else {DIFFERING} end as kind, {of_mapped}, \
         case when n.{first} is null then '' else {columns} end as columns \
         from {MAPPED_ALIAS} as m left join {new_table} as n on {same_key} \
         where n.{first} is null or {differ} \
         union all select {ORPHANED}, {of_new}, '' from {new} \
         left join {MAPPED_ALIAS} as m on {same_key} where case when m.{first} is null then {unentered} end\
         ) as f where {unjournaled} order by {order}",
        mapped = parts.mapped,
        texts = shape.numbered(|n| format!("cast(f.k{n} as text)")),
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

/// An integer is one, so that a lookup of it is not by text.
pub(super) fn entry(legacy: &ResolvedTable, part: usize) -> String {
    let stored = match legacy.key.len() {
        1 => "crossfade_quarantine.key".to_owned(),
        _ => format!("json_extract(crossfade_quarantine.key, '$[{part}]')"),
    };
    match legacy.key[part].text {
        KeyText::Integer => format!("cast({stored} as integer)"),
        _ => stored,
    }
}

pub(super) fn differs(column: &MappedColumn) -> String {
    let name = &column.name;
    // The plus takes the Legacy column's affinity away, so that New's alone applies.
    let values = format!("(+m.{name}) is distinct from n.{name} collate binary");
    match column.compared {
        Compared::StorageClass => format!("({values} or typeof(+m.{name}) <> typeof(n.{name}))"),
        _ => values,
    }
}

/// As a literal where the storage class matters; a BLOB always.
pub(super) fn shown(column: &MappedColumn) -> (String, String) {
    let name = &column.name;
    let shown = |of: &str| match column.compared {
        Compared::StorageClass => {
            format!("case when {of}.{name} is not null then quote({of}.{name}) end")
        }
        _ => format!(
            "case typeof({of}.{name}) when 'blob' then quote({of}.{name}) \
             else cast({of}.{name} as text) end"
        ),
    };
    (shown("m"), shown("n"))
}
