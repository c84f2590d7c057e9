//! Which stage may follow which.

use crate::Stage;

/// Which way a stage change leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// One stage onward; its gate is asked.
    Forward,
    /// One stage back.
    Back,
}

/// A stage change that is never allowed, with the way that is.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a migration in `{from}` cannot go to `{to}`: {hint}")]
pub struct IllegalTransition {
    /// Where it stands.
    pub from: Stage,
    /// Where it was asked to go.
    pub to: Stage,
    /// What is possible instead.
    pub hint: String,
}

/// Which way `from → to` leads.
///
/// # Errors
///
/// [`IllegalTransition`] unless the stages are neighbours, and for each step back from `complete`
/// on: writes have gone to New alone there, so Legacy is no longer a place to return to. From
/// `live` there is no step back either: `rollback` turns the read flag off, which is instant,
/// and a step to `dual_write` would let New fall behind under readers that still use it.
pub fn direction(from: Stage, to: Stage) -> Result<Direction, IllegalTransition> {
    let refuse = |hint: String| Err(IllegalTransition { from, to, hint });
    if from == to {
        return refuse("it is there already".to_owned());
    }
    if from.next() == Some(to) {
        return Ok(Direction::Forward);
    }
    match (from, to) {
        (Stage::DeleteOnly, Stage::Off)
        | (Stage::DualWrite, Stage::DeleteOnly)
        | (Stage::RampDown, Stage::Live) => Ok(Direction::Back),
        (Stage::Live, to) if to < Stage::Live => refuse(
            "turn the read flag off with `crossfade rollback`; every read is back on Legacy at \
             once and writes keep both sides equal"
                .to_owned(),
        ),
        (Stage::Complete, to) if to < Stage::Complete => refuse(
            "writes have gone to New alone, so Legacy is behind; the way back is a migration of \
             its own, from New to Legacy"
                .to_owned(),
        ),
        (Stage::Contracted, _) => refuse("Legacy is gone; only a backup brings it back".to_owned()),
        (from, to) if to > from => match from.next() {
            Some(next) => refuse(format!("one stage at a time; next is `{next}`")),
            None => refuse("it is the last stage".to_owned()),
        },
        (from, _) => match from.previous() {
            Some(previous) => refuse(format!("one stage at a time; back is `{previous}`")),
            None => refuse("it is the first stage".to_owned()),
        },
    }
}

/// The stage that an emergency rollback goes to once the read flag is off; `None` where the flag is
/// all there is to do.
///
/// In `live` an epoch left open is that of a stage change, perhaps of a rollback cut short, which
/// is then finished.
///
/// # Errors
///
/// [`IllegalTransition`] from `complete` on: writes have gone to New alone.
pub fn rollback_stage(
    stage: Stage,
    previous_open: bool,
) -> Result<Option<Stage>, IllegalTransition> {
    match stage {
        Stage::Off | Stage::DeleteOnly | Stage::DualWrite => Ok(None),
        Stage::Live => Ok(previous_open.then_some(Stage::Live)),
        Stage::RampDown => Ok(Some(Stage::Live)),
        Stage::Complete | Stage::Contracted => direction(stage, Stage::Live).map(|_| None),
    }
}

/// What a stage change does beside appending its epoch, in the same transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StageEffects {
    /// The run and its cursor are void: rows that were copied may fall behind from now on.
    pub voids_run: bool,
    /// The marks of quarantined keys go, and the journal: New is empty, so no row of it is behind.
    pub clears_marks: bool,
}

/// What `from → to` does beside appending its epoch.
#[must_use]
pub fn stage_effects(from: Stage, to: Stage) -> StageEffects {
    StageEffects {
        voids_run: from == Stage::DualWrite && to == Stage::DeleteOnly,
        clears_marks: from == Stage::Off && to == Stage::DeleteOnly,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rollback_goes_to_live_at_most() {
        for stage in Stage::ALL {
            for open in [false, true] {
                let to = rollback_stage(stage, open);
                match stage {
                    Stage::RampDown => assert_eq!(to, Ok(Some(Stage::Live))),
                    Stage::Live => assert_eq!(to, Ok(open.then_some(Stage::Live))),
                    Stage::Complete | Stage::Contracted => assert!(to.is_err()),
                    _ => assert_eq!(to, Ok(None)),
                }
            }
        }
    }

    #[test]
    fn a_run_ends_where_new_may_fall_behind_and_marks_where_new_is_empty() {
        for from in Stage::ALL {
            for to in Stage::ALL {
                let effects = stage_effects(from, to);
                let back = (from, to) == (Stage::DualWrite, Stage::DeleteOnly);
                assert_eq!(effects.voids_run, back, "{from} -> {to}");
                let anew = (from, to) == (Stage::Off, Stage::DeleteOnly);
                assert_eq!(effects.clears_marks, anew, "{from} -> {to}");
            }
        }
    }

    #[test]
    fn only_neighbours_and_only_safe_ways_back() {
        let back = [
            (Stage::DeleteOnly, Stage::Off),
            (Stage::DualWrite, Stage::DeleteOnly),
            (Stage::RampDown, Stage::Live),
        ];
        for from in Stage::ALL {
            for to in Stage::ALL {
                let expected = if from.next() == Some(to) {
                    Some(Direction::Forward)
                } else if back.contains(&(from, to)) {
                    Some(Direction::Back)
                } else {
                    None
                };
                assert_eq!(direction(from, to).ok(), expected, "{from} -> {to}");
            }
        }
    }
}
