//! The variants in turns, so that a machine that gets slower meanwhile slows all of them.

use std::time::Duration;

use crate::server::Server;
use crate::setup::Setup;
use crate::variants::Variant;

const VARIANTS: [Variant; 8] = Variant::WRITES;
/// Five Latin squares.
const ROUNDS: usize = 5 * VARIANTS.len();

/// Whose throughput is told against whose, besides hand-written's.
const PAIRS: [(Variant, Variant); 4] = [
    (Variant::Declared, Variant::LegacyAlone),
    (Variant::Wrapped, Variant::HandWrittenTrusting),
    (Variant::Wrapped, Variant::FenceAloneTrusting),
    (Variant::WrappedPinging, Variant::FenceAlone),
];

/// Who has a place in a round. Over as many rounds as there are variants, an even number, each comes in
/// each place and behind each other one once (a Latin square of Williams's, 1949): what one leaves
/// behind, such as rows to clean up and warm connections, is the next one's.
const fn index(round: usize, place: usize) -> usize {
    let offset = match place % 2 {
        0 => VARIANTS.len() - place / 2,
        _ => place.div_ceil(2),
    };
    (round + offset) % VARIANTS.len()
}

/// What the rounds showed of one variant.
struct Seen {
    /// The throughput against hand-written, round by round.
    throughput: Vec<f64>,
    /// The 99th percentile of a write against hand-written's.
    p99: Vec<f64>,
    /// What the client computed in all, and for how many writes.
    computed: Duration,
    writes: u64,
}

/// Prints medians of the throughput and of the 99th percentile against hand-written, what the client
/// computes for a write, and medians of the throughput of [`PAIRS`].
#[expect(clippy::print_stdout, reason = "a benchmark prints its figures")]
pub(crate) fn take<S: Server>(setup: &Setup<S>) {
    for (tasks, writes) in [(16, 2_000), (1, 300)] {
        let mut seen = [const { Seen::new() }; VARIANTS.len()];
        let mut pairs = [const { Vec::new() }; PAIRS.len()];
        for round in 0..ROUNDS {
            let mut times = [0.0; VARIANTS.len()];
            let mut tails = [0.0; VARIANTS.len()];
            for place in 0..VARIANTS.len() {
                let index = index(round, place);
                let mut sample = setup.sample(VARIANTS[index], tasks, writes);
                sample.turns.sort_unstable();
                times[index] = sample.elapsed.as_secs_f64();
                tails[index] = sample.turns[sample.turns.len() * 99 / 100].as_secs_f64();
                seen[index].computed += sample.computed;
                seen[index].writes += writes;
            }
            for (index, seen) in seen.iter_mut().enumerate() {
                seen.throughput.push(times[0] / times[index]);
                seen.p99.push(tails[index] / tails[0]);
            }
            let time = |wanted| {
                let place = VARIANTS.iter().position(|variant| *variant == wanted);
                place.map_or(f64::NAN, |place| times[place])
            };
            for ((one, other), seen) in PAIRS.into_iter().zip(&mut pairs) {
                seen.push(time(other) / time(one));
            }
        }
        let what = format!("in turns, {}, {tasks} tasks", S::ENGINE);
        for (variant, seen) in VARIANTS.iter().zip(seen) {
            println!(
                "{what}, {}: {:.3} of hand-written, p99 {:.3} x, client {:.1} us a write",
                variant.name(),
                median(seen.throughput),
                median(seen.p99),
                seen.computed.as_secs_f64() * 1e6 / seen.writes as f64
            );
        }
        for ((one, other), seen) in PAIRS.into_iter().zip(pairs) {
            println!("{what}, {}: {:.3} of {}", one.name(), median(seen), other.name());
        }
    }
}

fn median(mut ratios: Vec<f64>) -> f64 {
    ratios.sort_by(f64::total_cmp);
    ratios[ratios.len() / 2]
}

impl Seen {
    const fn new() -> Self {
        Self { throughput: Vec::new(), p99: Vec::new(), computed: Duration::ZERO, writes: 0 }
    }
}
