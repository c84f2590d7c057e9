//! An answer with all that is known about it.

use std::{fmt, sync::Arc};

use crossfade_rules::{ErrorCode, Flag, FlagIndex, Reason, VariantIndex};
use serde_json::{Map, Value};

use crate::shared::Snapshot;

/// The answer for one flag and one context, and how it came about.
///
/// It holds on to the rule set that it was made from, so that nothing had to be copied.
#[derive(Clone)]
pub struct Details<T> {
    /// What the caller goes on with: the variant's value, or the default that was handed in.
    pub value: T,
    /// Why this answer was given.
    pub reason: Reason,
    /// What went wrong; `value` is the default then.
    pub error: Option<ErrorCode>,
    pub(crate) origin: Option<Origin>,
}

/// Where an answer comes from.
#[derive(Clone)]
pub(crate) struct Origin {
    pub(crate) snapshot: Arc<Snapshot>,
    pub(crate) flag: Option<FlagIndex>,
    pub(crate) variant: Option<VariantIndex>,
}

impl<T> Details<T> {
    /// The name of the variant whose value this is; `None` when it is the default, or was forced.
    #[must_use]
    pub fn variant(&self) -> Option<&str> {
        let variant = self.origin.as_ref()?.variant?;
        self.flag()?.variant_at(variant).map(|(name, _)| name)
    }

    /// The metadata of the rule set, overlaid by that of the flag. `None` when both have none.
    #[must_use]
    pub fn metadata(&self) -> Option<&Map<String, Value>> {
        match self.flag() {
            Some(flag) => flag.metadata(),
            None => self.origin.as_ref()?.snapshot.rules.metadata(),
        }
    }

    /// The version of the rule set; 0 when there was none, or the answer was forced.
    #[must_use]
    pub fn version(&self) -> i64 {
        self.origin.as_ref().map_or(0, |origin| origin.snapshot.version)
    }

    /// The value of the variant, as it stands in the rule set.
    pub(crate) fn variant_value(&self) -> Option<&Value> {
        let variant = self.origin.as_ref()?.variant?;
        self.flag()?.variant_at(variant).map(|(_, value)| value)
    }

    fn flag(&self) -> Option<&Flag> {
        let origin = self.origin.as_ref()?;
        origin.snapshot.rules.flag_at(origin.flag?)
    }
}

impl<T: fmt::Debug> fmt::Debug for Details<T> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Details")
            .field("value", &self.value)
            .field("variant", &self.variant())
            .field("reason", &self.reason)
            .field("error", &self.error)
            .field("version", &self.version())
            .finish()
    }
}
