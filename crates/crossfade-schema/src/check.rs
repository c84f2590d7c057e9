//! Every finding about a manifest and the database that it is meant for.

use crossfade_core::check::{DEFINITION_MISFIT, Finding, Severity, findings, settle};
use crossfade_store::{
    About, CatalogStore, Depth, Problem, SchemaStore, StoreError, SurveyRequest,
};

use crate::{Manifest, mapping::analyse};

/// What was looked at, and what it showed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checked {
    /// Every finding, the worst first.
    pub findings: Vec<Finding>,
    /// What could not be seen, one fragment each.
    pub unseen: Vec<String>,
    /// Rows of Legacy that the mapping was tried on; `None` where it was not tried.
    pub rows_tried: Option<u64>,
}

/// Looks at manifest, mapping, catalog and, with [`Depth::Rows`], data. Changes nothing.
///
/// Where New does not exist, `expand.sql` is tried for the length of the look on engines that can
/// undo it.
///
/// # Errors
///
/// Whatever the database answers.
pub async fn check(
    schema: &dyn SchemaStore,
    catalog: &dyn CatalogStore,
    manifest: &Manifest,
    depth: Depth,
) -> Result<Checked, StoreError> {
    let definition = &manifest.definition;
    let expand: Vec<String> = manifest
        .expand
        .statements
        .iter()
        .filter(|statement| !statement.to_statement().outside_transaction)
        .map(|statement| statement.text.clone())
        .collect();
    let request = SurveyRequest { definition, expand: &expand, depth };
    let mut survey = catalog.survey(request).await?;
    survey.mapping.text = Some(analyse(definition, schema.engine()));
    let mut found = findings(definition, &survey);
    let there = schema.new_has_rows(definition).await?.is_some();
    for problem in schema.definition_problems(definition).await? {
        // What New lacks, expanding may add.
        if there || problem.about == About::MissingOnLegacy {
            found.push(misfit(manifest, &problem));
        }
    }
    settle(&mut found, &definition.accepted);
    let rows_tried = survey.mapping.trial.map(|trial| trial.rows);
    Ok(Checked { findings: found, unseen: survey.unseen, rows_tried })
}

fn misfit(manifest: &Manifest, problem: &Problem) -> Finding {
    let name = manifest.definition.name.as_str();
    DEFINITION_MISFIT.finds(name, described(manifest, problem)).with_severity(Severity::Refused)
}

/// A problem with its place in the mapping's file.
pub(crate) fn described(manifest: &Manifest, problem: &Problem) -> String {
    match problem.about {
        About::Mapping(place) => {
            format!("{}: {}", manifest.mapping.place(place), problem.message)
        }
        About::MissingOnLegacy | About::Fit => problem.message.clone(),
    }
}
