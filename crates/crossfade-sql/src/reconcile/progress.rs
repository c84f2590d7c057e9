//! How far a verification is, for the next one to go on, and whether one can be recorded at all.

use crossfade_core::{Epoch, MigrationState, RunId, Witness};
use crossfade_store::{PassProgress, StoreError, StoreErrorKind};

use super::stored_key;
use crate::Database;
use crate::error::{Doing, forbidden, read_only, store_error};
use crate::value::args;

/// See the port's `only_looks`. The database is asked by a row that is rolled back: rights, replicas
/// and read-only sessions are many things, and a refused insert is one.
pub(super) async fn only_looks(
    database: &Database,
    state: &MigrationState,
) -> Result<Option<String>, StoreError> {
    let doing = "failed to try whether a verification can be recorded";
    let mut session = match database.begin().await {
        Ok(session) => session,
        Err(error) => return reason(error, doing),
    };
    let sql = "insert into crossfade_verifications \
         (migration, epoch, started_ms, finished_ms, compared, differences, repaired) \
         values ($1, $2, 0, 0, 0, 0, 0)";
    let args = args![state.definition.name.as_str(), state.epoch.get()];
    let inserted = session.execute(sql, args).await;
    session.rollback().await;
    match inserted {
        Ok(_) => Ok(None),
        Err(error) => reason(error, doing),
    }
}

fn reason(error: sqlx::Error, doing: &str) -> Result<Option<String>, StoreError> {
    if read_only(&error) {
        Ok(Some("the database takes no writes in this session".to_owned()))
    } else if forbidden(&error) {
        Ok(Some("this user has no right to write Crossfade's control tables".to_owned()))
    } else {
        Err(store_error(doing, error))
    }
}

/// See the port's `pass_progress`.
pub(super) async fn load(
    database: &Database,
    state: &MigrationState,
) -> Result<Option<PassProgress>, StoreError> {
    let doing = "failed to read how far a verification is";
    let mut session = database.session().await.doing(doing)?;
    let sql = "select run_id, epoch, started_ms, compared, cursor_key, mapping, bypassed, capture \
               from crossfade_verify_progress where migration = $1";
    let row = session.fetch_one(sql, args![state.definition.name.as_str()]).await.doing(doing);
    let row = match row {
        Ok(Some(row)) if row.text(5) == state.definition.mapping => row,
        Ok(_) => return Ok(None),
        // Control tables of an earlier version know no interrupted passes.
        Err(error) if error.kind == StoreErrorKind::NotInstalled => return Ok(None),
        Err(error) => return Err(error),
    };
    // An earlier version has not asked the capture.
    let Some(bypassed) = row.opt_int(6) else { return Ok(None) };
    Ok(Some(PassProgress {
        run: row.opt_int(0).map(RunId::new),
        epoch: Epoch::new(row.int(1)),
        started_ms: row.int(2),
        compared: row.int(3).unsigned_abs(),
        upto: stored_key(state, &row.text(4))?,
        witness: Witness { bypassed: bypassed.unsigned_abs(), capture: row.opt_text(7) },
    }))
}

/// See the port's `save_pass`.
pub(super) async fn save(
    database: &Database,
    state: &MigrationState,
    progress: Option<&PassProgress>,
) -> Result<(), StoreError> {
    let doing = "failed to save how far a verification is";
    let name = state.definition.name.as_str();
    let mut session = database.begin().await.doing(doing)?;
    session
        .execute("delete from crossfade_verify_progress where migration = $1", args![name])
        .await
        .doing(doing)?;
    if let Some(progress) = progress {
        let sql = format!(
            "insert into crossfade_verify_progress (migration, run_id, epoch, mapping, \
             started_ms, saved_ms, compared, cursor_key, bypassed, capture) \
             values ($1, $2, $3, $4, $5, {}, $6, $7, $8, $9)",
            database.engine().now_ms()
        );
        let args = args![
            name,
            progress.run.map(|run| run.get()),
            progress.epoch.get(),
            state.definition.mapping.as_str(),
            progress.started_ms,
            progress.compared.cast_signed(),
            progress.upto.text().as_ref(),
            progress.witness.bypassed.cast_signed(),
            progress.witness.capture.clone(),
        ];
        session.execute(&sql, args).await.doing(doing)?;
    }
    session.commit_or(doing).await
}
