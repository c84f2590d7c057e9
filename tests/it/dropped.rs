//! A write that is dropped at any of its awaits, or whose closure panics at any of its polls, leaves
//! the sides as its stage has them and a connection that is well.

use std::time::Duration;

use crossfade::{Backoff, Crossfade, Engine, Flags, Migration, Options, Side, Stage, WriteError};

use crate::support::{
    Bench, People, PeopleError, TestDatabase, acknowledged, dropped_at_every_point, panic_at,
    panics, put,
};

const STAGES: [Stage; 3] = [Stage::DeleteOnly, Stage::DualWrite, Stage::Live];

type Written = Result<u64, WriteError<PeopleError>>;

/// A write of key 1 that New refuses, and of any other that it does not.
async fn put_refused(migration: &Migration, id: i64, name: &str) -> Written {
    migration
        .write(
            &id,
            |tx| async move { People::legacy(tx).put(id, name).await },
            |tx| async move { People::new(tx).put(id, if id == 1 { "bad" } else { name }).await },
        )
        .await
}

async fn modify(migration: &Migration, id: i64, name: &str) -> Written {
    migration
        .modify(
            &id,
            |side, tx| async move { People::on(side, tx).get(id).await },
            |_| Ok(Some(name.to_owned())),
            |side, tx, name| async move {
                People::on(side, tx).put(id, &name.unwrap_or_default()).await
            },
        )
        .await
}

/// A write in which the closure of `side` panics at a poll, if it is that of key 1.
async fn put_panicking(
    migration: &Migration,
    (id, name): (i64, &str),
    side: Side,
    polls: u32,
) -> Written {
    let polls = |of: Side| if id == 1 && of == side { polls } else { 0 };
    let (legacy, new) = (polls(Side::Legacy), polls(Side::New));
    migration
        .write(
            &id,
            |tx| panic_at(async move { People::legacy(tx).put(id, name).await }, legacy),
            |tx| panic_at(async move { People::new(tx).put(id, name).await }, new),
        )
        .await
}

/// A bench of all connections, and an application on one.
async fn start(test: &TestDatabase) -> (Bench, Crossfade, Migration) {
    let bench = Bench::new(test.open().await).await;
    let db = match test.engine {
        Engine::Mysql | Engine::Postgres => test.open_narrow(1).await,
        Engine::Sqlite => bench.db.clone(),
    };
    let pause = Duration::from_millis(1);
    let app = Crossfade::builder_on(db)
        .flags(Flags::forced::<&str, bool>([]))
        .options(Options::default().tries(Backoff::new(pause, pause, 10)))
        .build()
        .await
        .expect("starts");
    let migration = app.migration("people").expect("registered");
    (bench, app, migration)
}

async fn dropped(engine: Engine) {
    let test = TestDatabase::create(engine, "dropped").await;
    let (bench, app, migration) = start(&test).await;
    for stage in STAGES {
        bench.go(stage).await;
        for id in [1, 2] {
            put(&migration, id, "now").await.expect("the stage is known");
        }
        dropped_at_every_point(&bench, async |id, name| put(&migration, id, name).await).await;
        dropped_at_every_point(&bench, async |id, name| modify(&migration, id, name).await).await;
        if stage == Stage::DualWrite {
            let refused = async |id, name: &str| put_refused(&migration, id, name).await;
            dropped_at_every_point(&bench, refused).await;
            // The mark goes with the next write that New accepts.
            bench.sql("delete from crossfade_quarantine").await;
            put(&migration, 1, "well").await.expect("written");
        }
    }
    drop((migration, app));
    test.drop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn dropping_a_write_anywhere_leaves_both_or_neither_on_postgres() {
    dropped(Engine::Postgres).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn dropping_a_write_anywhere_leaves_both_or_neither_on_mariadb() {
    dropped(Engine::Mysql).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn dropping_a_write_anywhere_leaves_both_or_neither_on_sqlite() {
    dropped(Engine::Sqlite).await;
}

/// Before `live` New's panic is not the caller's.
#[tokio::test(flavor = "multi_thread")]
async fn a_panic_at_any_poll_leaves_both_or_neither() {
    for engine in Engine::ALL {
        let test = TestDatabase::create(*engine, "panicking").await;
        let (bench, app, migration) = start(&test).await;
        for (stage, side, told) in [
            (Stage::DualWrite, Side::Legacy, true),
            (Stage::DualWrite, Side::New, false),
            (Stage::Live, Side::Legacy, true),
            (Stage::Live, Side::New, true),
        ] {
            bench.go(stage).await;
            put(&migration, 2, "now").await.expect("the stage is known");
            for polls in 1.. {
                assert!(polls < 100, "the closure never ends");
                let name = format!("panicked at {polls}");
                let put =
                    async |id, name: &str| put_panicking(&migration, (id, name), side, polls).await;
                bench.sql("delete from crossfade_quarantine").await;
                let panicked = panics(put(1, &name)).await;
                acknowledged(&bench, &put, &format!("acknowledged after {polls}")).await;
                let marked = bench.rows("crossfade_quarantine").await > 0;
                assert!(!(marked && panicked), "{engine}, {stage}, {side}");
                if !panicked && !marked {
                    assert!(polls > 1, "{engine}, {stage}, {side}: it has panicked once");
                    bench.expect(1, Some(&name), Some(&name)).await;
                    break;
                }
                assert_eq!(panicked, told, "{engine}, {stage}, {side}: who hears of it");
            }
        }
        drop((migration, app));
        test.drop().await;
    }
}
