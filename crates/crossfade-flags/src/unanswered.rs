//! Warns of flags that cannot be answered, without a line for every request.

use std::{
    collections::HashSet,
    sync::{PoisonError, RwLock},
};

use crossfade_rules::ErrorCode;

/// How many flags are remembered per version. Later ones are not warned of.
const MOST: usize = 1024;

/// The flags that were warned of at one version.
#[derive(Debug, Default)]
pub(crate) struct Unanswered {
    warned: RwLock<Warned>,
}

#[derive(Debug, Default)]
struct Warned {
    version: i64,
    keys: HashSet<String>,
}

impl Unanswered {
    /// Warns that `key` has no answer, once per version of the rule set.
    pub(crate) fn warn(&self, key: &str, version: i64, error: ErrorCode) {
        if self.is_first(key, version) {
            tracing::warn!(flag = key, version, %error, "the flag has no answer; its default is used");
        }
    }

    fn is_first(&self, key: &str, version: i64) -> bool {
        let known = self.warned.read().unwrap_or_else(PoisonError::into_inner);
        if known.version > version || (known.version == version && known.is_settled(key)) {
            return false;
        }
        drop(known);
        let mut known = self.warned.write().unwrap_or_else(PoisonError::into_inner);
        if known.version < version {
            *known = Warned { version, keys: HashSet::new() };
        }
        known.version == version && !known.is_settled(key) && known.keys.insert(key.to_owned())
    }
}

impl Warned {
    fn is_settled(&self, key: &str) -> bool {
        self.keys.contains(key) || self.keys.len() >= MOST
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_flag_is_warned_of_once_per_version() {
        let unanswered = Unanswered::default();
        for (key, version, expect) in [
            ("a", 0, true),
            ("a", 0, false),
            ("b", 0, true),
            ("a", 3, true),
            ("a", 3, false),
            // A reader that still holds an older snapshot.
            ("b", 2, false),
            ("b", 3, true),
        ] {
            assert_eq!(unanswered.is_first(key, version), expect, "{key} at {version}");
        }
    }

    #[test]
    fn memory_is_bounded() {
        let unanswered = Unanswered::default();
        let warned = (0..5000).filter(|n| unanswered.is_first(&n.to_string(), 1)).count();
        assert_eq!(warned, MOST);
    }
}
