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

/// What the primary told at some moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PrimaryMoment {
    /// When it was asked, or a little earlier.
    pub asked_ms: i64,
    /// Which log it writes: another text whenever another server was promoted.
    pub log: String,
    /// Everything that was committed before it was asked is at or behind this position.
    pub position: LogPosition,
    /// When the lease of the instance that asks ends, by the primary's own clock.
    pub lease_ms: Option<i64>,
}

/// Whether what was noted of a log still counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Continuity {
    /// It is the log that was noted before.
    Same,
    /// It is another one, or the first. No replica covers it until the lease was renewed in it.
    Another,
}

/// Where the primary's log stood at moments of the past.
///
/// Positions of two logs cannot be compared: after a failover, a replica that still holds the log
/// of the primary before may have a greater position without what was committed since. So a replica
/// has to show a lease that was written into this very log. The lease that is found when a log is
/// first seen may have been copied from the one before it, and proves nothing.
#[derive(Clone, Debug, Default)]
pub struct PrimaryLog {
    log: Option<String>,
    /// The lease when the log was first seen.
    first_lease_ms: Option<i64>,
    /// The latest leases since.
    leases: VecDeque<i64>,
    positions: VecDeque<(i64, LogPosition)>,
}

impl PrimaryLog {
    /// Notes what the primary told. A log that goes back is another log too, as after a restored
    /// backup; what was noted before it says nothing any more.
    pub fn note(&mut self, moment: PrimaryMoment) -> Continuity {
        let PrimaryMoment { asked_ms, log, position, lease_ms } = moment;
        let last = self.positions.back();
        let goes_back = last.is_some_and(|(_, last)| !position.has_reached(last));
        if goes_back || self.log.as_ref() != Some(&log) {
            *self = Self {
                log: Some(log),
                first_lease_ms: lease_ms,
                leases: VecDeque::new(),
                positions: VecDeque::from([(asked_ms, position)]),
            };
            return Continuity::Another;
        }
        match self.positions.back_mut() {
            // Nothing was committed meanwhile, so what was true then is true now.
            Some((moment, last)) if *last == position => *moment = asked_ms,
            _ => self.positions.push_back((asked_ms, position)),
        }
        if self.positions.len() > REMEMBERED {
            self.thin_out(asked_ms);
        }
        if let Some(lease_ms) = lease_ms
            && lease_ms != self.first_lease_ms.unwrap_or(i64::MIN)
            && self.leases.back() != Some(&lease_ms)
        {
            self.leases.push_back(lease_ms);
            if self.leases.len() > REMEMBERED {
                self.leases.pop_front();
            }
        }
        Continuity::Same
    }

    /// Forgets the one whose neighbours lie closest together for its age, so that what is remembered
    /// reaches far back and a lag is told with a small error for its size.
    fn thin_out(&mut self, now_ms: i64) {
        let moment = |place: usize| i128::from(self.positions[place].0);
        let gap = |place: usize| moment(place + 1) - moment(place - 1);
        let age = |place: usize| i128::from(now_ms) - moment(place) + 1;
        let inner = 1..self.positions.len() - 1;
        let closest = inner.min_by(|a, b| (gap(*a) * age(*b)).cmp(&(gap(*b) * age(*a))));
        if let Some(closest) = closest {
            self.positions.remove(closest);
        }
    }

    /// The latest moment before which every commit is at or behind `replayed`; `None` when it lies
    /// before the first that was noted, or where the lease that the replica shows was not written
    /// into this log.
    #[must_use]
    pub fn covered_ms(&self, replayed: &LogPosition, lease_ms: Option<i64>) -> Option<i64> {
        if !self.leases.contains(&lease_ms?) {
            return None;
        }
        let mut newest_first = self.positions.iter().rev();
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

    fn moment(asked_ms: i64, log: &str, position: u64, lease_ms: i64) -> PrimaryMoment {
        let position = LogPosition::single(position);
        PrimaryMoment { asked_ms, log: log.to_owned(), position, lease_ms: Some(lease_ms) }
    }

    #[track_caller]
    fn check_covered(noted: &[(i64, u64)], replayed: u64, expect: Option<i64>) {
        let mut log = PrimaryLog::default();
        for (asked_ms, position) in noted {
            log.note(moment(*asked_ms, "P", *position, 1));
        }
        if let Some((asked_ms, position)) = noted.last() {
            log.note(moment(*asked_ms, "P", *position, 2));
        }
        let position = LogPosition::single(replayed);
        assert_eq!(log.covered_ms(&position, Some(2)), expect, "{noted:?}");
    }

    /// One replica has replayed 1000 when another, at 900, is promoted; a write follows at 950.
    #[test]
    fn a_replica_of_the_primary_before_covers_nothing() {
        let mut log = PrimaryLog::default();
        let at = LogPosition::single;
        assert_eq!(log.note(moment(10, "P", 800, 5_000)), Continuity::Another);
        assert_eq!(log.covered_ms(&at(1000), Some(5_000)), None, "may be older than this log");
        assert_eq!(log.note(moment(20, "P", 850, 6_000)), Continuity::Same);
        assert_eq!(log.covered_ms(&at(1000), Some(6_000)), Some(20));
        assert_eq!(log.covered_ms(&at(840), Some(6_000)), Some(10));

        assert_eq!(log.note(moment(30, "R", 950, 6_000)), Continuity::Another);
        assert_eq!(log.note(moment(40, "R", 960, 6_000)), Continuity::Same);
        assert_eq!(log.covered_ms(&at(1000), Some(6_000)), None, "the lease that both have");
        // Renewed on the old primary just before it was lost, and on the new one since.
        assert_eq!(log.note(moment(50, "R", 970, 7_001)), Continuity::Same);
        assert_eq!(log.covered_ms(&at(1000), Some(7_000)), None, "a lease that only one has");
        assert_eq!(log.covered_ms(&at(1000), None), None);
        assert_eq!(log.covered_ms(&at(960), Some(7_001)), Some(40), "it follows the new one");
        log.note(moment(60, "R", 980, 8_000));
        assert_eq!(log.covered_ms(&at(980), Some(7_001)), Some(60), "a lease that came before");
    }

    #[test]
    fn a_log_that_goes_back_has_to_be_followed_anew() {
        let mut log = PrimaryLog::default();
        log.note(moment(10, "P", 900, 5_000));
        log.note(moment(20, "P", 900, 6_000));
        assert_eq!(log.note(moment(30, "P", 50, 6_000)), Continuity::Another);
        assert_eq!(log.covered_ms(&LogPosition::single(900), Some(6_000)), None);
        log.note(moment(40, "P", 60, 7_000));
        assert_eq!(log.covered_ms(&LogPosition::single(50), Some(7_000)), Some(30));
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
            log.note(moment(n.cast_signed(), "P", n, n.cast_signed()));
            assert!(log.positions.len() <= REMEMBERED && log.leases.len() <= REMEMBERED);
        }
        let covered = |n| log.covered_ms(&LogPosition::single(n), Some(2_000));
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
