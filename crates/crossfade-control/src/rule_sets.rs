//! Replacing the database's rule set as a whole: by a document, or by what an earlier version held.

use crossfade_core::Refusal;
use crossfade_rules::{
    FlagDiff, FractionalChange, ParseError, Problem, RuleSet, Severity, check as problems_of, diff,
    edit::{self, EditError},
};
use crossfade_store::{NewRuleSet, StoreError, StoreErrorKind};

use crate::{Stores, conflict, flag::last_readable};

/// What the next rule set holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Replacement<'a> {
    /// This document, in flagd's format.
    Document(&'a str),
    /// The document of this version. The next version is a higher one all the same: instances
    /// follow versions upwards only.
    Version(i64),
}

impl Replacement<'_> {
    /// The audit trail's word for it.
    #[must_use]
    pub const fn action(self) -> &'static str {
        match self {
            Self::Document(_) => "flag.apply",
            Self::Version(_) => "flag.revert",
        }
    }

    fn subject(self) -> String {
        match self {
            Self::Document(_) => "rule set".to_owned(),
            Self::Version(version) => format!("@{version}"),
        }
    }
}

/// Whether the next rule set may assign users by another version of `fractional`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Assignment {
    /// It may not: most users would be assigned anew.
    #[default]
    Keeps,
    /// It may.
    MayChange,
}

/// A replacement of the whole rule set.
#[derive(Clone, Copy, Debug)]
pub struct RuleSetChange<'a> {
    /// What comes next.
    pub to: Replacement<'a>,
    /// Whether users may be assigned anew.
    pub assignment: Assignment,
    /// Who asks.
    pub actor: &'a str,
    /// Why.
    pub reason: &'a str,
}

/// What a replacement does, or would do.
#[derive(Clone, Debug, PartialEq)]
pub struct RuleSetPlan {
    /// The newest version; 0 before the first.
    pub version: i64,
    /// Whether the document is another one than the newest version's.
    pub changed: bool,
    /// The flags that differ from those in use. In use is the newest rule set that can be read.
    pub flags: Vec<FlagDiff>,
    /// The change of the version of `fractional`, when there is one.
    pub fractional: Option<FractionalChange>,
    /// Every reason against it; empty when nothing stands in its way.
    pub refusals: Vec<Refusal>,
    document: String,
}

/// What a replacement did.
#[derive(Clone, Debug, PartialEq)]
pub struct RuleSetReplaced {
    /// The version that holds the document now.
    pub version: i64,
    /// What that changed.
    pub plan: RuleSetPlan,
}

/// Why the rule set was not replaced. It is as it was.
#[derive(Debug, thiserror::Error)]
pub enum RuleSetError {
    /// There is no such version.
    #[error("there is no rule set {version}; the newest is {newest}")]
    UnknownVersion {
        /// What was asked for.
        version: i64,
        /// The newest version; 0 before the first.
        newest: i64,
    },
    /// The earlier version is no rule set, so no instance ever used it.
    #[error("rule set {version} cannot be read")]
    Unreadable {
        /// The version.
        version: i64,
        /// Why.
        #[source]
        error: ParseError,
    },
    /// The document has errors.
    #[error("the document has {} error(s)", problems.len())]
    Faulty {
        /// All of them.
        problems: Vec<Problem>,
    },
    /// A gate refuses.
    #[error("the change is refused for {} reason(s)", plan.refusals.len())]
    Refused {
        /// What it would have done, with every reason against it.
        plan: Box<RuleSetPlan>,
    },
    /// Other authors kept storing versions in between.
    #[error("the rule set was changed by others {tries} times in a row")]
    Busy {
        /// How often it was tried.
        tries: u32,
    },
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl RuleSetError {
    /// What to do about it, where something can be said. Refusals carry their own.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::UnknownVersion { .. } | Self::Unreadable { .. } => {
                Some("`crossfade flag history` lists the versions".into())
            }
            Self::Faulty { .. } | Self::Refused { .. } => None,
            Self::Busy { .. } => Some("run the same command again".into()),
            Self::Store(error) => error.hint.clone(),
        }
    }
}

/// What a replacement would do, and every reason against it. Changes nothing.
///
/// # Errors
///
/// See [`RuleSetError`]; a gate that refuses is no error here.
pub async fn plan_rule_set(
    stores: Stores<'_>,
    change: RuleSetChange<'_>,
) -> Result<RuleSetPlan, RuleSetError> {
    let latest = stores.rules.latest_rule_set().await?;
    let newest = latest.as_ref().map_or(0, |stored| stored.version);
    let (document, after) = read(stores, change.to, newest).await?;
    let before = match latest.as_ref().map(|stored| RuleSet::parse(&stored.document)) {
        None => RuleSet::default(),
        Some(Ok(rules)) => rules,
        // Mending such a set is what this is for.
        Some(Err(_)) => last_readable(stores).await?.map(|(_, rules)| rules).unwrap_or_default(),
    };
    let fractional = before.fractional_change(&after);
    let mut refusals = unswitchable(stores, &document, &after).await?;
    if let Some(change) = fractional.filter(|_| change.assignment == Assignment::Keeps) {
        refusals.push(assigned_anew(change));
    }
    Ok(RuleSetPlan {
        version: newest,
        changed: latest.is_none_or(|stored| stored.document != document),
        flags: diff(&before, &after),
        fractional,
        refusals,
        document,
    })
}

/// Replaces the rule set and stores the result as the next version. A document that is the newest
/// version's already is not stored again.
///
/// When another author stores a version in between, the replacement is planned again on top of
/// theirs, and replaces it too.
///
/// # Errors
///
/// See [`RuleSetError`].
///
/// # Cancel safety
///
/// The new version is stored whole or not at all.
pub async fn replace_rule_set(
    stores: Stores<'_>,
    change: RuleSetChange<'_>,
) -> Result<RuleSetReplaced, RuleSetError> {
    let mut tries = 0;
    loop {
        let plan = plan_rule_set(stores, change).await?;
        if !plan.refusals.is_empty() {
            return Err(RuleSetError::Refused { plan: Box::new(plan) });
        }
        if !plan.changed {
            return Ok(RuleSetReplaced { version: plan.version, plan });
        }
        let rule_set = NewRuleSet {
            based_on: plan.version,
            document: &plan.document,
            action: change.to.action(),
            flag: &change.to.subject(),
            author: change.actor,
            reason: change.reason,
        };
        match stores.rules.append_rule_set(rule_set).await {
            Ok(version) => {
                let (action, flags) = (change.to.action(), plan.flags.len());
                tracing::info!(action, version, flags, "rule set replaced");
                return Ok(RuleSetReplaced { version, plan });
            }
            Err(error) if error.kind == StoreErrorKind::Conflict => {
                tries += 1;
                if !conflict::once_more(tries).await {
                    return Err(RuleSetError::Busy { tries });
                }
            }
            Err(error) => return Err(error.into()),
        }
    }
}

/// The next document and its flags. What comes from outside must be without errors; what was in
/// use before may come back as it was.
async fn read(
    stores: Stores<'_>,
    to: Replacement<'_>,
    newest: i64,
) -> Result<(String, RuleSet), RuleSetError> {
    match to {
        Replacement::Document(document) => {
            let mut problems = problems_of(document);
            problems.retain(|problem| problem.severity == Severity::Error);
            match RuleSet::parse(document) {
                Ok(rules) if problems.is_empty() => Ok((document.to_owned(), rules)),
                _ => Err(RuleSetError::Faulty { problems }),
            }
        }
        Replacement::Version(version) => {
            let Some(stored) = stores.rules.rule_set(version).await? else {
                return Err(RuleSetError::UnknownVersion { version, newest });
            };
            let rules = RuleSet::parse(&stored.document)
                .map_err(|error| RuleSetError::Unreadable { version, error })?;
            Ok((stored.document, rules))
        }
    }
}

/// A read flag must stay one that a rollback can turn off, as `flag set` sees to as well.
async fn unswitchable(
    stores: Stores<'_>,
    document: &str,
    rules: &RuleSet,
) -> Result<Vec<Refusal>, StoreError> {
    let mut refusals = Vec::new();
    for state in stores.control.migrations().await? {
        let (flag, migration) = (&state.definition.read_flag, &state.definition.name);
        let unfit = rules.flag(flag.as_str()).is_some()
            && matches!(edit::set_off(document, flag.as_str()), Err(EditError::NotBoolean { .. }));
        if unfit {
            refusals.push(Refusal {
                reason: format!(
                    "flag {flag} would not be boolean, and reads of {migration} obey it"
                ),
                hint: format!(
                    "give it one variant that is true and one that is false, so that `crossfade \
                     rollback {migration}` can turn it off"
                ),
                passes_with_time: false,
            });
        }
    }
    Ok(refusals)
}

fn assigned_anew(FractionalChange { from, to }: FractionalChange) -> Refusal {
    Refusal {
        reason: format!(
            "`fractional` would go from {from} to {to}, and most users be assigned anew"
        ),
        hint: format!(
            "keep \"crossfade.fractional\": \"{from}\" in the metadata, or pass \
             --accept-fractional-change"
        ),
        passes_with_time: false,
    }
}
