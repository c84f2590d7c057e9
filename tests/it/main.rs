//! Integration tests against real databases: SQLite, and a throw-away PostgreSQL that
//! `cargo xtask test` starts and names in `CROSSFADE_TEST_POSTGRES_URL`.

mod cancel;
mod fence;
mod key_order;
mod quarantine;
mod routing;
mod support;
