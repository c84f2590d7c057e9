//! Shadow comparisons: what they find, and that the caller never feels them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crossfade::{
    Comparison, Crossfade, Db, FieldDifference, Fields, Flags, Migration, Options, Stage,
    by_equality,
};
use tokio::sync::Notify;

use crate::support::{Bench, People, PeopleError, WAIT, engines, eventually, put};

async fn in_dual_write(bench: &Bench, options: Options) -> (Crossfade, Migration) {
    let app = Crossfade::builder_on(bench.db.clone())
        .flags(Flags::forced::<&str, bool>([]))
        .options(options.shadow_sample(1.0))
        .build()
        .await
        .expect("starts");
    let migration = app.migration("people").expect("registered");
    let state = bench.go(Stage::DualWrite).await;
    eventually("the stage is known", async || *migration.state() == state).await;
    (app, migration)
}

#[crossfade::repository(dual = DualTitles)]
trait Titles: Send + Sync {
    #[read(key = id, compare = by_length)]
    async fn title(&self, id: i64) -> Result<Option<String>, PeopleError>;
}

impl Titles for People {
    async fn title(&self, id: i64) -> Result<Option<String>, PeopleError> {
        self.get(id).await
    }
}

fn by_length(legacy: &Option<String>, new: &Option<String>) -> Comparison {
    let length = |title: &Option<String>| title.as_ref().map(String::len);
    Comparison::of((length(legacy) != length(new)).then(|| FieldDifference::named("length")))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_marked_read_is_compared_by_the_function_that_it_names() {
    engines("compared_mark", async |db, _| {
        let bench = Bench::new(db).await;
        let (_app, migration) = in_dual_write(&bench, Options::default()).await;
        let titles = DualTitles::new(migration, bench.legacy(), bench.new_side());
        put(&titles.migration, 1, "Ada").await.expect("written");
        for (new, mismatched) in [("Eva", 0), ("Adam", 1)] {
            bench.new_side().put(1, new).await.expect("put");
            let compared = titles.migration.shadow_stats().compared + 1;
            assert_eq!(titles.title(1).await.expect("read").as_deref(), Some("Ada"));
            eventually("it is compared", async || {
                titles.migration.shadow_stats().compared == compared
            })
            .await;
            assert_eq!(titles.migration.shadow_stats().mismatched, mismatched, "{new}");
        }
        assert_eq!(titles.migration.mismatches()[0].fields, [FieldDifference::named("length")]);
    })
    .await;
}

type Row = BTreeMap<&'static str, String>;

#[tokio::test(flavor = "multi_thread")]
async fn mismatches_are_kept_with_field_names_and_without_values() {
    engines("compared_fields", async |db, _| {
        let bench = Bench::new(db).await;
        let (_app, migration) = in_dual_write(&bench, Options::default().mismatches_kept(2)).await;
        put(&migration, 1, "Ada").await.expect("written");
        bench.new_side().put(1, "secret").await.expect("put");
        let read = async |id: i64, fields: Fields| {
            let side = |people: People, at: &'static str| {
                move || {
                    let people = people.clone();
                    async move {
                        let name = people.get(1).await?.unwrap_or_default();
                        Ok::<_, PeopleError>(Row::from([("name", name), ("at", at.to_owned())]))
                    }
                }
            };
            let (legacy, new) = (side(bench.legacy(), "noon"), side(bench.new_side(), "12:00"));
            let before = migration.shadow_stats().compared;
            let answer =
                migration.read_compared_by(&id, &id, legacy, new, fields.comparing()).await;
            assert_eq!(answer.expect("reads")["name"], "Ada");
            eventually("compared", async || migration.shadow_stats().compared == before + 1).await;
        };
        read(1, Fields::all().ignoring(["name", "at"])).await;
        assert_eq!((migration.shadow_stats().mismatched, migration.mismatches()), (0, vec![]));
        read(2, Fields::all().ignoring(["at"])).await;
        read(3, Fields::all().ignoring(["at"]).revealing(["name"])).await;
        read(4, Fields::all()).await;
        let kept: Vec<_> =
            migration.mismatches().into_iter().map(|it| (it.key.to_string(), it.fields)).collect();
        let described = FieldDifference::described;
        let (three, six) = ("text of 3 characters", "text of 6 characters");
        let at = described("at", "text of 4 characters", "text of 5 characters");
        let expected = [
            ("3".to_owned(), vec![described("name", "\"Ada\"", "\"secret\"")]),
            ("4".to_owned(), vec![at, described("name", three, six)]),
        ];
        assert_eq!(kept, expected);
        assert_eq!(migration.shadow_stats().mismatched, 3);
    })
    .await;
}

/// A write that comes between the sides of a comparison makes no mismatch: neither where both are
/// read again, nor in one snapshot, where New is as it was when Legacy was read.
#[tokio::test(flavor = "multi_thread")]
async fn a_write_between_the_sides_is_no_mismatch_in_one_snapshot() {
    engines("compared_snapshot", async |db, _| {
        let bench = Bench::new(db).await;
        let (_app, migration) =
            in_dual_write(&bench, Options::default().shadow_timeout(WAIT)).await;
        put(&migration, 1, "before").await.expect("written");
        let (calls, read, go_on) =
            (Arc::new(AtomicU64::new(0)), Arc::new(Notify::new()), Arc::new(Notify::new()));
        let legacy = {
            let (calls, read, go_on) = (Arc::clone(&calls), Arc::clone(&read), Arc::clone(&go_on));
            move |db: Db| {
                let (people, call) = (People::legacy(db), calls.fetch_add(1, Ordering::SeqCst));
                let (read, go_on) = (Arc::clone(&read), Arc::clone(&go_on));
                async move {
                    let name = people.get(1).await;
                    // The caller's own read comes first, and waits for nobody.
                    if call > 0 {
                        read.notify_one();
                        go_on.notified().await;
                    }
                    name
                }
            }
        };
        let new = |db: Db| async move { People::new(db).get(1).await };
        let answer = migration.read_compared_in(&1i64, &1i64, legacy, new, by_equality).await;
        assert_eq!(answer.expect("reads").as_deref(), Some("before"));
        read.notified().await;
        put(&migration, 1, "after").await.expect("a snapshot holds no writer up");
        go_on.notify_one();
        eventually("compared", async || migration.shadow_stats().compared == 1).await;
        assert_eq!(migration.shadow_stats().mismatched, 0, "{:?}", migration.mismatches());
        assert_eq!(calls.load(Ordering::SeqCst), 2, "Legacy is not read again");

        bench.new_side().put(1, "another").await.expect("put");
        let legacy = |db: Db| async move { People::legacy(db).get(1).await };
        migration.read_compared_in(&1i64, &1i64, legacy, new, by_equality).await.expect("reads");
        eventually("compared", async || migration.shadow_stats().mismatched == 1).await;
        bench.expect(1, Some("after"), Some("another")).await;
    })
    .await;
}

/// A snapshot leaves its connection as it found it, whether it ends or is dropped midway.
#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_leaves_nothing_behind() {
    engines("compared_left", async |db, _| {
        let bench = Bench::new(db).await;
        let options = Options::default().shadow_timeout(Duration::from_millis(100));
        let (_app, migration) = in_dual_write(&bench, options).await;
        put(&migration, 1, "first").await.expect("written");
        for turn in 0..40u64 {
            let calls = Arc::new(AtomicU64::new(0));
            let legacy = move |db: Db| {
                let call = calls.fetch_add(1, Ordering::SeqCst);
                async move {
                    let name = People::legacy(db).get(1).await;
                    if call > 0 && turn % 2 == 0 {
                        std::future::pending::<()>().await;
                    }
                    name
                }
            };
            let new = |db: Db| async move { People::new(db).get(1).await };
            migration
                .read_compared_in(&1i64, &1i64, legacy, new, by_equality)
                .await
                .expect("reads");
            let name = format!("turn {turn}");
            put(&migration, 1, &name).await.expect("written");
            bench.expect(1, Some(&name), Some(&name)).await;
        }
        eventually("all have ended", async || {
            let stats = migration.shadow_stats();
            stats.compared + stats.timed_out + stats.failed + stats.dropped == 40
        })
        .await;
        let stats = migration.shadow_stats();
        assert!(stats.compared > 0 && stats.timed_out > 0, "{stats:?}");
        assert_eq!(stats.mismatched, 0, "{:?}", migration.mismatches());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_hangs_adds_nothing_and_one_too_many_is_dropped() {
    engines("compared_hangs", async |db, _| {
        let bench = Bench::new(db).await;
        let options = Options::default().shadow_in_flight(2).shadow_timeout(Duration::from_secs(5));
        let (_app, migration) = in_dual_write(&bench, options).await;
        let read = async || {
            let new = std::future::pending::<Result<u8, PeopleError>>;
            migration.read_compared(&1i64, &1i64, || async { Ok(7) }, new).await.expect("reads")
        };
        let begun = Instant::now();
        for _ in 0..5 {
            assert_eq!(read().await, 7);
        }
        let took = begun.elapsed();
        assert!(took < Duration::from_secs(2), "five reads took {took:?}");
        let stats = migration.shadow_stats();
        assert_eq!((stats.dropped, stats.timed_out), (3, 0), "{stats:?}");
        eventually("two time out", async || migration.shadow_stats().timed_out == 2).await;
        assert_eq!(read().await, 7);
        assert_eq!(migration.shadow_stats().dropped, 3, "there is room again");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panic_in_a_comparison_is_contained_and_counted() {
    engines("compared_panics", async |db, _| {
        let bench = Bench::new(db).await;
        let (_app, migration) = in_dual_write(&bench, Options::default().shadow_in_flight(1)).await;
        // With room for one, three can only panic when each gives its place back.
        eventually("three have panicked", async || {
            let new = || -> std::future::Ready<Result<u8, PeopleError>> { panic!("a side's own") };
            let answer = migration.read_compared(&1i64, &1i64, || async { Ok(7) }, new).await;
            assert_eq!(answer.expect("reads"), 7);
            migration.shadow_stats().panicked >= 3
        })
        .await;
        assert_eq!(migration.shadow_stats().compared, 0);
    })
    .await;
}
