//! Two small tables, and the migration between them.

use std::time::Duration;

use crossfade::{Crossfade, Database, Db, Engine, Flags, Migration, Options, Stage, Tx};
use crossfade_core::{BackfillOptions, Definition, GateOptions, MigrationState, SideTable};
use crossfade_store::{ControlStore, StageChange};
use sqlx::{AssertSqlSafe, Row};

/// The read flag.
pub(crate) const FLAG: &str = "read_people_v2";

pub(crate) const LEGACY: &str = "people";
pub(crate) const NEW: &str = "people_v2";

/// A prepared database in stage `live`.
#[derive(Clone, Debug)]
pub(crate) struct Ground {
    pub(crate) database: Database,
}

impl Ground {
    pub(crate) async fn prepare(engine: Engine) -> Self {
        let variable = match engine {
            Engine::Mysql => "CROSSFADE_TEST_MYSQL_URL",
            Engine::Postgres => "CROSSFADE_TEST_POSTGRES_URL",
            Engine::Sqlite => panic!("there is no server of SQLite"),
        };
        let url = std::env::var(variable).unwrap_or_else(|_| {
            panic!(
                "{variable} is not set; run through `cargo xtask postgres -- cargo xtask mariadb \
                 -- cargo bench -p crossfade-benches --bench request_path`"
            )
        });
        let database = Database::connect(&url).await.expect("the server answers");
        let ground = Self { database };
        for table in [LEGACY, NEW] {
            ground.sql(&format!("drop table if exists {table}")).await;
            ground
                .sql(&format!("create table {table} (id bigint primary key, name varchar(100))"))
                .await;
        }
        ground.database.install().await.expect("control tables");
        ground.database.register(&definition(), "bench").await.expect("registration");
        ground.go(Stage::Live).await;
        ground
    }

    pub(crate) async fn sql(&self, sql: &str) {
        let sql = AssertSqlSafe(sql);
        let ran = match (self.database.postgres(), self.database.mysql()) {
            (Some(pool), _) => sqlx::raw_sql(sql).execute(pool).await.map(drop),
            (_, Some(pool)) => sqlx::raw_sql(sql).execute(pool).await.map(drop),
            _ => panic!("there is no server of SQLite"),
        };
        ran.expect("the statement runs");
    }

    pub(crate) async fn state(&self) -> MigrationState {
        self.database.migration(&definition().name).await.expect("registered")
    }

    /// One stage on towards `to`, and the epoch before closed; nothing where it stands there.
    pub(crate) async fn step(&self, to: Stage) {
        let state = self.state().await;
        let next = match state.stage.cmp(&to) {
            std::cmp::Ordering::Less => state.stage.next(),
            std::cmp::Ordering::Equal => return,
            std::cmp::Ordering::Greater => state.stage.previous(),
        };
        let change = StageChange {
            migration: &state.definition.name,
            definition: &state.definition,
            from_epoch: state.epoch,
            from: state.stage,
            to: next.expect("there is a stage in between"),
            actor: "bench",
            reason: "",
        };
        self.database.append_epoch(change).await.expect("appended");
        let closed = self.database.close_epoch(&state.definition.name, state.epoch, SOON).await;
        closed.expect("closed");
    }

    pub(crate) async fn go(&self, to: Stage) {
        while self.state().await.stage != to {
            self.step(to).await;
        }
    }

    /// A process whose flags are those that operators edit.
    pub(crate) async fn app_of_operators(&self) -> Migration {
        let app = Crossfade::builder_on(self.database.clone()).build().await.expect("starts");
        app.migration("people").expect("registered")
    }

    pub(crate) async fn app(&self, flags: &Flags) -> Migration {
        let app = Crossfade::builder_on(self.database.clone())
            .flags(flags.clone())
            .options(Options::default().shadow_sample(1.0));
        let app = app.build().await.expect("starts");
        app.migration("people").expect("registered")
    }
}

const SOON: Duration = Duration::from_secs(10);

fn definition() -> Definition {
    let side = |table: &str| SideTable {
        table: table.parse().expect("a table name"),
        key: vec!["id".parse().expect("an identifier")],
    };
    Definition {
        name: "people".parse().expect("a name"),
        read_flag: FLAG.parse().expect("a flag key"),
        legacy: side(LEGACY),
        legacy_columns: Vec::new(),
        new: side(NEW),
        mapping: "select id, name from people".to_owned(),
        backfill: BackfillOptions::default(),
        gates: GateOptions::default(),
        accepted: Vec::new(),
        pinned: crossfade_core::Pinned::default(),
    }
}

/// Why a side failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failed {
    #[error("the database failed")]
    Database(#[from] sqlx::Error),
    #[error("no transaction of this engine")]
    Engine(#[from] crossfade::WrongEngine),
    #[error("no connection")]
    Store(#[from] crossfade::StoreError),
}

pub(crate) async fn put(db: impl Into<Db>, table: &str, id: i64, name: &str) -> Result<(), Failed> {
    let mut conn = db.into().conn().await?;
    match conn.engine() {
        Engine::Mysql => {
            let sql = format!(
                "insert into {table} values (?, ?) on duplicate key update name = values(name)"
            );
            let query = sqlx::query(AssertSqlSafe(sql)).bind(id).bind(name);
            query.execute(conn.mysql()?).await?;
        }
        _ => {
            let sql = format!(
                "insert into {table} values ($1, $2) on conflict (id) do update \
                 set name = excluded.name"
            );
            let query = sqlx::query(AssertSqlSafe(sql)).bind(id).bind(name);
            query.execute(conn.postgres()?).await?;
        }
    }
    Ok(())
}

pub(crate) async fn get(db: &Db, table: &str, id: i64) -> Result<Option<String>, Failed> {
    let mut conn = db.conn().await?;
    let row = match conn.engine() {
        Engine::Mysql => {
            let sql = AssertSqlSafe(format!("select name from {table} where id = ?"));
            let row = sqlx::query(sql).bind(id).fetch_optional(conn.mysql()?).await?;
            row.map(|row| row.get(0))
        }
        _ => {
            let sql = AssertSqlSafe(format!("select name from {table} where id = $1"));
            let row = sqlx::query(sql).bind(id).fetch_optional(conn.postgres()?).await?;
            row.map(|row| row.get(0))
        }
    };
    Ok(row)
}

pub(crate) async fn put_both(migration: &Migration, id: i64, name: &str) -> Result<(), String> {
    let legacy = |tx: Tx| put(tx, LEGACY, id, name);
    let new = |tx: Tx| put(tx, NEW, id, name);
    let written = migration.write(&id, legacy, new).await;
    written.map_err(|error| error.to_string())
}
