//! Checks: looks at manifest, mapping, catalog, data and surroundings, and what they find.
//!
//! An adapter fills a [`Survey`] with what the database shows; [`findings`] decides what of it
//! stands in the way of which stage. Each topic has a file of its own with its checks and one
//! function from values to findings.

mod around;
mod conversion;
mod definition;
mod dependents;
mod finding;
mod mapping;
mod survey;

pub use conversion::{Loss, loss, may_change};
pub use definition::DEFINITION_MISFIT;
pub use dependents::SEQUENCE_BEHIND;
pub use finding::{Acceptance, Check, Finding, Severity, settle};
pub use mapping::{
    Call, Construct, ConstructKind, Conversion, FunctionFacts, MappingSurvey, MappingText, OddKeys,
    OtherTable, Output, ParsedMapping, Place, Sample, Source, Trial, Volatility,
};
pub use survey::{
    Dependent, DependentKind, Grant, Publication, SequenceUse, SideSurvey, Survey, Trigger,
};

use crate::Definition;

/// Every check, in the order of `docs/checks.md`.
pub fn checks() -> impl Iterator<Item = &'static Check> {
    let topics = [definition::ALL, mapping::ALL, conversion::ALL, dependents::ALL, around::ALL];
    topics.into_iter().flatten().copied()
}

/// The check with this id.
#[must_use]
pub fn check(id: &str) -> Option<&'static Check> {
    checks().find(|check| check.id == id)
}

/// Everything that the survey shows against the definition, with what its manifest accepts.
#[must_use]
pub fn findings(definition: &Definition, survey: &Survey) -> Vec<Finding> {
    let mut found = Vec::new();
    mapping::find(definition, survey, &mut found);
    conversion::find(definition, survey, &mut found);
    dependents::find(definition, survey, &mut found);
    around::find(definition, survey, &mut found);
    settle(&mut found, &definition.accepted);
    found
}

#[cfg(test)]
mod tests;
