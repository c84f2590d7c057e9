//! Children on MariaDB.

pub(super) fn query(table: &str) -> String {
    format!(
        "select distinct concat('`', replace(k.table_schema, '`', '``'), '`.`', \
         replace(k.table_name, '`', '``'), '`') from information_schema.key_column_usage as k \
         join information_schema.referential_constraints as r \
         on r.constraint_schema = k.constraint_schema and r.constraint_name = k.constraint_name \
         and r.table_name = k.table_name \
         where r.delete_rule in ('CASCADE', 'SET NULL', 'SET DEFAULT') \
         and concat('`', replace(k.referenced_table_schema, '`', '``'), '`.`', \
         replace(k.referenced_table_name, '`', '``'), '`') = '{}' order by 1",
        table.replace('\\', "\\\\").replace('\'', "''")
    )
}
