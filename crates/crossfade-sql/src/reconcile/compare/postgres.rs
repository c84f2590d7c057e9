//! Comparing on PostgreSQL: one full join, which the planner merges along both keys.

use crossfade_core::{MAPPED_ALIAS, MigrationName};

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
    let parts = shape.parts(range, "as", &legacy_rows, name, args);
    let key = &shape.new.key;
    let text = |n: usize| {
        format!("coalesce(cast(n.{0} as text), cast(m.{0} as text)) as k{n}", key[n].name)
    };
    format!(
        "with {mapped} select f.kind, {keys}, f.columns from (\
         select case when n.{first} is null then {MISSING} when m.{first} is null then {ORPHANED} \
         else {DIFFERING} end as kind, {texts}, {values}, \
         case when n.{first} is null or m.{first} is null then '' else {columns} end as columns \
         from {MAPPED_ALIAS} as m full join {new} on {same_key} \
         where n.{first} is null or (m.{first} is null and {unentered}) \
         or (m.{first} is not null and ({differ}))) as f where {unjournaled} order by {order}",
        mapped = parts.mapped,
        keys = shape.numbered(|n| format!("f.k{n}")),
        first = key[0].name,
        texts = shape.numbered(text),
        values = shape.numbered(|n| format!("n.{0} as n{n}, m.{0} as m{n}", key[n].name)),
        columns = parts.columns,
        new = parts.new,
        same_key = parts.same_key,
        differ = parts.differ,
        unjournaled = parts.unjournaled,
        order =
            shape.numbered(|n| format!("f.n{n}")) + ", " + &shape.numbered(|n| format!("f.m{n}")),
    )
}

pub(super) fn entry(legacy: &ResolvedTable, part: usize) -> String {
    let cast = &legacy.key[part].cast;
    match legacy.key.len() {
        1 => format!("crossfade_quarantine.key::{cast}"),
        _ => format!("(crossfade_quarantine.key::json ->> {part})::{cast}"),
    }
}

pub(super) fn differs(column: &MappedColumn) -> String {
    let MappedColumn { name, cast, .. } = column;
    let (mapped, new) = (format!("m.{name}::{cast}"), format!("n.{name}"));
    let texts = format!("{mapped}::text collate \"C\" is distinct from {new}::text collate \"C\"");
    match column.compared {
        Compared::Text => texts,
        Compared::Float => {
            format!("({mapped} is distinct from {new} or ({mapped} = 0 and {texts}))")
        }
        Compared::Blanks => {
            let stored = |value: &str| format!("textin(bpcharout({value})) collate \"C\"");
            format!("{} is distinct from {}", stored(&mapped), stored(&new))
        }
        // What `jsonb` cannot hold, NUL and halves of surrogate pairs, is compared as it is spelled.
        Compared::Json => format!(
            "case when {mapped}::text collate \"C\" = {new}::text collate \"C\" then false \
             when {mapped}::text || {new}::text ~* '\\\\u(0000|d[89a-f])' then true \
             else {mapped}::jsonb is distinct from {new}::jsonb end"
        ),
        _ => format!("{mapped} is distinct from {new}"),
    }
}

pub(super) fn shown(column: &MappedColumn) -> (String, String) {
    let MappedColumn { name, cast, .. } = column;
    match column.compared {
        Compared::Blanks => {
            (format!("textin(bpcharout(m.{name}::{cast}))"), format!("textin(bpcharout(n.{name}))"))
        }
        _ => (format!("m.{name}::{cast}::text"), format!("n.{name}::text")),
    }
}
