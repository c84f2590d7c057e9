//! The statements that write rows on MariaDB, which has no `on conflict` and puts `with` in front of
//! selects only.
//!
//! Every row is locked where it is read: a locking read sees what is committed by then, while the
//! rest of a statement sees the moment at which it began, which may be before a wait.

use crossfade_core::{Key, MAPPED_ALIAS};

use super::statements::Sql;
use crate::shape::{Args, Rows, Shape};

impl Shape {
    /// Inserts what New lacks. A row that a writer of the same key put there meanwhile is seen,
    /// since New is looked at behind the lock on Legacy. What remains is refused like any other
    /// constraint, and tried again row by row: the second of two Legacy rows that the mapping sends
    /// to one key of New then finds the first.
    pub(super) fn insert_where_absent(&self, rows: Rows<'_>) -> Sql {
        let mut args = Args::default();
        let locked = self.locked(rows, &mut args);
        let names = |prefix: &str| {
            let names = self.columns.iter().map(|column| format!("{prefix}{}", column.name));
            names.collect::<Vec<_>>().join(", ")
        };
        let text = format!(
            "insert into {new} ({columns}) with {locked} select {mapped} from {MAPPED_ALIAS} as m \
             where not exists (select 1 from {new} as n where {same} lock in share mode)",
            new = self.new.qualified,
            columns = names(""),
            mapped = names("m."),
            same = self.same_key(),
        );
        Sql { text, args: args.0 }
    }

    /// Locks the Legacy row of a key, so that New's comes second, as for writers.
    pub(super) fn lock_legacy(&self, key: &Key) -> Sql {
        let mut args = Args::default();
        let within = self.legacy.within(Rows::One(key), &mut args);
        let text = format!(
            "select 1 from {} as t where {within}{}",
            self.legacy.qualified,
            self.engine.for_share()
        );
        Sql { text, args: args.0 }
    }

    /// Updates New's row of the key to what the mapping yields; nothing where either is missing.
    pub(super) fn update_mapped(&self, key: &Key) -> Sql {
        let mut args = Args::default();
        let locked = self.locked(Rows::One(key), &mut args);
        // New's key too, since equal texts may be spelled differently.
        let sets = self.columns.iter().map(|column| format!("n.{0} = m.{0}", column.name));
        let text = format!(
            "update {} as n, (with {locked} select * from {MAPPED_ALIAS}) as m set {} where {}",
            self.new.qualified,
            sets.collect::<Vec<_>>().join(", "),
            self.same_key(),
        );
        Sql { text, args: args.0 }
    }

    /// The condition that row `n` of New has the key of the mapped row `m`.
    fn same_key(&self) -> String {
        let equal = self.new.key.iter().map(|column| format!("n.{0} = m.{0}", column.name));
        equal.collect::<Vec<_>>().join(" and ")
    }
}
