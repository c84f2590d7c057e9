//! Looking at a database without changing it.

use std::fmt::Debug;

use async_trait::async_trait;
use crossfade_core::Definition;
use crossfade_core::check::Survey;

use crate::StoreError;

/// What a survey looks at.
#[derive(Clone, Copy, Debug)]
pub struct SurveyRequest<'a> {
    /// The migration's definition, registered or not.
    pub definition: &'a Definition,
    /// The statements of `expand.sql`. Where New does not exist, they are run for the length of the
    /// look and undone, as far as the engine can undo them.
    pub expand: &'a [String],
    /// How deep it looks.
    pub depth: Depth,
}

/// How deep a survey looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Depth {
    /// At the catalog alone: milliseconds, whatever the tables hold.
    Catalog,
    /// At samples and counts of rows too.
    Rows,
}

/// The catalog of a database, as the checks see it.
#[async_trait]
pub trait CatalogStore: Send + Sync + Debug {
    /// What the database shows of a migration. Leaves nothing behind, and waits for no writer.
    ///
    /// # Errors
    ///
    /// Whatever the database answers. What could not be seen for lack of a right is listed in
    /// [`Survey::unseen`] instead.
    async fn survey(&self, request: SurveyRequest<'_>) -> Result<Survey, StoreError>;
}
