//! What the wrapper around the pair has beside the methods that the trait's marks say.

use crossfade::{Database, InTransaction, Migration, Side, Tx};

use super::{
    legacy::LegacySettings,
    new::NewSettings,
    repository::{DualSettings, RepositoryError, UserSettingsRepository},
    settings::{Changes, Settings},
};

/// The wrapper around both sides in one database.
pub(crate) type Pair = DualSettings<LegacySettings, NewSettings>;

/// Wraps the two sides in `database`.
pub(crate) fn wrap(migration: Migration, database: &Database) -> Pair {
    Pair::new(migration, LegacySettings::on(database), NewSettings::on(database))
}

/// A partial update: the row is loaded and changed once, and the whole of it goes to both sides, so
/// that one side's copy never depends on its own past.
pub(super) async fn update<L, N>(
    dual: &DualSettings<L, N>,
    user: i64,
    changes: &Changes,
) -> Result<Settings, RepositoryError>
where
    L: UserSettingsRepository + InTransaction,
    N: UserSettingsRepository + InTransaction,
{
    // Every writer of this service comes through here, and Crossfade orders the writes of one
    // key. With other writers about, the row would be read `for update`.
    let load = |side, tx| async move { inside(dual, side, tx).get(user).await };
    let change = |before| Ok(Some(changes.apply(before)));
    let store = |side, tx, after: Option<Settings>| async move {
        let after = after.unwrap_or_default();
        inside(dual, side, tx).put(user, &after).await?;
        Ok(after)
    };
    Ok(dual.migration.modify(&user, load, change, store).await?)
}

/// The repository of one side inside the transaction that a write lends.
fn inside<'a, L, N>(
    dual: &DualSettings<L, N>,
    side: Side,
    tx: Tx,
) -> Box<dyn UserSettingsRepository + 'a>
where
    L: UserSettingsRepository + InTransaction + 'a,
    N: UserSettingsRepository + InTransaction + 'a,
{
    match side {
        Side::Legacy => Box::new(dual.legacy.within(tx)),
        Side::New => Box::new(dual.new.within(tx)),
    }
}
