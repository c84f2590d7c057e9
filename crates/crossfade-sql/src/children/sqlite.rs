//! Children on SQLite.

pub(super) fn query(table: &str) -> String {
    format!(
        "select distinct '\"' || replace(s.name, '\"', '\"\"') || '\"' from sqlite_schema as s \
         join pragma_foreign_key_list(s.name) as f \
         where s.type = 'table' and f.on_delete in ('CASCADE', 'SET NULL', 'SET DEFAULT') \
         and '\"' || replace(f.\"table\", '\"', '\"\"') || '\"' = '{}' collate nocase order by 1",
        table.replace('\'', "''")
    )
}
