//! The variants in turns, so that a machine that gets slower meanwhile slows all of them.

use std::time::Duration;

use crate::server::Server;
use crate::setup::Setup;
use crate::variants::Variant;

/// Each of the 7 beginnings with each of the 6 strides.
const ROUNDS: usize = 42;
const VARIANTS: [Variant; 7] = Variant::WRITES;

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

/// Prints medians of the throughput and of the 99th percentile against hand-written, the declared
/// pair's throughput against Legacy alone, and what the client computes for a write.
#[expect(clippy::print_stdout, reason = "a benchmark prints its figures")]
pub(crate) fn take<S: Server>(setup: &Setup<S>) {
    for (tasks, writes) in [(16, 2_000), (1, 300)] {
        let mut seen = [const { Seen::new() }; VARIANTS.len()];
        let mut of_legacy = Vec::new();
        for round in 0..ROUNDS {
            let mut times = [0.0; VARIANTS.len()];
            let mut tails = [0.0; VARIANTS.len()];
            // Each comes in each place, and behind each other one, equally often: what one leaves
            // behind, such as rows to clean up and warm connections, is the next one's.
            let stride = 1 + round / VARIANTS.len() % (VARIANTS.len() - 1);
            for place in 0..VARIANTS.len() {
                let index = (round + place * stride) % VARIANTS.len();
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
            of_legacy.push(time(Variant::LegacyAlone) / time(Variant::Declared));
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
        println!("{what}, declared: {:.3} of legacy_alone", median(of_legacy));
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
