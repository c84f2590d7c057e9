//! Stories of breakers, as tables, and what holds in every story.

use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::{ReadFacts, Side, Stage, read_plan};

const BOTH: Offer = Offer { reads_new: true, compares: true };

fn options() -> BreakerOptions {
    BreakerOptions::default()
        .window(Duration::from_secs(10))
        .minimum(10)
        .errors(0.5, 0.1)
        .latency_ratio(4.0, 2.0)
        .latency_floor(Duration::from_millis(5))
        .mismatches(0.2, 0.0)
        .cool_off(Duration::from_secs(5))
        .probes(3)
        .probe_interval(Duration::from_millis(100))
}

/// One line of a breaker's story.
#[derive(Clone, Copy, Debug)]
enum Step {
    Legacy(u64),
    New(u64),
    Abandoned(u64),
    Failed,
    Agreed,
    Differed,
}

impl Step {
    fn observation(self) -> Observation {
        let ms = Duration::from_millis;
        match self {
            Self::Legacy(took) => Observation::LegacyAnswered(ms(took)),
            Self::New(took) => Observation::NewAnswered(ms(took)),
            Self::Abandoned(took) => Observation::NewAbandoned(ms(took)),
            Self::Failed => Observation::NewFailed,
            Self::Agreed => Observation::Compared { agreed: true },
            Self::Differed => Observation::Compared { agreed: false },
        }
    }
}

/// Tells a closed breaker `count` times each step, all at one moment.
#[track_caller]
fn check(steps: &[(u32, Step)], expected: Option<BreakerTrip>) {
    let mut breaker = Breaker::new(options(), 0);
    for (count, step) in steps {
        for _ in 0..*count {
            breaker.observe(None, step.observation(), 1);
        }
    }
    assert_eq!(breaker.why(), expected, "{steps:?}");
    let state = if expected.is_some() { BreakerState::Open } else { BreakerState::Closed };
    assert_eq!(breaker.state(), state, "{steps:?}");
}

#[test]
fn opens_at_the_upper_thresholds_and_not_below_the_minimum() {
    use Step::{Abandoned, Agreed, Differed, Failed, Legacy, New};
    let errors = |failed, calls| Some(BreakerTrip::Errors { failed, calls });
    let mismatches = |mismatched, compared| Some(BreakerTrip::Mismatches { mismatched, compared });
    check(&[], None);
    check(&[(9, Failed)], None);
    check(&[(10, Failed)], errors(10, 10));
    check(&[(6, New(1)), (5, Failed)], None);
    check(&[(6, New(1)), (6, Failed)], errors(6, 12));
    check(&[(9, Differed)], None);
    check(&[(8, Agreed), (2, Differed)], mismatches(2, 10));
    check(&[(9, Agreed), (2, Differed)], None);
    // Comparisons are no calls, nor calls comparisons.
    check(&[(9, Failed), (9, Differed)], None);
    // Without enough of Legacy nobody knows what is slow.
    check(&[(9, Legacy(10)), (20, New(1000))], None);
    check(&[(10, Legacy(10)), (9, New(1000))], None);
    check(&[(10, Legacy(10)), (20, New(39))], None);
    check(&[(10, Legacy(10)), (19, New(10)), (1, New(5000))], None);
    // Below the floor New is fast enough.
    check(&[(10, Legacy(1)), (20, New(5))], None);
    // A caller that gives up counts where New was too slow by then.
    check(&[(10, Legacy(10)), (20, Abandoned(39))], None);
    check(&[(20, Abandoned(5000))], None);
    for slow in [New(50), Abandoned(50)] {
        let mut breaker = Breaker::new(options(), 0);
        for step in [Legacy(10), slow] {
            for _ in 0..10 {
                breaker.observe(None, step.observation(), 1);
            }
        }
        let Some(BreakerTrip::Slow { ratio, calls: 10 }) = breaker.why() else {
            panic!("{slow:?}: {:?}", breaker.why());
        };
        assert!((ratio - 5.0).abs() < 0.01, "{ratio}");
    }
}

/// A tenth of the window takes in so many of Legacy's times and no more, but never too few to say
/// anything.
#[test]
fn legacy_is_known_well_enough_by_some_of_its_times() {
    for (minimum, enough) in [(10, 1000), (20_000, 20_000)] {
        let mut breaker = Breaker::new(options().minimum(minimum), 0);
        for number in 0..enough {
            assert_eq!(breaker.legacy_known_until_ms(1_999), None, "after {number}");
            breaker.observe(None, Step::Legacy(10).observation(), 1_999);
        }
        assert_eq!(breaker.legacy_known_until_ms(1_999), Some(2_000));
        let mean = breaker.legacy(1_999);
        assert!(mean.is_some(), "{minimum}");
        breaker.observe(None, Step::Legacy(5000).observation(), 1_999);
        assert_eq!(breaker.legacy(1_999), mean);
        assert_eq!(breaker.legacy_known_until_ms(2_000), None);
        breaker.observe(None, Step::Legacy(5000).observation(), 2_000);
        assert!(breaker.legacy(2_000) > mean);
    }
}

#[test]
fn what_left_the_window_opens_nothing() {
    let mut breaker = Breaker::new(options(), 0);
    for second in 0..60 {
        breaker.observe(None, Observation::NewFailed, second * 1300);
    }
    assert_eq!(breaker.state(), BreakerState::Closed);
    assert!(breaker.counts(59 * 1300).calls > 0);
}

fn opened(step: Step) -> Breaker {
    let mut breaker = Breaker::new(options(), 0);
    for _ in 0..10 {
        breaker.observe(None, Step::Legacy(10).observation(), 0);
    }
    for _ in 0..10 {
        breaker.observe(None, step.observation(), 0);
    }
    assert_eq!(breaker.state(), BreakerState::Open);
    breaker
}

/// Probes an opened breaker, after its cool-off, with these outcomes.
#[track_caller]
fn check_probes(why: Step, outcomes: &[Step], expected: BreakerState) {
    let mut breaker = opened(why);
    let mut now_ms = 5_000;
    for (index, outcome) in outcomes.iter().enumerate() {
        let (Admission::Probe(probe), change) = breaker.admit(BOTH, now_ms) else {
            panic!("no probe {index} in {outcomes:?}");
        };
        assert_eq!(change.is_some(), index == 0);
        assert_eq!(breaker.admit(BOTH, now_ms + 99).0, Admission::Legacy, "one at a time");
        breaker.observe(Some(probe), outcome.observation(), now_ms + 99);
        now_ms += 100;
    }
    assert_eq!(breaker.state(), expected, "{why:?}, then {outcomes:?}");
}

#[test]
fn closes_after_enough_good_probes_below_the_lower_thresholds() {
    use BreakerState::{Closed, HalfOpen, Open};
    use Step::{Abandoned, Agreed, Differed, Failed, New};
    check_probes(Failed, &[New(10), New(10)], HalfOpen);
    check_probes(Failed, &[New(10), New(10), New(10)], Closed);
    check_probes(Failed, &[New(10), Failed], Open);
    // Twice as slow is too slow for closing, though not for opening.
    check_probes(Failed, &[New(21), New(21), New(21)], Open);
    check_probes(New(100), &[New(19), New(19), New(19)], Closed);
    check_probes(New(100), &[New(30), New(30), New(30)], Open);
    // An abandoned probe is none that went well.
    check_probes(Failed, &[New(10), New(10), Abandoned(5000)], HalfOpen);
    check_probes(Differed, &[Agreed, Agreed, Agreed], Closed);
    check_probes(Differed, &[Agreed, Agreed, Differed], Open);
}

#[test]
fn stays_open_for_the_cool_off_and_asks_the_right_calls() {
    let reads = Offer { reads_new: true, compares: false };
    let compares = Offer { reads_new: false, compares: true };
    for (why, right, wrong) in [(Step::Failed, reads, compares), (Step::Differed, compares, reads)]
    {
        let mut breaker = opened(why);
        assert_eq!(breaker.admit(BOTH, 4_999), (Admission::Legacy, None));
        assert_eq!(breaker.admit(wrong, 5_000).0, Admission::Legacy);
        assert_eq!(breaker.state(), BreakerState::HalfOpen);
        let (Admission::Probe(probe), _) = breaker.admit(right, 5_000) else {
            panic!("{why:?}");
        };
        // What is no probe, or one of an earlier opening, moves nothing.
        for _ in 0..100 {
            breaker.observe(None, Observation::NewAnswered(Duration::ZERO), 5_001);
            breaker.observe(None, Observation::NewFailed, 5_001);
        }
        assert_eq!(breaker.state(), BreakerState::HalfOpen);
        breaker.observe(Some(probe), why.observation(), 5_001);
        assert_eq!(breaker.state(), BreakerState::Open, "a bad probe");
        assert_eq!(breaker.admit(right, 10_000).0, Admission::Legacy, "cooling off again");
        assert!(matches!(breaker.admit(right, 10_001).0, Admission::Probe(_)));
        breaker.observe(Some(probe), why.observation(), 10_002);
        assert_eq!(breaker.state(), BreakerState::HalfOpen, "a probe of an earlier opening");
    }
}

#[test]
fn only_a_plan_that_may_fall_back_is_turned_to_legacy() {
    let probe = |kind| Admission::Probe(Probe { kind, opening: 1 });
    for stage in Stage::ALL {
        for bits in 0..4 {
            let facts = ReadFacts {
                stage,
                previous_open: false,
                flag: Some(bits & 1 != 0),
                quarantined: false,
                sampled: bits & 2 != 0,
            };
            let plan = read_plan(facts);
            assert_eq!(past_breaker(plan, Admission::AsPlanned), plan);
            assert_eq!(past_breaker(plan, probe(ProbeKind::Read)), plan);
            for admission in [Admission::Legacy, probe(ProbeKind::Comparison)] {
                let turned = past_breaker(plan, admission);
                let legacy_is_safe = stage <= Stage::Live;
                let expected = if legacy_is_safe { Side::Legacy } else { Side::New };
                assert_eq!(turned.answer, expected, "{facts:?}");
                assert_eq!(turned.fallback, None, "{facts:?}");
            }
        }
    }
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        (1u64..200).prop_map(Step::Legacy),
        (1u64..2000).prop_map(Step::New),
        (1u64..2000).prop_map(Step::Abandoned),
        Just(Step::Failed),
        Just(Step::Agreed),
        Just(Step::Differed),
    ]
}

proptest! {
    /// Whatever happens, it opens only on enough calls or comparisons since it closed, and closes
    /// only behind enough good probes of its own.
    #[test]
    fn never_opens_below_the_minimum_nor_closes_without_good_probes(
        steps in proptest::collection::vec((0i64..3000, any::<bool>(), any::<bool>(), step()), 1..400),
    ) {
        let (mut breaker, mut now_ms) = (Breaker::new(options(), 0), 0);
        let (mut calls, mut comparisons, mut good) = (0u32, 0u32, 0u32);
        for (wait, asks, compares, step) in steps {
            now_ms += wait;
            let mut probe = None;
            if asks {
                let before = breaker.state();
                let offer = Offer { reads_new: true, compares };
                let (admission, change) = breaker.admit(offer, now_ms);
                prop_assert!(change.is_none_or(|it| it.to == BreakerState::HalfOpen));
                prop_assert_eq!(admission == Admission::AsPlanned, before == BreakerState::Closed);
                if change.is_some() {
                    good = 0;
                }
                if let Admission::Probe(admitted) = admission {
                    probe = Some(admitted);
                }
            }
            let closed = breaker.state() == BreakerState::Closed;
            match step {
                Step::New(_) | Step::Failed | Step::Abandoned(_) if closed => calls += 1,
                Step::Agreed | Step::Differed if closed => comparisons += 1,
                Step::New(_) | Step::Agreed if probe.is_some() => good += 1,
                _ => {}
            }
            let Some(change) = breaker.observe(probe, step.observation(), now_ms) else { continue };
            match change.to {
                BreakerState::Open if change.from == BreakerState::Closed => {
                    prop_assert!(calls >= 10 || comparisons >= 10, "{calls}, {comparisons}");
                }
                BreakerState::Open => prop_assert_eq!(change.from, BreakerState::HalfOpen),
                BreakerState::Closed => {
                    prop_assert!(good >= 3, "{good}");
                    (calls, comparisons) = (0, 0);
                }
                BreakerState::HalfOpen => prop_assert!(false, "a probe is asked for, not observed"),
            }
        }
    }
}
