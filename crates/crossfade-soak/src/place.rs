//! Where a run takes place: the database, and the tables of a round with the migration between
//! them.

use std::str::FromStr;
use std::time::Duration;

use anyhow::{Context, Result};
use crossfade::{Database, Engine, Side};
use crossfade_core::{BackfillOptions, Definition, GateOptions, SideTable};
use crossfade_store::ControlStore as _;
use sqlx::AssertSqlSafe;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};

/// How long an application's lease lasts. A stopped process outlives it.
pub(crate) const LEASE: Duration = Duration::from_secs(1);

/// Application processes.
pub(crate) const APPLICATIONS: u32 = 4;
/// Tasks of one application that write.
pub(crate) const WRITERS: u32 = 4;
/// Keys that one task alone writes.
pub(crate) const OWN_KEYS: u32 = 10;
/// Keys that every task changes.
pub(crate) const SHARED_KEYS: u32 = 60;
/// All keys; those that are shared come last.
pub(crate) const KEYS: u32 = APPLICATIONS * WRITERS * OWN_KEYS + SHARED_KEYS;

/// Whether several tasks change this key.
pub(crate) const fn is_shared(key: u32) -> bool {
    key >= KEYS - SHARED_KEYS
}

/// One migration from `off` to its end, with tables of its own. Even rounds have numbers for keys,
/// odd ones texts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Round(pub(crate) u32);

/// A key as a round's tables have it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum TableKey {
    /// A `bigint`.
    Number(i64),
    /// A text.
    Text(String),
}

impl Round {
    const fn has_text_keys(self) -> bool {
        self.0 % 2 == 1
    }

    /// The name of the migration.
    pub(crate) fn migration(self) -> String {
        format!("soak_{}", self.0)
    }

    /// The read flag.
    pub(crate) fn flag(self) -> String {
        format!("read_soak_{}", self.0)
    }

    /// A side's table, and its columns for the key and the tag.
    pub(crate) fn table(self, side: Side) -> (String, &'static str, &'static str) {
        match side {
            Side::Legacy => (format!("soak_{}", self.0), "id", "name"),
            Side::New => (format!("soak_{}_v2", self.0), "account", "label"),
        }
    }

    /// A table beside the pair, which the application writes without Crossfade.
    pub(crate) fn notes(self) -> String {
        format!("soak_{}_notes", self.0)
    }

    /// A key in this round's tables.
    pub(crate) fn key(self, key: u32) -> TableKey {
        match self.has_text_keys() {
            true => TableKey::Text(format!("key {key:03}")),
            false => TableKey::Number(i64::from(key)),
        }
    }

    /// The key of which [`key`](Self::key) made this text.
    pub(crate) fn key_of(self, text: &str) -> Option<u32> {
        let digits = if self.has_text_keys() { text.strip_prefix("key ")? } else { text };
        digits.parse().ok().filter(|key| *key < KEYS)
    }

    fn definition(self) -> Result<Definition> {
        let side = |side| -> Result<SideTable> {
            let (table, key, _) = self.table(side);
            Ok(SideTable { table: table.parse()?, key: vec![key.parse()?] })
        };
        let (legacy, _, _) = self.table(Side::Legacy);
        Ok(Definition {
            name: self.migration().parse()?,
            read_flag: self.flag().parse()?,
            legacy: side(Side::Legacy)?,
            legacy_columns: Vec::new(),
            new: side(Side::New)?,
            mapping: format!("select id as account, name as label, version from {legacy}"),
            backfill: BackfillOptions::default(),
            gates: GateOptions {
                bake_time: Duration::ZERO,
                quiet_time: Duration::ZERO,
                invertible: true,
                ..GateOptions::default()
            },
            accepted: Vec::new(),
            pinned: crossfade_core::Pinned::default(),
        })
    }

    /// Makes the tables and makes the migration known.
    pub(crate) async fn prepare(self, database: &Database) -> Result<()> {
        let key = match (self.has_text_keys(), database.engine()) {
            (false, _) => "bigint",
            (true, Engine::Mysql) => "varchar(20) collate utf8mb4_bin",
            (true, Engine::Postgres | Engine::Sqlite) => "text",
        };
        for side in [Side::Legacy, Side::New] {
            let (table, id, tag) = self.table(side);
            execute(
                database,
                format!(
                    "create table {table} ({id} {key} not null primary key, \
                     {tag} varchar(60) not null, version bigint not null)"
                ),
            )
            .await?;
        }
        let notes = self.notes();
        execute(database, format!("create table {notes} (tag varchar(60) not null primary key)"))
            .await?;
        database.install().await?;
        database.register(&self.definition()?, "soak").await?;
        Ok(())
    }
}

/// Runs one statement outside Crossfade.
async fn execute(database: &Database, sql: String) -> Result<()> {
    let sql = AssertSqlSafe(sql);
    if let Some(pool) = database.postgres() {
        sqlx::raw_sql(sql).execute(pool).await?;
    } else if let Some(pool) = database.mysql() {
        sqlx::raw_sql(sql).execute(pool).await?;
    } else if let Some(pool) = database.sqlite() {
        sqlx::raw_sql(sql).execute(pool).await?;
    }
    Ok(())
}

/// Opens the database with a pool as an application would make it.
pub(crate) async fn open(url: &str) -> Result<Database> {
    const CONNECTIONS: u32 = 8;
    const PATIENCE: Duration = Duration::from_secs(3);
    let scheme = url.split(':').next().unwrap_or_default();
    let database = match scheme {
        "mysql" => {
            let pool = Database::mysql_pool_options().max_connections(CONNECTIONS);
            Database::open(pool.acquire_timeout(PATIENCE).connect(url).await?).await
        }
        "postgres" => {
            let pool = Database::postgres_pool_options().max_connections(CONNECTIONS);
            Database::open(pool.acquire_timeout(PATIENCE).connect(url).await?).await
        }
        _ => {
            // The machine goes on when a process dies, so nothing has to be forced to the disk.
            let options = SqliteConnectOptions::from_str(url)?
                .create_if_missing(true)
                .journal_mode(SqliteJournalMode::Wal)
                .synchronous(SqliteSynchronous::Normal);
            let pool = SqlitePoolOptions::new().max_connections(CONNECTIONS);
            let pool = pool.acquire_timeout(PATIENCE).connect_with(options).await?;
            Database::open(pool).await
        }
    };
    database.context("open the database")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_come_back_from_their_texts() {
        for round in [Round(0), Round(1)] {
            for key in [0, 9, KEYS - 1] {
                let text = match round.key(key) {
                    TableKey::Number(number) => number.to_string(),
                    TableKey::Text(text) => text,
                };
                assert_eq!(round.key_of(&text), Some(key));
            }
            assert_eq!(round.key_of("somebody else's"), None);
        }
    }
}
