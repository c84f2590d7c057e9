//! The record of a capture that changes.

use crossfade_core::CaptureMode;
use crossfade_store::{AuditEntry, CaptureChange, StoreError};

use super::DOING;
use crate::Database;
use crate::control::append_audit;
use crate::error::Doing;
use crate::session::Session;
use crate::value::args;

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
