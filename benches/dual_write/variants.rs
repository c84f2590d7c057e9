//! The variants side by side.

use crossfade::Tx;
use sqlx::postgres::PgExecutor;
use sqlx::{AssertSqlSafe, Connection};

use crate::setup::Ground;

/// What is timed.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Variant {
    HandWritten,
    FenceAlone,
    Wrapped,
    BeginCommit,
    BeginFenceCommit,
}

impl Variant {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::HandWritten => "hand_written",
            Self::FenceAlone => "fence_alone",
            Self::Wrapped => "wrapped",
            Self::BeginCommit => "begin_commit",
            Self::BeginFenceCommit => "begin_fence_commit",
        }
    }
}

const LEGACY: &str = "insert into users (id, profile) values ($1, $2::jsonb) \
                      on conflict (id) do update set profile = excluded.profile";
const NEW: &str = "insert into user_settings (user_id, theme, notifications_enabled) \
                   values ($1, $2::jsonb ->> 'theme', true) on conflict (user_id) do update \
                   set theme = excluded.theme, \
                       notifications_enabled = excluded.notifications_enabled";
const PROFILE: &str = r#"{"theme": "solarized-dark", "notifications_enabled": true}"#;

async fn put<'c>(to: impl PgExecutor<'c>, sql: &'static str, key: i64) -> sqlx::Result<()> {
    sqlx::query(sql).bind(key).bind(PROFILE).execute(to).await.map(drop)
}

async fn put_in(mut tx: Tx, sql: &'static str, key: i64) -> sqlx::Result<()> {
    put(tx.postgres()?, sql, key).await
}

/// One turn of a variant.
pub(crate) async fn run(ground: &Ground, variant: Variant, key: i64) {
    match variant {
        Variant::HandWritten => {
            let mut tx = ground.pool.begin().await.expect("begin");
            put(&mut *tx, LEGACY, key).await.expect("Legacy");
            put(&mut *tx, NEW, key).await.expect("New");
            tx.commit().await.expect("commit");
        }
        Variant::FenceAlone => {
            let mut connection = ground.pool.acquire().await.expect("a connection");
            let begin = AssertSqlSafe(ground.fenced_begin.as_str());
            let mut tx = connection.begin_with(begin).await.expect("begin");
            put(&mut *tx, LEGACY, key).await.expect("Legacy");
            put(&mut *tx, NEW, key).await.expect("New");
            tx.commit().await.expect("commit");
        }
        Variant::Wrapped => {
            let legacy = |tx| put_in(tx, LEGACY, key);
            let new = |tx| put_in(tx, NEW, key);
            ground.migration.write(&key, legacy, new).await.expect("written");
        }
        Variant::BeginCommit => {
            let tx = ground.pool.begin().await.expect("begin");
            tx.commit().await.expect("commit");
        }
        Variant::BeginFenceCommit => {
            let mut connection = ground.pool.acquire().await.expect("a connection");
            let begin = AssertSqlSafe(ground.fenced_begin.as_str());
            let tx = connection.begin_with(begin).await.expect("begin");
            tx.commit().await.expect("commit");
        }
    }
}
