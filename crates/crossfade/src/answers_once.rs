//! What a method answers whose write has an operation id.

use crossfade_dual::Once;

/// An answer to a write that is carried out once, and that an earlier call may have carried out.
///
/// The methods that [`repository`](macro@crate::repository) generates for `operation = …` return it
/// in a `Result`. The sides answer as if they were alone, with [`Once::Applied`].
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot say that an earlier call has carried the operation out",
    label = "return `Result<Once<{Self}>, …>`, or `Result<(), …>`",
    note = "a write with `operation = …` may find that nothing is left to do, and its result gone"
)]
pub trait AnswersOnce: Sized {
    /// The side's own answer, or what stands for it where nothing was left to do.
    fn from_once(once: Once<Self>) -> Self;
}

impl<T> AnswersOnce for Once<T> {
    fn from_once(once: Once<Self>) -> Self {
        once.applied().unwrap_or(Self::AlreadyApplied)
    }
}

/// It is done, by whichever call.
impl AnswersOnce for () {
    fn from_once(_: Once<Self>) -> Self {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sides_answer_comes_through_and_a_repetition_stands_in_for_it() {
        assert_eq!(Once::from_once(Once::Applied(Once::Applied(7))), Once::Applied(7));
        assert_eq!(Once::<u8>::from_once(Once::AlreadyApplied), Once::AlreadyApplied);
        // A side may know repetitions of its own.
        let own = Once::Applied(Once::<u8>::AlreadyApplied);
        assert_eq!(Once::from_once(own), Once::AlreadyApplied);
    }
}
