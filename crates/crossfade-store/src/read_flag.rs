//! The port through which the read router asks the flag system.

use std::fmt::Debug;

/// Answers the read flag. Synchronous: it is asked on every read.
pub trait ReadFlag: Send + Sync + Debug + 'static {
    /// Whether `user` reads the New side. `None` when the flag does not resolve to a boolean: it
    /// is unknown, of another type, broken, or no rule set was ever loaded.
    fn reads_new(&self, flag: &str, user: &str) -> Option<bool>;
}
