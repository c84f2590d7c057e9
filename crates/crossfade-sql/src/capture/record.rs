//! What the control tables say of a capture, and of the writers that it saw.

use crossfade_core::{CaptureMode, MigrationState};
use crossfade_store::{AuditEntry, Bypass, CaptureChange, StoreError, StoreErrorKind};

use super::DOING;
use crate::Database;
use crate::control::append_audit;
use crate::error::Doing;
use crate::session::Session;
use crate::value::args;

/// A capture as it was recorded.
#[derive(Debug)]
pub(crate) struct Recorded {
    pub(crate) mode: CaptureMode,
    pub(crate) since_ms: i64,
    pub(crate) digest: String,
}

/// The record of a migration's capture.
pub(crate) async fn recorded(
    session: &mut Session,
    migration: &str,
) -> Result<Option<Recorded>, StoreError> {
    let doing = "failed to look the capture up";
    let sql = "select mode, since_ms, digest from crossfade_captures where migration = $1";
    let Some(row) = session.fetch_one(sql, args![migration]).await.doing(doing)? else {
        return Ok(None);
    };
    let mode = row.text(0).parse().map_err(|error| {
        StoreError::new(StoreErrorKind::Invalid, "the mode of a capture cannot be read")
            .with_source(error)
            .with_hint("a newer version of Crossfade may have written it")
    })?;
    Ok(Some(Recorded { mode, since_ms: row.int(1), digest: row.text(2) }))
}

/// Records a change, with its audit line, in the session's transaction.
pub(super) async fn record(
    database: &Database,
    session: &mut Session,
    change: CaptureChange<'_>,
    digest: &str,
) -> Result<(), StoreError> {
    let engine = database.engine();
    let name = change.state.definition.name.as_str();
    match change.to {
        Some(mode) => {
            let sets = ["mode", "digest", "since_ms"]
                .map(|column| format!("{column} = {}", engine.proposed(column)));
            let sql = format!(
                "insert into crossfade_captures (migration, mode, digest, since_ms) \
                 values ($1, $2, $3, {}) {} {}",
                engine.now_ms(),
                engine.or_update("migration"),
                sets.join(", ")
            );
            session.execute(&sql, args![name, mode.as_str(), digest]).await.doing(DOING)?;
        }
        None => {
            for table in ["crossfade_captures", "crossfade_bypasses"] {
                let sql = format!("delete from {table} where migration = $1");
                session.execute(&sql, args![name]).await.doing(DOING)?;
            }
        }
    }
    let entry = AuditEntry {
        action: "capture",
        subject: name,
        from: change.from.map_or("", CaptureMode::as_str),
        to: change.to.map_or("removed", CaptureMode::as_str),
        actor: change.actor,
        reason: change.reason,
    };
    append_audit(engine, session, entry).await.doing(DOING)
}

pub(super) async fn bypasses(
    database: &Database,
    state: &MigrationState,
) -> Result<Vec<Bypass>, StoreError> {
    let doing = "failed to look up who goes around the SDK";
    let mut session = database.session().await.doing(doing)?;
    let sql = format!(
        "select writer, application, operation, cast(sum(writes) as {}), min(first_ms), max(last_ms) \
         from crossfade_bypasses where migration = $1 \
         group by writer, application, operation order by 4 desc, 1, 2, 3",
        database.engine().integer_type()
    );
    let rows = session.fetch(&sql, args![state.definition.name.as_str()]).await.doing(doing)?;
    let bypass = |row: &crate::value::Row| Bypass {
        writer: row.text(0),
        application: row.text(1),
        operation: row.text(2),
        writes: row.int(3).unsigned_abs(),
        first_ms: row.int(4),
        last_ms: row.int(5),
    };
    Ok(rows.iter().map(bypass).collect())
}
