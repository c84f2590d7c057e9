//! The database, the migration and the timing of one sample.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crossfade::{Crossfade, Database, Flags, Migration, Stage, Statement, Travels};
use crossfade_core::{
    BackfillOptions, Definition, Epoch, GateOptions, MigrationName, MigrationState, SideTable,
};
use crossfade_store::{ControlStore, StageChange};
use sqlx::pool::PoolOptions;
use sqlx::{AssertSqlSafe, Connection, Pool};
use tokio::runtime::Runtime;

use crate::server::Server;
use crate::variants::{Variant, run};

/// Keys written to; enough that writers seldom meet.
const KEYS: u64 = 10_000;

/// A pool, and the migration on it.
#[derive(Debug)]
pub(crate) struct Pooled<S: Server> {
    pub(crate) pool: Pool<S>,
    pub(crate) migration: Migration,
    /// The same two statements, declared.
    pub(crate) declared: Statement,
}

/// What every variant writes with.
#[derive(Debug)]
pub(crate) struct Ground<S: Server> {
    /// The pool that sqlx makes by default.
    pub(crate) pings: Pooled<S>,
    /// The pool that Crossfade's documentation asks for.
    pub(crate) trusts: Pooled<S>,
    pub(crate) name: MigrationName,
    /// The current epoch.
    pub(crate) epoch: Epoch,
}

/// A prepared database in stage `live`.
#[derive(Debug)]
pub(crate) struct Setup<S: Server> {
    runtime: Runtime,
    ground: Arc<Ground<S>>,
}

/// What a number of turns took.
#[derive(Debug)]
pub(crate) struct Sample {
    pub(crate) elapsed: Duration,
    /// Each turn by itself.
    pub(crate) turns: Vec<Duration>,
    /// What this process computed meanwhile, to a hundredth of a second.
    pub(crate) computed: Duration,
}

impl<S: Server> Setup<S> {
    pub(crate) fn new() -> Self {
        let runtime = Runtime::new().expect("a runtime");
        let ground = Arc::new(runtime.block_on(prepare()));
        Self { runtime, ground }
    }

    /// What `turns` turns of a variant take, spread over `tasks` tasks.
    pub(crate) fn sample(&self, variant: Variant, tasks: u64, turns: u64) -> Sample {
        self.runtime.block_on(async {
            let before = computed();
            let begun = Instant::now();
            let tasks = (0..tasks).map(|task| {
                let ground = Arc::clone(&self.ground);
                let mine = turns / tasks + u64::from(task < turns % tasks);
                tokio::spawn(async move {
                    let mut turns = Vec::new();
                    for turn in 0..mine {
                        let key = (task * 7919 + turn * 31) % KEYS;
                        turns.push(run(&ground, variant, key.cast_signed()).await);
                    }
                    turns
                })
            });
            let mut turns = Vec::new();
            for task in tasks.collect::<Vec<_>>() {
                turns.extend(task.await.expect("no panic"));
            }
            let elapsed = begun.elapsed();
            Sample { elapsed, turns, computed: computed() - before }
        })
    }
}

/// What this process has computed so far, as Linux tells; nothing elsewhere.
fn computed() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // Behind the program's name, which may hold anything: the 12th and 13th number are ticks.
    let ticks = stat.rsplit(')').next().unwrap_or_default().split_whitespace().skip(11).take(2);
    let ticks: u64 = ticks.filter_map(|ticks| ticks.parse::<u64>().ok()).sum();
    Duration::from_millis(ticks * 10)
}

async fn prepare<S: Server>() -> Ground<S> {
    let url = std::env::var(S::URL).unwrap_or_else(|_| {
        panic!(
            "{} is not set; run through `cargo xtask postgres -- cargo xtask mariadb -- cargo \
             bench -p crossfade-benches --bench dual_write`",
            S::URL
        )
    });
    let options: <S::Connection as Connection>::Options = url.parse().expect("a server's URL");
    let pool = |pool: PoolOptions<S>| pool.max_connections(8).connect_lazy_with(options.clone());
    let pings = pool(PoolOptions::new());
    let trusts = pool(S::trusting());
    let database = Database::open(S::any(pings.clone())).await.expect("the server answers");
    for statement in S::TABLES.replace("{keys}", &KEYS.to_string()).split(';') {
        sql(&database, statement.trim()).await;
    }
    database.install().await.expect("control tables");
    database.register(&definition::<S>(), "bench").await.expect("registration");
    let state = go_live(&database, definition::<S>()).await;
    Ground {
        pings: Pooled::new(pings).await,
        trusts: Pooled::new(trusts).await,
        name: state.definition.name,
        epoch: state.epoch,
    }
}

async fn sql(database: &Database, sql: &str) {
    let sql = AssertSqlSafe(sql);
    let ran = match (database.postgres(), database.mysql()) {
        (Some(pool), _) => sqlx::raw_sql(sql).execute(pool).await.map(drop),
        (_, Some(pool)) => sqlx::raw_sql(sql).execute(pool).await.map(drop),
        _ => panic!("there is no server of SQLite"),
    };
    ran.expect("the statement runs");
}

impl<S: Server> Pooled<S> {
    async fn new(pool: Pool<S>) -> Self {
        let app = Crossfade::builder(S::any(pool.clone())).flags(Flags::forced::<&str, bool>([]));
        let app = app.build().await.expect("starts");
        let migration = app.migration("user_settings").expect("registered");
        // Declared statements number their values, as PostgreSQL does.
        let [legacy, new] =
            [S::LEGACY, S::NEW].map(|sql| sql.replacen('?', "$1", 1).replacen('?', "$2", 1));
        let declared = migration.statement(&legacy, &new).await.expect("the pair fits");
        if S::ENGINE == crossfade::Engine::Postgres {
            assert_eq!(declared.travels(), Travels::OneStatement);
        }
        Self { pool, migration, declared }
    }
}

async fn go_live(database: &Database, definition: Definition) -> MigrationState {
    let name = definition.name;
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

fn definition<S: Server>() -> Definition {
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
        mapping: S::MAPPING.to_owned(),
        backfill: BackfillOptions::default(),
        gates: GateOptions::default(),
        accepted: Vec::new(),
        pinned: crossfade_core::Pinned::default(),
    }
}
