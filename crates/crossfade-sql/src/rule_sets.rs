//! Rule sets in the control tables.

use async_trait::async_trait;
use crossfade_store::{
    AuditEntry, NewRuleSet, RuleSetStore, StoreError, StoreErrorKind, StoredRuleSet,
};

use crate::Database;
use crate::control::append_audit;
use crate::error::Doing;
use crate::fence::announce;
use crate::session::Connections;
use crate::value::{Row, args};

#[async_trait]
impl RuleSetStore for Database {
    async fn latest_rule_set(&self) -> Result<Option<StoredRuleSet>, StoreError> {
        Ok(self.rule_set_history(1).await?.pop())
    }

    async fn latest_rule_set_unless(
        &self,
        known: i64,
    ) -> Result<Option<StoredRuleSet>, StoreError> {
        // The document is read, and sent, only when it is wanted.
        let sql = "select version, document, created_ms, author, reason from crossfade_rule_sets \
                   where version = (select max(version) from crossfade_rule_sets) and version <> $1";
        let rows = self
            .read(Connections::Reserved, sql, args![known])
            .await
            .doing("failed to read the rule set")?;
        Ok(rows.first().map(stored))
    }

    async fn rule_set(&self, version: i64) -> Result<Option<StoredRuleSet>, StoreError> {
        let sql = "select version, document, created_ms, author, reason from crossfade_rule_sets \
                   where version = $1";
        let rows = self
            .read(Connections::Shared, sql, args![version])
            .await
            .doing("failed to read the rule set")?;
        Ok(rows.first().map(stored))
    }

    async fn rule_set_history(&self, limit: u32) -> Result<Vec<StoredRuleSet>, StoreError> {
        let sql = "select version, document, created_ms, author, reason from crossfade_rule_sets \
                   order by version desc limit $1";
        let rows = self
            .read(Connections::Shared, sql, args![limit])
            .await
            .doing("failed to read the rule sets")?;
        Ok(rows.iter().map(stored).collect())
    }

    async fn append_rule_set(&self, rule_set: NewRuleSet<'_>) -> Result<i64, StoreError> {
        let doing = "failed to store the rule set";
        let engine = self.engine();
        let version = rule_set.based_on + 1;
        let mut session = self.begin().await.doing(doing)?;
        let newest = "select coalesce(max(version), 0) from crossfade_rule_sets";
        let newest = session.fetch_one(newest, args![]).await.doing(doing)?;
        let sql = format!(
            "insert into crossfade_rule_sets (version, document, author, reason, created_ms) \
             values ($1, $2, $3, $4, {})",
            engine.now_ms()
        );
        let args = args![version, rule_set.document, rule_set.author, rule_set.reason];
        // Of two that find the same newest version one inserts.
        if newest.is_none_or(|row| row.int(0) != rule_set.based_on)
            || session.insert_new(&sql, "(version)", args).await.doing(doing)? == 0
        {
            session.rollback().await;
            let message = "somebody else stored a rule set at the same time";
            return Err(StoreError::new(StoreErrorKind::Conflict, message));
        }
        let from = rule_set.based_on.to_string();
        let to = version.to_string();
        let entry = AuditEntry {
            action: rule_set.action,
            subject: rule_set.flag,
            from: &from,
            to: &to,
            actor: rule_set.author,
            reason: rule_set.reason,
        };
        append_audit(engine, &mut session, entry).await.doing(doing)?;
        announce(engine, &mut session).await?;
        session.commit_or(doing).await?;
        Ok(version)
    }
}

fn stored(row: &Row) -> StoredRuleSet {
    StoredRuleSet {
        version: row.int(0),
        document: row.text(1),
        created_ms: row.int(2),
        author: row.text(3),
        reason: row.text(4),
    }
}
