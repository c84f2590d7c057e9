//! A batch that holds rows which New refuses: the good ones are inserted in groups, and those that
//! are refused alone go into quarantine, in one transaction.
//!
//! The rows are locked before the first group is tried, and no savepoint gives those locks back. So
//! a writer that mends a row comes after its entry, and clears it.

use std::time::{Duration, Instant};

use crossfade_core::{Key, Sieve};
use crossfade_store::{Batch, BatchRequest, EnterError, StoreError};

use super::backfill::{Begun, begin, failed};
use super::invalid;
use super::refusal::refusal;
use super::segments::{Step, save};
use crate::Database;
use crate::error::Doing;
use crate::mechanism::Mechanism;
use crate::quarantine::{delete_stale, mark_all};
use crate::session::Session;
use crate::shape::{Rows, Shape};

const DOING: &str = "failed to find the rows of a batch that New refuses";

/// How long the locks are held before the rest is left to the next batch.
const HOLD: Duration = Duration::from_millis(100);

/// Writes what New takes of the batch, and puts the keys of the rest into quarantine.
///
/// Some constraints are checked at the commit. Where it is refused for a single row, that row's key
/// is put into quarantine without trying the row once more.
pub(super) async fn sift(
    database: &Database,
    request: &BatchRequest<'_>,
) -> Result<Batch, EnterError> {
    let definition = &request.state.definition;
    let mut at_commit: Option<(Key, String)> = None;
    for _ in 0..3 {
        let (mut session, shape) = match begin(database, request).await? {
            Begun::Open(session, shape) => (session, shape),
            Begun::Over(batch) => return Ok(batch),
        };
        let keys = lock(database, &mut session, &shape, request).await?;
        let sifted = match at_commit.take() {
            Some(refused) if keys[..] == [refused.0.clone()] => {
                Sifted { handled: 1, inserted: 0, refused: vec![refused] }
            }
            _ => {
                let sifting = Sifting {
                    after: request.segment.cursor.as_ref(),
                    most: usize::try_from(request.refusals.max(1)).unwrap_or(usize::MAX),
                    // The whole was refused already.
                    first: keys.len().div_ceil(2),
                    locks: true,
                };
                groups(&mut session, &shape, sifting, &keys).await?
            }
        };
        for (key, _) in &sifted.refused {
            delete_stale(&mut session, &shape, key).await?;
        }
        let name = &definition.name;
        mark_all(database, &mut session, name, request.state.epoch, &sifted.refused).await?;
        let (cursor, done) = sifted.cursor(request, &keys);
        let step =
            Step { cursor: &cursor, read: sifted.handled as u64, inserted: sifted.inserted, done };
        save(&mut session, database.engine(), request, step).await?;
        match session.commit().await {
            Ok(()) => {
                for (key, _) in &sifted.refused {
                    tracing::debug!(%key, "New refuses a row; its key is in quarantine");
                }
                return Ok(Batch::Written {
                    read: sifted.handled as u64,
                    inserted: sifted.inserted,
                    quarantined: sifted.refused.len() as u64,
                    cursor,
                    done,
                });
            }
            Err(error) => match (refusal(&error), &keys[..]) {
                (Some(reason), [key]) if sifted.refused.is_empty() => {
                    at_commit = Some((key.clone(), reason));
                }
                (Some(reason), [_, _, ..]) => return Ok(Batch::Refused { reason }),
                _ => return Err(failed(error)),
            },
        }
    }
    Err(invalid("a key could not be put into quarantine".to_owned()).into())
}

/// The keys of the batch, whose rows are locked.
async fn lock(
    database: &Database,
    session: &mut Session,
    shape: &Shape,
    request: &BatchRequest<'_>,
) -> Result<Vec<Key>, StoreError> {
    let segment = request.segment;
    let range = Rows::Between { after: segment.cursor.as_ref(), upto: Some(&segment.upper) };
    let mut keys = shape.batch_keys(range, request.rows.max(1));
    if !database.keeps(Mechanism::SourceLock) {
        keys.text = keys.text.replace(database.engine().for_share(), "");
    }
    let rows = session.fetch(&keys.text, keys.args).await.doing(DOING)?;
    Ok(rows.iter().filter_map(|row| shape.legacy.key_of(row, 0)).collect())
}

/// How the rows of a batch are tried.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sifting<'a> {
    /// The key that the rows follow.
    pub(crate) after: Option<&'a Key>,
    /// How many may be refused before it ends; at least 1.
    pub(crate) most: usize,
    /// Rows of the first group.
    pub(crate) first: usize,
    /// Whether each group locks its Legacy rows.
    pub(crate) locks: bool,
}

/// What became of the first rows of a batch.
pub(crate) struct Sifted {
    /// How many were inserted, were there or are refused.
    pub(crate) handled: usize,
    pub(crate) inserted: u64,
    pub(crate) refused: Vec<(Key, String)>,
}

impl Sifted {
    /// Where the segment stands, and whether that is its end.
    fn cursor(&self, request: &BatchRequest<'_>, keys: &[Key]) -> (Key, bool) {
        let upper = &request.segment.upper;
        let last = self.handled.checked_sub(1).and_then(|last| keys.get(last));
        let ends = keys.len() < request.rows.max(1) as usize || keys.last() == Some(upper);
        match last {
            Some(last) if self.handled < keys.len() || !ends => (last.clone(), false),
            _ => (upper.clone(), true),
        }
    }
}

/// Inserts the rows of `keys` in groups, until all were tried or the time is over.
pub(crate) async fn groups(
    session: &mut Session,
    shape: &Shape,
    sifting: Sifting<'_>,
    keys: &[Key],
) -> Result<Sifted, StoreError> {
    // A constraint that waits for the commit is checked with each group.
    if let Some(check) = shape.check_constraints() {
        session.execute(check, Vec::new()).await.doing(DOING)?;
    }
    session.execute("savepoint crossfade_rows", Vec::new()).await.doing(DOING)?;
    let started = Instant::now();
    let mut sieve = Sieve::new(sifting.first);
    let mut sifted = Sifted { handled: 0, inserted: 0, refused: Vec::new() };
    while let Some(left) = keys.get(sifted.handled..).filter(|left| !left.is_empty()) {
        let late = started.elapsed() > HOLD || sifted.refused.len() >= sifting.most;
        if late && sifted.handled > 0 {
            break;
        }
        let group = &left[..sieve.group(left.len())];
        let rows = match group {
            // Named by its key, so that what New says is about no other row.
            [key] => Rows::One(key),
            _ => {
                let before = sifted.handled.checked_sub(1).and_then(|last| keys.get(last));
                Rows::Between { after: before.or(sifting.after), upto: group.last() }
            }
        };
        match one_group(session, shape, rows, sifting.locks).await? {
            Ok(inserted) => {
                sieve.taken(group.len());
                sifted.handled += group.len();
                sifted.inserted += inserted;
            }
            Err(reason) => {
                if sieve.refused(group.len()) {
                    sifted.refused.push((left[0].clone(), reason));
                    sifted.handled += 1;
                }
            }
        }
    }
    session.execute("release savepoint crossfade_rows", Vec::new()).await.doing(DOING)?;
    Ok(sifted)
}

/// Inserts a group of rows, or leaves the transaction as it was and returns why one was refused.
async fn one_group(
    session: &mut Session,
    shape: &Shape,
    rows: Rows<'_>,
    locks: bool,
) -> Result<Result<u64, String>, StoreError> {
    let mut insert = shape.insert_absent(rows);
    if !locks {
        insert.text = insert.text.replace(shape.engine.for_share(), "");
    }
    match session.execute(&insert.text, insert.args).await {
        Ok(inserted) => {
            // The same savepoint, after this group.
            let next = "release savepoint crossfade_rows; savepoint crossfade_rows";
            session.run_script(next).await.doing(DOING)?;
            Ok(Ok(inserted))
        }
        Err(error) => {
            let Some(reason) = refusal(&error) else { return Err(error).doing(DOING) };
            let back = "rollback to savepoint crossfade_rows";
            session.execute(back, Vec::new()).await.doing(DOING)?;
            Ok(Err(reason))
        }
    }
}
