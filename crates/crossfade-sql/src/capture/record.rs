//! What the control tables say of a capture, and of the writers that it saw.

use crossfade_core::{CaptureMode, MigrationState};
use crossfade_store::{Bypass, StoreError, StoreErrorKind};

use crate::Database;
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

/// Writes that the triggers have counted, all in all.
pub(super) async fn bypassed(session: &mut Session, migration: &str) -> Result<u64, StoreError> {
    let sql = format!(
        "select cast(coalesce(sum(writes), 0) as {}) from crossfade_bypasses where migration = $1",
        session.engine().integer_type()
    );
    let row = session.fetch_one(&sql, args![migration]).await.doing("failed to count bypasses")?;
    Ok(row.map_or(0, |row| row.int(0).unsigned_abs()))
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
