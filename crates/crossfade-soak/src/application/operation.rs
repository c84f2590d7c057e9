//! One write, through the wrapper or beside it.

use std::error::Error;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crossfade::{Engine, Once, OperationId, Side, ToKey, Tx, WriteError};
use rand::{RngExt as _, rngs::StdRng};

use super::Shared;
use crate::place::TableKey;
use crate::record::{Outcome, Verb};
use crate::rows::{Row, RowError, Table, note};

/// Between two calls with one operation id.
const AGAIN: Duration = Duration::from_millis(20);

/// A write that is about to be tried.
#[derive(Clone, Debug)]
pub(super) struct Operation {
    pub(super) verb: Verb,
    pub(super) key: u32,
    pub(super) tag: String,
    /// How long each side's statement is followed by nothing, with the transaction open.
    dwell: Duration,
}

impl Operation {
    /// Something to do with the task's own key, or with one that is everybody's.
    pub(super) fn any(own: u32, common: u32, tag: String, chance: &mut StdRng) -> Self {
        let (verb, key) = match chance.random_range(0..100) {
            0..24 => (Verb::Put, own),
            24..36 => (Verb::Declared, own),
            36..58 => (Verb::Delete, own),
            58..72 => (Verb::Modify, own),
            72..83 => (Verb::Modify, common),
            83..94 => (Verb::Once, common),
            _ => (Verb::Note, own),
        };
        let dwell = match chance.random_range(0..100) {
            0..12 => Duration::from_micros(chance.random_range(0..20_000)),
            _ => Duration::ZERO,
        };
        Self { verb, key, tag, dwell }
    }
}

/// Carries it out, for as long as the caller is patient.
pub(super) async fn carry_out(
    shared: &Shared,
    operation: Operation,
    patience: Duration,
) -> Outcome {
    if operation.verb == Verb::Note {
        return match tokio::time::timeout(
            patience,
            note(&shared.database, shared.round, &operation.tag),
        )
        .await
        {
            Ok(Ok(())) => Outcome::Done(None),
            // A statement that commits by itself may have, whatever became of its answer.
            Ok(Err(error)) => Outcome::Unknown(chain(&error)),
            Err(_) => Outcome::Unknown("dropped".to_owned()),
        };
    }
    let write = async {
        match (operation.verb, shared.round.key(operation.key)) {
            (Verb::Declared, key) => outcome(declared(shared, key, &operation).await),
            (_, TableKey::Number(key)) => through_wrapper(shared, &key, &operation).await,
            (_, TableKey::Text(key)) => through_wrapper(shared, &key, &operation).await,
        }
    };
    match tokio::time::timeout(patience, Box::pin(write)).await {
        Ok(outcome) => outcome,
        Err(_) => Outcome::Unknown("dropped".to_owned()),
    }
}

fn outcome<E: Error + 'static>(done: Result<Option<Row>, WriteError<E>>) -> Outcome {
    match done {
        Ok(base) => Outcome::Done(base),
        Err(error @ WriteError::CommitUnknown(_)) => Outcome::Unknown(chain(&error)),
        Err(error) => Outcome::Failed(chain(&error)),
    }
}

/// A put by the statement that was declared.
async fn declared(
    shared: &Shared,
    key: TableKey,
    operation: &Operation,
) -> Result<Option<Row>, WriteError<sqlx::Error>> {
    let (tag, version) = (operation.tag.as_str(), 0i64);
    match key {
        TableKey::Number(key) => {
            shared.put.bind(key).bind(tag).bind(version).execute(&key).await?;
        }
        TableKey::Text(key) => {
            shared.put.bind(key.as_str()).bind(tag).bind(version).execute(&key).await?;
        }
    }
    Ok(None)
}

async fn through_wrapper<K: ToKey>(shared: &Shared, key: &K, operation: &Operation) -> Outcome {
    let Operation { verb, key: index, tag, dwell } = operation;
    let dwell = match shared.database.engine() {
        // Everybody waits for the one writer.
        Engine::Sqlite => *dwell / 10,
        Engine::Mysql | Engine::Postgres => *dwell,
    };
    let on = |side, tx: Tx| Table::on(side, shared.round, tx);
    let one_side = |side, tx: Tx| async move {
        let table = on(side, tx);
        match verb {
            Verb::Delete => table.delete(*index).await?,
            _ => table.put(*index, &Row { tag: tag.clone(), version: 0 }).await?,
        }
        tokio::time::sleep(dwell).await;
        Ok(None)
    };
    if !verb.changes() {
        let (legacy, new) = (|tx| one_side(Side::Legacy, tx), |tx| one_side(Side::New, tx));
        return outcome::<RowError>(shared.migration.write(key, legacy, new).await);
    }
    // What the last try has read. One is begun only when those before have come to nothing.
    let read = Mutex::new(None);
    let load = |side, tx| async move { Ok((on(side, tx).get(*index).await?, None)) };
    let change = |(base, _): (Option<Row>, Option<Row>)| {
        let version = base.as_ref().map_or(0, |row| row.version) + 1;
        *read.lock().unwrap_or_else(PoisonError::into_inner) = base.clone();
        Ok((base, Some(Row { tag: tag.clone(), version })))
    };
    let store = |side, tx, (base, row): (Option<Row>, Option<Row>)| async move {
        if let Some(row) = row {
            on(side, tx).put(*index, &row).await?;
        }
        tokio::time::sleep(dwell).await;
        Ok(base)
    };
    if *verb == Verb::Modify {
        return outcome::<RowError>(shared.migration.modify(key, load, change, store).await);
    }
    let id = OperationId::random();
    let mut in_doubt = false;
    loop {
        match shared.migration.modify_once(&id, key, load, change, store).await {
            Ok(Once::Applied(base)) => return Outcome::Done(base),
            Ok(Once::AlreadyApplied) => {
                return Outcome::Done(read.into_inner().unwrap_or_else(PoisonError::into_inner));
            }
            Err(WriteError::CommitUnknown(_)) => in_doubt = true,
            Err(error) if !in_doubt => return Outcome::Failed(chain(&error)),
            // It has not even asked, so the doubt remains.
            Err(_) => {}
        }
        tokio::time::sleep(AGAIN).await;
    }
}

/// The words of an error and of its sources.
pub(crate) fn chain(error: &dyn Error) -> String {
    let mut words = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        words = format!("{words}: {error}");
        source = error.source();
    }
    words
}
