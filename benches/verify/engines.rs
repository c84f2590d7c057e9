//! The tables of each engine, and its comparison by hand.

use std::time::Duration;

use crossfade_core::{BackfillOptions, Definition, GateOptions, Pinned, SideTable, Stage};
use crossfade_sql::{Database, Engine};
use crossfade_store::{ControlStore, StageChange};
use sqlx::AssertSqlSafe;

const MAPPING: &str = "select id as user_id, name, email, created_at, logins from users";

/// Two tables of equal rows and the statements that compare them, whose results are added up.
pub(crate) struct PlainComparison {
    pub(crate) database: Database,
    statements: Vec<String>,
    /// Keeps SQLite's file.
    _folder: Option<tempfile::TempDir>,
}

pub(crate) fn definition() -> Definition {
    let side = |table: &str, key: &str| SideTable {
        table: table.parse().expect("a valid name"),
        key: vec![key.parse().expect("a valid name")],
    };
    Definition {
        name: "user_settings".parse().expect("a valid name"),
        read_flag: "read_user_settings_v2".parse().expect("a valid name"),
        legacy: side("users", "id"),
        legacy_columns: Vec::new(),
        new: side("user_settings", "user_id"),
        mapping: MAPPING.to_owned(),
        backfill: BackfillOptions::default(),
        gates: GateOptions::default(),
        accepted: Vec::new(),
        pinned: Pinned::default(),
    }
}

/// The engines whose servers the environment names, and SQLite.
pub(crate) async fn all(rows: u64) -> Vec<PlainComparison> {
    let mut all = Vec::new();
    for (variable, engine) in [
        ("CROSSFADE_TEST_POSTGRES_URL", Engine::Postgres),
        ("CROSSFADE_TEST_MYSQL_URL", Engine::Mysql),
    ] {
        if let Ok(url) = std::env::var(variable) {
            let name = format!("verify_bench_{}", std::process::id());
            let server = Database::connect(&url).await.expect("the server answers");
            run(&server, &format!("create database {name}")).await;
            let (at, _) = url.rsplit_once('/').expect("a database in the URL");
            let database = Database::connect(&format!("{at}/{name}")).await.expect("it answers");
            all.push(PlainComparison::new(database, engine, rows, None).await);
        }
    }
    let folder = tempfile::tempdir().expect("a folder");
    let url = format!("sqlite://{}", folder.path().join("bench.db").display());
    let database = Database::connect(&url).await.expect("it opens");
    all.push(PlainComparison::new(database, Engine::Sqlite, rows, Some(folder)).await);
    all
}

impl PlainComparison {
    async fn new(
        database: Database,
        engine: Engine,
        rows: u64,
        folder: Option<tempfile::TempDir>,
    ) -> Self {
        let (text, time) = match engine {
            Engine::Mysql => ("varchar(100)", "datetime"),
            Engine::Postgres => ("text", "timestamptz"),
            Engine::Sqlite => ("text", "text"),
        };
        let columns =
            format!("name {text} not null, email {text}, created_at {time} not null, logins int");
        for (table, key) in [("users", "id"), ("user_settings", "user_id")] {
            run(&database, &format!("create table {table} ({key} bigint primary key, {columns})"))
                .await;
        }
        run(&database, &filled(engine, rows)).await;
        run(&database, "insert into user_settings select * from users").await;
        if engine == Engine::Postgres {
            run(&database, "vacuum analyze users").await;
            run(&database, "vacuum analyze user_settings").await;
        }
        database.install().await.expect("control tables");
        let definition = definition();
        database.register(&definition, "bench").await.expect("registered");
        for to in [Stage::DeleteOnly, Stage::DualWrite] {
            let state = database.migration(&definition.name).await.expect("registered");
            let change = StageChange {
                migration: &definition.name,
                definition: &definition,
                from_epoch: state.epoch,
                from: state.stage,
                to,
                actor: "bench",
                reason: "bench",
            };
            database.append_epoch(change).await.expect("appended");
            let wait = Duration::from_secs(10);
            database.close_epoch(&definition.name, state.epoch, wait).await.expect("closed");
        }
        Self { statements: by_hand(engine), database, _folder: folder }
    }

    /// How many rows differ, by the comparison by hand.
    pub(crate) async fn differences(&self) -> i64 {
        let mut differences = 0;
        for sql in &self.statements {
            differences += count(&self.database, sql).await;
        }
        differences
    }

    /// Puts the first keys into quarantine.
    pub(crate) async fn enter(&self, entries: u64) {
        let (key, text) = match self.database.engine() {
            Engine::Mysql => ("`key`", "char"),
            _ => ("key", "text"),
        };
        let sql = format!(
            "insert into crossfade_quarantine (migration, {key}, reason, epoch, marked_ms) \
             select 'user_settings', cast(id as {text}), 'bench', 1, 0 from users \
             order by id limit {entries}"
        );
        run(&self.database, &sql).await;
    }
}

fn filled(engine: Engine, rows: u64) -> String {
    match engine {
        Engine::Mysql => format!(
            "insert into users select seq, concat('name of ', seq), \
             concat('u', seq, '@example.org'), '2026-01-01' - interval seq second, seq % 1000 \
             from seq_1_to_{rows}"
        ),
        Engine::Postgres => format!(
            "insert into users select n, 'name of ' || n, 'u' || n || '@example.org', \
             '2026-01-01'::timestamptz - n * interval '1 s', n % 1000 \
             from generate_series(1, {rows}) as s (n)"
        ),
        Engine::Sqlite => format!(
            "insert into users with recursive s (n) as (select 1 union all select n + 1 from s \
             where n < {rows}) select n, 'name of ' || n, 'u' || n || '@example.org', \
             datetime('2026-01-01', '-' || n || ' seconds'), n % 1000 from s"
        ),
    }
}

/// A full join where there is one that goes by an index or a hash, else a join in each direction.
fn by_hand(engine: Engine) -> Vec<String> {
    const COLUMNS: [&str; 4] = ["name", "email", "created_at", "logins"];
    let differ = |differs: &dyn Fn(&str) -> String| {
        COLUMNS.iter().map(|column| differs(column)).collect::<Vec<_>>().join(" or ")
    };
    let both = |differ: String| {
        vec![
            format!(
                "select count(*) from ({MAPPING}) as m left join user_settings as n \
                 on n.user_id = m.user_id where n.user_id is null or {differ}"
            ),
            format!(
                "select count(*) from user_settings as n left join ({MAPPING}) as m \
                 on m.user_id = n.user_id where m.user_id is null"
            ),
        ]
    };
    match engine {
        Engine::Mysql => both(differ(&|column| format!("not (m.{column} <=> n.{column})"))),
        Engine::Sqlite => both(differ(&|column| format!("m.{column} is not n.{column}"))),
        Engine::Postgres => vec![format!(
            "select count(*) from ({MAPPING}) as m full join user_settings as n \
             on n.user_id = m.user_id where m.user_id is null or n.user_id is null or {}",
            differ(&|column| format!("m.{column} is distinct from n.{column}"))
        )],
    }
}

async fn run(database: &Database, sql: &str) {
    let query = sqlx::raw_sql(AssertSqlSafe(sql));
    let ran = if let Some(pool) = database.postgres() {
        query.execute(pool).await.map(drop)
    } else if let Some(pool) = database.mysql() {
        query.execute(pool).await.map(drop)
    } else {
        query.execute(database.sqlite().expect("SQLite")).await.map(drop)
    };
    ran.unwrap_or_else(|error| panic!("{error} in {sql}"));
}

async fn count(database: &Database, sql: &str) -> i64 {
    let sql = AssertSqlSafe(sql);
    let counted = if let Some(pool) = database.postgres() {
        sqlx::query_scalar(sql).fetch_one(pool).await
    } else if let Some(pool) = database.mysql() {
        sqlx::query_scalar(sql).fetch_one(pool).await
    } else {
        sqlx::query_scalar(sql).fetch_one(database.sqlite().expect("SQLite")).await
    };
    counted.expect("counted")
}
