//! Answers that tests and operators of a single process force.

use std::collections::HashMap;

use arc_swap::ArcSwap;

/// The forced answers of one handle and its clones.
#[derive(Debug, Default)]
pub(crate) struct Forced {
    flags: ArcSwap<HashMap<String, Answers>>,
}

/// What is forced for one flag.
#[derive(Clone, Debug, Default)]
struct Answers {
    everybody: Option<bool>,
    users: HashMap<String, bool>,
}

impl Forced {
    /// The forced answer. One for the user wins over one for everybody.
    pub(crate) fn answer(&self, key: &str, user: Option<&str>) -> Option<bool> {
        let flags = self.flags.load();
        // Almost always empty outside of tests: nothing is hashed then.
        if flags.is_empty() {
            return None;
        }
        let answers = flags.get(key)?;
        user.and_then(|user| answers.users.get(user).copied()).or(answers.everybody)
    }

    pub(crate) fn force(&self, key: String, answer: bool) {
        self.change(|flags| flags.entry(key.clone()).or_default().everybody = Some(answer));
    }

    pub(crate) fn force_for(&self, key: String, user: String, answer: bool) {
        self.change(|flags| {
            flags.entry(key.clone()).or_default().users.insert(user.clone(), answer);
        });
    }

    pub(crate) fn release(&self, key: &str) {
        self.change(|flags| drop(flags.remove(key)));
    }

    /// Copies, changes and swaps, once more when somebody else swapped in between.
    fn change(&self, change: impl Fn(&mut HashMap<String, Answers>)) {
        self.flags.rcu(|flags| {
            let mut flags = HashMap::clone(flags);
            change(&mut flags);
            flags
        });
    }
}
