//! Whether the manifest in the working folder is the one that was registered.

use crossfade_core::{Definition, MigrationName};

use crate::Manifest;

/// The manifest differs from the registered migration. Nothing was run.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the manifest of `{migration}` is not the one that was registered; it differs in {}", parts.join(", "))]
pub struct Unregistered {
    /// The migration.
    pub migration: MigrationName,
    /// Every part that differs, as the manifest calls it: `legacy.table`, `contract.sql`.
    pub parts: Vec<&'static str>,
}

impl Unregistered {
    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> String {
        let name = &self.migration;
        match self.parts[..] {
            ["contract.sql"] => {
                format!("read it again, then register it with `crossfade expand {name}`")
            }
            _ => format!(
                "restore the manifest, or go back to stage off and register it with \
                 `crossfade expand {name}`"
            ),
        }
    }
}

impl Manifest {
    /// The manifest with what `expand` resolved for `registered`.
    ///
    /// # Errors
    ///
    /// [`Unregistered`] when it moves other rows, or moves them otherwise.
    pub fn resolved_as(&self, registered: &Definition) -> Result<Self, Unregistered> {
        let mut manifest = self.clone();
        manifest.definition.keep_resolved(registered);
        let parts = manifest.definition.differences(registered);
        let parts: Vec<_> = parts.into_iter().map(crossfade_core::Part::as_str).collect();
        manifest.unless(registered, parts)
    }

    /// [`resolved_as`](Self::resolved_as), and its `contract.sql` is the one that was registered. A
    /// migration of an earlier version has registered none.
    ///
    /// # Errors
    ///
    /// [`Unregistered`] with every part that differs.
    pub fn registered_as(&self, registered: &Definition) -> Result<Self, Unregistered> {
        let mut parts = match self.resolved_as(registered) {
            Ok(_) => Vec::new(),
            Err(error) => error.parts,
        };
        let stored = registered.pinned.contract.as_ref();
        if stored.is_some_and(|stored| *stored != self.contract.digest()) {
            parts.push("contract.sql");
        }
        let mut manifest = self.clone();
        manifest.definition.keep_resolved(registered);
        manifest.unless(registered, parts)
    }

    fn unless(
        self,
        registered: &Definition,
        parts: Vec<&'static str>,
    ) -> Result<Self, Unregistered> {
        match parts.is_empty() {
            true => Ok(self),
            false => Err(Unregistered { migration: registered.name.clone(), parts }),
        }
    }
}
