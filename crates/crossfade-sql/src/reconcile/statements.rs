//! The statements that find, insert, update and delete rows.
//!
//! A mapping is used as it is written. The Legacy rows it may see are put in front of it as a
//! common table expression named like the Legacy table, which hides the table itself. Inside that
//! expression the table is named with its schema: SQLite would take the bare name for a reference
//! of the expression to itself.

use crossfade_core::{Key, MAPPED_ALIAS};

#[cfg(any(feature = "mysql", feature = "postgres"))]
use crate::Engine;
use crate::shape::{Args, Rows, Shape};
use crate::value::Value;

/// A statement and its arguments.
#[derive(Debug)]
pub(crate) struct Sql {
    pub(crate) text: String,
    pub(crate) args: Vec<Value>,
}

impl Shape {
    /// How many rows follow in a range, at most `rows`, and the key of the last of them. No row
    /// where none follows.
    pub(super) fn batch_end(&self, range: Rows<'_>, rows: u32) -> Sql {
        let mut args = Args::default();
        let within = self.legacy.within(range, &mut args);
        let limit = args.add(rows);
        let legacy = &self.legacy;
        let text = format!(
            "select count(*) over (), {} from (select {} from {} as t where {within} \
             order by {} limit ${limit}) as b order by {} limit 1",
            legacy.key_texts("b."),
            legacy.key_list("t."),
            legacy.qualified,
            legacy.key_list("t."),
            legacy.key_descending("b."),
        );
        Sql { text, args: args.0 }
    }

    /// The keys that follow in a range, at most `rows`, in order. Their rows stay locked against
    /// change until the transaction ends.
    pub(crate) fn batch_keys(&self, range: Rows<'_>, rows: u32) -> Sql {
        let mut args = Args::default();
        let within = self.legacy.within(range, &mut args);
        let limit = args.add(rows);
        let legacy = &self.legacy;
        let text = format!(
            "select {} from {} as t where {within} order by {} limit ${limit}{}",
            legacy.key_texts("t."),
            legacy.qualified,
            legacy.key_list("t."),
            self.engine.for_share(),
        );
        Sql { text, args: args.0 }
    }

    /// The key `rows` rows into a range of Legacy; no row where the range has fewer. An offset
    /// may find a boundary, since no row depends on it.
    pub(super) fn boundary(&self, range: Rows<'_>, rows: u32) -> Sql {
        let mut args = Args::default();
        let within = self.legacy.within(range, &mut args);
        let offset = args.add(rows.saturating_sub(1));
        let legacy = &self.legacy;
        let text = format!(
            "select {} from {} as t where {within} order by {} limit 1 offset ${offset}",
            legacy.key_texts("t."),
            legacy.qualified,
            legacy.key_list("t."),
        );
        Sql { text, args: args.0 }
    }

    /// The greatest Legacy key.
    pub(super) fn greatest_key(&self) -> Sql {
        let legacy = &self.legacy;
        let text = format!(
            "select {} from {} as t order by {} limit 1",
            legacy.key_texts("t."),
            legacy.qualified,
            legacy.key_descending("t."),
        );
        Sql { text, args: Vec::new() }
    }

    /// Inserts on New what the mapping makes of the Legacy rows, where it is absent. The rows stay
    /// locked against change until the transaction ends.
    pub(super) fn insert_absent(&self, rows: Rows<'_>) -> Sql {
        match self.engine {
            #[cfg(feature = "mysql")]
            Engine::Mysql => self.insert_where_absent(rows),
            #[cfg(any(feature = "postgres", feature = "sqlite"))]
            _ => self.insert(rows, "do nothing"),
        }
    }

    /// A statement of the form of [`insert_absent`](Self::insert_absent), to have it parsed.
    pub(crate) fn insert_absent_sample(&self) -> String {
        self.insert_absent(Rows::Between { after: None, upto: None }).text
    }

    /// Makes New's row of a key equal to what the mapping makes of the Legacy row, which is locked
    /// first.
    pub(super) fn make_equal(&self, key: &Key) -> Vec<Sql> {
        match self.engine {
            #[cfg(feature = "mysql")]
            Engine::Mysql => vec![
                self.lock_legacy(key),
                self.update_mapped(key),
                self.insert_where_absent(Rows::One(key)),
                self.delete_unless_mapped(key),
            ],
            #[cfg(any(feature = "postgres", feature = "sqlite"))]
            _ => vec![self.upsert(key), self.delete_unless_mapped(key)],
        }
    }

    /// Writes on New what the mapping makes of the Legacy row, whether or not it is there.
    #[cfg(any(feature = "postgres", feature = "sqlite"))]
    fn upsert(&self, key: &Key) -> Sql {
        // The key too where equal texts may be spelled differently.
        let sets: Vec<String> = self
            .compared()
            .map(|column| format!("{} = excluded.{}", column.name, column.name))
            .collect();
        let action = if sets.is_empty() {
            "do nothing".to_owned()
        } else {
            format!("do update set {}", sets.join(", "))
        };
        self.insert(Rows::One(key), &action)
    }

    /// Whether New has a row of the key that the mapping does not yield, as a row of the answer.
    /// Locks the Legacy row, so that the answer holds until the transaction ends.
    pub(super) fn orphan(&self, key: &Key) -> Sql {
        let mut args = Args::default();
        let locked = self.locked(Rows::One(key), &mut args);
        let within = self.new.within(Rows::One(key), &mut args);
        let text = format!(
            "with {locked} select 1 from {} where {within} \
             and not exists (select 1 from {MAPPED_ALIAS})",
            self.new.qualified
        );
        Sql { text, args: args.0 }
    }

    /// Deletes New's row of the key unless the mapping yields one.
    fn delete_unless_mapped(&self, key: &Key) -> Sql {
        let mut args = Args::default();
        let locked = self.locked(Rows::One(key), &mut args);
        let within = self.new.within(Rows::One(key), &mut args);
        let new = &self.new.qualified;
        let text = match self.engine {
            // Here `with` belongs to selects only.
            #[cfg(feature = "mysql")]
            Engine::Mysql => format!(
                "delete from {new} where {within} \
                 and not exists (with {locked} select 1 from {MAPPED_ALIAS})"
            ),
            #[cfg(any(feature = "postgres", feature = "sqlite"))]
            _ => format!(
                "with {locked} delete from {new} where {within} \
                 and not exists (select 1 from {MAPPED_ALIAS})"
            ),
        };
        Sql { text, args: args.0 }
    }

    #[cfg(any(feature = "postgres", feature = "sqlite"))]
    fn insert(&self, rows: Rows<'_>, action: &str) -> Sql {
        let mut args = Args::default();
        let locked = self.locked(rows, &mut args);
        let names: Vec<&str> = self.columns.iter().map(|column| column.name.as_str()).collect();
        let names = names.join(", ");
        // Without `where true` SQLite reads `on conflict` as the condition of a join.
        let text = format!(
            "with {locked} insert into {} ({names}) select {names} from {MAPPED_ALIAS} \
             where true on conflict ({}) {action}",
            self.new.qualified,
            self.new.key_list(""),
        );
        Sql { text, args: args.0 }
    }

    /// Two common table expressions: the Legacy rows, locked in the order of their keys, and what
    /// the mapping makes of them.
    pub(super) fn locked(&self, rows: Rows<'_>, args: &mut Args) -> String {
        let within = self.legacy.within(rows, args);
        format!(
            "{} {} (select {} from {} as t where {within} order by {}{}), {}",
            self.legacy.bare,
            self.engine.materialized(),
            self.legacy.column_list("t."),
            self.legacy.qualified,
            self.legacy.key_list("t."),
            self.engine.for_share(),
            self.mapped("as"),
        )
    }

    /// The common table expression of the mapped rows. The closing parenthesis has a line of its
    /// own, since a comment may end the mapping.
    pub(crate) fn mapped(&self, how: &str) -> String {
        format!("{MAPPED_ALIAS} {how} ({}\n)", self.mapping)
    }

    /// The statement after which a deferred constraint has refused what it will refuse. SQLite
    /// checks at the commit only, MariaDB at once.
    pub(super) const fn check_constraints(&self) -> Option<&'static str> {
        match self.engine {
            #[cfg(feature = "postgres")]
            Engine::Postgres => Some("set constraints all immediate"),
            #[cfg(any(feature = "mysql", feature = "sqlite"))]
            _ => None,
        }
    }
}
