//! Integration tests against real databases: SQLite, and a throw-away PostgreSQL and MariaDB that
//! `cargo xtask test` starts and names in `CROSSFADE_TEST_POSTGRES_URL` and
//! `CROSSFADE_TEST_MYSQL_URL`.

mod backfill_kill;
mod backfill_race;
mod bad_input;
mod breaker;
mod cancel;
mod command_line;
mod compared;
mod conformance;
mod contract;
mod demo;
mod fence;
mod flag_command;
mod flag_versions;
mod flags;
mod key_order;
mod key_types;
mod lost;
mod mariadb;
mod mariadb_rights;
mod metrics;
mod openfeature;
mod operators;
mod protocol;
mod quarantine;
mod readme;
mod register;
mod replicas;
mod round_trips;
mod routing;
mod scripts;
mod state_machine;
mod stragglers;
mod support;
mod wrapper;
