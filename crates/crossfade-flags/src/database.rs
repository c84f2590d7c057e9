//! Rule sets from the database.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use crossfade_store::{
    Document, RuleSetStore, RuleSource, SourceError, StoreError, StoreErrorKind,
};
use tokio::time::timeout;

/// How long one load may take.
const LOAD: Duration = Duration::from_secs(5);

/// The longest time without a look at the database. A connection that died silently brings no
/// notification.
const LONGEST_WAIT: Duration = Duration::from_secs(15);

/// The newest rule set in the database, as `crossfade flag` stores it.
///
/// On PostgreSQL each change is pushed by LISTEN/NOTIFY; elsewhere the database is polled. It is read
/// every 15 s besides.
#[derive(Debug)]
pub struct DatabaseSource {
    store: Arc<dyn RuleSetStore>,
    /// The store's last word on changes.
    told: u64,
    /// The version that was handed out last.
    version: i64,
    /// Trouble with being told of changes, which is reported behind the rule set that was read
    /// nevertheless.
    deaf: Option<StoreError>,
}

impl DatabaseSource {
    /// The rule sets of this store.
    #[must_use]
    pub fn new(store: Arc<dyn RuleSetStore>) -> Self {
        Self { store, told: 0, version: 0, deaf: None }
    }

    fn failed(&mut self, error: StoreError) -> SourceError {
        // The store may have lost count of what it told: ask anew.
        self.told = 0;
        SourceError::new(error.message.clone()).caused_by(error)
    }
}

#[async_trait]
impl RuleSource for DatabaseSource {
    fn origin(&self) -> String {
        "database".to_owned()
    }

    async fn next(&mut self, most_bytes: usize) -> Result<Option<Document>, SourceError> {
        if let Some(error) = self.deaf.take() {
            return Err(self.failed(error));
        }
        let told = timeout(LONGEST_WAIT, self.store.changed(self.told)).await;
        // A database that does not tell of changes is read nevertheless.
        let stored = match timeout(LOAD, self.store.latest_rule_set_unless(self.version)).await {
            Ok(Ok(stored)) => stored,
            Ok(Err(error)) => return Err(self.failed(error)),
            Err(_) => {
                let message = format!("no answer within {} s", LOAD.as_secs());
                return Err(self.failed(StoreError::new(StoreErrorKind::Unavailable, message)));
            }
        };
        let trouble = match told {
            Ok(Ok(told)) => {
                self.told = told;
                None
            }
            Ok(Err(error)) => Some(error),
            Err(_) => None,
        };
        match (stored, trouble) {
            (None, Some(error)) => Err(self.failed(error)),
            (None, None) => Ok(None),
            (Some(stored), _) if stored.document.len() > most_bytes => {
                Err(SourceError::too_large(most_bytes))
            }
            (Some(stored), trouble) => {
                self.deaf = trouble;
                self.version = stored.version;
                // `crossfade flag apply` stores another `fractional` only when it is asked to.
                let document = Document::new(stored.document).at_version(Some(stored.version));
                Ok(Some(Document { may_reassign: true, ..document }))
            }
        }
    }
}
