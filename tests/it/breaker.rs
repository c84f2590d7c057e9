//! The breaker: New's trouble in `live` keeps this process's reads on Legacy, and probes bring them
//! back.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use crossfade::{
    BreakerOptions, BreakerState, BreakerTrip, Crossfade, Flags, Migration, Options, ReadError,
    Stage,
};
use crossfade_control::{FlagChange, FlagEdit, Stores, change_flag};
use crossfade_store::{ControlStore, RuleSetStore};

use crate::support::{Bench, PeopleError, definition, engines, eventually};

fn breaker() -> BreakerOptions {
    BreakerOptions::default()
        .minimum(5)
        .cool_off(Duration::from_millis(200))
        .probes(3)
        .probe_interval(Duration::from_millis(1))
}

async fn in_live(bench: &Bench, options: Options) -> (Crossfade, Migration) {
    let app = Crossfade::builder_on(bench.db.clone())
        .flags(Flags::forced([("read_people_v2", true)]))
        .options(options)
        .build()
        .await
        .expect("starts");
    let migration = app.migration("people").expect("registered");
    let state = bench.go(Stage::Live).await;
    eventually("the stage is known", async || *migration.state() == state).await;
    (app, migration)
}

/// A New side that can be broken, and counts who asks it.
#[derive(Clone, Debug, Default)]
struct Fragile {
    broken: Arc<AtomicBool>,
    asked: Arc<AtomicU64>,
}

impl Fragile {
    fn broken() -> Self {
        let fragile = Self::default();
        fragile.broken.store(true, Ordering::SeqCst);
        fragile
    }

    fn asked(&self) -> u64 {
        self.asked.load(Ordering::SeqCst)
    }

    async fn read(&self, migration: &Migration) -> Result<&'static str, ReadError<PeopleError>> {
        let new = || async {
            self.asked.fetch_add(1, Ordering::SeqCst);
            if self.broken.load(Ordering::SeqCst) { Err(PeopleError::Told) } else { Ok("new") }
        };
        migration.read(&1i64, &1i64, || async { Ok("legacy") }, new).await
    }
}

fn state(migration: &Migration) -> BreakerState {
    migration.breaker().expect("there is one").state
}

#[tokio::test(flavor = "multi_thread")]
async fn reads_leave_a_failing_new_alone_and_come_back_by_probes() {
    engines("breaker", async |db, _| {
        let bench = Bench::new(db).await;
        let options = Options::default().breaker(breaker());
        let (_app, migration) = in_live(&bench, options).await;
        let new = Fragile::broken();
        for _ in 0..5 {
            assert_eq!(state(&migration), BreakerState::Closed);
            assert_eq!(new.read(&migration).await.expect("falls back"), "legacy");
        }
        let status = migration.breaker().expect("there is one");
        assert_eq!(status.state, BreakerState::Open);
        assert_eq!(status.why, Some(BreakerTrip::Errors { failed: 5, calls: 5 }));
        assert_eq!(status.counts.opened, 1);
        assert!(status.since.elapsed().is_ok_and(|age| age < Duration::from_secs(60)));
        // While it is broken, at most one probe in each cool-off asks it.
        let begun = std::time::Instant::now();
        for _ in 0..50 {
            assert_eq!(new.read(&migration).await.expect("reads"), "legacy");
        }
        let cool_offs = begun.elapsed().as_millis() / 200;
        assert!(u128::from(new.asked()) <= 6 + cool_offs, "{} asked", new.asked());
        new.broken.store(false, Ordering::SeqCst);
        eventually("probes close it", async || {
            new.read(&migration).await.expect("reads");
            state(&migration) == BreakerState::Closed
        })
        .await;
        assert_eq!(new.read(&migration).await.expect("reads"), "new");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn it_has_no_say_once_legacy_is_no_safe_answer() {
    engines("breaker_ramp", async |db, _| {
        let bench = Bench::new(db).await;
        let options = Options::default().breaker(breaker().cool_off(Duration::from_secs(3600)));
        let (_app, migration) = in_live(&bench, options).await;
        let new = Fragile::broken();
        for _ in 0..5 {
            new.read(&migration).await.expect("falls back");
        }
        assert_eq!(state(&migration), BreakerState::Open);
        let known = bench.go(Stage::RampDown).await;
        eventually("the stage is known", async || *migration.state() == known).await;
        let answer = new.read(&migration).await;
        assert!(matches!(answer, Err(ReadError::New(PeopleError::Told))), "{answer:?}");
        new.broken.store(false, Ordering::SeqCst);
        assert_eq!(new.read(&migration).await.expect("reads"), "new");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn trouble_of_both_sides_is_not_held_against_new_and_it_can_be_switched_off() {
    engines("breaker_both", async |db, _| {
        let bench = Bench::new(db).await;
        let (_app, migration) = in_live(&bench, Options::default().breaker(breaker())).await;
        for _ in 0..20 {
            let failing = || async { Err::<(), _>(PeopleError::Told) };
            let answer = migration.read(&1i64, &1i64, failing, failing).await;
            assert!(matches!(answer, Err(ReadError::Legacy(PeopleError::Told))), "{answer:?}");
        }
        assert_eq!(state(&migration), BreakerState::Closed);
        let (_app, without) = in_live(&bench, Options::default().without_breaker()).await;
        let new = Fragile::broken();
        for _ in 0..50 {
            assert_eq!(new.read(&without).await.expect("falls back"), "legacy");
        }
        assert_eq!((without.breaker(), new.asked()), (None, 50));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn callers_that_give_up_on_a_hanging_new_open_it() {
    engines("breaker_hangs", async |db, _| {
        let bench = Bench::new(db).await;
        let options = Options::default().breaker(breaker().errors(1.0, 1.0));
        let (_app, migration) = in_live(&bench, options).await;
        // Legacy is known once New has failed over to it a few times.
        let new = Fragile::broken();
        for broken in [true, true, true, true, false, true] {
            new.broken.store(broken, Ordering::SeqCst);
            new.read(&migration).await.expect("reads");
        }
        assert_eq!(state(&migration), BreakerState::Closed);
        eventually("it opens", async || {
            let hanging = || std::future::pending::<Result<(), PeopleError>>();
            let read = migration.read(&1i64, &1i64, || async { Ok(()) }, hanging);
            let given_up = tokio::time::timeout(Duration::from_millis(300), read).await;
            given_up.is_ok()
        })
        .await;
        let why = migration.breaker().expect("there is one").why;
        assert!(matches!(why, Some(BreakerTrip::Slow { .. })), "{why:?}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn differences_open_it_and_comparisons_close_it() {
    engines("breaker_differs", async |db, _| {
        let bench = Bench::new(db).await;
        let options = Options::default().shadow_sample(1.0).breaker(breaker());
        let (_app, migration) = in_live(&bench, options).await;
        let differs = Arc::new(AtomicBool::new(true));
        let read = async || {
            let differs = Arc::clone(&differs);
            let new = move || {
                let differs = differs.load(Ordering::SeqCst);
                async move { Ok(if differs { "other" } else { "same" }) }
            };
            let legacy = || async { Ok::<_, PeopleError>("same") };
            migration.read_compared(&1i64, &1i64, legacy, new).await.expect("reads")
        };
        eventually("it opens", async || {
            read().await;
            state(&migration) == BreakerState::Open
        })
        .await;
        let why = migration.breaker().expect("there is one").why;
        assert!(matches!(why, Some(BreakerTrip::Mismatches { .. })), "{why:?}");
        // Nor do the probes that find it so show anybody what differs.
        eventually("two rounds of probes", async || {
            assert_eq!(read().await, "same");
            migration.breaker().expect("there is one").counts.opened >= 3
        })
        .await;
        differs.store(false, Ordering::SeqCst);
        eventually("comparisons close it", async || {
            read().await;
            state(&migration) == BreakerState::Closed
        })
        .await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn asked_to_it_turns_the_flag_off_for_everybody_and_says_so() {
    engines("breaker_flag", async |db, _| {
        let bench = Bench::new(db).await;
        let flag = definition().read_flag;
        for edit in [FlagEdit::Ensure, FlagEdit::On] {
            let change = FlagChange { flag: &flag, edit, actor: "test", reason: "test" };
            change_flag(Stores::of(&bench.db), change).await.expect("changed");
        }
        let state = bench.go(Stage::Live).await;
        let start = async |auto: bool| {
            let builder = Crossfade::builder_on(bench.db.clone());
            let builder = if auto { builder.auto_rollback() } else { builder };
            let options = Options::default().breaker(breaker().cool_off(Duration::from_secs(3600)));
            let app = builder.options(options).build().await.expect("starts");
            let migration = app.migration("people").expect("registered");
            let new = Fragile::default();
            eventually("it reads New", async || {
                *migration.state() == state && matches!(new.read(&migration).await, Ok("new"))
            })
            .await;
            (app, migration)
        };
        let (plain_app, plain) = start(false).await;
        let (auto, migration) = start(true).await;
        let before = bench.db.latest_rule_set().await.expect("rules").expect("there").version;
        let new = Fragile::broken();
        for _ in 0..10 {
            new.read(&plain).await.expect("falls back");
        }
        let version = bench.db.latest_rule_set().await.expect("rules").expect("there").version;
        assert_eq!(version, before, "without being asked to it changes nothing for others");
        for _ in 0..10 {
            new.read(&migration).await.expect("falls back");
        }
        eventually("the flag is off", async || {
            let latest = bench.db.latest_rule_set().await.expect("rules").expect("there");
            latest.version > before
        })
        .await;
        eventually("the trail tells", async || {
            let trail = bench.db.audit_trail(10).await.expect("trail");
            let told = |action: &str| {
                trail.iter().any(|line| {
                    line.action == action
                        && line.actor == auto.instance_id()
                        && line.reason.contains("reads of New failed")
                        && line.intact
                })
            };
            told("flag.off") && told("breaker.rollback")
        })
        .await;
        let trail = bench.db.audit_trail(100).await.expect("trail");
        assert!(trail.iter().all(|line| line.actor != plain_app.instance_id()), "{trail:?}");
        // A process whose own breaker is closed reads Legacy as well.
        let (third, fine) = (bench.db.clone(), Fragile::default());
        let third = Crossfade::builder_on(third).build().await.expect("starts");
        let third = third.migration("people").expect("registered");
        eventually("the stage is known", async || *third.state() == state).await;
        assert_eq!(fine.read(&third).await.expect("reads"), "legacy");
    })
    .await;
}
