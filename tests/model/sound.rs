//! The protocol as it is: no violation, in any state of the small configurations, nor in as many
//! states of the large ones as are asked for.

use std::env;

use crate::explore::{Bounds, Order, Report, explore};
use crate::spaces::{LARGE, SMALL, Space};
use crate::trace;

/// The small configurations have more states than this together.
const AT_LEAST: usize = 5_000_000;

/// Exploring one of the small configurations takes fewer steps.
const SMALL_STEPS: usize = 50_000_000;

/// Steps into a large configuration, save the last, which takes what is left.
const LARGE_STEPS: usize = 120_000_000;

/// How many states to go to; set by `cargo xtask model --deep`.
const STATES_VARIABLE: &str = "CROSSFADE_MODEL_STATES";

const THREADS: usize = 2;

/// Explores one configuration, prints its figures, and fails on a violation or where something
/// did not happen that has to.
fn sound(space: &Space, steps: usize, order: Order) -> Report {
    let name = space.config.name;
    let report = explore(space.config, Bounds { steps, threads: THREADS, order });
    println!(
        "{name:<24} {:>11} states {:>11} steps {:>6} deep {:>8.1} s  {}",
        report.states,
        report.steps,
        report.depth,
        report.elapsed.as_secs_f64(),
        if report.complete { "all" } else { "stopped" }
    );
    if let Some(violation) = &report.violation {
        panic!("{name}: {}\n{}", violation.property, trace::told(violation));
    }
    for wanted in space.reaches.iter().filter(|_| report.complete) {
        assert!(!report.unreached.contains(wanted), "{name}: never happens: {wanted}");
    }
    report
}

#[test]
fn the_protocol_is_sound() {
    println!();
    let mut total = 0;
    for space in SMALL {
        let report = sound(space, SMALL_STEPS, Order::Breadth);
        assert!(report.complete, "{} is not small", space.config.name);
        total += report.states;
    }
    assert!(total >= AT_LEAST, "only {total} states");
    if let Ok(wanted) = env::var(STATES_VARIABLE) {
        let wanted: usize = wanted.parse().expect("CROSSFADE_MODEL_STATES is a number");
        total += deep(wanted.saturating_sub(total));
        assert!(total >= wanted, "only {total} states");
    }
    println!("{:<24} {total:>11} states", "together");
}

/// Goes through the large configurations until `wanted` states were seen: some steps into each,
/// and on in the last, which has no end that could be reached.
fn deep(wanted: usize) -> usize {
    let (last, others) = LARGE.split_last().expect("there are large configurations");
    let mut seen = 0;
    for space in others {
        seen += sound(space, LARGE_STEPS, Order::Breadth).states;
    }
    let left = wanted.saturating_sub(seen);
    if left == 0 {
        return seen;
    }
    // How many steps a state takes is known once some were taken.
    let sample = sound(last, LARGE_STEPS / 10, Order::Depth);
    let steps = left.saturating_mul(sample.steps) / sample.states.max(1);
    seen + sound(last, steps + steps / 4, Order::Depth).states
}
