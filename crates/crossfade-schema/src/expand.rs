//! Expanding the schema and registering the migration.

use crossfade_core::Stage;
use crossfade_store::{
    ControlStore, Registration, SchemaStore, StoreError, StoreErrorKind, Timeouts,
};

use crate::{Finding, Manifest, Mode, RunError, Severity, StepReport, lint, run_script};

/// What expanding did, or would do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExpandReport {
    /// The statements.
    pub steps: Vec<StepReport>,
    /// What stands out in the script without keeping it from running.
    pub warnings: Vec<Finding>,
    /// What became of the definition; `None` when nothing was changed.
    pub registration: Option<Registration>,
}

/// Why expanding failed. Statements that were run stay; running it again goes on after them.
#[derive(Debug, thiserror::Error)]
pub enum ExpandError {
    /// The script does what expanding must not. Nothing was run.
    #[error("the script is not safe to run: {}", listed(findings))]
    Unsafe {
        /// Every reason.
        findings: Vec<Finding>,
    },
    /// A statement failed.
    #[error(transparent)]
    Run(#[from] RunError),
    /// The definition does not fit the database. It was not registered.
    #[error("the manifest does not fit the database: {}", problems.join("; "))]
    Misfit {
        /// Every reason.
        problems: Vec<String>,
    },
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl ExpandError {
    /// What to do about it, where something can be said.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Unsafe { findings } => findings.first().map(|finding| finding.hint.clone()),
            Self::Run(error) => error.hint(),
            Self::Misfit { .. } => Some(
                "mend mapping.sql or migration.toml and expand again; statements that were run \
                 are not run twice"
                    .into(),
            ),
            Self::Store(error) => error.hint.clone(),
        }
    }
}

fn listed(findings: &[Finding]) -> String {
    findings.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

/// Runs the manifest's `expand.sql`, checks that the definition fits, and registers it.
///
/// # Errors
///
/// See [`ExpandError`].
///
/// # Cancel safety
///
/// As [`run_script`]; the definition is registered whole or not at all.
pub async fn expand(
    store: &dyn SchemaStore,
    control: &dyn ControlStore,
    manifest: &Manifest,
    bounds: Timeouts,
    mode: Mode,
    actor: &str,
) -> Result<ExpandReport, ExpandError> {
    let definition = &manifest.definition;
    let (errors, warnings): (Vec<_>, Vec<_>) = lint(&manifest.expand, store.engine())
        .into_iter()
        .partition(|finding| finding.severity == Severity::Error);
    if !errors.is_empty() {
        return Err(ExpandError::Unsafe { findings: errors });
    }
    let steps = run_script(store, &definition.name, &manifest.expand, bounds, mode).await?;
    if mode == Mode::Plan {
        return Ok(ExpandReport { steps, warnings, registration: None });
    }
    let stage = match control.migration(&definition.name).await {
        Ok(state) => Some(state.stage),
        Err(error) if error.kind == StoreErrorKind::NotFound => None,
        Err(error) => return Err(error.into()),
    };
    // Later, Legacy may be gone, and nothing is mapped any more.
    if stage.is_none_or(|stage| stage <= Stage::Live) {
        let problems = store.definition_problems(definition).await?;
        if !problems.is_empty() {
            return Err(ExpandError::Misfit { problems });
        }
    }
    let registration = control.register(definition, actor).await?;
    Ok(ExpandReport { steps, warnings, registration: Some(registration) })
}
