//! Adapters of Crossfade for PostgreSQL, MariaDB and SQLite. The only crate that speaks SQL.
//!
//! [`Database`] wraps a pool and implements every port of `crossfade-store`. Statements are
//! written once wherever the engines agree; what differs stands in `dialect` and in the
//! `install` scripts.

mod capture;
mod catalog;
mod changes;
mod children;
mod connect;
mod control;
mod database;
mod db;
mod declared;
mod definition_json;
mod dialect;
mod error;
mod fence;
mod install;
mod interrupt;
mod joined;
mod key_texts;
#[cfg(feature = "mysql")]
mod mariadb;
mod mechanism;
mod operations;
#[cfg(feature = "postgres")]
mod postgres;
mod quarantine;
mod quoted;
mod reconcile;
mod replica;
mod rule_sets;
mod schema;
mod server_settings;
mod session;
mod shape;
mod snapshot;
#[cfg(feature = "postgres")]
mod tracked;
mod tx;
#[cfg(feature = "mysql")]
mod unbroken;
mod validate;
mod value;

pub use database::{AnyPool, Database, Engine};
pub use db::{Conn, Db};
pub use declared::{Bindable, Bound, Declared};
#[cfg(feature = "mutants")]
pub use mechanism::Mechanism;
#[cfg(feature = "postgres")]
pub use tracked::PgConn;
pub use tx::{Tx, WrongEngine};
#[cfg(feature = "mysql")]
pub use unbroken::MySqlConn;
