//! Settings of a server that stop a migration midway.

use std::collections::BTreeMap;

use crate::check::Severity;

/// Settings by the name that the server gives them, in lower case. One that the engine or its
/// version does not have is absent.
pub type ServerSettings = BTreeMap<String, String>;

/// A setting with which a migration stops midway, or its protection does not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnfitSetting {
    /// Its name.
    pub name: &'static str,
    /// Its value.
    pub value: String,
    /// Whether it stops a migration, or takes something of its protection away.
    pub severity: Severity,
    /// What fails with it, as a fragment.
    pub why: &'static str,
    /// What to do, as an imperative sentence without its full stop.
    pub remedy: &'static str,
}

struct Rule {
    name: &'static str,
    severity: Severity,
    unfit: fn(&str, &ServerSettings) -> bool,
    why: &'static str,
    remedy: &'static str,
}

const MARIADB: &[Rule] = &[
    Rule {
        name: "binlog_format",
        severity: Severity::Refused,
        unfit: |value, all| value.eq_ignore_ascii_case("statement") && on(all, "log_bin"),
        why: "the binary log takes no write at READ COMMITTED, which every fenced write uses",
        remedy: "set binlog_format to ROW or MIXED on the server",
    },
    Rule {
        name: "autocommit",
        severity: Severity::Refused,
        unfit: |value, _| is_off(value),
        why: "each session begins in a transaction that Crossfade has not begun and would lose",
        remedy: "set autocommit to 1 on the server and take `set autocommit` out of init_connect",
    },
    Rule {
        name: "completion_type",
        severity: Severity::Refused,
        unfit: |value, _| !matches!(value, "NO_CHAIN" | "0"),
        why: "a commit begins another transaction or ends the connection",
        remedy: "set completion_type to NO_CHAIN on the server",
    },
    Rule {
        name: "sql_mode",
        severity: Severity::Refused,
        unfit: |value, _| value.to_ascii_uppercase().split(',').any(|mode| mode == "ORACLE"),
        why: "Crossfade's procedures and triggers are not in Oracle's language",
        remedy: "take ORACLE out of the server's sql_mode",
    },
    Rule {
        name: "wsrep_on",
        severity: Severity::Refused,
        unfit: |value, _| is_on(value),
        why: "Galera's nodes do not see each other's locks, on which the fence rests",
        remedy: "migrate on a server without Galera",
    },
    Rule {
        name: "read_only",
        severity: Severity::Refused,
        unfit: |value, _| is_on(value),
        why: "the server takes no writes of the application's: it is a replica, or under maintenance",
        remedy: "connect to the primary",
    },
    Rule {
        name: "tx_read_only",
        severity: Severity::Refused,
        unfit: |value, _| is_on(value),
        why: "transactions begin read-only",
        remedy: "set tx_read_only to OFF on the server",
    },
    Rule {
        name: "innodb",
        severity: Severity::Refused,
        unfit: |value, _| !matches!(value, "DEFAULT" | "YES"),
        why: "tables are kept without transactions",
        remedy: "start the server with InnoDB",
    },
    Rule {
        name: "innodb_read_only",
        severity: Severity::Refused,
        unfit: |value, _| is_on(value),
        why: "InnoDB takes no writes",
        remedy: "start the server without innodb_read_only",
    },
    Rule {
        name: "innodb_force_recovery",
        severity: Severity::Refused,
        unfit: |value, _| value != "0",
        why: "InnoDB is being recovered and may refuse writes",
        remedy: "start the server without innodb_force_recovery",
    },
    Rule {
        name: "innodb_default_row_format",
        severity: Severity::Refused,
        unfit: |value, _| {
            value.eq_ignore_ascii_case("compact") || value.eq_ignore_ascii_case("redundant")
        },
        why: "an index takes 767 bytes of a column at most, which the control tables exceed",
        remedy: "set innodb_default_row_format to dynamic on the server",
    },
    Rule {
        name: "enforce_storage_engine",
        severity: Severity::Refused,
        unfit: |value, _| !value.is_empty() && !value.eq_ignore_ascii_case("innodb"),
        why: "tables are made without transactions, or not at all",
        remedy: "set enforce_storage_engine to InnoDB or leave it empty",
    },
    Rule {
        name: "log_bin_trust_function_creators",
        severity: Severity::Warning,
        unfit: |value, all| is_off(value) && on(all, "log_bin") && !on(all, "may_make_triggers"),
        why: "this user may not make the triggers of a capture while the binary log is on",
        remedy: "set log_bin_trust_function_creators to 1 on the server, or give the user SUPER",
    },
];

const POSTGRES: &[Rule] = &[
    Rule {
        name: "in_hot_standby",
        severity: Severity::Refused,
        unfit: |value, _| is_on(value),
        why: "the server is a standby and takes no writes",
        remedy: "connect to the primary",
    },
    Rule {
        name: "default_transaction_read_only",
        severity: Severity::Refused,
        unfit: |value, _| is_on(value),
        why: "transactions begin read-only",
        remedy: "reset default_transaction_read_only for the role, the database or the server",
    },
    Rule {
        name: "session_replication_role",
        severity: Severity::Refused,
        unfit: |value, _| value != "origin",
        why: "triggers and foreign keys do not act on what this role writes",
        remedy: "reset session_replication_role for the role, the database or the server",
    },
    Rule {
        name: "track_counts",
        severity: Severity::Warning,
        unfit: |value, _| is_off(value),
        why: "the uses of a table are not counted, so `contract` has no evidence, and autovacuum \
              does not run",
        remedy: "set track_counts to on on the server",
    },
];

const SQLITE: &[Rule] = &[Rule {
    name: "query_only",
    severity: Severity::Refused,
    unfit: |value, _| is_on(value),
    why: "the connection takes no writes",
    remedy: "open the file without `pragma query_only`",
}];

/// Every setting of a server of `engine` (`mysql`, `postgres`, `sqlite`) that a migration would
/// stop at.
#[must_use]
pub fn unfit_settings(engine: &str, settings: &ServerSettings) -> Vec<UnfitSetting> {
    let rules = match engine {
        "mysql" => MARIADB,
        "postgres" => POSTGRES,
        "sqlite" => SQLITE,
        _ => &[],
    };
    let unfit = |rule: &Rule| {
        let value = settings.get(rule.name)?;
        let Rule { name, severity, why, remedy, .. } = *rule;
        let value = value.clone();
        (rule.unfit)(&value, settings).then_some(UnfitSetting {
            name,
            value,
            severity,
            why,
            remedy,
        })
    };
    rules.iter().filter_map(unfit).collect()
}

fn on(settings: &ServerSettings, name: &str) -> bool {
    settings.get(name).is_some_and(|value| is_on(value))
}

fn is_on(value: &str) -> bool {
    value == "1" || value.eq_ignore_ascii_case("on") || value.eq_ignore_ascii_case("true")
}

fn is_off(value: &str) -> bool {
    value == "0" || value.eq_ignore_ascii_case("off") || value.eq_ignore_ascii_case("false")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(engine: &str, settings: &[(&str, &str)], expected: &[&str]) {
        let settings = settings.iter().map(|(name, value)| ((*name).into(), (*value).into()));
        let settings: ServerSettings = settings.collect();
        let found = unfit_settings(engine, &settings);
        let names: Vec<&str> = found.iter().map(|unfit| unfit.name).collect();
        assert_eq!(names, expected, "{engine} {settings:?}");
    }

    #[test]
    fn settings_that_stop_a_migration() {
        check("mysql", &[("log_bin", "1"), ("binlog_format", "STATEMENT")], &["binlog_format"]);
        check("mysql", &[("log_bin", "1"), ("binlog_format", "MIXED")], &[]);
        check("mysql", &[("log_bin", "0"), ("binlog_format", "STATEMENT")], &[]);
        check("mysql", &[("autocommit", "0")], &["autocommit"]);
        check("mysql", &[("completion_type", "CHAIN")], &["completion_type"]);
        check("mysql", &[("sql_mode", "PIPES_AS_CONCAT,ORACLE")], &["sql_mode"]);
        check("mysql", &[("sql_mode", "ANSI_QUOTES")], &[]);
        check("mysql", &[("wsrep_on", "1")], &["wsrep_on"]);
        check("mysql", &[("innodb", "NO")], &["innodb"]);
        check("mysql", &[("innodb_default_row_format", "compact")], &["innodb_default_row_format"]);
        check("mysql", &[("innodb_default_row_format", "dynamic")], &[]);
        let untrusted = [("log_bin", "1"), ("log_bin_trust_function_creators", "0")];
        check("mysql", &untrusted, &["log_bin_trust_function_creators"]);
        let trusted = [untrusted[0], untrusted[1], ("may_make_triggers", "1")];
        check("mysql", &trusted, &[]);
        check("postgres", &[("in_hot_standby", "on")], &["in_hot_standby"]);
        check(
            "postgres",
            &[("session_replication_role", "replica")],
            &["session_replication_role"],
        );
        check("postgres", &[("track_counts", "on"), ("default_transaction_read_only", "off")], &[]);
        check("sqlite", &[("query_only", "1")], &["query_only"]);
    }

    #[test]
    fn texts_say_why_and_what_to_do() {
        for rule in [MARIADB, POSTGRES, SQLITE].into_iter().flatten() {
            assert!(!rule.why.ends_with('.') && !rule.remedy.ends_with('.'), "{}", rule.name);
        }
    }
}
