//! Shadow comparisons: bounded, off the caller's path, dropped when there are too many.

use std::error::Error;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crossfade_core::Key;
use tokio::sync::Semaphore;

use crate::Options;
use crate::seldom::Seldom;

/// What shadow comparisons found so far in this process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ShadowStats {
    /// Comparisons that ended.
    pub compared: u64,
    /// Comparisons whose sides differed and still did when read again.
    pub mismatched: u64,
    /// Comparisons that were not begun, because too many ran, or that failed or took too long.
    pub dropped: u64,
}

#[derive(Debug)]
struct Counts {
    compared: AtomicU64,
    mismatched: AtomicU64,
    dropped: AtomicU64,
    warning: Seldom,
}

#[derive(Debug)]
pub(crate) struct Shadows {
    permits: Arc<Semaphore>,
    counts: Arc<Counts>,
}

/// How often sides that a write came between are read again.
const TRIES: u32 = 5;

impl Shadows {
    pub(crate) fn new(options: &Options) -> Self {
        Self {
            permits: Arc::new(Semaphore::new(options.shadow_in_flight)),
            counts: Arc::new(Counts {
                compared: AtomicU64::new(0),
                mismatched: AtomicU64::new(0),
                dropped: AtomicU64::new(0),
                warning: Seldom::new(),
            }),
        }
    }

    pub(crate) fn stats(&self) -> ShadowStats {
        ShadowStats {
            compared: self.counts.compared.load(Ordering::Relaxed),
            mismatched: self.counts.mismatched.load(Ordering::Relaxed),
            dropped: self.counts.dropped.load(Ordering::Relaxed),
        }
    }

    /// Compares both sides of a key in a task of its own and returns at once.
    pub(crate) fn compare<T, E, LF, NF>(
        &self,
        key: Key,
        timeout: Duration,
        legacy: impl Fn() -> LF + Send + Sync + 'static,
        new: impl Fn() -> NF + Send + Sync + 'static,
    ) where
        T: PartialEq + Send + 'static,
        E: Error + Send + 'static,
        LF: Future<Output = Result<T, E>> + Send + 'static,
        NF: Future<Output = Result<T, E>> + Send + 'static,
    {
        let counts = Arc::clone(&self.counts);
        let Ok(permit) = Arc::clone(&self.permits).try_acquire_owned() else {
            counts.dropped.fetch_add(1, Ordering::Relaxed);
            return;
        };
        tokio::spawn(async move {
            let _permit = permit;
            match tokio::time::timeout(timeout, agree(&legacy, &new)).await {
                Ok(Ok(Some(agreed))) => {
                    counts.compared.fetch_add(1, Ordering::Relaxed);
                    if !agreed {
                        counts.mismatched.fetch_add(1, Ordering::Relaxed);
                        if let Some(times) = counts.warning.count() {
                            tracing::warn!(%key, times, "the sides differ");
                        }
                    }
                }
                Ok(Err(_) | Ok(None)) | Err(_) => {
                    counts.dropped.fetch_add(1, Ordering::Relaxed);
                }
            }
        });
    }
}

/// Whether both sides agree: Legacy is read before and after New, and only sides between which
/// Legacy stood still can disagree. `None` when it never stood still.
async fn agree<T, E, LF, NF>(
    legacy: &impl Fn() -> LF,
    new: &impl Fn() -> NF,
) -> Result<Option<bool>, E>
where
    T: PartialEq,
    LF: Future<Output = Result<T, E>>,
    NF: Future<Output = Result<T, E>>,
{
    let mut before = legacy().await?;
    for _ in 0..TRIES {
        let other = new().await?;
        if other == before {
            return Ok(Some(true));
        }
        let after = legacy().await?;
        if after == before {
            return Ok(Some(false));
        }
        before = after;
    }
    Ok(None)
}
