//! What a quarantine entry needs of MariaDB's catalog.

/// A query of the foreign keys that point at a table, which is qualified and quoted, and act on
/// other tables when a row of it goes.
pub(super) fn carried_along(table: &str) -> String {
    format!(
        "select 1 from information_schema.key_column_usage as k \
         join information_schema.referential_constraints as r \
         on r.constraint_schema = k.constraint_schema and r.constraint_name = k.constraint_name \
         and r.table_name = k.table_name \
         where r.delete_rule in ('CASCADE', 'SET NULL', 'SET DEFAULT') \
         and concat('`', replace(k.referenced_table_schema, '`', '``'), '`.`', \
         replace(k.referenced_table_name, '`', '``'), '`') = '{}'",
        table.replace('\\', "\\\\").replace('\'', "''")
    )
}
