//! The spans that `docs/metrics.md` lists, around what the application's own code logs, and that
//! nothing of Crossfade's logs a value.

use crossfade::{
    Crossfade, Database, Engine, Flags, Migration, Once, OperationId, Options, Stage, by_equality,
};
use crossfade_reconcile::{BackfillHooks, BackfillSettings, Cancel, backfill};
use crossfade_store::ControlStore;
use tracing::Instrument;

use crate::support::{
    Bench, People, PeopleError, Side, Traces, definition, engines, eventually, put_in,
};

/// What no log may name.
const SECRET: &str = "grimalkin";

/// One side's part of a write, which says so.
async fn part(what: &str, side: Side, db: impl Into<crossfade::Db>) -> Result<u64, PeopleError> {
    tracing::info!("in {what} on {side}");
    People::on(side, db).put(1, SECRET).await
}

async fn start(db: &Database, options: Options) -> (Crossfade, Migration) {
    let app = Crossfade::builder_on(db.clone())
        .flags(Flags::forced([("read_people_v2", true)]))
        .options(options)
        .build()
        .await
        .expect("starts");
    let migration = app.migration("people").expect("registered");
    (app, migration)
}

/// `crossfade.write` and, in it, `crossfade.write.side`.
fn write_of(migration: &Migration) -> String {
    let state = migration.state();
    format!("crossfade.write epoch={} migration=people stage={}", state.epoch, state.stage)
}

#[track_caller]
fn stands_in_its_side(traces: &Traces, what: &str, write: &str) {
    for side in [Side::Legacy, Side::New] {
        let expect = vec![write.to_owned(), format!("crossfade.write.side side={side}")];
        assert_eq!(traces.around(&format!("in {what} on {side}")), [expect]);
    }
}

#[tokio::test]
async fn each_kind_of_write_stands_in_the_spans_of_its_sides() {
    engines("spans_write", async |db, _| {
        let engine = db.engine();
        let (traces, _guard) = Traces::begin();
        let bench = Bench::new(db.clone()).await;
        bench.go(Stage::Live).await;
        let (app, migration) = start(&db, Options::default()).await;
        let write = write_of(&migration);

        migration
            .write(&1i64, |tx| part("write", Side::Legacy, tx), |tx| part("write", Side::New, tx))
            .await
            .expect("written");
        stands_in_its_side(&traces, "write", &write);

        let legacy = |tx| part("once", Side::Legacy, tx);
        let new = |tx| part("once", Side::New, tx);
        let operation = OperationId::random();
        let done = migration.write_once(&operation, &1i64, legacy, new).await;
        assert!(matches!(done, Ok(Once::Applied(1 | 2))), "{done:?}");
        stands_in_its_side(&traces, "once", &write);

        let load = |side, tx| async move { People::on(side, tx).get(1).await };
        let store = |side, tx, _| part("modify", side, tx);
        migration.modify(&1i64, load, Ok, store).await.expect("written");
        stands_in_its_side(&traces, "modify", &write);

        let mut transaction = app.begin().await.expect("begins");
        let legacy = |tx| part("joined", Side::Legacy, tx);
        let new = |tx| part("joined", Side::New, tx);
        migration.write_in(&mut transaction, &1i64, legacy, new).await.expect("written");
        stands_in_its_side(&traces, "joined", &write);
        let load = |side, tx| async move { People::on(side, tx).get(1).await };
        let store = |side, tx, _| part("change", side, tx);
        migration.modify_in(&mut transaction, &1i64, load, Ok, store).await.expect("written");
        stands_in_its_side(&traces, "change", &write);
        transaction.commit().await.expect("committed");

        // A declared write has no code of the application's; in one statement it has no parts either.
        let before = traces.spans("crossfade.write").len();
        let statement = crate::declared::declared(&migration, engine).await;
        crate::declared::put(&statement, 1, SECRET).await.expect("written");
        let spans = traces.spans("crossfade.write").split_off(before);
        let side = |side| format!("crossfade.write.side side={side}");
        let expect = match engine {
            Engine::Postgres => vec![write],
            Engine::Mysql | Engine::Sqlite => vec![write, side(Side::Legacy), side(Side::New)],
        };
        assert_eq!(spans, expect);
        assert_eq!(traces.naming(SECRET), [""; 0]);
    })
    .await;
}

#[tokio::test]
async fn reads_and_comparisons_have_their_own() {
    engines("spans_read", async |db, _| {
        let (traces, _guard) = Traces::begin();
        let bench = Bench::new(db.clone()).await;
        bench.go(Stage::Live).await;
        let (_app, migration) = start(&db, Options::default().shadow_sample(1.0)).await;
        bench.legacy().put(1, SECRET).await.expect("put");
        bench.new_side().put(1, &format!("no {SECRET}")).await.expect("put");
        let epoch = migration.state().epoch;
        let fields = format!("epoch={epoch} migration=people");

        let of = |side, db: Database| move || read("read", side, db.clone());
        let request = tracing::info_span!("request");
        migration
            .read_compared(&1i64, &1i64, of(Side::Legacy, db.clone()), of(Side::New, db.clone()))
            .instrument(request)
            .await
            .expect("read");
        let one_snapshot = |side| move |reader| read("snapshot", side, reader);
        let request = tracing::info_span!("request");
        migration
            .read_compared_in(
                &1i64,
                &1i64,
                one_snapshot(Side::Legacy),
                one_snapshot(Side::New),
                by_equality,
            )
            .instrument(request)
            .await
            .expect("read");
        eventually("both are compared", async || migration.shadow_stats().compared == 2).await;

        let shadow = format!("crossfade.shadow {fields} stage=live");
        for what in ["read", "snapshot"] {
            let answer = format!("crossfade.read {fields} side=new stage=live");
            let new = traces.around(&format!("in {what} of new"));
            let compared = vec![shadow.clone(), "crossfade.shadow.side side=new".to_owned()];
            assert_eq!(new, [vec!["request".to_owned(), answer], compared]);
            let legacy = traces.around(&format!("in {what} of legacy"));
            let compared = vec![shadow.clone(), "crossfade.shadow.side side=legacy".to_owned()];
            assert!(!legacy.is_empty() && legacy.iter().all(|it| *it == compared), "{legacy:?}");
        }
        // Found out by the last of it, which the span tells whose it is.
        assert_eq!(traces.around("the sides differ"), [vec![shadow.clone()]]);
        let follows = (shadow, "request".to_owned());
        assert_eq!(traces.follows(), [follows.clone(), follows]);

        let failing = || async { Err(PeopleError::Told) };
        let legacy = of(Side::Legacy, db.clone());
        migration.read(&1i64, &1i64, legacy, failing).await.expect("falls back");
        let fallback = format!("crossfade.read {fields} side=legacy stage=live");
        assert!(traces.around("in read of legacy").contains(&vec![fallback]));
        assert_eq!(traces.naming(SECRET), [""; 0]);
    })
    .await;
}

async fn read(
    what: &'static str,
    side: Side,
    db: impl Into<crossfade::Db>,
) -> Result<Option<String>, PeopleError> {
    tracing::info!("in {what} of {side}");
    People::on(side, db).get(1).await
}

/// What the databases quote of a refused row: a duplicate, and a text that is no number.
#[tokio::test]
async fn a_refused_value_is_in_no_log_and_no_reason() {
    engines("spans_refused", async |db, _| {
        let (traces, _guard) = Traces::begin();
        let bench = Bench::new(db.clone()).await;
        let refuses = match db.engine() {
            Engine::Postgres => "alter table people_v2 add check (name::int > 0)",
            Engine::Mysql => "alter table people_v2 modify name varchar(50) not null unique",
            Engine::Sqlite => "create unique index one_name on people_v2 (name)",
        };
        bench.sql(refuses).await;
        // An upsert of MariaDB's takes a duplicate of any key for the row to be updated.
        let for_writers: &[&str] = match db.engine() {
            Engine::Mysql => &[
                "delete from people_v2",
                "alter table people_v2 add column number int as (name) stored",
            ],
            Engine::Postgres | Engine::Sqlite => &[],
        };
        let marks = async || bench.db.quarantine(&definition().name, 10).await.expect("marks");
        // The run begins with these rows, and Legacy alone knows them.
        bench.legacy().put(1, SECRET).await.expect("put");
        bench.legacy().put(2, SECRET).await.expect("put");
        bench.go(Stage::DualWrite).await;
        let hooks = BackfillHooks { progress: &|_| {}, cancel: Cancel::never() };
        let settings = BackfillSettings::default();
        backfill(&bench.db, &bench.db, &definition().name, settings, hooks).await.expect("runs");
        let found = marks().await;
        assert!(!found.is_empty());

        let (app, migration) = start(&db, Options::default()).await;
        for sql in for_writers {
            bench.sql(sql).await;
        }
        let mut transaction = app.begin().await.expect("begins");
        put_in(&migration, &mut transaction, 3, SECRET).await.expect("New is nobody's trouble");
        transaction.commit().await.expect("committed");
        crate::support::put(&migration, 4, SECRET).await.expect("New is nobody's trouble");
        let found = marks().await;
        let of = |key: &str| found.iter().any(|(marked, _)| marked == key);
        assert!(of("3") && of("4"), "{found:?}");
        let quoted = found.iter().filter(|(_, reason)| reason.contains(SECRET));
        assert_eq!(quoted.count(), 0, "{found:?}");
        assert_eq!(traces.around("New refused a row").len(), 2);
        assert_eq!(traces.naming(SECRET), [""; 0]);
    })
    .await;
}
