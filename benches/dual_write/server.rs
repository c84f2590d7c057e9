//! What the variants need of an engine.

use std::future::Future;

use crossfade::{AnyPool, Database, Engine, Tx};
use crossfade_core::{Epoch, MigrationName, epoch_lock_id};
use sqlx::mysql::MySql;
use sqlx::pool::PoolOptions;
use sqlx::{Pool, Postgres};

/// The values of each write: the guide's user settings.
pub(crate) const PROFILE: &str = r#"{"theme": "solarized-dark", "notifications_enabled": true}"#;

pub(crate) trait Server: sqlx::Database {
    const ENGINE: Engine;
    /// The variable that holds the server's URL.
    const URL: &'static str;
    /// Semicolons between them; `{keys}` stands for the greatest key.
    const TABLES: &'static str;
    const LEGACY: &'static str;
    const NEW: &'static str;
    /// New's columns in Legacy's terms.
    const MAPPING: &'static str;

    /// The pool options that Crossfade's documentation asks for.
    fn trusting() -> PoolOptions<Self>;

    fn any(pool: Pool<Self>) -> AnyPool;

    /// `begin` and the fence for a key, in one round trip; on MariaDB by the procedure that leaves the
    /// session's settings alone, which the wrapper calls where it does not begin the transaction.
    fn fenced_begin(migration: &MigrationName, epoch: Epoch, key: i64) -> String;

    fn put(
        to: &mut Self::Connection,
        sql: &'static str,
        key: i64,
    ) -> impl Future<Output = sqlx::Result<()>> + Send;

    fn put_in(tx: Tx, sql: &'static str, key: i64)
    -> impl Future<Output = sqlx::Result<()>> + Send;
}

impl Server for Postgres {
    const ENGINE: Engine = Engine::Postgres;
    const URL: &'static str = "CROSSFADE_TEST_POSTGRES_URL";
    const TABLES: &'static str = "\
        create table users (id bigint primary key, profile jsonb, \
            email text not null default 'somebody@example.com', \
            created_at timestamptz not null default now()); \
        create table user_settings (user_id bigint primary key, theme varchar(50), \
            notifications_enabled boolean not null default true, \
            created_at timestamptz not null default now()); \
        create index on user_settings (theme); \
        insert into users (id) select generate_series(0, {keys}); \
        insert into user_settings (user_id) select generate_series(0, {keys}); \
        vacuum analyze users; vacuum analyze user_settings";
    const LEGACY: &'static str = "insert into users (id, profile) values ($1, $2::jsonb) \
        on conflict (id) do update set profile = excluded.profile";
    const NEW: &'static str = "\
        insert into user_settings (user_id, theme, notifications_enabled) \
        values ($1, $2::jsonb ->> 'theme', true) on conflict (user_id) do update \
        set theme = excluded.theme, notifications_enabled = excluded.notifications_enabled";
    const MAPPING: &'static str = "select id as user_id, profile ->> 'theme' as theme from users";

    fn trusting() -> PoolOptions<Self> {
        Database::postgres_pool_options()
    }

    fn any(pool: Pool<Self>) -> AnyPool {
        pool.into()
    }

    fn fenced_begin(migration: &MigrationName, epoch: Epoch, key: i64) -> String {
        let lock = epoch_lock_id("public", migration, epoch);
        format!(
            "begin; call crossfade_pass('public.crossfade_fence_{migration}', {epoch}, {lock}, \
             {key}, null)"
        )
    }

    async fn put(to: &mut Self::Connection, sql: &'static str, key: i64) -> sqlx::Result<()> {
        sqlx::query(sql).bind(key).bind(PROFILE).execute(to).await.map(drop)
    }

    async fn put_in(mut tx: Tx, sql: &'static str, key: i64) -> sqlx::Result<()> {
        sqlx::query(sql).bind(key).bind(PROFILE).execute(tx.postgres()?).await.map(drop)
    }
}

impl Server for MySql {
    const ENGINE: Engine = Engine::Mysql;
    const URL: &'static str = "CROSSFADE_TEST_MYSQL_URL";
    const TABLES: &'static str = "\
        create table users (id bigint primary key, profile json, \
            email varchar(200) not null default 'somebody@example.com', \
            created_at timestamp not null default now()); \
        create table user_settings (user_id bigint primary key, theme varchar(50), \
            notifications_enabled boolean not null default true, \
            created_at timestamp not null default now(), key (theme)); \
        insert into users (id) select seq from seq_0_to_{keys}; \
        insert into user_settings (user_id) select seq from seq_0_to_{keys}; \
        analyze table users; analyze table user_settings";
    const LEGACY: &'static str = "insert into users (id, profile) values (?, ?) \
        on duplicate key update profile = values(profile)";
    const NEW: &'static str = "\
        insert into user_settings (user_id, theme, notifications_enabled) \
        values (?, json_value(?, '$.theme'), true) on duplicate key update \
        theme = values(theme), notifications_enabled = values(notifications_enabled)";
    const MAPPING: &'static str =
        "select id as user_id, json_value(profile, '$.theme') as theme from users";

    fn trusting() -> PoolOptions<Self> {
        Database::mysql_pool_options()
    }

    fn any(pool: Pool<Self>) -> AnyPool {
        pool.into()
    }

    fn fenced_begin(migration: &MigrationName, epoch: Epoch, key: i64) -> String {
        let row = epoch_lock_id("", migration, epoch);
        format!("start transaction; call crossfade_pass({row}, {key})")
    }

    async fn put(to: &mut Self::Connection, sql: &'static str, key: i64) -> sqlx::Result<()> {
        sqlx::query(sql).bind(key).bind(PROFILE).execute(to).await.map(drop)
    }

    async fn put_in(mut tx: Tx, sql: &'static str, key: i64) -> sqlx::Result<()> {
        sqlx::query(sql).bind(key).bind(PROFILE).execute(tx.mysql()?).await.map(drop)
    }
}
