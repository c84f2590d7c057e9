//! A test's workbench: the migration `people`, its stages, and an application around it.

use std::future::Future;
use std::time::Duration;

use crossfade::{Crossfade, Database, Flags, Migration, Options, Stage, Transaction, WriteError};
use crossfade_core::{BackfillOptions, Definition, GateOptions, Key, MigrationState, SideTable};
use crossfade_store::{
    ChunkRequest, ControlStore, DifferenceKind, KeyRange, StageChange, StoreError, VerifyStore,
};
use sqlx::AssertSqlSafe;

use super::{People, PeopleError, Side, waiting};

/// How long a test waits for a condition before it fails.
pub(crate) const WAIT: Duration = Duration::from_secs(20);

/// Tables, control tables and one registered migration in stage `off`.
#[derive(Clone, Debug)]
pub(crate) struct Bench {
    pub(crate) db: Database,
}

const TABLES: [&str; 2] = [
    "create table people (id bigint primary key, name text not null)",
    "create table people_v2 (person_id bigint primary key, name text not null, \
     check (name <> 'bad'))",
];

pub(crate) fn definition() -> Definition {
    let side = |table: &str, key: &str| SideTable {
        table: table.parse().expect("a valid name"),
        key: vec![key.parse().expect("a valid name")],
    };
    Definition {
        name: "people".parse().expect("a valid name"),
        read_flag: "read_people_v2".parse().expect("a valid name"),
        legacy: side("people", "id"),
        legacy_columns: Vec::new(),
        new: side("people_v2", "person_id"),
        mapping: "select id as person_id, name from people".to_owned(),
        backfill: BackfillOptions {
            batch_size: None,
            delay: Some(Duration::ZERO),
            ..BackfillOptions::default()
        },
        gates: GateOptions {
            bake_time: Duration::ZERO,
            quiet_time: Duration::ZERO,
            invertible: true,
            ..GateOptions::default()
        },
        accepted: Vec::new(),
        pinned: crossfade_core::Pinned::default(),
    }
}

impl Bench {
    pub(crate) async fn new(db: Database) -> Self {
        let bench = Self { db };
        for table in TABLES {
            bench.sql(table).await;
        }
        bench.db.install().await.expect("control tables");
        bench.db.register(&definition(), "test").await.expect("registration");
        bench
    }

    /// Runs one statement outside Crossfade.
    pub(crate) async fn sql(&self, sql: &str) {
        let sql = AssertSqlSafe(sql);
        if let Some(pool) = self.db.postgres() {
            sqlx::raw_sql(sql).execute(pool).await.expect("the statement runs");
        } else if let Some(pool) = self.db.mysql() {
            sqlx::raw_sql(sql).execute(pool).await.expect("the statement runs");
        } else if let Some(pool) = self.db.sqlite() {
            sqlx::raw_sql(sql).execute(pool).await.expect("the statement runs");
        }
    }

    /// The number of rows of a table.
    pub(crate) async fn rows(&self, table: &str) -> i64 {
        let sql = AssertSqlSafe(format!("select count(*) from {table}"));
        let counted = if let Some(pool) = self.db.postgres() {
            sqlx::query_scalar(sql).fetch_one(pool).await
        } else if let Some(pool) = self.db.mysql() {
            sqlx::query_scalar(sql).fetch_one(pool).await
        } else {
            sqlx::query_scalar(sql).fetch_one(self.db.sqlite().expect("SQLite")).await
        };
        counted.expect("the table is there")
    }

    pub(crate) async fn state(&self) -> MigrationState {
        self.db.migration(&definition().name).await.expect("the migration is registered")
    }

    /// Appends the next epoch without asking a gate.
    pub(crate) async fn append(&self, to: Stage) -> MigrationState {
        let state = self.state().await;
        let change = StageChange {
            migration: &state.definition.name,
            definition: &state.definition,
            from_epoch: state.epoch,
            from: state.stage,
            to,
            actor: "test",
            reason: "test",
        };
        self.db.append_epoch(change).await.expect("the epoch is appended");
        self.state().await
    }

    /// Goes to a stage, closing each epoch on the way, without asking a gate.
    pub(crate) async fn go(&self, to: Stage) -> MigrationState {
        loop {
            let state = self.state().await;
            if state.stage == to {
                return state;
            }
            let next = if state.stage < to { state.stage.next() } else { state.stage.previous() };
            self.append(next.expect("a neighbour")).await;
            self.db
                .close_epoch(&state.definition.name, state.epoch, WAIT)
                .await
                .expect("the epoch before closes");
        }
    }

    /// An application around the pair, with forced flags and its own view of the stage.
    pub(crate) async fn app(&self, flags: &Flags) -> Crossfade {
        Crossfade::builder_on(self.db.clone())
            .flags(flags.clone())
            .options(Options::default())
            .build()
            .await
            .expect("the application starts")
    }

    pub(crate) fn legacy(&self) -> People {
        People::legacy(&self.db)
    }

    pub(crate) fn new_side(&self) -> People {
        People::new(&self.db)
    }

    /// How many sessions of this database wait for a lock; on PostgreSQL and MariaDB.
    pub(crate) async fn sessions_waiting(&self) -> i64 {
        match self.db.mysql() {
            Some(pool) => waiting::on_mariadb(pool).await,
            None => waiting::on_postgres(self.db.postgres().expect("PostgreSQL")).await,
        }
    }

    /// Asserts what both sides hold for a key.
    #[track_caller]
    pub(crate) fn expect(
        &self,
        id: i64,
        legacy: Option<&str>,
        new: Option<&str>,
    ) -> impl Future<Output = ()> {
        let place = std::panic::Location::caller();
        let (legacy, new) = (legacy.map(str::to_owned), new.map(str::to_owned));
        async move {
            let found = (
                self.legacy().get(id).await.expect("Legacy answers"),
                self.new_side().get(id).await.expect("New answers"),
            );
            assert_eq!(found, (legacy, new), "(legacy, new) of key {id}, asked at {place}");
        }
    }

    /// Asserts that both sides hold a row whose commit nobody heard the end of: the first part of
    /// the answer may come while MariaDB is still committing.
    pub(crate) async fn expect_through(&self, id: i64, name: &str) {
        eventually("the commit is through", async || {
            self.legacy().get(id).await.expect("Legacy").as_deref() == Some(name)
        })
        .await;
        self.expect(id, Some(name), Some(name)).await;
    }
}

/// A wrapped put, as an application writes it.
pub(crate) async fn put(
    migration: &Migration,
    id: i64,
    name: &str,
) -> Result<u64, WriteError<PeopleError>> {
    migration
        .write(
            &id,
            |tx| async move { People::legacy(tx).put(id, name).await },
            |tx| async move { People::new(tx).put(id, name).await },
        )
        .await
}

/// A wrapped put in a transaction of the caller's.
pub(crate) async fn put_in(
    migration: &Migration,
    transaction: &mut Transaction,
    id: i64,
    name: &str,
) -> Result<u64, WriteError<PeopleError>> {
    migration
        .write_in(
            transaction,
            &id,
            |tx| async move { People::legacy(tx).put(id, name).await },
            |tx| async move { People::new(tx).put(id, name).await },
        )
        .await
}

/// A wrapped delete.
pub(crate) async fn delete(migration: &Migration, id: i64) -> Result<u64, WriteError<PeopleError>> {
    migration
        .write(
            &id,
            |tx| async move { People::legacy(tx).delete(id).await },
            |tx| async move { People::new(tx).delete(id).await },
        )
        .await
}

/// A wrapped read that says which side answered.
pub(crate) async fn read_side(
    migration: &Migration,
    id: i64,
) -> Result<Side, crossfade::ReadError<PeopleError>> {
    migration.read(&id, &id, || async { Ok(Side::Legacy) }, || async { Ok(Side::New) }).await
}

/// Asks until the answer is yes; fails after [`WAIT`].
pub(crate) async fn eventually<F, Fut>(what: &str, mut ask: F)
where
    F: FnMut() -> Fut,
    Fut: Future<Output = bool>,
{
    let asking = async {
        let mut turns = tokio::time::interval(Duration::from_millis(10));
        while !ask().await {
            turns.tick().await;
        }
    };
    tokio::time::timeout(WAIT, asking)
        .await
        .unwrap_or_else(|_| panic!("still not after {WAIT:?}: {what}"));
}

/// What comparing a chunk found, by kind.
#[derive(Debug)]
pub(crate) struct Compared {
    pub(crate) next: Option<Key>,
    pub(crate) differing: Vec<Key>,
}

/// Compares the next `rows` keys of either side after a key.
pub(crate) async fn compare_chunk(
    db: &Database,
    state: &MigrationState,
    after: Option<&Key>,
    rows: u32,
) -> Result<Compared, StoreError> {
    let range = KeyRange::Between { after, upto: None };
    let request = ChunkRequest { state, range, rows, values: 0 };
    let end = db.chunk_end(request).await?;
    let range = KeyRange::Between { after, upto: end.as_ref() };
    let chunk = db.verify_chunk(ChunkRequest { range, ..request }).await?;
    Ok(Compared { differing: chunk.keys(DifferenceKind::Differing), next: chunk.next.or(end) })
}
