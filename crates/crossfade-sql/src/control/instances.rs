//! Leases of the application's instances.

use crossfade_core::{Epoch, MigrationName, Stage};
use crossfade_store::{Heartbeat, InstanceRecord, StoreError};

use crate::Database;
use crate::error::Doing;
use crate::session::Session;
use crate::value::args;

/// How long a lapsed lease stays visible, in milliseconds.
const REMEMBERED_MS: i64 = 24 * 60 * 60 * 1000;

/// Renews a lease. An acknowledged epoch never goes back.
pub(super) async fn heartbeat(database: &Database, beat: Heartbeat<'_>) -> Result<(), StoreError> {
    let doing = "failed to renew the lease";
    let engine = database.engine();
    let now = engine.now_ms();
    let proposed = |column| engine.proposed(column);
    let acknowledged = proposed("acknowledged");
    let greatest = format!(
        "case when crossfade_instances.acknowledged > {acknowledged} \
         then crossfade_instances.acknowledged else {acknowledged} end"
    );
    let sql = format!(
        "insert into crossfade_instances \
         (instance, migration, version, acknowledged, capable_of, legacy_read_epoch, lease_ms) \
         values ($1, $2, $3, $4, $5, $6, {now} + $7) \
         {or_update} version = {version}, acknowledged = {greatest}, \
         capable_of = {capable_of}, lease_ms = {lease_ms}, legacy_read_epoch = \
         coalesce({legacy_read_epoch}, crossfade_instances.legacy_read_epoch)",
        or_update = engine.or_update("instance, migration"),
        version = proposed("version"),
        capable_of = proposed("capable_of"),
        lease_ms = proposed("lease_ms"),
        legacy_read_epoch = proposed("legacy_read_epoch"),
    );
    let args = args![
        beat.instance,
        beat.migration.as_str(),
        beat.version,
        beat.acknowledged.get(),
        Stage::Contracted.as_str(),
        beat.legacy_read_in.map(Epoch::get),
        i64::try_from(beat.ttl.as_millis()).unwrap_or(i64::MAX),
    ];
    let mut session = database.session().await.doing(doing)?;
    note_gap(&mut session, beat.migration.as_str()).await.doing(doing)?;
    session.execute(&sql, args).await.doing(doing)?;
    Ok(())
}

/// Records that no instance holds a lease of the migration up to now, where that is so. A proof that
/// began before then may have missed what a deployment without the SDK has written.
async fn note_gap(session: &mut Session, migration: &str) -> Result<(), sqlx::Error> {
    let now = session.engine().now_ms();
    let held = format!(
        "select 1 from crossfade_instances where migration = $1 and lease_ms >= {now} limit 1"
    );
    if session.fetch_one(&held, args![migration]).await?.is_some() {
        return Ok(());
    }
    // In this order: MariaDB assigns from left to right.
    let gap = format!(
        "update crossfade_migrations set \
         lease_gap_ms = case when leased_since_ms is null then null else {now} end, \
         leased_since_ms = coalesce(leased_since_ms, {now}) where name = $1"
    );
    session.execute(&gap, args![migration]).await.map(drop)
}

/// Ends the leases of an instance, and forgets those that lapsed long ago.
pub(super) async fn sign_off(database: &Database, instance: &str) -> Result<(), StoreError> {
    let doing = "failed to sign off";
    let sql = format!(
        "delete from crossfade_instances where instance = $1 or lease_ms < {} - $2",
        database.engine().now_ms()
    );
    let mut session = database.session().await.doing(doing)?;
    session.execute(&sql, args![instance, REMEMBERED_MS]).await.doing(doing)?;
    Ok(())
}

/// The instances of a migration.
pub(super) async fn list(
    database: &Database,
    name: &MigrationName,
) -> Result<Vec<InstanceRecord>, StoreError> {
    let doing = "failed to read the instances";
    let now = database.engine().now_ms();
    let sql = format!(
        "select instance, version, acknowledged, lease_ms - {now} from crossfade_instances \
         where migration = $1 and lease_ms > {now} - $2 order by instance"
    );
    let mut session = database.session().await.doing(doing)?;
    let rows = session.fetch(&sql, args![name.as_str(), REMEMBERED_MS]).await.doing(doing)?;
    Ok(rows
        .iter()
        .map(|row| InstanceRecord {
            id: row.text(0),
            version: row.text(1),
            acknowledged: Epoch::new(row.int(2)),
            lease_left_ms: row.int(3),
        })
        .collect())
}
