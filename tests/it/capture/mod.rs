//! Writers that go around the SDK: each mode of a capture, the journal, its repair, and a table that
//! nobody writes through the SDK at all.

mod alone;
mod keys;
mod modes;
mod naming;
mod operators;
mod passing;
mod race;

use std::future::Future;

use crossfade::{Database, Engine};
use crossfade_control::{CaptureChanged, CaptureError, CaptureRequest, change_capture};
use crossfade_core::CaptureMode;
use crossfade_reconcile::{
    Cancel, JournalHooks, JournalReport, JournalSettings, VerifyHooks, VerifyReport,
    VerifySettings, repair_journal, verify,
};
use crossfade_store::{CaptureStore, Timeouts};
use sqlx::AssertSqlSafe;

use crate::support::{Bench, TestDatabase, WAIT, definition};

const BOUNDS: Timeouts = Timeouts { lock: std::time::Duration::from_millis(500), statement: WAIT };

/// Runs a test on both engines whose triggers can tell who writes.
async fn capturing<F, Fut>(test: &str, body: F)
where
    F: Fn(Bench, String) -> Fut,
    Fut: Future<Output = ()>,
{
    for engine in [Engine::Postgres, Engine::Mysql] {
        let database = TestDatabase::create(engine, test).await;
        body(Bench::new(database.open().await).await, database.url.clone()).await;
        database.drop().await;
    }
}

/// Runs SQL as a writer that knows nothing of Crossfade.
async fn plain(db: &Database, sql: &str) -> Result<(), sqlx::Error> {
    let sql = AssertSqlSafe(sql);
    if let Some(pool) = db.postgres() {
        sqlx::raw_sql(sql).execute(pool).await.map(drop)
    } else {
        sqlx::raw_sql(sql).execute(db.mysql().expect("MariaDB")).await.map(drop)
    }
}

async fn change(db: &Database, mode: Option<CaptureMode>) -> Result<CaptureChanged, CaptureError> {
    let name = definition().name;
    let request = CaptureRequest {
        migration: &name,
        mode,
        actor: "test",
        reason: "a test",
        timeouts: BOUNDS,
    };
    change_capture(db, db, request).await
}

pub(crate) async fn capture(bench: &Bench, mode: CaptureMode) {
    change(&bench.db, Some(mode)).await.expect("the capture is installed");
}

/// One pass over the journal.
async fn repair(bench: &Bench) -> JournalReport {
    let hooks = JournalHooks { progress: &|_| {}, cancel: Cancel::never() };
    repair_journal(&bench.db, &bench.db, &definition().name, JournalSettings::default(), hooks)
        .await
        .expect("repaired")
}

async fn compared(bench: &Bench) -> VerifyReport {
    let hooks = VerifyHooks { progress: &|_| {}, cancel: Cancel::never() };
    verify(&bench.db, &bench.db, &definition().name, VerifySettings::default(), hooks)
        .await
        .expect("verified")
}

/// The keys that wait in the journal.
async fn dirty(bench: &Bench) -> Vec<String> {
    let keys = bench.db.dirty_keys(&bench.state().await, None, 1000).await.expect("the journal");
    keys.into_iter().map(|dirty| dirty.text).collect()
}
