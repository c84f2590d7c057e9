//! Changing one flag of the database's rule set.

use crossfade_core::FlagKey;
use crossfade_rules::{
    RuleSet,
    edit::{self, EditError},
};
use crossfade_store::{NewRuleSet, StoreError, StoreErrorKind};

use crate::{Stores, conflict};

/// How far back a rule set that can be read is looked for.
const HISTORY: u32 = 100;

/// What becomes of a flag.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum FlagEdit {
    /// It exists, off when it has to be created.
    Ensure,
    /// This share of users gets `true`, 0 to 100.
    Percent(f64),
    /// Everybody gets `true`.
    On,
    /// Everybody gets `false`.
    Off,
}

impl FlagEdit {
    /// The audit trail's word for it.
    #[must_use]
    pub const fn action(self) -> &'static str {
        match self {
            Self::Ensure => "flag.create",
            Self::Percent(_) => "flag.set",
            Self::On => "flag.on",
            Self::Off => "flag.off",
        }
    }

    fn apply(self, document: &str, key: &str) -> Result<String, EditError> {
        match self {
            Self::Ensure => edit::ensure_boolean(document, key),
            Self::Percent(percent) => edit::set_percent(document, key, percent),
            Self::On => edit::set_on(document, key),
            Self::Off => edit::set_off(document, key),
        }
    }
}

/// A change of one flag.
#[derive(Clone, Copy, Debug)]
pub struct FlagChange<'a> {
    /// The flag.
    pub flag: &'a FlagKey,
    /// What becomes of it.
    pub edit: FlagEdit,
    /// Who asks.
    pub actor: &'a str,
    /// Why.
    pub reason: &'a str,
}

/// What a change of a flag did.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FlagChanged {
    /// The version of the rule set that holds the flag now.
    pub version: i64,
    /// Whether that version was stored by this change; otherwise the flag was so already.
    pub changed: bool,
    /// Share of users that got `true` before; `None` where the rule does not tell or was not there.
    pub before: Option<f64>,
    /// Share of users that gets `true` now.
    pub after: Option<f64>,
}

/// Why a flag was not changed. The rule set is as it was.
#[derive(Debug, thiserror::Error)]
pub enum FlagError {
    /// Neither the rule set nor a migration knows the flag.
    #[error("unknown flag `{flag}`")]
    Unknown {
        /// What was asked for.
        flag: FlagKey,
        /// The flags of the rule set and the read flags of the migrations, in order.
        known: Vec<String>,
    },
    /// The rule set does not allow the change.
    #[error(transparent)]
    Edit(#[from] EditError),
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

impl FlagError {
    /// What to do about it, where something can be said.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Unknown { known, .. } if known.is_empty() => {
                Some("there are no flags yet; `crossfade expand NAME` makes the first".into())
            }
            Self::Unknown { known, .. } => Some(format!("known flags: {}", known.join(", "))),
            Self::Edit(_) => None,
            Self::Busy { .. } => Some("run the same command again".into()),
            Self::Store(error) => error.hint.clone(),
        }
    }
}

/// Changes one flag of the newest rule set and stores the result as the next version.
///
/// A flag that does not exist yet is created when it is the read flag of a migration, or with
/// [`FlagEdit::Ensure`]. When another author stores a version in between, the change is made again
/// on top of theirs. [`FlagEdit::Off`] goes on from the last rule set that can be read when the
/// newest cannot.
///
/// # Errors
///
/// See [`FlagError`].
///
/// # Cancel safety
///
/// The new version is stored whole or not at all.
pub async fn change_flag(
    stores: Stores<'_>,
    change: FlagChange<'_>,
) -> Result<FlagChanged, FlagError> {
    let mut tries = 0;
    loop {
        match try_change(stores, change).await {
            Err(FlagError::Store(error)) if error.kind == StoreErrorKind::Conflict => {
                tries += 1;
                if !conflict::once_more(tries).await {
                    return Err(FlagError::Busy { tries });
                }
            }
            done => return done,
        }
    }
}

async fn try_change(stores: Stores<'_>, change: FlagChange<'_>) -> Result<FlagChanged, FlagError> {
    let latest = stores.rules.latest_rule_set().await?;
    let (version, newest) =
        latest.map_or((0, edit::EMPTY.to_owned()), |stored| (stored.version, stored.document));
    let key = change.flag.as_str();
    let (old, rules) = match RuleSet::parse(&newest) {
        Ok(rules) => (newest.clone(), rules),
        Err(error) if change.edit != FlagEdit::Off => return Err(EditError::from(error).into()),
        // The way back must not depend on what somebody has written.
        Err(error) => match last_readable(stores).await? {
            Some(found) => found,
            None => return Err(EditError::from(error).into()),
        },
    };
    let base = match rules.flag(key) {
        Some(_) => old.clone(),
        None => {
            if change.edit != FlagEdit::Ensure {
                known_to_a_migration(stores, change.flag, &rules).await?;
            }
            edit::ensure_boolean(&old, key)?
        }
    };
    let document = change.edit.apply(&base, key)?;
    let before = rules.true_percent(key);
    // Compared after one round through the editor, which lays the text out anew.
    let same = rules.flag(key).is_some() && document == edit::ensure_boolean(&old, key)?;
    if same && old == newest {
        return Ok(FlagChanged { version, changed: false, before, after: before });
    }
    let after = RuleSet::parse(&document).map_err(EditError::from)?.true_percent(key);
    let rule_set = NewRuleSet {
        based_on: version,
        document: &document,
        action: change.edit.action(),
        flag: key,
        author: change.actor,
        reason: change.reason,
    };
    let version = stores.rules.append_rule_set(rule_set).await?;
    tracing::info!(flag = key, version, before, after, "flag changed");
    Ok(FlagChanged { version, changed: true, before, after })
}

/// The newest rule set that can be read.
pub(crate) async fn last_readable(
    stores: Stores<'_>,
) -> Result<Option<(String, RuleSet)>, StoreError> {
    for stored in stores.rules.rule_set_history(HISTORY).await? {
        if let Ok(rules) = RuleSet::parse(&stored.document) {
            let version = stored.version;
            tracing::warn!(version, "newer rule sets cannot be read; this one is gone on from");
            return Ok(Some((stored.document, rules)));
        }
    }
    Ok(None)
}

async fn known_to_a_migration(
    stores: Stores<'_>,
    flag: &FlagKey,
    rules: &RuleSet,
) -> Result<(), FlagError> {
    let migrations = stores.control.migrations().await?;
    if migrations.iter().any(|state| state.definition.read_flag == *flag) {
        return Ok(());
    }
    let read_flags = migrations.iter().map(|state| state.definition.read_flag.to_string());
    let mut known: Vec<String> = rules.keys().map(str::to_owned).chain(read_flags).collect();
    known.sort_unstable();
    known.dedup();
    Err(FlagError::Unknown { flag: flag.clone(), known })
}
