//! What a gate needs to know.

use std::time::Duration;

use crossfade_core::{
    Approval, Epoch, Facts, InstanceFacts, Leases, MigrationState, Parity, RunFacts, RunId,
    RunState, Stage, Witness,
};
use crossfade_store::{StoreError, StoreErrorKind};

use crate::capture::{Look, can_capture, look};
use crate::error::Doing;
use crate::mechanism::Mechanism;
#[cfg(feature = "postgres")]
use crate::schema::TableFacts;
use crate::session::Session;
use crate::value::args;
use crate::{Database, Engine};

const DOING: &str = "failed to gather what the gate asks for";

fn since(now_ms: i64, then_ms: i64) -> Duration {
    Duration::from_millis(u64::try_from(now_ms - then_ms).unwrap_or(0))
}

/// Facts as far as the control tables and statistics know them.
pub(super) async fn gather(
    database: &Database,
    state: &MigrationState,
) -> Result<Facts, StoreError> {
    let engine = database.engine();
    let name = state.definition.name.as_str();
    let mut session = database.session().await.doing(DOING)?;
    let row = session
        .fetch_one(
            &format!(
                "select {}, e.opened_ms, \
                   (select count(*) from crossfade_epochs o where o.migration = e.migration \
                    and o.epoch < e.epoch and o.closed_ms is null), \
                   (select count(*) from crossfade_quarantine q where q.migration = e.migration), \
                   (select count(*) from crossfade_journal j where j.migration = e.migration) \
                 from crossfade_epochs e where e.migration = $1 and e.epoch = $2",
                engine.now_ms()
            ),
            args![name, state.epoch.get()],
        )
        .await
        .doing(DOING)?
        .ok_or_else(|| {
            StoreError::new(StoreErrorKind::Conflict, format!("migration `{name}` has moved on"))
        })?;
    let now_ms = row.int(0);
    let Look { facts: capture, witness } = look(database, &mut session, state).await?;
    Ok(Facts {
        epoch: state.epoch,
        previous_open: row.int(2) > 0,
        stage_opened_ms: row.int(1),
        stage_for: since(now_ms, row.int(1)),
        new_has_rows: None,
        findings: Vec::new(),
        mapping_problems: Vec::new(),
        run: run(&mut session, name).await?,
        parity: parity(&mut session, name).await?,
        quarantined: u64::try_from(row.int(3)).unwrap_or_default(),
        journaled: u64::try_from(row.int(4)).unwrap_or_default(),
        capture,
        can_capture: can_capture(engine),
        witness,
        leases: leases(&mut session, name).await?,
        flag: None,
        instances: instances(database, &mut session, state, now_ms).await?,
        legacy_quiet_for: legacy_quiet_for(engine, &mut session, state, now_ms).await?,
        approval: Approval::default(),
    })
}

async fn run(session: &mut Session, name: &str) -> Result<Option<RunFacts>, StoreError> {
    let row = session
        .fetch_one(
            "select id, state, finished_ms from crossfade_runs \
             where migration = $1 and state <> 'void'",
            args![name],
        )
        .await
        .doing(DOING)?;
    Ok(row.and_then(|row| {
        Some(RunFacts {
            id: RunId::new(row.int(0)),
            state: RunState::from_name(&row.text(1))?,
            finished_ms: row.opt_int(2),
        })
    }))
}

async fn leases(session: &mut Session, name: &str) -> Result<Leases, StoreError> {
    let sql = "select leased_since_ms, lease_gap_ms from crossfade_migrations where name = $1";
    let row = session.fetch_one(sql, args![name]).await.doing(DOING)?;
    Ok(row.map_or(Leases::default(), |row| Leases {
        first_ms: row.opt_int(0),
        gap_ended_ms: row.opt_int(1),
    }))
}

async fn parity(session: &mut Session, name: &str) -> Result<Option<Parity>, StoreError> {
    let row = session
        .fetch_one(
            "select run_id, started_ms, differences, repaired, bypassed, capture from crossfade_verifications \
             where migration = $1 order by id desc limit 1",
            args![name],
        )
        .await
        .doing(DOING)?;
    Ok(row.map(|row| Parity {
        run: row.opt_int(0).map(RunId::new),
        started_ms: row.int(1),
        differences: u64::try_from(row.int(2)).unwrap_or_default(),
        repaired: u64::try_from(row.int(3)).unwrap_or_default(),
        witness: row.opt_int(4).map(|bypassed| Witness {
            bypassed: bypassed.unsigned_abs(),
            capture: row.opt_text(5),
        }),
    }))
}

async fn instances(
    database: &Database,
    session: &mut Session,
    state: &MigrationState,
    now_ms: i64,
) -> Result<Vec<InstanceFacts>, StoreError> {
    let rows = session
        .fetch(
            "select instance, acknowledged, capable_of, legacy_read_epoch \
             from crossfade_instances where migration = $1 and lease_ms >= $2 order by instance",
            args![state.definition.name.as_str(), now_ms],
        )
        .await
        .doing(DOING)?;
    Ok(rows
        .iter()
        .map(|row| InstanceFacts {
            id: row.text(0),
            acknowledged: if database.keeps(Mechanism::Acknowledgement) {
                Epoch::new(row.int(1))
            } else {
                Epoch::new(i64::MAX)
            },
            capable_of: row.text(2).parse().unwrap_or(Stage::Off),
            read_legacy: row.opt_int(3).is_some_and(|epoch| epoch >= state.epoch.get()),
        })
        .collect())
}

/// Uses of a table, of all its partitions together; NULL where nobody counts them.
#[cfg(feature = "postgres")]
const USAGE: &str = "\
select case when count(*) > 0 then concat_ws('/', sum(seq_scan), sum(coalesce(idx_scan, 0)), \
  sum(n_tup_ins), sum(n_tup_upd), sum(n_tup_del)) end \
from pg_stat_all_tables where relid in \
  (select relid from pg_partition_tree($1::oid) union select $1::oid)";

/// Reads the statistics on Legacy, remembers when they last moved, and says how long ago that
/// was. `None` where there are none to read.
async fn legacy_quiet_for(
    engine: Engine,
    session: &mut Session,
    state: &MigrationState,
    now_ms: i64,
) -> Result<Option<Duration>, StoreError> {
    if state.stage < Stage::Complete || !state.definition.legacy_columns.is_empty() {
        return Ok(None);
    }
    match engine {
        #[cfg(feature = "postgres")]
        Engine::Postgres => {
            let table = &state.definition.legacy.table;
            let Some(legacy) = TableFacts::find(session, engine, table).await? else {
                return Ok(None);
            };
            let usage = session.fetch_one(USAGE, args![legacy.oid]).await.doing(DOING)?;
            let Some(usage) = usage.and_then(|row| row.opt_text(0)) else {
                // It exists and nobody counts its uses: nothing says that it is quiet.
                return Ok(Some(Duration::ZERO));
            };
            let name = state.definition.name.as_str();
            session
                .execute(
                    "update crossfade_migrations set legacy_usage = $2, legacy_usage_ms = $3 \
                     where name = $1 and legacy_usage is distinct from $2",
                    args![name, usage, now_ms],
                )
                .await
                .doing(DOING)?;
            let row = session
                .fetch_one(
                    "select legacy_usage_ms from crossfade_migrations where name = $1",
                    args![name],
                )
                .await
                .doing(DOING)?;
            Ok(row.map(|row| since(now_ms, row.int(0))))
        }
        #[cfg(any(feature = "mysql", feature = "sqlite"))]
        _ => {
            let _ = (session, now_ms);
            Ok(None)
        }
    }
}
