//! Cutting a range of keys into pieces, and how far they are compared from its beginning.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crossfade_core::{BatchSize, Key, MigrationState};
use crossfade_store::{ChunkRequest, KeyRange, VerifyStore};
use tokio::sync;

use super::pass::Pass;
use super::{Sample, VerifyError, VerifySettings};
use crate::retry::retrying;

/// Rows of a piece of a sample, unless the size of a chunk is given.
const PIECE: u32 = 1000;

/// The range of a pass: what is left to cut, and what is done.
#[derive(Debug)]
pub(super) struct Cut {
    next: sync::Mutex<Next>,
    done: Mutex<Done>,
    upto: Option<Key>,
    stride: Option<Stride>,
}

/// A sample: of each block of so many rows a piece at a random place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stride {
    rows: u32,
    block: u32,
}

/// What is left of the range.
#[derive(Debug)]
struct Next {
    /// A first key that belongs to the range and is a piece by itself.
    first: Option<Key>,
    after: Option<Key>,
    number: u64,
    ended: bool,
}

/// The pieces that were compared.
#[derive(Debug, Default)]
struct Done {
    /// Up to where every piece is done, and how many keys that are.
    upto: Option<Key>,
    compared: u64,
    number: u64,
    /// Pieces after one that is not done.
    ahead: BTreeMap<u64, (Option<Key>, u64)>,
}

/// A piece of the range.
#[derive(Clone, Debug)]
pub(super) struct Piece {
    number: u64,
    one: Option<Key>,
    after: Option<Key>,
    upto: Option<Key>,
    full: bool,
}

impl Piece {
    /// Whether it has as many rows as were asked for.
    pub(super) fn is_full(&self) -> bool {
        self.full
    }

    pub(super) fn range(&self) -> KeyRange<'_> {
        match &self.one {
            Some(key) => KeyRange::One(key),
            None => KeyRange::Between { after: self.after.as_ref(), upto: self.upto.as_ref() },
        }
    }

    /// What is left of it after a key.
    pub(super) fn rest<'k>(&'k self, after: &'k Key) -> KeyRange<'k> {
        KeyRange::Between { after: Some(after), upto: self.upto.as_ref() }
    }
}

impl Cut {
    /// The keys from `from` on, or those after `after`, up to and including `upto`.
    pub(super) fn new(
        from: Option<Key>,
        after: Option<Key>,
        upto: Option<Key>,
        stride: Option<Stride>,
    ) -> Self {
        let next = Next { first: from, after, number: 0, ended: false };
        Self { next: sync::Mutex::new(next), done: Mutex::default(), upto, stride }
    }

    /// A piece was compared, in full.
    pub(super) fn finished(&self, piece: &Piece, compared: u64) {
        let mut done = self.done();
        let end = piece.one.clone().or_else(|| piece.upto.clone());
        done.ahead.insert(piece.number, (end, compared));
        loop {
            let number = done.number;
            let Some((end, compared)) = done.ahead.remove(&number) else { return };
            done.number += 1;
            done.compared += compared;
            done.upto = end;
        }
    }

    /// The key up to which every piece was compared, and how many keys they had.
    pub(super) fn compared_upto(&self) -> Option<(Key, u64)> {
        let done = self.done();
        Some((done.upto.clone()?, done.compared))
    }

    fn done(&self) -> MutexGuard<'_, Done> {
        self.done.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pass<'_> {
    /// The next piece of about as many rows as `size`; `None` when all is given out.
    pub(super) async fn next_piece(
        &self,
        size: &mut BatchSize,
    ) -> Result<Option<Piece>, VerifyError> {
        let mut next = self.cut.next.lock().await;
        if next.ended {
            return Ok(None);
        }
        let number = next.number;
        next.number += 1;
        if let Some(first) = next.first.take() {
            let one = Some(first.clone());
            next.after = Some(first);
            next.ended = self.cut.upto == next.after;
            return Ok(Some(Piece { number, one, after: None, upto: None, full: false }));
        }
        let after = next.after.clone();
        if let Some(stride) = self.cut.stride {
            return self.sampled(stride, number, after, &mut next).await;
        }
        let end = self.end(after.as_ref(), self.cut.upto.as_ref(), size.rows()).await?;
        next.ended = end.is_none() || end == self.cut.upto;
        next.after.clone_from(&end);
        let full = end.is_some();
        let upto = end.or_else(|| self.cut.upto.clone());
        Ok(Some(Piece { number, one: None, after, upto, full }))
    }

    /// A piece at a random place of the next block.
    async fn sampled(
        &self,
        stride: Stride,
        number: u64,
        after: Option<Key>,
        next: &mut Next,
    ) -> Result<Option<Piece>, VerifyError> {
        let upto = self.cut.upto.as_ref();
        let block = self.end(after.as_ref(), upto, stride.block).await?;
        next.ended = block.is_none() || block == self.cut.upto;
        next.after.clone_from(&block);
        let bound = block.or_else(|| upto.cloned());
        let skipped = rand::random_range(0..=stride.block - stride.rows);
        let start = match skipped {
            0 => None,
            rows => self.end(after.as_ref(), bound.as_ref(), rows).await?,
        };
        let start = match start {
            Some(start) => Some(start),
            // The last block is shorter. Of a range that has no other, its beginning is taken.
            None if skipped > 0 && next.ended && number > 0 => return Ok(None),
            None => after,
        };
        let end = self.end(start.as_ref(), bound.as_ref(), stride.rows).await?;
        let upto = end.or(bound);
        Ok(Some(Piece { number, one: None, after: start, upto, full: false }))
    }

    async fn end(
        &self,
        after: Option<&Key>,
        upto: Option<&Key>,
        rows: u32,
    ) -> Result<Option<Key>, VerifyError> {
        let range = KeyRange::Between { after, upto };
        let request = ChunkRequest { state: &self.state, range, rows, values: 0 };
        let store = self.store;
        Ok(retrying(|| store.chunk_end(request)).await?)
    }
}

/// How a sample is spread.
pub(super) async fn stride(
    store: &dyn VerifyStore,
    state: &MigrationState,
    settings: &VerifySettings,
) -> Result<Option<Stride>, VerifyError> {
    let capped = |rows: u64| u32::try_from(rows).unwrap_or(u32::MAX);
    Ok(match settings.reach.sample {
        None => None,
        Some(Sample::PartsPerMillion(share)) => {
            let rows = settings.chunk_rows.unwrap_or(PIECE);
            let block = u64::from(rows) * 1_000_000 / u64::from(share.clamp(1, 1_000_000));
            Some(Stride { rows, block: capped(block) })
        }
        Some(Sample::Rows(wanted)) => {
            let estimate = retrying(|| store.estimated_rows(state)).await?;
            let all = estimate.ok_or(VerifyError::NoEstimate { rows: wanted })?;
            // At twenty places at least.
            let rows = capped(wanted / 20).clamp(1, settings.chunk_rows.unwrap_or(PIECE).max(1));
            let pieces = (wanted / u64::from(rows)).max(1);
            Some(Stride { rows, block: capped(all / pieces).max(rows) })
        }
    })
}
