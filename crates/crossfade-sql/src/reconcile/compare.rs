//! The statement that compares a chunk of keys on both sides, in one snapshot.

use crossfade_core::{MAPPED_ALIAS, MigrationName};

use super::statements::Sql;
use crate::Engine;
use crate::capture::key_text;
use crate::shape::{Args, MappedColumn, ResolvedTable, Rows, Shape};

/// The mapped row and New's row differ.
pub(super) const DIFFERING: i64 = 1;
/// The mapping yields the key and New lacks it.
pub(super) const MISSING: i64 = 2;
/// New has the key and the mapping does not yield it.
pub(super) const ORPHANED: i64 = 3;

impl Shape {
    /// The end of the chunk of at most `rows` keys of either side; no row where both have fewer.
    pub(super) fn chunk_end(&self, range: Rows<'_>, rows: u32) -> Sql {
        let mut args = Args::default();
        let sides = [&self.legacy, &self.new].map(|table| {
            let within = table.within(range, &mut args);
            let offset = args.add(rows.saturating_sub(1));
            let names = table.key.iter().enumerate();
            let names = names.map(|(index, column)| format!("t.{} as k{index}", column.name));
            format!(
                "select * from (select {} from {} as t where {within} \
                 order by {} limit 1 offset ${offset}) as s",
                names.collect::<Vec<_>>().join(", "),
                table.qualified,
                table.key_list("t."),
            )
        });
        let text = format!(
            "select {} from ({}) as b order by {} limit 1",
            self.numbered(|n| format!("cast(b.k{n} as {})", self.engine.text_type())),
            sides.join(" union all "),
            self.numbered(|n| format!("b.k{n}")),
        );
        Sql { text, args: args.0 }
    }

    /// Compares a range. Its first column counts the keys and is the same in every row; then come
    /// the kind of difference and the key. Without differences there is one row without a kind.
    ///
    /// A key in the journal is not named either: its mark was committed with the write that made the
    /// sides differ, so the snapshot that shows the difference shows the mark.
    ///
    /// Rows whose key is in quarantine are left out before the mapping sees them, since the
    /// mapping itself may be what fails on them. Two left joins stand for a full one: SQLite joins
    /// fully without an index, in quadratic time. The second goes over New's own key values,
    /// because an index serves only operands of one affinity.
    pub(super) fn compare(&self, migration: &MigrationName, range: Rows<'_>) -> Sql {
        let mut args = Args::default();
        let once = self.engine.materialized();
        let name = args.add(migration.as_str());
        let (legacy, new) = (&self.legacy, &self.new);
        let within = legacy.within(range, &mut args);
        let new_within = new.within(range, &mut args);
        let marked_within = legacy.within(range, &mut args);
        let marked = |table: &ResolvedTable| {
            let equal = table.key.iter().enumerate();
            let equal = equal.map(|(n, column)| format!("t.{} = q.k{n}", column.name));
            let equal = equal.collect::<Vec<_>>().join(" and ");
            format!("exists (select 1 from crossfade_marks as q where {equal})")
        };
        let on = |left: &str, right: &dyn Fn(usize) -> String| {
            let equal = new.key.iter().enumerate();
            let equal = equal.map(|(n, column)| format!("{left}.{} = {}", column.name, right(n)));
            equal.collect::<Vec<_>>().join(" and ")
        };
        let key = &new.key;
        let text = format!(
            "with crossfade_marks {once} (select {marks} from crossfade_quarantine \
             where migration = ${name}), \
             {bare} {once} (select {legacy_columns} from {legacy_table} as t \
             where {within} and not {legacy_marked}), \
             {mapped}, \
             crossfade_new {once} (select * from {new_table} as t \
             where {new_within} and not {new_marked}), \
             crossfade_pairs {once} (select {pair_keys}, case when n.{first} is null \
             then {MISSING} when {differ} then {DIFFERING} else 0 end as kind \
             from {MAPPED_ALIAS} as m left join crossfade_new as n on {pair_on}), \
             crossfade_all {once} (select kind, {found_keys} from crossfade_pairs as p \
             union all select {ORPHANED}, {orphan_keys} from crossfade_new as n \
             left join crossfade_pairs as p on {orphan_on} where p.kind is null) \
             select c.compared, a.kind, {texts} from (select (select count(*) from crossfade_all) \
             + (select count(*) from {legacy_table} as t where {marked_within} and {legacy_marked}) \
             as compared) as c left join (select f.* from crossfade_all as f \
             where f.kind > 0{unjournaled}) as a on true order by {order}",
            marks = self.marks(),
            bare = legacy.bare,
            legacy_columns = legacy.column_list("t."),
            legacy_table = legacy.qualified,
            legacy_marked = marked(legacy),
            mapped = self.mapped(once),
            new_table = new.qualified,
            new_marked = marked(new),
            pair_keys = self.numbered(|n| { format!("m.{0} as m{n}, n.{0} as n{n}", key[n].name) }),
            first = key[0].name,
            differ = self.differ(),
            pair_on = on("n", &|n| format!("m.{}", key[n].name)),
            found_keys = self.numbered(|n| format!("p.m{n} as k{n}")),
            orphan_keys = self.numbered(|n| format!("n.{}", key[n].name)),
            orphan_on = on("n", &|n| format!("p.n{n}")),
            texts = self.numbered(|n| format!("cast(a.k{n} as {})", self.engine.text_type())),
            order = self.numbered(|n| format!("a.k{n}")),
            unjournaled = self.unjournaled(name),
        );
        Sql { text, args: args.0 }
    }

    /// The condition that the key of a row `f` is not in the journal of migration number `name`.
    fn unjournaled(&self, name: usize) -> String {
        // Nothing is journaled there.
        #[cfg(feature = "sqlite")]
        if self.engine == Engine::Sqlite {
            return String::new();
        }
        let columns: Vec<String> = (0..self.legacy.key.len()).map(|n| format!("f.k{n}")).collect();
        let key = key_text(self.engine, &columns);
        #[cfg(feature = "mysql")]
        let key = match self.engine {
            Engine::Mysql => format!("convert({key} using utf8mb4) collate utf8mb4_nopad_bin"),
            #[cfg(any(feature = "postgres", feature = "sqlite"))]
            _ => key,
        };
        format!(
            " and not exists (select 1 from crossfade_journal as j \
             where j.migration = ${name} and j.key = {key})"
        )
    }

    /// The keys of New in a range, as texts.
    pub(super) fn new_keys(&self, range: Rows<'_>) -> Sql {
        let mut args = Args::default();
        let within = self.new.within(range, &mut args);
        let text = format!(
            "select {} from {} as t where {within} order by {}",
            self.new.key_texts("t."),
            self.new.qualified,
            self.new.key_list("t."),
        );
        Sql { text, args: args.0 }
    }

    /// The keys in quarantine as values. Several columns are stored as a JSON array.
    fn marks(&self) -> String {
        let single = self.legacy.key.len() == 1;
        self.numbered(|n| match self.engine {
            #[cfg(feature = "mysql")]
            Engine::Mysql => {
                let column = &self.legacy.key[n];
                let stored = match single {
                    true => "crossfade_quarantine.key".to_owned(),
                    false => {
                        format!("json_unquote(json_extract(crossfade_quarantine.key, '$[{n}]'))")
                    }
                };
                match (column.cast.as_str(), &column.collation) {
                    ("", None) => format!("{stored} as k{n}"),
                    // Two columns of different collations cannot be compared.
                    ("", Some(collation)) => {
                        let charset = collation.split('_').next().unwrap_or_default();
                        format!("convert({stored} using {charset}) collate {collation} as k{n}")
                    }
                    (cast, _) => format!("cast({stored} as {cast}) as k{n}"),
                }
            }
            #[cfg(feature = "postgres")]
            Engine::Postgres => {
                let cast = &self.legacy.key[n].cast;
                if single {
                    format!("key::{cast} as k{n}")
                } else {
                    format!("(key::json ->> {n})::{cast} as k{n}")
                }
            }
            #[cfg(feature = "sqlite")]
            Engine::Sqlite if single => format!("key as k{n}"),
            #[cfg(feature = "sqlite")]
            Engine::Sqlite => format!("json_extract(key, '$[{n}]') as k{n}"),
        })
    }

    fn differ(&self) -> String {
        let differ: Vec<String> = self.values().map(|column| self.differs(column)).collect();
        if differ.is_empty() { "false".to_owned() } else { differ.join(" or ") }
    }

    /// Whether the mapped value `m` and New's value `n` of a column differ, once the mapped one
    /// has become what storing it would make of it.
    fn differs(&self, column: &MappedColumn) -> String {
        let MappedColumn { name, cast, as_text, .. } = column;
        match self.engine {
            #[cfg(feature = "mysql")]
            Engine::Mysql if *as_text => {
                let text = |of: &str| format!("convert({of}.{name} using utf8mb4) collate {cast}");
                format!("not ({} <=> {})", text("m"), text("n"))
            }
            #[cfg(feature = "mysql")]
            Engine::Mysql if column.moment => Self::moments_differ(name, cast),
            #[cfg(feature = "mysql")]
            Engine::Mysql if cast.is_empty() => format!("not (m.{name} <=> n.{name})"),
            #[cfg(feature = "mysql")]
            Engine::Mysql => format!("not (cast(m.{name} as {cast}) <=> n.{name})"),
            #[cfg(feature = "postgres")]
            Engine::Postgres if *as_text => format!(
                "m.{name}::{cast}::text collate \"C\" is distinct from n.{name}::text collate \"C\""
            ),
            #[cfg(feature = "postgres")]
            Engine::Postgres => format!("m.{name}::{cast} is distinct from n.{name}"),
            // The plus takes the Legacy column's affinity away, so that New's alone applies.
            #[cfg(feature = "sqlite")]
            Engine::Sqlite => {
                let _ = (cast, as_text);
                format!("(+m.{name}) is distinct from n.{name} collate binary")
            }
        }
    }

    fn numbered(&self, render: impl Fn(usize) -> String) -> String {
        (0..self.legacy.key.len()).map(render).collect::<Vec<_>>().join(", ")
    }
}
