//! Resolving what later sessions run with: settings, and the schemas of the tables.

use crossfade_core::{Definition, Pinned, Stage, TableName};
use crossfade_store::{ControlStore, SchemaStore, StoreError, StoreErrorKind, Surroundings};

use crate::Manifest;

/// The manifest with what this role's sessions see.
pub(crate) async fn resolved(
    store: &dyn SchemaStore,
    manifest: &Manifest,
) -> Result<(Manifest, Surroundings), StoreError> {
    let (mut manifest, surroundings) = (manifest.clone(), store.surroundings().await?);
    let definition = &mut manifest.definition;
    definition.pinned = surroundings.pinned.clone();
    resolve(store, &mut definition.legacy.table, &definition.pinned).await?;
    resolve(store, &mut definition.new.table, &definition.pinned).await?;
    Ok((manifest, surroundings))
}

/// Gives the table its schema. One that does not exist stays as it is, and is a problem of its own.
pub(crate) async fn resolve(
    store: &dyn SchemaStore,
    table: &mut TableName,
    pinned: &Pinned,
) -> Result<(), StoreError> {
    if let Some(found) = store.resolve(table, pinned).await? {
        *table = found;
    }
    Ok(())
}

/// A bare name of the manifest's means another table by now than the one that was registered.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the name `{}` means the table `{found}` by now, and `{registered}` was registered", registered.name)]
pub struct Shadowed {
    /// The table that was registered.
    pub registered: TableName,
    /// The one that a script would reach.
    pub found: TableName,
}

impl Shadowed {
    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> String {
        format!(
            "write `{}` in migration.toml and in the scripts, register them with `crossfade \
             expand`, then run the command again",
            self.registered
        )
    }
}

/// Which table that was registered a bare name of the manifest no longer means, as when another one
/// was made in a schema that comes earlier on the pinned search path.
///
/// # Errors
///
/// Whatever the database answers.
pub async fn shadowed(
    store: &dyn SchemaStore,
    manifest: &Manifest,
    registered: &Definition,
) -> Result<Option<Shadowed>, StoreError> {
    let sides = [
        (&manifest.definition.legacy.table, &registered.legacy.table),
        (&manifest.definition.new.table, &registered.new.table),
    ];
    for (written, registered_as) in sides {
        if written.schema.is_some() || registered_as.schema.is_none() {
            continue;
        }
        let found = store.resolve(written, &registered.pinned).await?;
        if let Some(found) = found.filter(|found| found != registered_as) {
            return Ok(Some(Shadowed { registered: registered_as.clone(), found }));
        }
    }
    Ok(None)
}

/// The manifest as `expand` would register it now: with what was resolved for a migration that has
/// left `off`, else with what this role's sessions see.
///
/// # Errors
///
/// Whatever the database answers.
pub async fn as_registered(
    store: &dyn SchemaStore,
    control: &dyn ControlStore,
    manifest: &Manifest,
) -> Result<Manifest, StoreError> {
    match control.migration(&manifest.definition.name).await {
        Ok(state) if state.stage != Stage::Off => {
            let mut manifest = manifest.clone();
            manifest.definition.keep_resolved(&state.definition);
            Ok(manifest)
        }
        Err(error)
            if !matches!(error.kind, StoreErrorKind::NotFound | StoreErrorKind::NotInstalled) =>
        {
            Err(error)
        }
        _ => Ok(resolved(store, manifest).await?.0),
    }
}
