//! The variants side by side.

use std::time::Duration;

use sqlx::{AssertSqlSafe, Pool, Transaction};
use tokio::time::Instant;

use crate::server::Server;
use crate::setup::{Ground, Pooled};

/// What is timed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Variant {
    HandWritten,
    HandWrittenTrusting,
    FenceAlone,
    FenceAloneTrusting,
    WrappedPinging,
    Wrapped,
    Declared,
    LegacyAlone,
    BeginCommit,
    BeginFenceCommit,
}

impl Variant {
    /// The whole writes, hand-written first.
    pub(crate) const WRITES: [Self; 8] = [
        Self::HandWritten,
        Self::FenceAlone,
        Self::FenceAloneTrusting,
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
            Self::FenceAloneTrusting => "fence_alone_trusting",
            Self::Wrapped => "wrapped",
            Self::Declared => "declared",
            Self::LegacyAlone => "legacy_alone",
            Self::BeginCommit => "begin_commit",
            Self::BeginFenceCommit => "begin_fence_commit",
        }
    }
}

async fn both<S: Server>(mut tx: Transaction<'static, S>, key: i64) {
    S::put(&mut tx, S::LEGACY, key).await.expect("Legacy");
    S::put(&mut tx, S::NEW, key).await.expect("New");
    tx.commit().await.expect("commit");
}

async fn by_hand<S: Server>(pool: &Pool<S>, key: i64) {
    both(pool.begin().await.expect("begin"), key).await;
}

async fn wrapped<S: Server>(pooled: &Pooled<S>, key: i64) {
    let legacy = |tx| S::put_in(tx, S::LEGACY, key);
    let new = |tx| S::put_in(tx, S::NEW, key);
    pooled.migration.write(&key, legacy, new).await.expect("written");
}

/// `begin` with the fence.
async fn fenced<S: Server>(
    ground: &Ground<S>,
    pool: &Pool<S>,
    key: i64,
) -> Transaction<'static, S> {
    let begin = S::fenced_begin(&ground.name, ground.epoch, key);
    pool.begin_with(AssertSqlSafe(begin)).await.expect("begin")
}

/// How long one turn of a variant takes.
pub(crate) async fn run<S: Server>(ground: &Ground<S>, variant: Variant, key: i64) -> Duration {
    let begun = Instant::now();
    match variant {
        Variant::HandWritten => by_hand(&ground.pings.pool, key).await,
        Variant::HandWrittenTrusting => by_hand(&ground.trusts.pool, key).await,
        Variant::FenceAlone => both(fenced(ground, &ground.pings.pool, key).await, key).await,
        Variant::FenceAloneTrusting => {
            both(fenced(ground, &ground.trusts.pool, key).await, key).await;
        }
        Variant::WrappedPinging => wrapped(&ground.pings, key).await,
        Variant::Wrapped => wrapped(&ground.trusts, key).await,
        Variant::Declared => {
            let write = ground.trusts.declared.bind(key).bind(crate::server::PROFILE);
            write.execute(&key).await.expect("written");
        }
        Variant::LegacyAlone => {
            let mut connection = ground.trusts.pool.acquire().await.expect("a connection");
            S::put(&mut connection, S::LEGACY, key).await.expect("Legacy");
        }
        Variant::BeginCommit => {
            let tx = ground.pings.pool.begin().await.expect("begin");
            tx.commit().await.expect("commit");
        }
        Variant::BeginFenceCommit => {
            let tx = fenced(ground, &ground.pings.pool, key).await;
            tx.commit().await.expect("commit");
        }
    }
    begun.elapsed()
}
