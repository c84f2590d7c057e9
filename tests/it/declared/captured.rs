//! A capture that is there before the declaration does not keep a pair from travelling as one
//! statement: its triggers let fenced writes pass. Whatever only looks like them does keep it.

use crossfade::{Engine, Flags, Stage};
use crossfade_core::CaptureMode;
use crossfade_store::CaptureStore;

use super::{because, declared, one_statement, put};
use crate::capture::capture;
use crate::support::{Bench, TestDatabase};

#[tokio::test(flavor = "multi_thread")]
async fn a_pair_declared_behind_a_capture_travels_and_passes() {
    for mode in [CaptureMode::Observe, CaptureMode::Journal, CaptureMode::Reject] {
        let test = TestDatabase::create(Engine::Postgres, "declared_captured").await;
        let bench = Bench::new(test.open().await).await;
        bench.go(Stage::Live).await;
        capture(&bench, mode).await;
        let app = bench.app(&Flags::forced::<&str, bool>([])).await;
        let statement =
            declared(&app.migration("people").expect("registered"), Engine::Postgres).await;
        one_statement(&statement);
        for name in ["inserted", "updated"] {
            assert_eq!(put(&statement, 1, name).await.expect("it passes"), 1, "{mode:?}");
            bench.expect(1, Some(name), Some(name)).await;
        }
        // The database refused none of it, which would have ended the travelling.
        one_statement(&statement);
        let state = bench.state().await;
        assert!(bench.db.bypasses(&state).await.expect("counts").is_empty(), "{mode:?}");
        assert!(bench.db.dirty_keys(&state, None, 10).await.expect("keys").is_empty(), "{mode:?}");
        drop(app);
        test.drop().await;
    }
}

/// Each differs from a capture's trigger in one thing.
#[tokio::test(flavor = "multi_thread")]
async fn a_trigger_that_looks_like_a_captures_is_none() {
    let test = TestDatabase::create(Engine::Postgres, "declared_alike").await;
    let bench = Bench::new(test.open().await).await;
    bench.go(Stage::Live).await;
    let app = bench.app(&Flags::forced::<&str, bool>([])).await;
    let migration = app.migration("people").expect("registered");
    bench.sql("create schema elsewhere").await;
    for function in [
        "public.crossfade_dirty_people",
        "public.crossfade_dirty_other",
        "elsewhere.crossfade_dirty_people",
    ] {
        bench
            .sql(&format!(
                "create function {function}() returns trigger language plpgsql as \
                 $$ begin return null; end $$"
            ))
            .await;
    }
    let condition = "when (new.name <> 'never')";
    for (trigger, when, function, travels) in [
        ("crossfade_people_row", condition, "public.crossfade_dirty_people", true),
        ("crossfade_people_row2", condition, "public.crossfade_dirty_people", false),
        ("crossfade_people_ins", condition, "public.crossfade_dirty_people", false),
        ("crossfade_people_row", "", "public.crossfade_dirty_people", false),
        ("crossfade_people_row", condition, "public.crossfade_dirty_other", false),
        ("crossfade_people_row", condition, "elsewhere.crossfade_dirty_people", false),
    ] {
        bench
            .sql(&format!(
                "create trigger {trigger} after insert on people for each row {when} \
                 execute function {function}()"
            ))
            .await;
        let statement = declared(&migration, Engine::Postgres).await;
        if travels {
            one_statement(&statement);
        } else {
            let reason = because(&statement);
            assert!(reason.contains(&format!("the trigger {trigger} ")), "{reason}");
        }
        bench.sql(&format!("drop trigger {trigger} on people")).await;
    }
    drop(app);
    test.drop().await;
}
