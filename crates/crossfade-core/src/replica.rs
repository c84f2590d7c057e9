//! Whether a read may use a replica.
//!
//! Everything rests on one kind of evidence: the moment up to which a replica *covers* the primary.
//! The primary's log position is asked at some moment; once a replica has replayed that position,
//! it holds all that was committed before that moment. Moments are milliseconds on one clock of the
//! process, so no two clocks are compared.

use std::collections::{BTreeMap, VecDeque};

/// How many positions of the primary are remembered, the older the fewer.
const REMEMBERED: usize = 64;

/// A position in the log of a database: a number for each of the log's independent parts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogPosition(BTreeMap<u64, u64>);

impl LogPosition {
    /// A position in a log of one part.
    #[must_use]
    pub fn single(position: u64) -> Self {
        Self(BTreeMap::from([(0, position)]))
    }

    /// A position in a log of several parts, as (part, position).
    #[must_use]
    pub fn of_parts(parts: impl IntoIterator<Item = (u64, u64)>) -> Self {
        Self(parts.into_iter().collect())
    }

    /// Whether whoever has come here has passed `other` too.
    #[must_use]
    pub fn has_reached(&self, other: &Self) -> bool {
        other.0.iter().all(|(part, position)| self.0.get(part).is_some_and(|own| own >= position))
    }
}

/// Where the primary's log stood at moments of the past.
#[derive(Clone, Debug, Default)]
pub struct PrimaryLog(VecDeque<(i64, LogPosition)>);

impl PrimaryLog {
    /// Notes the position that the primary told when asked at `asked_ms` or a little later.
    ///
    /// A log that goes back is another log, as after a restored backup; what was noted before it
    /// says nothing any more.
    pub fn note(&mut self, asked_ms: i64, position: LogPosition) {
        match self.0.back_mut() {
            // Nothing was committed meanwhile, so what was true then is true now.
            Some((moment, last)) if *last == position => *moment = asked_ms,
            Some((_, last)) if !position.has_reached(last) => {
                self.0.clear();
                self.0.push_back((asked_ms, position));
            }
            _ => self.0.push_back((asked_ms, position)),
        }
        if self.0.len() > REMEMBERED {
            self.thin_out(asked_ms);
        }
    }

    /// Forgets the one whose neighbours lie closest together for its age, so that what is remembered
    /// reaches far back and a lag is told with a small error for its size.
    fn thin_out(&mut self, now_ms: i64) {
        let moment = |place: usize| i128::from(self.0[place].0);
        let gap = |place: usize| moment(place + 1) - moment(place - 1);
        let age = |place: usize| i128::from(now_ms) - moment(place) + 1;
        let inner = 1..self.0.len() - 1;
        let closest = inner.min_by(|a, b| (gap(*a) * age(*b)).cmp(&(gap(*b) * age(*a))));
        if let Some(closest) = closest {
            self.0.remove(closest);
        }
    }

    /// The latest moment before which every commit is at or behind `replayed`; `None` when it lies
    /// before the first that was noted.
    #[must_use]
    pub fn covered_ms(&self, replayed: &LogPosition) -> Option<i64> {
        let mut newest_first = self.0.iter().rev();
        newest_first.find(|(_, position)| replayed.has_reached(position)).map(|(moment, _)| *moment)
    }
}

/// Why a read does not use a replica. A later one means that the replica came closer to being used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ReplicaRefusal {
    /// Reads of the migration do not use replicas at present.
    Off,
    /// The caller asked for the primary.
    PrimaryAsked,
    /// The replica failed a read a moment ago.
    Resting,
    /// How far it is behind is not known.
    Unmeasured,
    /// It may be further behind than is allowed.
    Lagging,
    /// It may not have what this instance knows of the migration: the epoch, the closing of the one
    /// before it, the keys in quarantine.
    BehindState,
    /// The key was written by this process, and the replica may not have the write.
    Pinned,
}

impl ReplicaRefusal {
    /// Every reason, in order.
    pub const ALL: [Self; 7] = [
        Self::Off,
        Self::PrimaryAsked,
        Self::Resting,
        Self::Unmeasured,
        Self::Lagging,
        Self::BehindState,
        Self::Pinned,
    ];

    /// Its name, as in metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::PrimaryAsked => "primary_asked",
            Self::Resting => "resting",
            Self::Unmeasured => "unmeasured",
            Self::Lagging => "lagging",
            Self::BehindState => "behind_state",
            Self::Pinned => "pinned",
        }
    }
}

/// What is known when a read could use a replica. Moments are milliseconds on the process's clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReplicaFacts {
    /// Whether reads of the migration may use replicas.
    pub allowed: bool,
    /// Whether the caller asked for the primary.
    pub primary_asked: bool,
    /// Now.
    pub now_ms: i64,
    /// Until when the replica rests.
    pub rests_until_ms: i64,
    /// The moment up to which it covers the primary.
    pub covered_ms: Option<i64>,
    /// How long ago that moment may lie.
    pub limit_ms: i64,
    /// When this instance had loaded the state of the migration that the read goes by.
    pub known_ms: i64,
    /// Up to when the key's last write by this process may have been committed.
    pub written_ms: i64,
}

/// Why the read must not use the replica; `None` when it may.
///
/// The age of a measurement is part of the lag: what a replica did not hold when it was last
/// measured it may not hold now. So a measurement that no longer comes refuses by itself. Moments
/// must lie strictly before the covered one, since within a millisecond nothing is in order.
#[must_use]
pub const fn replica_refusal(facts: ReplicaFacts) -> Option<ReplicaRefusal> {
    if !facts.allowed {
        return Some(ReplicaRefusal::Off);
    }
    if facts.primary_asked {
        return Some(ReplicaRefusal::PrimaryAsked);
    }
    if facts.now_ms < facts.rests_until_ms {
        return Some(ReplicaRefusal::Resting);
    }
    let Some(covered_ms) = facts.covered_ms else {
        return Some(ReplicaRefusal::Unmeasured);
    };
    if facts.now_ms.saturating_sub(covered_ms) > facts.limit_ms {
        return Some(ReplicaRefusal::Lagging);
    }
    if covered_ms <= facts.known_ms {
        return Some(ReplicaRefusal::BehindState);
    }
    if covered_ms <= facts.written_ms {
        return Some(ReplicaRefusal::Pinned);
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_is_reached_in_every_part() {
        let position = LogPosition::of_parts([(0, 7), (2, 5)]);
        assert!(position.has_reached(&position));
        assert!(position.has_reached(&LogPosition::single(7)));
        assert!(!position.has_reached(&LogPosition::single(8)));
        assert!(!position.has_reached(&LogPosition::of_parts([(0, 1), (1, 1)])));
        assert!(!LogPosition::single(9).has_reached(&position));
    }

    #[track_caller]
    fn check_covered(noted: &[(i64, u64)], replayed: u64, expect: Option<i64>) {
        let mut log = PrimaryLog::default();
        for (moment, position) in noted {
            log.note(*moment, LogPosition::single(*position));
        }
        assert_eq!(log.covered_ms(&LogPosition::single(replayed)), expect, "{noted:?}");
    }

    #[test]
    fn a_replica_covers_the_last_moment_whose_position_it_has_reached() {
        let noted = [(10, 100), (20, 200), (30, 300)];
        check_covered(&noted, 99, None);
        check_covered(&noted, 100, Some(10));
        check_covered(&noted, 299, Some(20));
        check_covered(&noted, 300, Some(30));
        check_covered(&noted, 900, Some(30));
        check_covered(&[], 900, None);
    }

    #[test]
    fn an_idle_primary_has_no_replica_that_lags() {
        check_covered(&[(10, 100), (20, 200), (30, 200), (4000, 200)], 200, Some(4000));
        check_covered(&[(10, 100), (20, 200), (30, 200), (4000, 200)], 199, Some(10));
    }

    #[test]
    fn what_was_noted_of_another_log_counts_no_more() {
        check_covered(&[(10, 100), (20, 900), (30, 50)], 100, Some(30));
        check_covered(&[(10, 100), (20, 900), (30, 50)], 49, None);
    }

    #[test]
    fn few_positions_are_remembered_and_none_says_too_much() {
        let mut log = PrimaryLog::default();
        for n in 1..=2_000u64 {
            log.note(n.cast_signed(), LogPosition::single(n));
            assert!(log.0.len() <= REMEMBERED);
        }
        let covered = |n| log.covered_ms(&LogPosition::single(n));
        assert_eq!(covered(0), None);
        for n in 1..=2_000u64 {
            let moment = covered(n).unwrap().cast_unsigned();
            assert!(moment <= n, "{moment} for {n}");
            let (told, real) = (2_000 - moment, 2_000 - n);
            assert!(told <= real + real / 3 + 1, "{told} behind instead of {real}");
        }
    }

    #[test]
    fn each_rule_refuses_alone() {
        let fine = ReplicaFacts {
            allowed: true,
            primary_asked: false,
            now_ms: 10_000,
            rests_until_ms: i64::MIN,
            covered_ms: Some(9_000),
            limit_ms: 1_500,
            known_ms: 8_999,
            written_ms: 8_999,
        };
        use ReplicaRefusal::{
            BehindState, Lagging, Off, Pinned, PrimaryAsked, Resting, Unmeasured,
        };
        let cases = [
            (fine, None),
            (ReplicaFacts { allowed: false, ..fine }, Some(Off)),
            (ReplicaFacts { primary_asked: true, ..fine }, Some(PrimaryAsked)),
            (ReplicaFacts { rests_until_ms: 10_001, ..fine }, Some(Resting)),
            (ReplicaFacts { rests_until_ms: 10_000, ..fine }, None),
            (ReplicaFacts { covered_ms: None, ..fine }, Some(Unmeasured)),
            (ReplicaFacts { now_ms: 10_500, ..fine }, None),
            (ReplicaFacts { now_ms: 10_501, ..fine }, Some(Lagging)),
            (ReplicaFacts { known_ms: 9_000, ..fine }, Some(BehindState)),
            (ReplicaFacts { written_ms: 9_000, ..fine }, Some(Pinned)),
        ];
        for (facts, expect) in cases {
            assert_eq!(replica_refusal(facts), expect, "{facts:?}");
        }
    }
}
