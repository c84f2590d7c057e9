//! Children on PostgreSQL.

pub(super) fn query(table: &str) -> String {
    format!(
        "select distinct format('%I.%I', n.nspname, t.relname) from pg_constraint as c \
         join pg_class as t on t.oid = c.conrelid join pg_namespace as n on n.oid = t.relnamespace \
         where c.contype = 'f' and c.confrelid = '{}'::regclass \
         and c.confdeltype in ('c', 'n', 'd') order by 1",
        table.replace('\'', "''")
    )
}
