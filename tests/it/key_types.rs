//! Integer, text, uuid and composite keys: backfill in small batches, verify, repair.

use std::time::Duration;

use crossfade::{Database, Engine, Stage};
use crossfade_core::{BackfillOptions, Definition, GateOptions, SideTable};
use crossfade_reconcile::{
    BackfillHooks, BackfillSettings, Cancel, VerifyHooks, VerifyMode, VerifyReport, VerifySettings,
    backfill, verify,
};
use crossfade_store::{ControlStore, SchemaStore, StageChange};

use crate::support::{Bench, engines};

/// One shape of key: column declarations, and rows as SQL literals.
struct Shape {
    columns: Vec<(&'static str, &'static str)>,
    rows: &'static [&'static str],
}

fn shapes(engine: Engine) -> Vec<Shape> {
    // MariaDB's keys have a length, and serve where their bytes are compared.
    let text = match engine {
        Engine::Mysql => "varchar(50) collate utf8mb4_nopad_bin",
        Engine::Postgres | Engine::Sqlite => "text",
    };
    let mut shapes = vec![
        Shape {
            columns: vec![("id", "bigint")],
            rows: &["-9223372036854775808", "-1", "0", "1", "9", "10", "9223372036854775807"],
        },
        Shape { columns: vec![("id", "smallint")], rows: &["-3", "0", "2", "11", "100"] },
        Shape {
            columns: vec![("id", text)],
            rows: &["''", "'A'", "'a'", "'a b'", "'é'", "'z''z'", "'10'", "'9'", "'雪'", "'\"'"],
        },
        Shape {
            columns: vec![("tenant", "integer"), ("id", text)],
            rows: &["-1, 'b'", "1, ''", "1, 'a,\"b'", "2, 'a'", "2, '[\"x\"]'", "10, 'a'"],
        },
        Shape {
            columns: vec![("a", "integer"), ("b", "integer"), ("c", "integer")],
            rows: &["1, 1, 1", "1, 1, 2", "1, 2, 0", "2, 0, 0", "-1, 5, 5"],
        },
    ];
    if engine == Engine::Mysql {
        shapes.push(Shape {
            columns: vec![("id", "bigint unsigned")],
            rows: &["0", "9", "10", "9223372036854775808", "18446744073709551615"],
        });
        shapes.push(Shape {
            columns: vec![
                ("tenant", "int"),
                ("id", "varchar(20) character set latin1 collate latin1_bin"),
            ],
            rows: &["1, 'B'", "1, 'a'", "2, '_'", "2, 'é'"],
        });
    }
    if engine != Engine::Sqlite {
        shapes.push(Shape {
            columns: vec![("id", "uuid")],
            rows: &[
                "'00000000-0000-0000-0000-000000000000'",
                "'ffffffff-ffff-ffff-ffff-ffffffffffff'",
                "'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'",
            ],
        });
    }
    if engine == Engine::Postgres {
        shapes.push(Shape {
            columns: vec![("id", "varchar(20) collate \"C\"")],
            rows: &["'B'", "'a'", "'_'", "'b'"],
        });
    }
    shapes
}

fn definition(name: &str, shape: &Shape) -> Definition {
    let key = |prefix: &str| {
        shape
            .columns
            .iter()
            .map(|(name, _)| format!("{prefix}{name}").parse().expect("a valid name"))
            .collect()
    };
    let select: Vec<String> =
        shape.columns.iter().map(|(name, _)| format!("{name} as new_{name}")).collect();
    Definition {
        name: name.parse().expect("a valid name"),
        read_flag: name.parse().expect("a valid name"),
        legacy: SideTable {
            table: format!("{name}_old").parse().expect("a valid name"),
            key: key(""),
        },
        legacy_columns: Vec::new(),
        new: SideTable {
            table: format!("{name}_new").parse().expect("a valid name"),
            key: key("new_"),
        },
        mapping: format!(
            "select {}, payload, 7 as seven from {name}_old where payload is not null -- end",
            select.join(", ")
        ),
        backfill: BackfillOptions {
            batch_size: Some(2),
            delay: Some(Duration::ZERO),
            ..BackfillOptions::default()
        },
        gates: GateOptions::default(),
        accepted: Vec::new(),
        pinned: crossfade_core::Pinned::default(),
    }
}

async fn prepare(bench: &Bench, name: &str, shape: &Shape) -> Definition {
    let definition = definition(name, shape);
    let declared = |prefix: &str| {
        let columns = shape.columns.iter().map(|(name, kind)| format!("{prefix}{name} {kind}"));
        columns.collect::<Vec<_>>().join(", ")
    };
    let keys = |prefix: &str| {
        let names = shape.columns.iter().map(|(name, _)| format!("{prefix}{name}"));
        names.collect::<Vec<_>>().join(", ")
    };
    bench
        .sql(&format!(
            "create table {name}_old ({}, payload text, primary key ({}))",
            declared(""),
            keys("")
        ))
        .await;
    bench
        .sql(&format!(
            "create table {name}_new ({}, payload text not null, seven integer, \
             extra text default 'd', primary key ({}))",
            declared("new_"),
            keys("new_")
        ))
        .await;
    for (index, row) in shape.rows.iter().enumerate() {
        // The second row is one that the mapping leaves out.
        let payload = if index == 1 { "null".to_owned() } else { format!("'p{index}'") };
        bench.sql(&format!("insert into {name}_old values ({row}, {payload})")).await;
    }
    bench.db.register(&definition, "test").await.expect("registered");
    let problems = bench.db.definition_problems(&definition).await.expect("asked");
    assert_eq!(problems, [], "{name}");
    for (from, to) in [(Stage::Off, Stage::DeleteOnly), (Stage::DeleteOnly, Stage::DualWrite)] {
        let state = bench.db.migration(&definition.name).await.expect("registered");
        let change = StageChange {
            migration: &definition.name,
            definition: &definition,
            from_epoch: state.epoch,
            from,
            to,
            actor: "test",
            reason: "",
        };
        bench.db.append_epoch(change).await.expect("appended");
        let timeout = Duration::from_secs(5);
        bench.db.close_epoch(&definition.name, state.epoch, timeout).await.expect("closed");
    }
    definition
}

async fn compared(db: &Database, definition: &Definition, mode: VerifyMode) -> VerifyReport {
    let settings = VerifySettings { chunk_rows: Some(2), mode, ..VerifySettings::default() };
    let hooks = VerifyHooks { progress: &|_| {}, cancel: Cancel::never() };
    verify(db, db, &definition.name, settings, hooks).await.expect("verified")
}

#[tokio::test(flavor = "multi_thread")]
async fn every_kind_of_key() {
    engines("keys", async |db, _| {
        let bench = Bench { db };
        bench.db.install().await.expect("control tables");
        for (index, shape) in shapes(bench.db.engine()).iter().enumerate() {
            let name = format!("keys_{index}");
            let definition = prepare(&bench, &name, shape).await;
            let mapped = shape.rows.len() as u64 - 1;
            let settings = BackfillSettings { batch_size: Some(2), ..Default::default() };
            let hooks = BackfillHooks { progress: &|_| {}, cancel: Cancel::never() };
            let report = backfill(&bench.db, &bench.db, &definition.name, settings, hooks).await;
            let report = report.expect("backfilled");
            assert_eq!((report.read, report.inserted), (mapped + 1, mapped), "{name}");
            let report = compared(&bench.db, &definition, VerifyMode::Compare).await;
            assert_eq!((report.compared, report.found.total()), (mapped, 0), "{name}");
            damage_and_repair(&bench, &definition, shape).await;
        }
    })
    .await;
}

/// Breaks every row in one of three ways; verification names each, repair mends each.
async fn damage_and_repair(bench: &Bench, definition: &Definition, shape: &Shape) {
    let new = &definition.new.table;
    let keys: Vec<&str> = definition.new.key.iter().map(|key| key.as_str()).collect();
    let key = keys.join(", ");
    let (first, last) = (shape.rows[0], shape.rows[shape.rows.len() - 1]);
    let hidden = shape.rows[1];
    bench.sql(&format!("update {new} set seven = null where ({key}) = ({first})")).await;
    bench.sql(&format!("delete from {new} where ({key}) = ({last})")).await;
    bench.sql(&format!("insert into {new} ({key}, payload) values ({hidden}, 'x')")).await;
    let report = compared(&bench.db, definition, VerifyMode::Compare).await;
    let found = report.found;
    assert_eq!((found.differing, found.missing, found.orphaned), (1, 1, 1), "{report:?}");
    let report = compared(&bench.db, definition, VerifyMode::Repair).await;
    assert_eq!((report.repaired, report.remaining), (3, 0), "{report:?}");
    let report = compared(&bench.db, definition, VerifyMode::Compare).await;
    assert_eq!(report.found.total(), 0, "{report:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn several_workers_share_a_run() {
    engines("workers", async |db, _| {
        let bench = Bench::new(db).await;
        for chunk in 0..10 {
            let values: Vec<String> =
                (0..500).map(|n| format!("({}, 'n{n}')", chunk * 500 + n - 2500)).collect();
            bench.sql(&format!("insert into people values {}", values.join(", "))).await;
        }
        bench.go(Stage::DualWrite).await;
        let name = crate::support::definition().name;
        let settings = BackfillSettings {
            batch_size: Some(100),
            delay: Some(Duration::ZERO),
            workers: 3,
            lease: Duration::from_secs(5),
            ..BackfillSettings::default()
        };
        let hooks = BackfillHooks { progress: &|_| {}, cancel: Cancel::never() };
        let (one, two) = tokio::join!(
            backfill(&bench.db, &bench.db, &name, settings, hooks.clone()),
            backfill(&bench.db, &bench.db, &name, settings, hooks.clone()),
        );
        one.expect("one process");
        two.expect("another process");
        let legacy = bench.legacy().all().await.expect("Legacy");
        assert_eq!(legacy.len(), 5000);
        assert_eq!(legacy, bench.new_side().all().await.expect("New"));
    })
    .await;
}
