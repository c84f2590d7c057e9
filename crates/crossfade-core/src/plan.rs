//! What a write does on each side and which side a read uses.

use crate::{Side, Stage};

/// What a write does on New, after Legacy in the same transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NewWrite {
    /// Nothing: New is not written.
    None,
    /// Take the key's row away, whatever the write was. A later backfill brings it back.
    Remove,
    /// Write the full row. A refusal by New is put into quarantine and Legacy is written alone.
    OrQuarantine,
    /// Write the full row; a refusal by New fails the call and undoes Legacy.
    Required,
}

impl NewWrite {
    /// Whether a refusal by New leaves the call alone: Legacy is then written without New and the
    /// key is put into quarantine, in one transaction.
    #[must_use]
    pub const fn tolerates_refusal(self) -> bool {
        matches!(self, Self::Remove | Self::OrQuarantine)
    }
}

/// What one write does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WritePlan {
    /// Whether Legacy is written, always before New.
    pub legacy: bool,
    /// What happens on New.
    pub new: NewWrite,
    /// The side on which a read-modify-write reads its base.
    pub base: Side,
    /// The side whose result the caller gets.
    pub answer: Side,
}

/// What one statement writes, fence included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AtOnce {
    /// Legacy alone.
    Legacy,
    /// New alone.
    New,
    /// Legacy, then New.
    Both,
}

impl WritePlan {
    /// What a single statement may write where the plan needs nothing beside the application's own
    /// writes; `None` where it needs a transaction. `marked` says whether the key is in quarantine,
    /// which ends with the write.
    ///
    /// A statement waits for the locks on all its tables before its first word is carried out, so no
    /// bound that it sets holds for them. Where New must not hold Legacy up, it is no choice.
    #[must_use]
    pub const fn at_once(&self, marked: bool) -> Option<AtOnce> {
        match (self.legacy, self.new) {
            (true, NewWrite::None) => Some(AtOnce::Legacy),
            (true, NewWrite::Required) if !marked => Some(AtOnce::Both),
            (false, NewWrite::Required) if !marked => Some(AtOnce::New),
            _ => None,
        }
    }
}

/// The plan of every write in `stage`.
///
/// Adjacent stages are safe beside each other: see the table in `docs/architecture.md`.
#[must_use]
pub const fn write_plan(stage: Stage) -> WritePlan {
    let (legacy, new) = match stage {
        Stage::Off => (true, NewWrite::None),
        Stage::DeleteOnly => (true, NewWrite::Remove),
        Stage::DualWrite => (true, NewWrite::OrQuarantine),
        Stage::Live | Stage::RampDown => (true, NewWrite::Required),
        Stage::Complete | Stage::Contracted => (false, NewWrite::Required),
    };
    let answer = stage.authoritative();
    WritePlan { legacy, new, base: answer, answer }
}

/// What is known when a read begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReadFacts {
    /// The stage of the newest epoch.
    pub stage: Stage,
    /// Whether the epoch before it is still open.
    pub previous_open: bool,
    /// What the read flag says for this user; `None` when it does not resolve to a boolean, or
    /// cannot be known yet and does not decide.
    pub flag: Option<bool>,
    /// Whether New refused this key.
    pub quarantined: bool,
    /// Whether this read was picked for a shadow comparison.
    pub sampled: bool,
}

impl ReadFacts {
    /// Whether the read depends on the read flag, so that its answer is worth waiting for. Elsewhere
    /// the flag is only looked at to warn of one that was left on.
    #[must_use]
    pub const fn flag_decides(&self) -> bool {
        matches!(self.stage, Stage::Live) && !self.previous_open && !self.quarantined
    }
}

/// Where a read goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReadPlan {
    /// The side whose row the caller gets.
    pub answer: Side,
    /// The side to fall back to within the same call when `answer` fails.
    pub fallback: Option<Side>,
    /// The side to compare with, off the caller's path.
    pub shadow: Option<Side>,
    /// Whether the flag asks for New where the stage does not permit it; worth a warning.
    pub flag_ignored: bool,
}

/// Where a read goes.
///
/// In `live`, New is read only once the epoch before is closed: until then a writer of
/// `dual_write` may still leave a key in quarantine, which New readers would not see.
#[must_use]
pub fn read_plan(facts: ReadFacts) -> ReadPlan {
    let legacy = ReadPlan {
        answer: Side::Legacy,
        fallback: None,
        shadow: None,
        flag_ignored: facts.flag == Some(true),
    };
    let new = ReadPlan { answer: Side::New, fallback: None, shadow: None, flag_ignored: false };
    let sampled = |plan: ReadPlan| {
        let shadow = facts.sampled && !facts.quarantined && !facts.previous_open;
        ReadPlan { shadow: shadow.then(|| plan.answer.other()), ..plan }
    };
    match facts.stage {
        Stage::Off | Stage::DeleteOnly => legacy,
        Stage::DualWrite => sampled(legacy),
        Stage::Live if !facts.flag_decides() || facts.flag != Some(true) => {
            sampled(ReadPlan { flag_ignored: false, ..legacy })
        }
        Stage::Live => sampled(ReadPlan { fallback: Some(Side::Legacy), ..new }),
        // `live` comes before and after `ramp_down`, and both write both sides or neither.
        Stage::RampDown | Stage::Complete | Stage::Contracted => new,
    }
}

/// Whether the answer of a read counts: the instance held its lease when the read began, and the
/// same one, without a gap, when it ended. Else the fleet may have gone on by several stages.
#[must_use]
pub fn answer_counts<L: PartialEq>(begun: Option<L>, ended: Option<L>) -> bool {
    begun.is_some() && begun == ended
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_counts_under_one_lease() {
        assert!(answer_counts(Some(1), Some(1)));
        for (begun, ended) in [(None, Some(1)), (Some(1), None), (Some(1), Some(2)), (None, None)] {
            assert!(!answer_counts(begun, ended), "{begun:?}, {ended:?}");
        }
    }

    #[test]
    fn writes_by_stage() {
        use NewWrite::{None, OrQuarantine, Remove, Required};
        use Side::{Legacy, New};
        let expected = [
            (Stage::Off, true, None, Legacy),
            (Stage::DeleteOnly, true, Remove, Legacy),
            (Stage::DualWrite, true, OrQuarantine, Legacy),
            (Stage::Live, true, Required, Legacy),
            (Stage::RampDown, true, Required, New),
            (Stage::Complete, false, Required, New),
            (Stage::Contracted, false, Required, New),
        ];
        for (stage, legacy, new, answer) in expected {
            assert_eq!(write_plan(stage), WritePlan { legacy, new, base: answer, answer });
        }
    }

    #[test]
    fn one_statement_writes_what_needs_no_bound_and_no_mark() {
        let expected = [
            (Stage::Off, Some(AtOnce::Legacy), Some(AtOnce::Legacy)),
            (Stage::DeleteOnly, None, None),
            (Stage::DualWrite, None, None),
            (Stage::Live, Some(AtOnce::Both), None),
            (Stage::RampDown, Some(AtOnce::Both), None),
            (Stage::Complete, Some(AtOnce::New), None),
            (Stage::Contracted, Some(AtOnce::New), None),
        ];
        for (stage, unmarked, marked) in expected {
            let plan = write_plan(stage);
            assert_eq!((plan.at_once(false), plan.at_once(true)), (unmarked, marked), "{stage}");
            assert!(unmarked.is_none() || !plan.new.tolerates_refusal(), "{stage}");
        }
    }

    #[test]
    fn reads_by_stage_flag_and_epoch() {
        for stage in Stage::ALL {
            for flag in [None, Some(false), Some(true)] {
                for previous_open in [false, true] {
                    for quarantined in [false, true] {
                        let sampled = false;
                        let facts = ReadFacts { stage, previous_open, flag, quarantined, sampled };
                        let plan = read_plan(facts);
                        let by_flag = flag == Some(true) && !previous_open && !quarantined;
                        let expected = match stage {
                            Stage::Off | Stage::DeleteOnly | Stage::DualWrite => Side::Legacy,
                            Stage::Live if by_flag => Side::New,
                            Stage::Live => Side::Legacy,
                            _ => Side::New,
                        };
                        assert_eq!(plan.answer, expected, "{facts:?}");
                        let falls_back = stage == Stage::Live && expected == Side::New;
                        assert_eq!(plan.fallback.is_some(), falls_back, "{facts:?}");
                        assert_eq!(
                            plan.flag_ignored,
                            stage < Stage::Live && flag == Some(true),
                            "{facts:?}"
                        );
                    }
                }
            }
        }
    }

    #[test]
    fn where_the_flag_does_not_decide_the_plan_is_the_same_without_it() {
        let mut decides = 0;
        for stage in Stage::ALL {
            for bits in 0..8 {
                let facts = |flag| ReadFacts {
                    stage,
                    previous_open: bits & 1 != 0,
                    flag,
                    quarantined: bits & 2 != 0,
                    sampled: bits & 4 != 0,
                };
                let unknown = read_plan(facts(None));
                let plans = [Some(false), Some(true)].map(|flag| read_plan(facts(flag)));
                if facts(None).flag_decides() {
                    decides += 1;
                    assert_ne!(plans[0].answer, plans[1].answer, "{:?}", facts(None));
                } else {
                    let same = plans.map(|plan| ReadPlan { flag_ignored: false, ..plan });
                    assert_eq!(same, [unknown; 2], "{:?}", facts(None));
                }
            }
        }
        assert_eq!(decides, 2);
    }

    #[test]
    fn comparisons_only_where_both_sides_should_agree() {
        for stage in Stage::ALL {
            let facts = ReadFacts {
                stage,
                previous_open: false,
                flag: None,
                quarantined: false,
                sampled: true,
            };
            let compares = matches!(stage, Stage::DualWrite | Stage::Live);
            assert_eq!(read_plan(facts).shadow.is_some(), compares, "{stage}");
            assert_eq!(read_plan(ReadFacts { previous_open: true, ..facts }).shadow, None);
            assert_eq!(read_plan(ReadFacts { quarantined: true, ..facts }).shadow, None);
        }
    }
}
