//! Moving New's counters beyond the keys that backfill and writers brought.

use crossfade_core::MigrationName;
use crossfade_store::{AuditEntry, StoreError};

use crate::Stores;

/// Moves each counter of New that would give a key that exists. Returns the statements that were
/// run, which the audit trail keeps.
///
/// Until `complete` keys come from Legacy's counter, so it is called once before the gate and once
/// after the epoch before `complete` is closed.
///
/// # Errors
///
/// Whatever the ports answer; kind `NotFound` for an unknown migration.
///
/// # Cancel safety
///
/// Dropped midway, some counters are moved. Calling it again moves the rest.
pub async fn advance_sequences(
    stores: Stores<'_>,
    migration: &MigrationName,
    actor: &str,
) -> Result<Vec<String>, StoreError> {
    let definition = stores.control.migration(migration).await?.definition;
    let ran = stores.schema.advance_sequences(&definition).await?;
    for statement in &ran {
        let entry = AuditEntry {
            action: "sequence.advanced",
            subject: migration.as_str(),
            from: "",
            to: "",
            actor,
            reason: statement,
        };
        stores.control.audit(entry).await?;
    }
    Ok(ran)
}
