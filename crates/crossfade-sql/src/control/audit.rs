//! The audit trail: lines that are only added, each hashed together with the one before it.

use std::fmt::Write;

use crossfade_store::{AuditEntry, AuditRecord, StoreError};
use sha2::{Digest, Sha256};

use crate::error::Doing;
use crate::session::Session;
use crate::value::args;
use crate::{Database, Engine};

/// Appends a line in the session's transaction.
pub(crate) async fn append_audit(
    engine: Engine,
    session: &mut Session,
    entry: AuditEntry<'_>,
) -> Result<(), sqlx::Error> {
    if let Some(lock) = engine.lock_audit() {
        session.execute(lock, args![]).await?;
    }
    let sql = format!("select {}", engine.now_ms());
    let at_ms = session.fetch_one(&sql, args![]).await?.map_or(0, |row| row.int(0));
    let last = session
        .fetch_one("select seq, hash from crossfade_audit order by seq desc limit 1", args![])
        .await?;
    let (seq, previous) = last.map_or((1, String::new()), |row| (row.int(0) + 1, row.text(1)));
    let record = AuditRecord {
        seq,
        at_ms,
        action: entry.action.to_owned(),
        subject: entry.subject.to_owned(),
        from: entry.from.to_owned(),
        to: entry.to.to_owned(),
        actor: entry.actor.to_owned(),
        reason: entry.reason.to_owned(),
        intact: true,
    };
    let hash = hash(&previous, &record);
    let args = args![
        seq,
        at_ms,
        record.action,
        record.subject,
        record.from,
        record.to,
        record.actor,
        record.reason,
        hash
    ];
    session
        .execute(
            "insert into crossfade_audit \
             (seq, at_ms, action, subject, from_state, to_state, actor, reason, hash) \
             values ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
            args,
        )
        .await?;
    Ok(())
}

/// The newest `limit` lines, newest first, each checked against the one before it.
pub(super) async fn trail(database: &Database, limit: u32) -> Result<Vec<AuditRecord>, StoreError> {
    let doing = "failed to read the audit trail";
    let mut session = database.session().await.doing(doing)?;
    let rows = session
        .fetch(
            "select seq, at_ms, action, subject, from_state, to_state, actor, reason, hash \
             from crossfade_audit order by seq desc limit $1",
            args![i64::from(limit) + 1],
        )
        .await
        .doing(doing)?;
    let mut records = Vec::with_capacity(rows.len());
    for (index, row) in rows.iter().enumerate().take(limit as usize) {
        let mut record = AuditRecord {
            seq: row.int(0),
            at_ms: row.int(1),
            action: row.text(2),
            subject: row.text(3),
            from: row.text(4),
            to: row.text(5),
            actor: row.text(6),
            reason: row.text(7),
            intact: true,
        };
        let previous = rows.get(index + 1);
        let expected_seq = previous.map_or(1, |row| row.int(0) + 1);
        let previous = previous.map(|row| row.text(8)).unwrap_or_default();
        record.intact = record.seq == expected_seq && row.text(8) == hash(&previous, &record);
        records.push(record);
    }
    Ok(records)
}

/// SHA-256 over the previous hash and every field, each behind its length.
fn hash(previous: &str, record: &AuditRecord) -> String {
    let (seq, at_ms) = (record.seq.to_string(), record.at_ms.to_string());
    let fields = [
        previous,
        &seq,
        &at_ms,
        &record.action,
        &record.subject,
        &record.from,
        &record.to,
        &record.actor,
        &record.reason,
    ];
    let mut sha = Sha256::new();
    for field in fields {
        sha.update((field.len() as u64).to_be_bytes());
        sha.update(field.as_bytes());
    }
    sha.finalize().iter().fold(String::with_capacity(64), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
