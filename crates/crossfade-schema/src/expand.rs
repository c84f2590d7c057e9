//! Expanding the schema and registering the migration.

use crossfade_core::check::Finding as CheckFinding;
use crossfade_core::{Definition, Stage};
use crossfade_store::{
    About, AuditEntry, CatalogStore, ControlStore, Depth, Problem, Registration, SchemaStore,
    StoreError, StoreErrorKind, Surroundings, Timeouts,
};

use crate::{
    Checked, Finding, Manifest, Mode, RunError, Script, Severity, StepOutcome, StepReport,
    Unregistered, check,
    check::described,
    lint,
    lint::drops_legacy,
    resolve::{resolve, resolved},
    run_script,
};

/// What expanding did, or would do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExpandReport {
    /// The statements.
    pub steps: Vec<StepReport>,
    /// What stands out in the script without keeping it from running.
    pub warnings: Vec<Finding>,
    /// What the checks found, nothing of which holds up expanding.
    pub checked: Checked,
    /// What became of the definition; `None` when nothing was changed.
    pub registration: Option<Registration>,
    /// The definition with what was resolved for it.
    pub definition: Definition,
    /// Where the time zone comes from; `None` where it was resolved before.
    pub surroundings: Option<Surroundings>,
}

/// A script that does what it must not. Nothing was run.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the script is not safe to run: {}", listed(findings))]
pub struct UnsafeScript {
    /// Every reason.
    pub findings: Vec<Finding>,
}

impl UnsafeScript {
    /// What to do about the first reason.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        self.findings.first().map(|finding| finding.hint.clone())
    }
}

/// Why expanding failed. Statements that were run stay; running it again goes on after them.
#[derive(Debug, thiserror::Error)]
pub enum ExpandError {
    /// The script does what expanding must not. Nothing was run.
    #[error(transparent)]
    Unsafe(#[from] UnsafeScript),
    /// Checks found what holds up expanding. The definition was not registered.
    #[error("the checks refuse for {} reason(s)", findings.len())]
    Blocked {
        /// Every finding that holds it up.
        findings: Vec<CheckFinding>,
        /// Whether statements of expand.sql were run before it was found.
        ran: bool,
    },
    /// The migration has left `off` and the manifest moves rows otherwise. Nothing was run.
    #[error(transparent)]
    Unregistered(#[from] Unregistered),
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
            Self::Unsafe(error) => error.hint(),
            Self::Blocked { ran: false, .. } => Some("nothing was changed".into()),
            Self::Blocked { ran: true, .. } => Some(
                "the migration is not registered; statements that were run are not run twice"
                    .into(),
            ),
            Self::Unregistered(error) => Some(error.hint()),
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

/// What stands out in a script that is safe to run on `engine`.
///
/// # Errors
///
/// [`UnsafeScript`] with every reason why it is not.
pub fn safe(script: &Script, engine: &str) -> Result<Vec<Finding>, UnsafeScript> {
    let (errors, warnings): (Vec<_>, Vec<_>) =
        lint(script, engine).into_iter().partition(|finding| finding.severity == Severity::Error);
    if errors.is_empty() { Ok(warnings) } else { Err(UnsafeScript { findings: errors }) }
}

/// What stands out in the manifest's `contract.sql`, which is safe to run on `engine`.
///
/// # Errors
///
/// [`UnsafeScript`] as [`safe`], and when it drops Legacy, of which only columns are to go.
pub fn safe_contract(manifest: &Manifest, engine: &str) -> Result<Vec<Finding>, UnsafeScript> {
    let findings = drops_legacy(manifest);
    match findings.is_empty() {
        true => safe(&manifest.contract, engine),
        false => Err(UnsafeScript { findings }),
    }
}

/// Runs the manifest's `expand.sql`, checks that the definition fits, and registers it.
///
/// In stage `off` it resolves what later sessions run with: each table's schema, the search path and
/// the time zone. Later those stay as they are, and so do tables, keys, mapping and read flag.
///
/// What the script cannot mend, such as a Legacy table that is not there, is told before it runs;
/// where nothing is left to run, everything is.
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
    catalog: &dyn CatalogStore,
    control: &dyn ControlStore,
    manifest: &Manifest,
    bounds: Timeouts,
    mode: Mode,
    actor: &str,
) -> Result<ExpandReport, ExpandError> {
    let warnings = safe(&manifest.expand, store.engine())?;
    safe_contract(manifest, store.engine())?;
    let registered = match control.migration(&manifest.definition.name).await {
        Ok(state) => Some(state),
        Err(error) if error.kind == StoreErrorKind::NotFound => None,
        Err(error) => return Err(error.into()),
    };
    let stage = registered.as_ref().map(|state| state.stage);
    let (mut manifest, surroundings) = match registered {
        Some(state) if state.stage != Stage::Off => {
            (manifest.resolved_as(&state.definition)?, None)
        }
        _ => {
            let (manifest, surroundings) = resolved(store, manifest).await?;
            (manifest, Some(surroundings))
        }
    };
    manifest.definition.pinned.contract = Some(manifest.contract.digest());
    let script = manifest.expand.clone();
    let planned = run_script(store, &manifest.definition, &script, bounds, Mode::Plan).await?;
    // Later, Legacy may be gone, and nothing is mapped any more.
    let maps = stage.is_none_or(|stage| stage <= Stage::Live);
    if maps {
        let all_done = planned.iter().all(|step| step.outcome == StepOutcome::AlreadyDone);
        let lasts = |problem: &Problem| all_done || problem.about == About::MissingOnLegacy;
        fits(store, &manifest, lasts).await?;
    }
    let mut checked = unblocked(store, catalog, &manifest, maps, false).await?;
    if mode == Mode::Plan {
        let definition = manifest.definition;
        return Ok(ExpandReport {
            steps: planned,
            warnings,
            checked,
            registration: None,
            definition,
            surroundings,
        });
    }
    let steps = run_script(store, &manifest.definition, &script, bounds, mode).await?;
    if surroundings.is_some() {
        // The script may have made New.
        let Definition { new, pinned, .. } = &mut manifest.definition;
        resolve(store, &mut new.table, pinned).await?;
    }
    if maps {
        fits(store, &manifest, |_| true).await?;
    }
    if steps.iter().any(|step| step.outcome == StepOutcome::Ran) {
        checked = unblocked(store, catalog, &manifest, maps, true).await?;
    }
    let definition = manifest.definition;
    let registration = control.register(&definition, actor).await?;
    if registration != Registration::Unchanged {
        record_accepted(control, &definition, actor).await?;
    }
    let registration = Some(registration);
    Ok(ExpandReport { steps, warnings, checked, registration, definition, surroundings })
}

/// What the checks found, unless something of it holds up expanding while rows are mapped.
async fn unblocked(
    store: &dyn SchemaStore,
    catalog: &dyn CatalogStore,
    manifest: &Manifest,
    maps: bool,
    ran: bool,
) -> Result<Checked, ExpandError> {
    let checked = check(store, catalog, manifest, Depth::Rows).await?;
    let blocks = |finding: &&CheckFinding| maps && finding.blocks(Stage::Off);
    let findings: Vec<CheckFinding> = checked.findings.iter().filter(blocks).cloned().collect();
    if findings.is_empty() { Ok(checked) } else { Err(ExpandError::Blocked { findings, ran }) }
}

/// Leaves what the manifest accepts in the audit trail.
async fn record_accepted(
    control: &dyn ControlStore,
    definition: &Definition,
    actor: &str,
) -> Result<(), StoreError> {
    for accepted in &definition.accepted {
        let reason = format!("{} {}: {}", accepted.check, accepted.object, accepted.reason);
        let entry = AuditEntry {
            action: "finding.accepted",
            subject: definition.name.as_str(),
            from: "",
            to: "",
            actor,
            reason: &reason,
        };
        control.audit(entry).await?;
    }
    Ok(())
}

/// Whether the definition fits, as far as `counts` goes.
async fn fits(
    store: &dyn SchemaStore,
    manifest: &Manifest,
    counts: impl Fn(&Problem) -> bool,
) -> Result<(), ExpandError> {
    let found = store.definition_problems(&manifest.definition).await?;
    let counted = found.iter().filter(|problem| counts(problem));
    let problems: Vec<String> = counted.map(|problem| described(manifest, problem)).collect();
    if problems.is_empty() { Ok(()) } else { Err(ExpandError::Misfit { problems }) }
}
