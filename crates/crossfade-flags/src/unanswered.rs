//! Warns of flags that cannot be answered, without a line for every request.

use std::{collections::HashSet, sync::Arc};

use arc_swap::ArcSwap;
use crossfade_rules::ErrorCode;

/// How many flags are remembered per version. Later ones are not warned of.
const MOST: usize = 1024;

/// The flags that were warned of at one version. A question about one of them only looks here, and
/// writes nothing that other threads read.
#[derive(Debug, Default)]
pub(crate) struct Unanswered {
    warned: ArcSwap<Warned>,
}

#[derive(Debug, Default)]
struct Warned {
    version: i64,
    keys: HashSet<Arc<str>>,
}

impl Unanswered {
    /// Warns that `key` has no answer, once per version of the rule set.
    pub(crate) fn warn(&self, key: &str, version: i64, error: ErrorCode) {
        if self.is_first(key, version) {
            tracing::warn!(flag = key, version, %error, "the flag has no answer; its default is used");
        }
    }

    fn is_first(&self, key: &str, version: i64) -> bool {
        if !self.warned.load().is_new(key, version) {
            return false;
        }
        // Of several that find it new at once, the one whose copy is taken has added it.
        let mut added = false;
        self.warned.rcu(|known| {
            added = known.is_new(key, version);
            match added {
                true => Arc::new(known.with(key, version)),
                false => Arc::clone(known),
            }
        });
        added
    }
}

impl Warned {
    fn is_new(&self, key: &str, version: i64) -> bool {
        let settled = || self.keys.contains(key) || self.keys.len() >= MOST;
        self.version < version || (self.version == version && !settled())
    }

    /// The same and one more; only that one at a later version.
    fn with(&self, key: &str, version: i64) -> Self {
        let keys = if self.version == version { self.keys.clone() } else { HashSet::new() };
        let mut more = Self { version, keys };
        more.keys.insert(key.into());
        more
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
    fn of_several_askers_one_warns() {
        const FLAGS: usize = 1000;
        let (unanswered, begin) = (Unanswered::default(), std::sync::Barrier::new(4));
        let warned = || {
            begin.wait();
            (0..FLAGS).filter(|n| unanswered.is_first(&n.to_string(), 1)).count()
        };
        let warned: usize = std::thread::scope(|scope| {
            let askers = [(); 4].map(|()| scope.spawn(warned));
            askers.into_iter().map(|asker| asker.join().unwrap()).sum()
        });
        assert_eq!(warned, FLAGS);
    }

    #[test]
    fn memory_is_bounded() {
        let unanswered = Unanswered::default();
        let warned = (0..5000).filter(|n| unanswered.is_first(&n.to_string(), 1)).count();
        assert_eq!(warned, MOST);
    }
}
