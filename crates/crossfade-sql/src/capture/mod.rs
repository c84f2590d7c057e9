//! Capture of writes on Legacy that did not pass the fence, by triggers, and the journal.
//!
//! A transaction that entered an epoch says so to itself (`crossfade.fence` on PostgreSQL, where a
//! capture asks for it, and `@crossfade_fence` on MariaDB), in the fence's own round trip, and the
//! triggers let it pass. Whatever else writes Legacy is counted, journaled or refused.
//!
//! Who writes a key's mark in the journal holds the key's place on Legacy by then: its row, or its
//! entry in the index. So no two writers wait for each other's marks that would not have waited on
//! Legacy before. A repair comes the same way, Legacy first, mark last.

#[cfg(any(feature = "mysql", feature = "postgres"))]
mod change;
pub(crate) mod journal;
#[cfg(feature = "mysql")]
mod mariadb;
#[cfg(feature = "postgres")]
mod postgres;
mod record;

use async_trait::async_trait;
use crossfade_core::{CaptureFacts, CaptureMode, MigrationName, MigrationState, Witness};
use crossfade_store::{
    Bypass, Capture, CaptureChange, CaptureStore, Cleaned, DirtyKey, EnterError, Journal,
    StoreError, StoreErrorKind, Timeouts,
};
#[cfg(feature = "postgres")]
pub(crate) use postgres::let_writes_pass;
use record::{Recorded, recorded};
use sha2::{Digest, Sha256};

use crate::error::Doing;
use crate::reconcile::reconcile;
use crate::session::Session;
use crate::{Database, Engine};

const DOING: &str = "failed to change the capture";

/// Statements that go from the triggers that are there to those of a mode.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    /// Keep writers out, and take away what is there.
    before: Vec<String>,
    /// Make what the mode needs.
    make: Vec<String>,
    /// Take away what it leaves over, and let writers in.
    after: Vec<String>,
}

impl Plan {
    fn statements(&self) -> impl Iterator<Item = &String> {
        self.before.iter().chain(&self.make).chain(&self.after)
    }

    /// A hash of what is made, by which triggers of another version or definition are told apart.
    fn digest(&self) -> String {
        let mut sha = Sha256::new();
        for statement in &self.make {
            sha.update((statement.len() as u64).to_be_bytes());
            sha.update(statement.as_bytes());
        }
        sha.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

/// The text of a key as [`Key::text`](crossfade_core::Key::text) means it, in SQL: the column's own
/// text, or a JSON array of strings for several columns. It may be spelled differently from that of
/// the library, but is always spelled alike.
pub(crate) fn key_text(engine: Engine, columns: &[String]) -> String {
    let text = |column: &String| format!("cast({column} as {})", engine.text_type());
    match columns {
        [single] => text(single),
        #[cfg(feature = "mysql")]
        several if engine == Engine::Mysql => {
            let parts = several.iter().map(|column| format!("json_quote({})", text(column)));
            format!("concat('[', {}, ']')", parts.collect::<Vec<_>>().join(", ',', "))
        }
        several => {
            let parts = several.iter().map(|column| format!("to_json({})::text", text(column)));
            format!("'[' || {} || ']'", parts.collect::<Vec<_>>().join(" || ',' || "))
        }
    }
}

/// The key's text in a row that a trigger sees, `old` or `new`.
#[cfg(any(feature = "mysql", feature = "postgres"))]
fn row_key(legacy: &crate::shape::ResolvedTable, row: &str) -> String {
    let columns = legacy.key.iter().map(|column| format!("{row}.{}", column.name));
    key_text(legacy.engine, &columns.collect::<Vec<_>>())
}

/// Says in the session's transaction that it passed the fence.
pub(crate) async fn pass(
    database: &Database,
    session: &mut Session,
    migration: &MigrationName,
) -> Result<(), sqlx::Error> {
    match database.engine() {
        #[cfg(feature = "mysql")]
        Engine::Mysql => {
            let sql = format!("set autocommit = 0{}", crate::mariadb::passed_fence(migration));
            session.execute(&sql, Vec::new()).await.map(drop)
        }
        #[cfg(feature = "postgres")]
        Engine::Postgres => {
            let fence = database.fence_literal(migration);
            let sql = format!(
                "select set_config('crossfade.fence', to_regclass({fence})::oid::text, true)"
            );
            session.fetch(&sql, Vec::new()).await.map(drop)
        }
        #[cfg(feature = "sqlite")]
        Engine::Sqlite => {
            let _ = (session, migration);
            Ok(())
        }
    }
}

/// Whether the engine's triggers can tell who writes.
pub(crate) fn can_capture(engine: Engine) -> bool {
    engine.as_str() != "sqlite"
}

/// What a look at a capture finds.
#[derive(Debug, Default)]
pub(crate) struct Look {
    /// The capture; `None` when there is none.
    pub(crate) facts: Option<CaptureFacts>,
    /// What it has seen.
    pub(crate) witness: Witness,
}

/// The triggers of a capture as the catalog shows them.
#[derive(Debug, Default)]
struct Triggers {
    /// Whether all are there, enabled, and do what they were made to do.
    in_place: bool,
    /// The catalog's own marks of them, which change with every change.
    marks: String,
}

/// Looks at the triggers of a migration's capture, and at what they have counted.
pub(crate) async fn look(
    database: &Database,
    session: &mut Session,
    state: &MigrationState,
) -> Result<Look, StoreError> {
    let name = state.definition.name.as_str();
    let Some(Recorded { mode, since_ms, digest }) = recorded(session, name).await? else {
        return Ok(Look::default());
    };
    let same = match database.plan(session, state, Some(mode)).await {
        Ok(plan) => plan.digest() == digest,
        // Legacy may be gone.
        Err(error) if error.kind == StoreErrorKind::Invalid => false,
        Err(error) => return Err(error),
    };
    let triggers = match database.engine() {
        #[cfg(feature = "mysql")]
        Engine::Mysql => mariadb::triggers_of(database, session, state, mode).await?,
        #[cfg(feature = "postgres")]
        Engine::Postgres => postgres::triggers_of(database, session, state, mode).await?,
        #[cfg(feature = "sqlite")]
        Engine::Sqlite => Triggers::default(),
    };
    let in_place = same && triggers.in_place;
    let bypassed = record::bypassed(session, name).await?;
    let capture = Some(format!("{mode} {since_ms} {}", triggers.marks));
    Ok(Look {
        facts: Some(CaptureFacts { mode, since_ms, in_place }),
        witness: Witness { bypassed, capture },
    })
}

impl Database {
    /// The plan, asked for through `session`.
    async fn plan(
        &self,
        session: &mut Session,
        state: &MigrationState,
        to: Option<CaptureMode>,
    ) -> Result<Plan, StoreError> {
        match self.engine() {
            #[cfg(feature = "mysql")]
            Engine::Mysql => mariadb::plan(self, session, state, to).await,
            #[cfg(feature = "postgres")]
            Engine::Postgres => postgres::plan(self, session, state, to).await,
            #[cfg(feature = "sqlite")]
            Engine::Sqlite => {
                let _ = (session, state, to);
                Err(StoreError::new(
                    StoreErrorKind::Invalid,
                    "SQLite's triggers cannot tell who writes, so nothing is captured there",
                )
                .with_hint(
                    "lead every writer through the SDK; `crossfade verify` finds what went around \
                     it, and `crossfade repair` mends that",
                ))
            }
        }
    }
}

#[async_trait]
impl CaptureStore for Database {
    async fn capture_plan(
        &self,
        state: &MigrationState,
        to: Option<CaptureMode>,
    ) -> Result<Vec<String>, StoreError> {
        let mut session = self.session().await.doing(DOING)?;
        let plan = self.plan(&mut session, state, to).await?;
        Ok(plan.statements().cloned().collect())
    }

    async fn change_capture(
        &self,
        change: CaptureChange<'_>,
        timeouts: Timeouts,
    ) -> Result<(), StoreError> {
        let changed = match self.engine() {
            #[cfg(feature = "mysql")]
            Engine::Mysql => mariadb::change(self, change, timeouts).await,
            #[cfg(feature = "postgres")]
            Engine::Postgres => postgres::change(self, change, timeouts).await,
            #[cfg(feature = "sqlite")]
            Engine::Sqlite => {
                let _ = timeouts;
                self.capture_plan(change.state, change.to).await.map(drop)
            }
        };
        self.forget_shapes();
        changed
    }

    async fn capture(&self, state: &MigrationState) -> Result<Option<Capture>, StoreError> {
        let mut session = self.session().await.doing(DOING)?;
        let found = look(self, &mut session, state).await?.facts;
        Ok(found.map(|CaptureFacts { mode, since_ms, in_place }| Capture {
            mode,
            since_ms,
            in_place,
        }))
    }

    async fn bypasses(&self, state: &MigrationState) -> Result<Vec<Bypass>, StoreError> {
        record::bypasses(self, state).await
    }

    async fn journal(&self, state: &MigrationState) -> Result<Journal, StoreError> {
        journal::length(self, state).await
    }

    async fn dirty_keys(
        &self,
        state: &MigrationState,
        after: Option<&str>,
        limit: u32,
    ) -> Result<Vec<DirtyKey>, StoreError> {
        journal::dirty_keys(self, state, after, limit).await
    }

    async fn clean(&self, state: &MigrationState, dirty: &DirtyKey) -> Result<Cleaned, EnterError> {
        reconcile(self, state, &dirty.key, Some(dirty)).await
    }
}
