//! The wrapper around the pair: an implementation of the repository like any other.

use async_trait::async_trait;
use crossfade::{Database, Migration, Side, Tx};

use super::{
    legacy::LegacySettings,
    new::NewSettings,
    repository::{RepositoryError, UserSettingsRepository},
    settings::{Changes, Settings},
};

/// Settings on both sides. The stage of the migration says which sides a write goes to, the read
/// flag says which one answers a user.
#[derive(Clone, Debug)]
pub(crate) struct DualSettings {
    migration: Migration,
    legacy: LegacySettings,
    new: NewSettings,
}

impl DualSettings {
    /// Wraps the two sides in `database`.
    pub(crate) fn new(migration: Migration, database: &Database) -> Self {
        Self { migration, legacy: LegacySettings::on(database), new: NewSettings::on(database) }
    }
}

/// The repository of one side inside the transaction that a write lends.
fn inside(tx: Tx, side: Side) -> Box<dyn UserSettingsRepository> {
    match side {
        Side::Legacy => Box::new(LegacySettings::on(tx)),
        Side::New => Box::new(NewSettings::on(tx)),
    }
}

#[async_trait]
impl UserSettingsRepository for DualSettings {
    async fn get(&self, user: i64) -> Result<Option<Settings>, RepositoryError> {
        // The closures outlive the call when a sample of both sides is compared afterwards.
        let (legacy, new) = (self.legacy.clone(), self.new.clone());
        let from_legacy = move || {
            let legacy = legacy.clone();
            async move { legacy.get(user).await }
        };
        let from_new = move || {
            let new = new.clone();
            async move { new.get(user).await }
        };
        Ok(self.migration.read_compared(&user, from_legacy, from_new).await?)
    }

    async fn put(&self, user: i64, settings: &Settings) -> Result<(), RepositoryError> {
        let legacy = |tx| async move { LegacySettings::on(tx).put(user, settings).await };
        let new = |tx| async move { NewSettings::on(tx).put(user, settings).await };
        Ok(self.migration.write(&user, legacy, new).await?)
    }

    async fn update(&self, user: i64, changes: &Changes) -> Result<Settings, RepositoryError> {
        // Every writer of this service comes through here, and Crossfade orders the writes of one
        // key. With other writers about, the row would be read `for update`.
        let load = |side, tx| async move { inside(tx, side).get(user).await };
        let change = |before| Ok(Some(changes.apply(before)));
        // The whole row goes to both sides, so that one side's copy never depends on its own past.
        let store = |side, tx, after: Option<Settings>| async move {
            let after = after.unwrap_or_default();
            inside(tx, side).put(user, &after).await?;
            Ok(after)
        };
        Ok(self.migration.modify(&user, load, change, store).await?)
    }

    async fn delete(&self, user: i64) -> Result<(), RepositoryError> {
        let legacy = |tx| async move { LegacySettings::on(tx).delete(user).await };
        let new = |tx| async move { NewSettings::on(tx).delete(user).await };
        Ok(self.migration.write(&user, legacy, new).await?)
    }
}
