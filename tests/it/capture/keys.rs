//! Keys of several columns and of any text, from the trigger to the repair.

use crossfade::{Engine, Stage};
use crossfade_core::{CaptureMode, Key, SideTable};
use crossfade_store::{CaptureStore, ControlStore};

use super::{capture, capturing, compared, dirty, plain, repair};
use crate::support::{Bench, definition};

/// Texts of a key that are hard to carry: quotes, backslashes, controls, blanks, letters that some
/// collations take for one.
const TEXTS: [&str; 10] =
    ["", "a", "A", "é", "it's", "say \"x\"", "back\\slash", "line\nnext\ttab", " a", "[\"a\"]"];

fn literal(engine: Engine, text: &str) -> String {
    let text = text.replace('\'', "''");
    match engine {
        Engine::Mysql => format!("'{}'", text.replace('\\', "\\\\")),
        _ => format!("'{text}'"),
    }
}

/// Makes `people` a table whose key is `columns`.
async fn rekey(bench: &Bench, columns: &[(&str, &str)]) {
    let declared = |prefix: &str| {
        let columns = columns.iter().map(|(name, kind)| format!("{prefix}{name} {kind}"));
        columns.collect::<Vec<_>>().join(", ")
    };
    let names = |prefix: &str| {
        columns.iter().map(|(name, _)| format!("{prefix}{name}")).collect::<Vec<_>>()
    };
    for (table, prefix) in [("people", ""), ("people_v2", "new_")] {
        let sql = format!(
            "drop table {table}; create table {table} ({}, name varchar(50), primary key ({}))",
            declared(prefix),
            names(prefix).join(", ")
        );
        bench.sql(&sql).await;
    }
    let side = |table: &str, prefix: &str| SideTable {
        table: table.parse().expect("a name"),
        key: names(prefix).iter().map(|name| name.parse().expect("a name")).collect(),
    };
    let select: Vec<String> =
        columns.iter().map(|(name, _)| format!("{name} as new_{name}")).collect();
    let mut definition = definition();
    definition.legacy = side("people", "");
    definition.new = side("people_v2", "new_");
    definition.mapping = format!("select {}, name from people", select.join(", "));
    bench.db.register(&definition, "test").await.expect("registered");
}

fn text_type(engine: Engine) -> &'static str {
    match engine {
        Engine::Mysql => "varchar(50) collate utf8mb4_nopad_bin",
        _ => "text",
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_of_one_text() {
    capturing("text_keys", async |bench, _| {
        let engine = bench.db.engine();
        rekey(&bench, &[("id", text_type(engine))]).await;
        bench.go(Stage::DualWrite).await;
        capture(&bench, CaptureMode::Journal).await;
        for text in TEXTS {
            let sql = format!("insert into people values ({}, 'n')", literal(engine, text));
            plain(&bench.db, &sql).await.expect("written");
        }
        let mut wanted = TEXTS.map(str::to_owned).to_vec();
        let mut found = dirty(&bench).await;
        wanted.sort();
        found.sort();
        assert_eq!(found, wanted);
        assert_eq!(compared(&bench).await.found.total(), 0, "the journal knows of all of them");
        assert_eq!(repair(&bench).await.repaired, 10);
        let report = compared(&bench).await;
        assert_eq!((report.compared, report.found.total()), (10, 0));
        // To some collations that is no change.
        plain(&bench.db, "delete from people where id = 'A'").await.expect("deleted");
        assert_eq!(repair(&bench).await.repaired, 1);
        plain(&bench.db, "update people set id = 'A' where id = 'a'").await.expect("written");
        let mut both = dirty(&bench).await;
        both.sort();
        assert_eq!(both, ["A", "a"]);
        assert_eq!(repair(&bench).await.repaired, 2);
        assert_eq!(compared(&bench).await.compared, 9);
        assert_eq!(compared(&bench).await.found.total(), 0);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_of_several_columns() {
    capturing("wide_keys", async |bench, _| {
        let engine = bench.db.engine();
        rekey(&bench, &[("tenant", "bigint"), ("id", text_type(engine))]).await;
        bench.go(Stage::DualWrite).await;
        capture(&bench, CaptureMode::Journal).await;
        for text in TEXTS {
            let sql = format!("insert into people values (-7, {}, 'n')", literal(engine, text));
            plain(&bench.db, &sql).await.expect("written");
        }
        let state = bench.state().await;
        let read = bench.db.dirty_keys(&state, None, 100).await.expect("every key is read");
        let mut found: Vec<Key> = read.into_iter().map(|dirty| dirty.key).collect();
        let mut wanted: Vec<Key> =
            TEXTS.map(|text| Key::new(vec!["-7".to_owned(), text.to_owned()])).to_vec();
        found.sort();
        wanted.sort();
        assert_eq!(found, wanted);
        assert_eq!(compared(&bench).await.found.total(), 0, "the journal knows of all of them");
        assert_eq!(repair(&bench).await.repaired, 10);
        let report = compared(&bench).await;
        assert_eq!((report.compared, report.found.total()), (10, 0));
        plain(&bench.db, "update people set tenant = 8 where id = 'a'").await.expect("written");
        assert_eq!(dirty(&bench).await.len(), 2, "the old key and the new one");
        assert_eq!(repair(&bench).await.repaired, 2);
        assert_eq!(compared(&bench).await.found.total(), 0);
    })
    .await;
}
