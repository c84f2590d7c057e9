//! Exploration of the model by stateright: breadth first, so that the first violation has a
//! shortest trace, or depth first down to a bound, which takes less memory for as many states.

use std::time::{Duration, Instant};

use stateright::{Checker, Expectation, HasDiscoveries, Model};

use crate::config::Config;
use crate::protocol::{Action, Protocol};
use crate::state::State;

/// In which order states are seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    /// Nearest first.
    Breadth,
    /// Latest first, up to [`DEEPEST`].
    Depth,
}

/// How far from the beginning [`Order::Depth`] goes. stateright keeps with each state the way that
/// led to it, and the ways would grow without end.
const DEEPEST: usize = 60;

/// How far an exploration goes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    /// It stops once so many steps were taken; most lead to states that were seen before.
    pub(crate) steps: usize,
    /// One thread finds the same trace each time; more are faster.
    pub(crate) threads: usize,
    /// In which order.
    pub(crate) order: Order,
}

/// The way to a state that breaks a property.
#[derive(Clone, Debug)]
pub(crate) struct Violation {
    /// The property.
    pub(crate) property: &'static str,
    /// Each action with the state it leads to; the first state has none.
    pub(crate) trace: Vec<(Option<Action>, State)>,
}

/// What an exploration found.
#[derive(Clone, Debug)]
pub(crate) struct Report {
    /// Distinct states.
    pub(crate) states: usize,
    /// Steps taken.
    pub(crate) steps: usize,
    /// Steps to the states furthest from the beginning, on the ways that were taken.
    pub(crate) depth: usize,
    /// Whether every reachable state was seen.
    pub(crate) complete: bool,
    /// Time it took.
    pub(crate) elapsed: Duration,
    /// Properties of `Sometimes` that held nowhere.
    pub(crate) unreached: Vec<&'static str>,
    /// The first violation.
    pub(crate) violation: Option<Violation>,
}

/// Explores a configuration until a violation is found, every state was seen, or the bound is
/// reached.
pub(crate) fn explore(config: Config, bounds: Bounds) -> Report {
    let started = Instant::now();
    let checker = Protocol::new(config)
        .checker()
        .threads(bounds.threads)
        .finish_when(HasDiscoveries::AnyFailures)
        .target_state_count(bounds.steps);
    match bounds.order {
        Order::Breadth => report(&checker.spawn_bfs().join(), bounds, started),
        Order::Depth => {
            report(&checker.target_max_depth(DEEPEST).spawn_dfs().join(), bounds, started)
        }
    }
}

fn report(checker: &impl Checker<Protocol>, bounds: Bounds, started: Instant) -> Report {
    let mut discoveries = checker.discoveries();
    let (mut unreached, mut violation) = (Vec::new(), None);
    for property in checker.model().properties() {
        let found = discoveries.remove(property.name);
        match (property.expectation, found) {
            (Expectation::Sometimes, None) => unreached.push(property.name),
            (Expectation::Always, Some(path)) => {
                let trace = trace(path.into_vec());
                violation = Some(Violation { property: property.name, trace });
            }
            _ => {}
        }
    }
    Report {
        states: checker.unique_state_count(),
        steps: checker.state_count(),
        // stateright counts states, not the steps between them.
        depth: checker.max_depth().saturating_sub(1),
        complete: bounds.order == Order::Breadth
            && violation.is_none()
            && checker.state_count() < bounds.steps,
        elapsed: started.elapsed(),
        unreached,
        violation,
    }
}

/// stateright names with each state the action that leaves it; here it is the one that led to it.
fn trace(path: Vec<(State, Option<Action>)>) -> Vec<(Option<Action>, State)> {
    let mut led = None;
    path.into_iter().map(|(state, leaves)| (std::mem::replace(&mut led, leaves), state)).collect()
}
