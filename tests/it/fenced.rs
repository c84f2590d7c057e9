//! A write that finds its epoch closed and no newer one.

use std::time::Duration;

use crossfade::{Backoff, Crossfade, Engine, Flags, Known, Options, Stage, WriteError};

use crate::support::{Bench, PeopleError, engines, put, put_in};

/// Shuts the newest epoch, which nobody does who keeps to the protocol.
async fn shut(bench: &Bench) {
    let epoch = bench.state().await.epoch;
    bench
        .sql(&match bench.db.engine() {
            Engine::Postgres => {
                format!("select setval('crossfade_fence_people', {})", epoch.next().get() * 2)
            }
            Engine::Mysql => format!("delete from crossfade_open_epochs where epoch = {epoch}"),
            Engine::Sqlite => {
                format!("update crossfade_epochs set closed_ms = 1 where epoch = {epoch}")
            }
        })
        .await;
}

#[track_caller]
fn check(written: Result<u64, WriteError<PeopleError>>, bench: &Bench) {
    let error = written.expect_err("nobody gets in");
    let engine = bench.db.engine();
    assert!(matches!(error, WriteError::Fenced { .. }), "{engine}: {error:?}");
    assert_eq!(error.known(), Known::NothingWritten);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_that_never_gets_in_says_so_and_has_written_nothing() {
    engines("fenced", async |db, _| {
        let bench = Bench::new(db.clone()).await;
        let pause = Duration::from_millis(1);
        let app = Crossfade::builder_on(db)
            .flags(Flags::forced::<&str, bool>([]))
            .options(Options::default().tries(Backoff::new(pause, pause, 3)))
            .build()
            .await
            .expect("starts");
        let migration = app.migration("people").expect("registered");
        bench.go(Stage::Live).await;
        put(&migration, 1, "before").await.expect("written");
        let mut transaction = app.begin().await.expect("begins");
        put_in(&migration, &mut transaction, 2, "before").await.expect("written");
        transaction.commit().await.expect("commits");
        shut(&bench).await;

        check(put(&migration, 1, "shut out").await, &bench);
        let mut transaction = app.begin().await.expect("begins");
        check(put_in(&migration, &mut transaction, 2, "shut out").await, &bench);
        transaction.commit().await.expect("the caller's transaction goes on");
        for id in [1, 2] {
            bench.expect(id, Some("before"), Some("before")).await;
        }
    })
    .await;
}
