//! The read flag, as the router asks for it.

use crossfade_rules::Context;
use crossfade_store::{FlagAnswer, ReadFlag};

use crate::{
    Flags,
    ask::{self, Question},
};

impl ReadFlag for Flags {
    /// A `DISABLED` flag, and one that picks no variant, answer `Some(false)`: the Legacy side is the
    /// read flag's default in the code. Only a flag that cannot be evaluated answers `None`; that is
    /// warned of once per flag and version.
    fn reads_new<'a>(&'a self, flag: &'a str, user: &'a str) -> FlagAnswer<'a> {
        let context = Context::user(user);
        let answer = ask::value(self, &Question::by_key(flag, &context));
        FlagAnswer::Now(answer.ok().map(|answer| answer.unwrap_or(false)))
    }
}
