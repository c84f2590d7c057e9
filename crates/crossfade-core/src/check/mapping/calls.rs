//! Functions of each engine whose result a row alone does not decide.

use super::Call;

/// Aggregates that every engine has, and those of one.
const AGGREGATES: &[&str] = &[
    "any_value",
    "array_agg",
    "avg",
    "bit_and",
    "bit_or",
    "bit_xor",
    "bool_and",
    "bool_or",
    "corr",
    "count",
    "covar_pop",
    "covar_samp",
    "cume_dist",
    "every",
    "group_concat",
    "json_agg",
    "json_arrayagg",
    "json_group_array",
    "json_group_object",
    "json_object_agg",
    "json_objectagg",
    "jsonb_agg",
    "jsonb_group_array",
    "jsonb_group_object",
    "jsonb_object_agg",
    "median",
    "mode",
    "percentile_cont",
    "percentile_disc",
    "range_agg",
    "range_intersect_agg",
    "std",
    "stddev",
    "stddev_pop",
    "stddev_samp",
    "string_agg",
    "sum",
    "total",
    "var_pop",
    "var_samp",
    "variance",
    "xmlagg",
];

/// Functions of PostgreSQL that return several rows. The catalog knows the others.
const SETS: &[&str] = &[
    "generate_series",
    "generate_subscripts",
    "json_array_elements",
    "json_array_elements_text",
    "json_each",
    "json_each_text",
    "json_object_keys",
    "json_to_recordset",
    "jsonb_array_elements",
    "jsonb_array_elements_text",
    "jsonb_each",
    "jsonb_each_text",
    "jsonb_object_keys",
    "jsonb_path_query",
    "jsonb_to_recordset",
    "regexp_matches",
    "regexp_split_to_table",
    "string_to_table",
    "unnest",
];

/// PostgreSQL's functions of the moment, the session and the server that the catalog holds for
/// stable. Those that it holds for volatile are found there.
const ON_POSTGRES: &[&str] = &[
    "backend_pid",
    "clock_timestamp",
    "current_catalog",
    "current_database",
    "current_date",
    "current_query",
    "current_role",
    "current_schema",
    "current_schemas",
    "current_setting",
    "current_time",
    "current_timestamp",
    "current_user",
    "currval",
    "gen_random_uuid",
    "getdatabaseencoding",
    "inet_client_addr",
    "inet_client_port",
    "inet_server_addr",
    "inet_server_port",
    "lastval",
    "localtime",
    "localtimestamp",
    "nextval",
    "now",
    "pg_backend_pid",
    "pg_blocking_pids",
    "pg_conf_load_time",
    "pg_current_snapshot",
    "pg_current_wal_lsn",
    "pg_current_xact_id",
    "pg_current_xact_id_if_assigned",
    "pg_is_in_recovery",
    "pg_my_temp_schema",
    "pg_postmaster_start_time",
    "pg_trigger_depth",
    "pg_sleep",
    "random",
    "session_user",
    "set_config",
    "setseed",
    "setval",
    "statement_timestamp",
    "system_user",
    "timeofday",
    "transaction_timestamp",
    "txid_current",
    "txid_current_if_assigned",
    "txid_current_snapshot",
    "user",
    "uuid_generate_v1",
    "uuid_generate_v1mc",
    "uuid_generate_v4",
    "version",
];

/// MariaDB's.
const ON_MARIADB: &[&str] = &[
    "benchmark",
    "connection_id",
    "curdate",
    "current_date",
    "current_role",
    "current_time",
    "current_timestamp",
    "current_user",
    "curtime",
    "database",
    "found_rows",
    "get_lock",
    "is_free_lock",
    "is_used_lock",
    "last_insert_id",
    "last_value",
    "lastval",
    "load_file",
    "localtime",
    "localtimestamp",
    "master_gtid_wait",
    "master_pos_wait",
    "nextval",
    "now",
    "rand",
    "random_bytes",
    "release_all_locks",
    "release_lock",
    "row_count",
    "schema",
    "session_user",
    "setval",
    "sleep",
    "sys_guid",
    "sysdate",
    "system_user",
    "user",
    "utc_date",
    "utc_time",
    "utc_timestamp",
    "uuid",
    "uuid_short",
    "uuid_v4",
    "uuid_v7",
    "values",
    "version",
];

/// SQLite's.
const ON_SQLITE: &[&str] = &[
    "changes",
    "current_date",
    "current_time",
    "current_timestamp",
    "last_insert_rowid",
    "load_extension",
    "random",
    "randomblob",
    "sqlite_compileoption_get",
    "sqlite_compileoption_used",
    "sqlite_offset",
    "sqlite_source_id",
    "sqlite_version",
    "total_changes",
];

/// SQLite's functions of dates, which mean the present where they have no date or `now`, and the
/// process's time zone with `localtime` or `utc`.
const DATES: &[&str] =
    &["date", "time", "datetime", "julianday", "unixepoch", "strftime", "timediff"];

impl Call {
    /// Whether it aggregates rows, as far as its name shows.
    pub(super) fn aggregates(&self, engine: &str) -> bool {
        let scalar_on_sqlite = matches!(self.name.as_str(), "min" | "max") && self.arguments > 1;
        let known = AGGREGATES.contains(&self.name.as_str())
            || matches!(self.name.as_str(), "min" | "max")
            || self.name.starts_with("regr_");
        self.schema.is_none() && known && !(engine == "sqlite" && scalar_on_sqlite)
    }

    /// Whether it returns several rows, as far as its name shows.
    pub(super) fn returns_set(&self, engine: &str) -> bool {
        engine == "postgres" && SETS.contains(&self.name.as_str())
    }

    /// Whether the engine answers with something that depends on the moment, the session or the
    /// server.
    pub(super) fn is_session_bound(&self, engine: &str) -> bool {
        let name = self.name.as_str();
        if self.schema.as_deref().is_some_and(|schema| schema != "pg_catalog") {
            return false;
        }
        match engine {
            "postgres" => ON_POSTGRES.contains(&name) || name == "age" && self.arguments == 1,
            "mysql" => {
                ON_MARIADB.contains(&name) || name == "unix_timestamp" && self.arguments == 0
            }
            _ => ON_SQLITE.contains(&name) || DATES.contains(&name) && self.means_the_present(),
        }
    }

    fn means_the_present(&self) -> bool {
        let needs = if self.name == "strftime" { 2 } else { 1 };
        self.arguments < needs
            || self.texts.iter().any(|text| matches!(text.trim(), "now" | "localtime" | "utc"))
    }
}
