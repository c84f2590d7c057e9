//! Evaluations while rule sets of 10 000 flags are swapped in, one behind the other.

use std::{
    hint::black_box,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    time::{Duration, Instant},
};

use crossfade::flags::{Context, Flags, Limits, MemorySource};
use crossfade_rules::RuleSet;

use crate::{
    Spread,
    document::{ROLLOUT, flagd},
};

/// How long each round lasts.
const ROUND: Duration = Duration::from_secs(5);

/// What another thread does meanwhile.
#[derive(Clone, Copy)]
enum Meanwhile {
    Nothing,
    /// Compiles as many rule sets, and swaps none in: what a busy neighbour costs by itself.
    Compile,
    Reload,
}

pub(crate) fn reload() {
    let documents = [flagd(10_000), flagd(10_001)];
    let limits = Limits::default().with_document_bytes(8 * 1024 * 1024);
    let source = MemorySource::new();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
    let runtime = runtime.expect("a runtime");
    let flags = runtime.block_on(Flags::builder().memory(&source).limits(limits).start());
    source.set(&documents[0]).expect("the document is good");
    for round in 1..=3 {
        for (name, meanwhile) in [
            ("quiet", Meanwhile::Nothing),
            ("beside a compiler", Meanwhile::Compile),
            ("while 10 000 flags reload in a loop", Meanwhile::Reload),
        ] {
            let (spread, turns) = evaluate_beside(&flags, |turn| {
                let document = &documents[turn % 2];
                match meanwhile {
                    Meanwhile::Nothing => std::thread::sleep(Duration::from_millis(20)),
                    Meanwhile::Compile => {
                        black_box(RuleSet::parse_within(document, &limits).expect("good"));
                    }
                    Meanwhile::Reload => source.set(document).expect("the document is good"),
                }
            });
            spread.print(&format!("round {round}, evaluation {name} ({turns} turns)"));
        }
    }
}

/// Evaluates for a while beside another thread.
fn evaluate_beside(flags: &Flags, neighbour: impl Fn(usize) + Sync) -> (Spread, u64) {
    let done = AtomicBool::new(false);
    let turns = AtomicU64::new(0);
    let mut spread = Spread::new();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for turn in 1.. {
                if done.load(Ordering::Relaxed) {
                    return;
                }
                neighbour(turn);
                turns.fetch_add(1, Ordering::Relaxed);
            }
        });
        let handle = flags.handle(ROLLOUT);
        let begun = Instant::now();
        while begun.elapsed() < ROUND {
            let context = Context::user(black_box("user-00000017"));
            let asked = Instant::now();
            black_box(handle.is_enabled(&context));
            spread.add(asked.elapsed());
        }
        done.store(true, Ordering::Relaxed);
    });
    (spread, turns.into_inner())
}
