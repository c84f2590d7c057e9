//! The database, the migration and the timing of one sample.

use std::str::FromStr;
use std::time::{Duration, Instant};

use crossfade::{Crossfade, Database, Flags, Migration, Stage, Statement, Travels};
use crossfade_core::{
    BackfillOptions, Definition, GateOptions, MigrationState, SideTable, epoch_lock_id,
};
use crossfade_store::{ControlStore, StageChange};
use sqlx::AssertSqlSafe;
use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};
use tokio::runtime::Runtime;

use crate::variants::{LEGACY, NEW, Variant, run};

/// Keys written to; enough that writers seldom meet.
const KEYS: u64 = 10_000;

/// A pool, and the migration on it.
#[derive(Clone, Debug)]
pub(crate) struct Pooled {
    pub(crate) pool: PgPool,
    pub(crate) migration: Migration,
    /// The same two statements, declared.
    pub(crate) declared: Statement,
}

/// What every variant writes with.
#[derive(Clone, Debug)]
pub(crate) struct Ground {
    /// The pool that sqlx makes by default.
    pub(crate) pings: Pooled,
    /// The pool that Crossfade's documentation asks for.
    pub(crate) trusts: Pooled,
    /// `begin` with the fence of the current epoch, up to the key's lock.
    pub(crate) fenced_begin: String,
}

/// A prepared database in stage `live`.
#[derive(Debug)]
pub(crate) struct Setup {
    runtime: Runtime,
    ground: Ground,
}

impl Setup {
    pub(crate) fn new() -> Self {
        let runtime = Runtime::new().expect("a runtime");
        let ground = runtime.block_on(prepare());
        Self { runtime, ground }
    }

    /// How long `turns` turns of a variant take, spread over `tasks` tasks.
    pub(crate) fn time(&self, variant: Variant, tasks: u64, turns: u64) -> Duration {
        self.runtime.block_on(async {
            let begun = Instant::now();
            let tasks = (0..tasks).map(|task| {
                let ground = self.ground.clone();
                let mine = turns / tasks + u64::from(task < turns % tasks);
                tokio::spawn(async move {
                    for turn in 0..mine {
                        let key = (task * 7919 + turn * 31) % KEYS;
                        run(&ground, variant, key.cast_signed()).await;
                    }
                })
            });
            for task in tasks.collect::<Vec<_>>() {
                task.await.expect("no panic");
            }
            begun.elapsed()
        })
    }
}

async fn prepare() -> Ground {
    let url = std::env::var("CROSSFADE_TEST_POSTGRES_URL")
        .expect("run through `cargo xtask postgres -- cargo bench -p crossfade-benches`");
    let options = PgConnectOptions::from_str(&url).expect("a PostgreSQL URL");
    let pool = |pool: PgPoolOptions| pool.max_connections(8).connect_lazy_with(options.clone());
    let pings = pool(PgPoolOptions::new());
    let trusts = pool(Database::postgres_pool_options());
    let tables = format!(
        "create table users (id bigint primary key, profile jsonb, \
            email text not null default 'somebody@example.com', \
            created_at timestamptz not null default now()); \
         create table user_settings (user_id bigint primary key, theme varchar(50), \
            notifications_enabled boolean not null default true, \
            created_at timestamptz not null default now()); \
         create index on user_settings (theme); \
         insert into users (id) select generate_series(0, {KEYS}); \
         insert into user_settings (user_id) select generate_series(0, {KEYS}); \
         vacuum analyze users; vacuum analyze user_settings"
    );
    for statement in tables.split(';') {
        let statement = AssertSqlSafe(statement.trim());
        sqlx::raw_sql(statement).execute(&pings).await.expect("tables");
    }
    let database = Database::open(pings.clone()).await.expect("the server answers");
    database.install().await.expect("control tables");
    database.register(&definition(), "bench").await.expect("registration");
    let state = go_live(&database).await;
    let lock = epoch_lock_id("public", &state.definition.name, state.epoch);
    let fenced_begin = format!(
        "begin; call crossfade_pass('public.crossfade_fence_user_settings', {}, {lock}",
        state.epoch
    );
    Ground { pings: Pooled::new(pings).await, trusts: Pooled::new(trusts).await, fenced_begin }
}

impl Pooled {
    async fn new(pool: PgPool) -> Self {
        let app = Crossfade::builder(pool.clone()).flags(Flags::forced::<&str, bool>([]));
        let app = app.build().await.expect("starts");
        let migration = app.migration("user_settings").expect("registered");
        let declared = migration.statement(LEGACY, NEW).await.expect("the pair fits");
        assert_eq!(declared.travels(), Travels::OneStatement);
        Self { pool, migration, declared }
    }
}

async fn go_live(database: &Database) -> MigrationState {
    let name = definition().name;
    loop {
        let state = database.migration(&name).await.expect("registered");
        if state.stage == Stage::Live {
            return state;
        }
        let change = StageChange {
            migration: &name,
            definition: &state.definition,
            from_epoch: state.epoch,
            from: state.stage,
            to: state.stage.next().expect("live comes later"),
            actor: "bench",
            reason: "",
        };
        database.append_epoch(change).await.expect("appended");
        database.close_epoch(&name, state.epoch, Duration::from_secs(5)).await.expect("closed");
    }
}

fn definition() -> Definition {
    let side = |table: &str, key: &str| SideTable {
        table: table.parse().expect("a table name"),
        key: vec![key.parse().expect("an identifier")],
    };
    Definition {
        name: "user_settings".parse().expect("a name"),
        read_flag: "read_user_settings_v2".parse().expect("a flag key"),
        legacy: side("users", "id"),
        legacy_columns: Vec::new(),
        new: side("user_settings", "user_id"),
        mapping: "select id as user_id, profile ->> 'theme' as theme from users".to_owned(),
        backfill: BackfillOptions { batch_size: None, delay: None },
        gates: GateOptions::default(),
    }
}
