//! One write, through the wrapper or beside it.

use std::error::Error;
use std::time::Duration;

use crossfade::{Engine, Side, ToKey, Tx, WriteError};
use rand::{RngExt as _, rngs::StdRng};

use super::Shared;
use crate::place::TableKey;
use crate::record::{Outcome, Verb};
use crate::rows::{Row, RowError, Table, note};

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
            0..36 => (Verb::Put, own),
            36..58 => (Verb::Delete, own),
            58..72 => (Verb::Modify, own),
            72..94 => (Verb::Modify, common),
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
        match shared.round.key(operation.key) {
            TableKey::Number(key) => through_wrapper(shared, &key, &operation).await,
            TableKey::Text(key) => through_wrapper(shared, &key, &operation).await,
        }
    };
    match tokio::time::timeout(patience, Box::pin(write)).await {
        Ok(Ok(base)) => Outcome::Done(base),
        Ok(Err(error @ WriteError::CommitUnknown(_))) => Outcome::Unknown(chain(&error)),
        Ok(Err(error)) => Outcome::Failed(chain(&error)),
        Err(_) => Outcome::Unknown("dropped".to_owned()),
    }
}

async fn through_wrapper<K: ToKey>(
    shared: &Shared,
    key: &K,
    operation: &Operation,
) -> Result<Option<Row>, WriteError<RowError>> {
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
    if *verb != Verb::Modify {
        let (legacy, new) = (|tx| one_side(Side::Legacy, tx), |tx| one_side(Side::New, tx));
        return shared.migration.write(key, legacy, new).await;
    }
    let load = |side, tx| async move { Ok((on(side, tx).get(*index).await?, None)) };
    let change = |(base, _): (Option<Row>, Option<Row>)| {
        let version = base.as_ref().map_or(0, |row| row.version) + 1;
        Ok((base, Some(Row { tag: tag.clone(), version })))
    };
    let store = |side, tx, (base, row): (Option<Row>, Option<Row>)| async move {
        if let Some(row) = row {
            on(side, tx).put(*index, &row).await?;
        }
        tokio::time::sleep(dwell).await;
        Ok(base)
    };
    shared.migration.modify(key, load, change, store).await
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
