//! Texts that name the same row are one key: for locks, for marks, and for reads that ask for them.

use std::sync::Arc;

use crossfade::{Engine, Flags, Migration, Side, Stage, StoreErrorKind, WriteError};
use crossfade_core::{Definition, Key, KeyText, SideTable};
use crossfade_store::{
    ChunkRequest, DifferenceKind, FencedStore, KeyRange, ReconcileStore, SchemaStore, VerifyStore,
};
use tokio::sync::Notify;

use crate::support::{Bench, People, PeopleError, TestDatabase, definition, engines, eventually};

fn flags() -> Flags {
    Flags::forced([("read_people_v2", true)])
}

fn key(text: &str) -> Key {
    Key::new(vec![text.to_owned()])
}

/// A wrapped put of row 7 by whatever text names it.
async fn put_as(
    migration: &Migration,
    key: &str,
    name: &'static str,
) -> Result<u64, WriteError<PeopleError>> {
    migration
        .write(
            key,
            |tx| async move { People::legacy(tx).put(7, name).await },
            |tx| async move { People::new(tx).put(7, name).await },
        )
        .await
}

/// Without a row to wait for, only the key's lock keeps the put behind the delete.
#[tokio::test(flavor = "multi_thread")]
async fn two_spellings_of_a_key_exclude_each_other() {
    for engine in [Engine::Postgres, Engine::Mysql] {
        let test = TestDatabase::create(engine, "spelled").await;
        let bench = Bench::new(test.open().await).await;
        bench.go(Stage::Live).await;
        let app = bench.app(&flags()).await;
        let migration = app.migration("people").expect("registered");
        for second in ["07", "7"] {
            let (deleted, go_on) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
            let deleting = tokio::spawn({
                let (migration, deleted) = (migration.clone(), Arc::clone(&deleted));
                let go_on = Arc::clone(&go_on);
                async move {
                    let legacy = |tx| {
                        let (deleted, go_on) = (Arc::clone(&deleted), Arc::clone(&go_on));
                        async move {
                            let count = People::legacy(tx).delete(7).await;
                            deleted.notify_one();
                            go_on.notified().await;
                            count
                        }
                    };
                    let new = |tx| async move { People::new(tx).delete(7).await };
                    migration.write("7", legacy, new).await
                }
            });
            deleted.notified().await;
            let putting = tokio::spawn({
                let migration = migration.clone();
                async move { put_as(&migration, second, "paid").await }
            });
            eventually("the put waits, or does not", async || {
                putting.is_finished() || bench.sessions_waiting().await == 1
            })
            .await;
            go_on.notify_one();
            deleting.await.expect("no panic").expect("deleted");
            putting.await.expect("no panic").expect("put");
            bench.expect(7, Some("paid"), Some("paid")).await;
            put_as(&migration, "7", "gone").await.expect("put");
            let delete = |side: Side| move |tx| async move { People::on(side, tx).delete(7).await };
            let cleared = migration.write("7", delete(Side::Legacy), delete(Side::New)).await;
            assert_eq!(cleared.expect("deleted"), 1);
        }
        drop((migration, app));
        test.drop().await;
    }
}

/// A mark is left by one spelling, found by a second and taken away by a third.
#[tokio::test(flavor = "multi_thread")]
async fn a_mark_is_found_by_every_spelling() {
    engines("marked", async |db, _| {
        let bench = Bench::new(db).await;
        bench.go(Stage::DualWrite).await;
        let app = bench.app(&flags()).await;
        let migration = app.migration("people").expect("registered");
        put_as(&migration, "07", "fine").await.expect("both");
        put_as(&migration, "007", "bad").await.expect("Legacy alone");
        let marks = bench.state().await.quarantined;
        assert_eq!(marks.iter().map(String::as_str).collect::<Vec<_>>(), ["7"]);

        bench.go(Stage::Live).await;
        eventually("the instance follows", async || migration.stage() == Stage::Live).await;
        for user in ["7", "+7", "007"] {
            let side: Result<_, crossfade::ReadError<PeopleError>> = migration
                .read(user, "somebody", || async { Ok(Side::Legacy) }, || async { Ok(Side::New) })
                .await;
            assert_eq!(side.expect("read"), Side::Legacy, "{user} is marked");
        }
        put_as(&migration, "0007", "good").await.expect("both");
        assert!(bench.state().await.quarantined.is_empty(), "New holds the row again");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_text_of_no_key_is_refused_before_anything_is_written() {
    engines("no_key", async |db, _| {
        let bench = Bench::new(db).await;
        bench.go(Stage::Live).await;
        let app = bench.app(&flags()).await;
        let migration = app.migration("people").expect("registered");
        match put_as(&migration, "seven", "paid").await {
            Err(WriteError::Store(error)) => {
                assert_eq!(error.kind, StoreErrorKind::Invalid);
                assert!(error.to_string().contains("`seven` is no integer"), "{error}");
            }
            told => panic!("{told:?}"),
        }
        let mut transaction = app.begin().await.expect("begins");
        let told = migration
            .write_in(
                &mut transaction,
                "7.0",
                |tx| async move { People::legacy(tx).put(7, "paid").await },
                |tx| async move { People::new(tx).put(7, "paid").await },
            )
            .await;
        assert!(matches!(told, Err(WriteError::Store(_))), "{told:?}");
        transaction.commit().await.expect("nothing was done in it");
        bench.expect(7, None, None).await;
    })
    .await;
}

/// The pair's tables with a key of another type, in `dual_write`.
async fn with_key(bench: &Bench, kind: &str, rows: &[(&str, &str)]) {
    bench.sql("drop table people").await;
    bench.sql("drop table people_v2").await;
    bench.sql(&format!("create table people (id {kind} primary key, name text not null)")).await;
    let new = "name text not null, check (name <> 'bad'))";
    bench.sql(&format!("create table people_v2 (person_id {kind} primary key, {new}")).await;
    for (id, name) in rows {
        bench.sql(&format!("insert into people values ('{id}', '{name}')")).await;
    }
    bench.go(Stage::DualWrite).await;
}

/// Verification names a row, and repair marks it, as the application's writes would.
#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_is_stored_in_another_spelling_is_marked_by_the_canonical_one() {
    let upper = "A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11";
    let lower = upper.to_lowercase();
    for (engine, kind, texts, stored, asked, mark) in [
        (Engine::Mysql, "varchar(20) collate utf8mb4_bin", KeyText::Padded, "a ", "a  ", "a"),
        (Engine::Mysql, "varchar(20) collate utf8mb4_nopad_bin", KeyText::Exact, "a ", "a ", "a "),
        (Engine::Mysql, "uuid", KeyText::Uuid, upper, upper, &*lower),
        (Engine::Mysql, "int(5) zerofill", KeyText::Integer, "7", "+7", "7"),
        (Engine::Postgres, "char(5)", KeyText::Padded, "a", "a ", "a"),
        (Engine::Postgres, "varchar(5)", KeyText::Exact, "a ", "a ", "a "),
        (Engine::Postgres, "uuid", KeyText::Uuid, upper, upper, &*lower),
        (Engine::Sqlite, "integer", KeyText::Integer, "07", "+7", "7"),
        (Engine::Sqlite, "uuid", KeyText::Exact, upper, upper, upper),
    ] {
        let test = TestDatabase::create(engine, "stored").await;
        let bench = Bench::new(test.open().await).await;
        with_key(&bench, kind, &[(stored, "bad")]).await;
        let told = bench.db.key_texts(&definition()).await.expect("asked");
        assert_eq!(told, Some(vec![texts]), "{engine} {kind}");
        let state = bench.state().await;
        let request = ChunkRequest { state: &state, range: KeyRange::ALL, rows: 10, values: 0 };
        let found = bench.db.verify_chunk(request).await.expect("compared");
        assert_eq!(found.keys(DifferenceKind::Missing), [key(mark)], "{engine} {kind}");
        let refused = bench.db.repair(&state, &key(asked)).await.expect("repaired");
        assert!(refused.is_some(), "{engine} {kind}");
        let marks = bench.state().await.quarantined;
        assert_eq!(marks.iter().collect::<Vec<_>>(), [mark], "{engine} {kind}");
        test.drop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn new_tells_the_types_where_legacy_is_gone() {
    engines("gone", async |db, _| {
        let bench = Bench::new(db).await;
        let gone = |table: &str, of| SideTable { table: table.parse().expect("a name"), ..of };
        let left = definition();
        let left = Definition { legacy: gone("nowhere", left.legacy), ..left };
        let told = bench.db.key_texts(&left).await.expect("asked");
        assert_eq!(told, Some(vec![KeyText::Integer]));
        let none = Definition { new: gone("nowhere_else", left.new.clone()), ..left };
        assert_eq!(bench.db.key_texts(&none).await.expect("asked"), None);
    })
    .await;
}

/// Texts that the database takes for one key without a canonical one among them.
#[tokio::test(flavor = "multi_thread")]
async fn keys_that_are_blind_to_case_are_refused() {
    for (engine, before, kind) in [
        (Engine::Sqlite, "select 1", "text collate nocase"),
        (Engine::Sqlite, "select 1", "text collate rtrim"),
        (
            Engine::Postgres,
            "create collation blind (provider = icu, locale = 'und-u-ks-level2', \
             deterministic = false)",
            "text collate blind",
        ),
    ] {
        let test = TestDatabase::create(engine, "blind").await;
        let bench = Bench::new(test.open().await).await;
        bench.sql(before).await;
        with_key(&bench, kind, &[]).await;
        let problems = bench.db.definition_problems(&definition()).await.expect("asked");
        let text = problems.iter().map(ToString::to_string).collect::<String>();
        assert!(text.contains("compared by its bytes"), "{engine} {kind}: {text}");
        test.drop().await;
    }
}
