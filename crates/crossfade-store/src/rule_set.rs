//! Rule sets in the database.

use async_trait::async_trait;

use crate::{Changes, StoreError};

/// One stored rule set. Versions are never changed, only followed by higher ones.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredRuleSet {
    /// Its version, from 1.
    pub version: i64,
    /// flagd definition document, JSON.
    pub document: String,
    /// When it was stored, by the database's clock, in milliseconds since 1970.
    pub created_ms: i64,
    /// Who stored it.
    pub author: String,
    /// Why.
    pub reason: String,
}

/// A rule set to store.
#[derive(Clone, Debug)]
pub struct NewRuleSet<'a> {
    /// The version it was made from; 0 when there was none.
    pub based_on: i64,
    /// flagd definition document, JSON.
    pub document: &'a str,
    /// What is done, for the audit trail, such as `flag.set`.
    pub action: &'a str,
    /// What it changes, for the audit trail: the key of a flag, or words for more than one.
    pub flag: &'a str,
    /// Who stores it.
    pub author: &'a str,
    /// Why.
    pub reason: &'a str,
}

/// Reads and appends rule sets.
#[async_trait]
pub trait RuleSetStore: Changes {
    /// The newest rule set; `None` before the first.
    ///
    /// # Errors
    ///
    /// Whatever the database answers.
    async fn latest_rule_set(&self) -> Result<Option<StoredRuleSet>, StoreError>;

    /// The newest rule set, unless it is `known`; `None` as well before the first. Who follows the
    /// rule set asks so, and is not sent the same document again and again.
    ///
    /// # Errors
    ///
    /// Whatever the database answers.
    async fn latest_rule_set_unless(&self, known: i64)
    -> Result<Option<StoredRuleSet>, StoreError>;

    /// The rule set of one version; `None` where there is none.
    ///
    /// # Errors
    ///
    /// Whatever the database answers.
    async fn rule_set(&self, version: i64) -> Result<Option<StoredRuleSet>, StoreError>;

    /// The newest `limit` rule sets, newest first.
    ///
    /// # Errors
    ///
    /// Whatever the database answers.
    async fn rule_set_history(&self, limit: u32) -> Result<Vec<StoredRuleSet>, StoreError>;

    /// Appends version `based_on + 1` and an audit record in one transaction, and tells every
    /// instance. Returns the version.
    ///
    /// # Errors
    ///
    /// Kind `Conflict` when somebody else stored a version since `based_on`; nothing is stored.
    async fn append_rule_set(&self, rule_set: NewRuleSet<'_>) -> Result<i64, StoreError>;
}
