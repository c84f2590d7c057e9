//! Reads of rows whose key is not their user: what the key decides, and what the user does.

use crossfade::{Crossfade, Flags, Migration, Options, ReadError, Side, Stage, ToKey, by_equality};

use crate::support::{Bench, PeopleError, engines, eventually, put};

/// The side that a read of `key` for `user` is sent to.
async fn side(
    migration: &Migration,
    key: i64,
    user: &(impl ToKey + ?Sized),
) -> Result<Side, ReadError<PeopleError>> {
    migration.read(&key, user, || async { Ok(Side::Legacy) }, || async { Ok(Side::New) }).await
}

async fn goes_live(bench: &Bench, app: &Crossfade) -> Migration {
    let migration = app.migration("people").expect("registered");
    let state = bench.go(Stage::Live).await;
    eventually("the stage is known", async || *migration.state() == state).await;
    migration
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_in_quarantine_is_read_from_legacy_whoever_asks() {
    engines("user_marked", async |db, _| {
        let bench = Bench::new(db).await;
        let flags = Flags::forced::<&str, bool>([]);
        for user in ["ada", "1"] {
            flags.force_for("read_people_v2", user, true);
        }
        let app = bench.app(&flags).await;
        let migration = app.migration("people").expect("registered");
        bench.go(Stage::DualWrite).await;
        put(&migration, 1, "bad").await.expect("written");
        let migration = goes_live(&bench, &app).await;
        assert_eq!(side(&migration, 1, "ada").await.expect("read"), Side::Legacy);
        assert_eq!(side(&migration, 2, "ada").await.expect("read"), Side::New);
        assert_eq!(side(&migration, 2, &1).await.expect("read"), Side::New, "no mark on a user");
    })
    .await;
}

/// How a payment table keyed by payment fades.
#[tokio::test(flavor = "multi_thread")]
async fn the_keys_of_one_user_fade_together() {
    engines("user_fades", async |db, _| {
        let bench = Bench::new(db).await;
        let flags = Flags::forced::<&str, bool>([]);
        let app = bench.app(&flags).await;
        let migration = goes_live(&bench, &app).await;
        let expect = async |user: &str, expected: Side| {
            for key in [1, 2, 3] {
                let found = side(&migration, key, user).await.expect("read");
                assert_eq!(found, expected, "key {key} of {user}");
            }
        };
        flags.force_for("read_people_v2", "ada", true);
        // A key is nobody, even where its text is asked for.
        flags.force_for("read_people_v2", "3", true);
        expect("ada", Side::New).await;
        expect("bob", Side::Legacy).await;
        flags.force_for("read_people_v2", "bob", true);
        flags.force_for("read_people_v2", "ada", false);
        expect("ada", Side::Legacy).await;
        expect("bob", Side::New).await;
        flags.force_for("read_people_v2", r#"["shop","7"]"#, true);
        assert_eq!(side(&migration, 1, &("shop", 7)).await.expect("read"), Side::New);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mismatch_is_told_by_its_key() {
    engines("user_compared", async |db, _| {
        let bench = Bench::new(db).await;
        let flags = Flags::forced::<&str, bool>([]);
        flags.force_for("read_people_v2", "ada", true);
        let app = Crossfade::builder_on(bench.db.clone())
            .flags(flags)
            .options(Options::default().shadow_sample(1.0))
            .build()
            .await
            .expect("starts");
        let migration = goes_live(&bench, &app).await;
        let legacy = || async { Ok::<_, PeopleError>(Side::Legacy) };
        let new = || async { Ok(Side::New) };
        for (key, user, expected) in [(7i64, "ada", Side::New), (8, "bob", Side::Legacy)] {
            let mismatched = migration.shadow_stats().mismatched;
            let found = match key {
                7 => migration.read_compared(&key, user, legacy, new).await,
                _ => {
                    let (legacy, new) = (move |_| legacy(), move |_| new());
                    migration.read_compared_in(&key, user, legacy, new, by_equality).await
                }
            };
            assert_eq!(found.expect("read"), expected, "{user}");
            eventually("compared", async || migration.shadow_stats().mismatched == mismatched + 1)
                .await;
        }
        let keys: Vec<_> = migration.mismatches().iter().map(|it| it.key.to_string()).collect();
        assert_eq!(keys, ["7", "8"]);
    })
    .await;
}
