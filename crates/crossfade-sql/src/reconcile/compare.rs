//! The statements that compare a chunk of keys on both sides, in one snapshot.
//!
//! One statement joins the sides and returns only what differs; what was compared is counted beside
//! it. Legacy's rows whose key is in quarantine are left out before the mapping sees them, since the
//! mapping itself may be what fails on them. New's are not: they count as compared, and matter only
//! where the mapping yields nothing for them, which few rows are.

#[cfg(feature = "mysql")]
mod mariadb;
#[cfg(feature = "postgres")]
mod postgres;
#[cfg(feature = "sqlite")]
mod sqlite;

use crossfade_core::{Key, MAPPED_ALIAS, MigrationName};

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

/// Whether the migration has entries in quarantine. A statement without any leaves them out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Entries {
    None,
    Some,
}

/// The conditions and expressions of a comparison, of the mapped row `m` and New's row `n`.
struct Parts {
    /// The chunk's Legacy rows and what the mapping makes of them, as common table expressions.
    mapped: String,
    /// New's rows of the chunk as `n`.
    new: String,
    /// That the keys are equal.
    same_key: String,
    /// That a column differs.
    differ: String,
    /// A digit for each compared column: 1 where it differs.
    columns: String,
    /// That the key of the found row `f` is not in the journal.
    unjournaled: String,
}

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

    /// Counts New's rows of a range and, up to one, the migration's entries in quarantine.
    pub(super) fn tally(&self, migration: &MigrationName, range: Rows<'_>) -> Sql {
        let mut args = Args::default();
        let within = self.new.within(range, &mut args);
        let name = args.add(migration.as_str());
        let text = format!(
            "select (select count(*) from {} as t where {within}), (select count(*) from \
             (select 1 as crossfade_entry from crossfade_quarantine where migration = ${name} \
             limit 1) as q)",
            self.new.qualified
        );
        Sql { text, args: args.0 }
    }

    /// Counts the Legacy rows of a range that are in quarantine and that New lacks.
    pub(super) fn held_back(&self, migration: &MigrationName, range: Rows<'_>) -> Sql {
        let mut args = Args::default();
        let within = self.legacy.within(range, &mut args);
        let entries = self.entries(migration, &mut args);
        let text = format!(
            "select count(*) from (select {keys} from {legacy} as t where {within}) as l \
             join {entries} as q on {entered} left join {new} as n on {on} where n.{first} is null",
            keys = self.legacy.key_list("t."),
            legacy = self.legacy.qualified,
            entered = equal(&self.legacy, "l", &|n| format!("q.crossfade_k{n}")),
            new = self.new.qualified,
            on = equal(&self.new, "n", &|n| format!("l.{}", self.legacy.key[n].name)),
            first = self.new.key[0].name,
        );
        Sql { text, args: args.0 }
    }

    /// Compares a range. Each row is a difference: its kind, its key, and a digit for each compared
    /// column of a differing one.
    ///
    /// A key in the journal is not named: its entry was committed with the write that made the
    /// sides differ, so the snapshot that shows the difference shows the entry.
    pub(super) fn compare(
        &self,
        migration: &MigrationName,
        range: Rows<'_>,
        entries: Entries,
    ) -> Sql {
        let mut args = Args::default();
        let text = match self.engine {
            #[cfg(feature = "mysql")]
            Engine::Mysql => mariadb::compare(self, migration, range, entries, &mut args),
            #[cfg(feature = "postgres")]
            Engine::Postgres => postgres::compare(self, migration, range, entries, &mut args),
            #[cfg(feature = "sqlite")]
            Engine::Sqlite => sqlite::compare(self, migration, range, entries, &mut args),
        };
        Sql { text, args: args.0 }
    }

    /// The values of the compared columns of one key, as texts: the mapped one and New's, in turn.
    pub(super) fn compared_values(&self, key: &Key) -> Sql {
        let mut args = Args::default();
        let legacy = self.legacy.within(Rows::One(key), &mut args);
        let new = self.new.within(Rows::One(key), &mut args);
        let values = self.compared().map(|column| {
            let (mapped, stored) = self.shown(column);
            format!("{mapped}, {stored}")
        });
        let text = format!(
            "with {bare} as (select {columns} from {legacy_table} as t where {legacy}), \
             {mapped} select {values} from {MAPPED_ALIAS} as m \
             cross join (select * from {new_table} as t where {new}) as n",
            bare = self.legacy.bare,
            columns = self.legacy.column_list("t."),
            legacy_table = self.legacy.qualified,
            mapped = self.mapped("as"),
            values = values.collect::<Vec<_>>().join(", "),
            new_table = self.new.qualified,
        );
        Sql { text, args: args.0 }
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

    /// Whether New has a row whose key is NULL, which no range holds.
    pub(super) fn null_key(&self) -> Option<Sql> {
        let nullable = self.new.key.iter().filter(|column| column.nullable);
        let null: Vec<String> =
            nullable.map(|column| format!("t.{} is null", column.name)).collect();
        (!null.is_empty()).then(|| Sql {
            text: format!(
                "select 1 from {} as t where {} limit 1",
                self.new.qualified,
                null.join(" or ")
            ),
            args: Vec::new(),
        })
    }

    /// The columns whose values make two rows differ.
    pub(super) fn compared(&self) -> impl Iterator<Item = &MappedColumn> {
        self.columns.iter().filter(|column| column.is_compared())
    }

    /// What the statements of all engines share. `how` stands in front of the common table
    /// expressions; Legacy's rows are those of the range for which `legacy_rows` holds.
    fn parts(
        &self,
        range: Rows<'_>,
        how: &str,
        legacy_rows: &str,
        name: usize,
        args: &mut Args,
    ) -> Parts {
        let (legacy, new) = (&self.legacy, &self.new);
        let within = legacy.within(range, args);
        let new_within = new.within(range, args);
        let differ: Vec<String> = self.compared().map(|column| self.differs(column)).collect();
        let digits =
            differ.iter().map(|differs| format!("case when {differs} then '1' else '0' end"));
        Parts {
            mapped: format!(
                "{} {how} (select {} from (select {} from {} as t where {within}) as t{legacy_rows}), {}",
                legacy.bare,
                legacy.column_list("t."),
                legacy.column_list("t."),
                legacy.qualified,
                self.mapped(how),
            ),
            new: format!("(select * from {} as t where {new_within}) as n", new.qualified),
            same_key: equal(new, "n", &|n| format!("m.{}", new.key[n].name)),
            columns: self.engine.concat(&digits.collect::<Vec<_>>()),
            differ: match differ.is_empty() {
                true => "false".to_owned(),
                false => differ.join(" or "),
            },
            unjournaled: self.unjournaled(name),
        }
    }

    /// The keys in quarantine as values `crossfade_k0` and so on, as a derived table.
    fn entries(&self, migration: &MigrationName, args: &mut Args) -> String {
        let name = args.add(migration.as_str());
        let keys = self.numbered(|n| format!("{} as crossfade_k{n}", self.entry(n)));
        let group = self.numbered(|n| (n + 1).to_string());
        format!(
            "(select {keys} from crossfade_quarantine where migration = ${name} group by {group})"
        )
    }

    /// The part of a quarantine entry's key that belongs to a key column, as its value. Several
    /// columns are stored as a JSON array.
    fn entry(&self, part: usize) -> String {
        match self.engine {
            #[cfg(feature = "mysql")]
            Engine::Mysql => mariadb::entry(&self.legacy, part),
            #[cfg(feature = "postgres")]
            Engine::Postgres => postgres::entry(&self.legacy, part),
            #[cfg(feature = "sqlite")]
            Engine::Sqlite => sqlite::entry(&self.legacy, part),
        }
    }

    /// The condition that a row `of` of a side has none of the keys in quarantine.
    #[cfg(any(feature = "postgres", feature = "sqlite"))]
    fn not_entered(
        &self,
        table: &ResolvedTable,
        of: &str,
        migration: &MigrationName,
        args: &mut Args,
    ) -> String {
        let keys = table.key_list(&format!("{of}."));
        let keys = if table.key.len() == 1 { keys } else { format!("({keys})") };
        format!("{keys} not in (select * from {} as q)", self.entries(migration, args))
    }

    /// The condition that the key of a row `f` is not in the journal of migration number `name`.
    fn unjournaled(&self, name: usize) -> String {
        // Nothing is journaled there.
        #[cfg(feature = "sqlite")]
        if self.engine == Engine::Sqlite {
            return format!("${name} is not null");
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
            "not exists (select 1 from crossfade_journal as j \
             where j.migration = ${name} and j.key = {key})"
        )
    }

    /// Whether the mapped value `m` and New's value `n` of a column differ, once the mapped one
    /// has become what storing it would make of it.
    fn differs(&self, column: &MappedColumn) -> String {
        match self.engine {
            #[cfg(feature = "mysql")]
            Engine::Mysql => mariadb::differs(column),
            #[cfg(feature = "postgres")]
            Engine::Postgres => postgres::differs(column),
            #[cfg(feature = "sqlite")]
            Engine::Sqlite => sqlite::differs(column),
        }
    }

    /// The texts of the mapped value `m`, as it would be stored, and New's value `n`.
    fn shown(&self, column: &MappedColumn) -> (String, String) {
        match self.engine {
            #[cfg(feature = "mysql")]
            Engine::Mysql => mariadb::shown(column),
            #[cfg(feature = "postgres")]
            Engine::Postgres => postgres::shown(column),
            #[cfg(feature = "sqlite")]
            Engine::Sqlite => sqlite::shown(column),
        }
    }

    fn numbered(&self, render: impl Fn(usize) -> String) -> String {
        (0..self.legacy.key.len()).map(render).collect::<Vec<_>>().join(", ")
    }
}

/// The condition that the key of row `left` equals the values that `right` gives.
fn equal(table: &ResolvedTable, left: &str, right: &dyn Fn(usize) -> String) -> String {
    let equal = table.key.iter().enumerate();
    let equal = equal.map(|(n, column)| format!("{left}.{} = {}", column.name, right(n)));
    equal.collect::<Vec<_>>().join(" and ")
}
