//! Writers say which fence they have passed only while a capture asks, and those that entered before
//! are waited for.

use crossfade::{Engine, Flags, Stage};
use crossfade_core::{CaptureMode, ToKey};
use crossfade_store::{
    CaptureChange, CaptureStore, ControlStore, Entry, FencedStore, StoreError, StoreErrorKind,
    Timeouts,
};

use super::{BOUNDS, capture, capturing, change};
use crate::support::{Bench, TestDatabase, WAIT, definition, eventually, put};

/// One try of installing.
async fn install(bench: &Bench, timeouts: Timeouts) -> Result<(), StoreError> {
    let change = CaptureChange {
        state: &bench.state().await,
        from: None,
        to: Some(CaptureMode::Reject),
        actor: "test",
        reason: "a test",
    };
    bench.db.change_capture(change, timeouts).await
}

#[tokio::test(flavor = "multi_thread")]
async fn writers_that_entered_before_are_waited_for() {
    capturing("entered_before", async |bench, _| {
        let app = bench.app(&Flags::forced::<&str, bool>([])).await;
        let people = app.migration("people").expect("registered");
        let epoch = bench.go(Stage::DualWrite).await.epoch;
        let (name, key) = (definition().name, 1i64.to_key());
        let entry = Entry { migration: &name, epoch, key: &key };
        let mut inside = bench.db.enter(entry, None).await.expect("entered");
        let tried = install(&bench, BOUNDS).await;
        if bench.db.engine() == Engine::Postgres {
            let error = tried.expect_err("somebody is inside who has said nothing");
            assert_eq!(error.kind, StoreErrorKind::LockTimeout);
            assert!(error.to_string().contains("passed the fence before"), "{error}");
        } else {
            tried.expect("there everybody says it");
        }
        // Nobody else is held up.
        put(&people, 2, "beside").await.expect("written");
        let sql = "insert into people values (1, 'inside')";
        let written = match bench.db.engine() {
            Engine::Postgres => {
                sqlx::query(sql).execute(inside.postgres().expect("it")).await.map(drop)
            }
            _ => sqlx::query(sql).execute(inside.mysql().expect("it")).await.map(drop),
        };
        written.expect("it passed the fence");
        bench.db.commit(inside).await.expect("commits");
        if bench.db.engine() == Engine::Postgres {
            install(&bench, BOUNDS).await.expect("nobody is left");
        }
        bench.expect(1, Some("inside"), None).await;
        put(&people, 1, "after").await.expect("a write passes");
    })
    .await;
}

/// What a writer's transaction says of the fence that it has passed.
async fn said(bench: &Bench) -> bool {
    let (name, key) = (definition().name, 1i64.to_key());
    let entry = Entry { migration: &name, epoch: bench.state().await.epoch, key: &key };
    let mut inside = bench.db.enter(entry, None).await.expect("entered");
    let sql = "select coalesce(current_setting('crossfade.fence', true), '')";
    let said = sqlx::query_scalar::<_, String>(sql).fetch_one(inside.postgres().expect("it")).await;
    bench.db.rollback(inside).await;
    !said.expect("asked").is_empty()
}

/// The fence's value as if nobody had asked for names.
async fn ask_nobody(bench: &Bench) {
    let epoch = bench.state().await.epoch.get();
    bench.sql(&format!("select setval('crossfade_fence_people', {})", epoch * 2)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fence_is_named_while_a_capture_asks() {
    let test = TestDatabase::create(Engine::Postgres, "named").await;
    let bench = Bench::new(test.open().await).await;
    bench.go(Stage::DeleteOnly).await;
    assert!(!said(&bench).await);
    capture(&bench, CaptureMode::Observe).await;
    assert!(said(&bench).await);
    bench.go(Stage::DualWrite).await;
    assert!(said(&bench).await, "a change of stage keeps it");
    change(&bench.db, None).await.expect("removed");
    assert!(!said(&bench).await);
    test.drop().await;
}

/// A sequence that came without the question, as from a replica: the capture is out of place, and
/// installing it again, or `init`, asks anew.
#[tokio::test(flavor = "multi_thread")]
async fn a_capture_that_asks_nobody_is_out_of_place() {
    let test = TestDatabase::create(Engine::Postgres, "unasked").await;
    let bench = Bench::new(test.open().await).await;
    capture(&bench, CaptureMode::Reject).await;
    let in_place = async || {
        let found = bench.db.capture(&bench.state().await).await.expect("asked");
        found.expect("there is one").in_place
    };
    assert!(in_place().await);
    ask_nobody(&bench).await;
    assert!(!in_place().await);
    capture(&bench, CaptureMode::Reject).await;
    assert!(in_place().await && said(&bench).await);
    ask_nobody(&bench).await;
    assert_eq!(
        bench.db.install().await.expect("init runs again"),
        ["fence of people, which did not fit the tables"]
    );
    assert!(in_place().await && said(&bench).await);
    test.drop().await;
}

/// Somebody removes a capture, and with it the question, while another is being installed.
#[tokio::test(flavor = "multi_thread")]
async fn an_install_whose_question_was_taken_back_is_a_conflict() {
    let test = TestDatabase::create(Engine::Postgres, "taken_back").await;
    let bench = Bench::new(test.open().await).await;
    let mut holder = bench.db.postgres().expect("PostgreSQL").begin().await.expect("begin");
    let hold = "lock table people in row exclusive mode";
    sqlx::query(hold).execute(&mut *holder).await.expect("locked");
    let patient = Timeouts { lock: WAIT, statement: WAIT };
    let (tried, ()) = tokio::join!(install(&bench, patient), async {
        eventually("it waits for Legacy", async || bench.sessions_waiting().await == 1).await;
        ask_nobody(&bench).await;
        holder.commit().await.expect("commits");
    });
    assert_eq!(tried.expect_err("nobody would pass").kind, StoreErrorKind::Conflict);
    assert!(bench.db.capture(&bench.state().await).await.expect("asked").is_none());
    test.drop().await;
}
