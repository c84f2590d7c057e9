//! The variants side by side.

use crossfade::{Migration, Tx};
use sqlx::postgres::{PgExecutor, PgPool};
use sqlx::{AssertSqlSafe, Postgres, Transaction};

use crate::setup::Ground;

/// What is timed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Variant {
    HandWritten,
    HandWrittenTrusting,
    FenceAlone,
    WrappedPinging,
    Wrapped,
    Declared,
    LegacyAlone,
    BeginCommit,
    BeginFenceCommit,
}

impl Variant {
    /// The whole writes, hand-written first.
    pub(crate) const WRITES: [Self; 7] = [
        Self::HandWritten,
        Self::FenceAlone,
        Self::Wrapped,
        Self::WrappedPinging,
        Self::HandWrittenTrusting,
        Self::Declared,
        Self::LegacyAlone,
    ];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::HandWritten => "hand_written",
            Self::HandWrittenTrusting => "hand_written_trusting",
            Self::WrappedPinging => "wrapped_pinging",
            Self::FenceAlone => "fence_alone",
            Self::Wrapped => "wrapped",
            Self::Declared => "declared",
            Self::LegacyAlone => "legacy_alone",
            Self::BeginCommit => "begin_commit",
            Self::BeginFenceCommit => "begin_fence_commit",
        }
    }
}

pub(crate) const LEGACY: &str = "insert into users (id, profile) values ($1, $2::jsonb) \
                      on conflict (id) do update set profile = excluded.profile";
pub(crate) const NEW: &str = "insert into user_settings (user_id, theme, notifications_enabled) \
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

async fn by_hand(pool: &PgPool, key: i64) {
    let mut tx = pool.begin().await.expect("begin");
    put(&mut *tx, LEGACY, key).await.expect("Legacy");
    put(&mut *tx, NEW, key).await.expect("New");
    tx.commit().await.expect("commit");
}

async fn wrapped(migration: &Migration, key: i64) {
    let legacy = |tx| put_in(tx, LEGACY, key);
    let new = |tx| put_in(tx, NEW, key);
    migration.write(&key, legacy, new).await.expect("written");
}

/// `begin` with the fence, as the wrapper sends it.
async fn fenced(ground: &Ground, key: i64) -> Transaction<'static, Postgres> {
    let begin = format!("{}, {key}, null)", ground.fenced_begin);
    ground.pings.pool.begin_with(AssertSqlSafe(begin)).await.expect("begin")
}

/// One turn of a variant.
pub(crate) async fn run(ground: &Ground, variant: Variant, key: i64) {
    match variant {
        Variant::HandWritten => by_hand(&ground.pings.pool, key).await,
        Variant::HandWrittenTrusting => by_hand(&ground.trusts.pool, key).await,
        Variant::FenceAlone => {
            let mut tx = fenced(ground, key).await;
            put(&mut *tx, LEGACY, key).await.expect("Legacy");
            put(&mut *tx, NEW, key).await.expect("New");
            tx.commit().await.expect("commit");
        }
        Variant::WrappedPinging => wrapped(&ground.pings.migration, key).await,
        Variant::Wrapped => wrapped(&ground.trusts.migration, key).await,
        Variant::Declared => {
            let write = ground.trusts.declared.bind(key).bind(PROFILE);
            write.execute(&key).await.expect("written");
        }
        Variant::LegacyAlone => put(&ground.trusts.pool, LEGACY, key).await.expect("Legacy"),
        Variant::BeginCommit => {
            let tx = ground.pings.pool.begin().await.expect("begin");
            tx.commit().await.expect("commit");
        }
        Variant::BeginFenceCommit => {
            let tx = fenced(ground, key).await;
            tx.commit().await.expect("commit");
        }
    }
}
