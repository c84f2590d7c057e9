//! Rule sets from the database.

use std::{
    sync::{Arc, Weak},
    time::Duration,
};

use crossfade_rules::RuleSet;
use crossfade_store::{RuleSetStore, StoreError, StoreErrorKind, StoredRuleSet};
use tokio::time::{sleep, timeout};

use crate::{FlagsError, shared::Shared};

/// How long one load may take, and how long the start of an application waits for the first.
const LOAD: Duration = Duration::from_secs(5);

/// The longest time without a look at the database. A connection that died silently brings no
/// notification.
const LONGEST_WAIT: Duration = Duration::from_secs(15);

/// Pauses after failures double from the first to the last of these.
const PAUSES: [Duration; 2] = [Duration::from_millis(200), Duration::from_secs(10)];

/// Tries to load the newest rule set, and follows the database whether or not that succeeds.
pub(crate) async fn open(store: Arc<dyn RuleSetStore>) -> Arc<Shared> {
    let shared = Shared::new("database");
    let mut follower = Follower { store, seen: 0, refused: 0, failures: 0 };
    let first = bounded(follower.next()).await.unwrap_or_else(Look::failed);
    follower.take(&shared, first);
    shared.follow(|shared| follower.follow(shared));
    shared
}

struct Follower {
    store: Arc<dyn RuleSetStore>,
    /// The store's last word on changes.
    seen: u64,
    /// The newest version that could not be read as a rule set.
    refused: i64,
    /// How many looks failed in a row.
    failures: u32,
}

/// One look at the database: what it holds, and whether it still tells of changes.
struct Look {
    stored: Option<StoredRuleSet>,
    failed: Option<StoreError>,
}

impl Look {
    fn failed(error: StoreError) -> Self {
        Self { stored: None, failed: Some(error) }
    }
}

impl Follower {
    async fn follow(mut self, shared: Weak<Shared>) {
        loop {
            if self.failures > 0 {
                sleep(pause(self.failures)).await;
            }
            let look = self.next().await.unwrap_or_else(Look::failed);
            let Some(shared) = shared.upgrade() else { return };
            self.take(&shared, look);
        }
    }

    /// Waits for word of a change and loads the newest rule set. A database that does not tell of
    /// changes is read nevertheless.
    async fn next(&mut self) -> Result<Look, StoreError> {
        let told = timeout(LONGEST_WAIT, self.store.changed(self.seen)).await;
        let stored = bounded(self.store.latest_rule_set()).await?;
        let failed = match told {
            Ok(Ok(seen)) => {
                self.seen = seen;
                None
            }
            Ok(Err(error)) => Some(error),
            Err(_) => None,
        };
        Ok(Look { stored, failed })
    }

    fn take(&mut self, shared: &Shared, Look { stored, failed }: Look) {
        match (stored, failed) {
            (stored, Some(error)) => {
                if let Some(stored) = stored {
                    self.compile(shared, &stored);
                }
                self.fail(shared, error);
            }
            (stored, None) => {
                if self.failures > 0 {
                    tracing::info!(failures = self.failures, "the database is readable again");
                    self.failures = 0;
                }
                let standing = match stored {
                    Some(stored) => self.compile(shared, &stored),
                    None => Standing::Good,
                };
                if standing == Standing::Good {
                    shared.recovered();
                }
            }
        }
    }

    fn fail(&mut self, shared: &Shared, error: StoreError) {
        self.failures = self.failures.saturating_add(1);
        // The store may have lost count of what it told: ask anew.
        self.seen = 0;
        if self.failures == 1 {
            tracing::warn!(%error, "the rule set in the database cannot be read; trying again");
        } else {
            tracing::debug!(%error, failures = self.failures, "the database is still not readable");
        }
        shared.failed(FlagsError::Store(error));
    }

    fn compile(&mut self, shared: &Shared, stored: &StoredRuleSet) -> Standing {
        let version = stored.version;
        if version == self.refused {
            return Standing::Refused;
        }
        if version <= shared.status.borrow().version() {
            return Standing::Good;
        }
        match RuleSet::parse(&stored.document) {
            Ok(rule_set) => {
                if shared.install(version, rule_set) {
                    tracing::info!(version, "rule set loaded");
                }
                Standing::Good
            }
            Err(source) => {
                self.refused = version;
                tracing::warn!(
                    version,
                    line = source.line(),
                    column = source.column(),
                    flag = source.flag(),
                    error = %source.reason(),
                    "the rule set in the database was refused; the last good one stays"
                );
                let origin = format!("rule set {version} of the database");
                shared.failed(FlagsError::Refused { origin, source });
                Standing::Refused
            }
        }
    }
}

/// Whether the newest stored rule set could be read.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Standing {
    Good,
    Refused,
}

async fn bounded<T>(load: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
    timeout(LOAD, load).await.unwrap_or_else(|_| {
        let message = format!("no answer within {} s", LOAD.as_secs());
        Err(StoreError::new(StoreErrorKind::Unavailable, message))
    })
}

/// The pause after so many failures in a row, between half and all of its nominal length, so that a
/// fleet does not come back in step.
fn pause(failures: u32) -> Duration {
    let [first, last] = PAUSES;
    let nominal = first.saturating_mul(1 << (failures - 1).min(16)).min(last);
    nominal.mul_f64(rand::random_range(0.5..=1.0))
}
