//! Wrapped dual write of the guide's user settings beside the same two statements hand-written in
//! one sqlx transaction, on a PostgreSQL whose commits are durable, as in production:
//! `cargo xtask postgres -- cargo bench -p crossfade-benches --bench dual_write`, with
//! `CROSSFADE_PG_FSYNC=on` and `CROSSFADE_REPLICAS=off` in the environment.
//!
//! - `hand_written`: begin, Legacy, New, commit, nothing else, on a pool as sqlx makes it.
//! - `fence_alone`: the same with the fence on the first round trip, still hand-written.
//! - `wrapped`: `Migration::write` in stage `live`, on a pool as Crossfade's documentation asks
//!   for it, `Database::postgres_pool_options()`: without the ping that the wrapper makes
//!   superfluous.
//! - `declared`: the same two statements declared beforehand, which travel as one with the fence.
//! - `legacy_alone`: Legacy's statement without any transaction, on Crossfade's pool: what the
//!   application paid for a write before the migration.
//! - `wrapped_pinging` and `hand_written_trusting`: each on the other's pool.
//!
//! Each sample writes through 16 tasks on a pool of 8, or through one task. `begin_commit` and
//! `begin_fence_commit` show the fence's cost by itself.

mod setup;
mod variants;

use std::time::Duration;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};

use setup::Setup;
use variants::Variant;

fn dual_write(criterion: &mut Criterion) {
    let setup = Setup::new();
    in_turns(&setup);
    for tasks in [16, 1] {
        let mut group = criterion.benchmark_group(format!("dual_write/{tasks}_tasks"));
        group.throughput(Throughput::Elements(1));
        group.sample_size(30);
        group.measurement_time(Duration::from_secs(12));
        for variant in Variant::WRITES {
            group.bench_function(variant.name(), |bencher| {
                bencher.iter_custom(|writes| setup.time(variant, tasks, writes));
            });
        }
        group.finish();
    }
    let mut group = criterion.benchmark_group("fence");
    group.sample_size(30);
    for variant in [Variant::BeginCommit, Variant::BeginFenceCommit] {
        group.bench_function(variant.name(), |bencher| {
            bencher.iter_custom(|turns| setup.time(variant, 1, turns));
        });
    }
    group.finish();
}

/// The variants in turns, so that a machine that gets slower meanwhile slows all of them: medians
/// of the throughput against hand-written, and of the declared pair's against Legacy alone.
#[expect(clippy::print_stdout, reason = "a benchmark prints its figures")]
fn in_turns(setup: &Setup) {
    const ROUNDS: usize = 30;
    const WRITES: u64 = 1_000;
    let variants = Variant::WRITES;
    for tasks in [16, 1] {
        let mut ratios = [const { Vec::new() }; Variant::WRITES.len()];
        let mut of_legacy = Vec::new();
        for round in 0..ROUNDS {
            let mut times = [0.0; Variant::WRITES.len()];
            // Each comes in each place equally often.
            for place in 0..variants.len() {
                let index = (round + place) % variants.len();
                times[index] = setup.time(variants[index], tasks, WRITES).as_secs_f64();
            }
            for (ratios, time) in ratios.iter_mut().zip(times) {
                ratios.push(times[0] / time);
            }
            let time = |wanted| {
                let place = variants.iter().position(|variant| *variant == wanted);
                place.map_or(f64::NAN, |place| times[place])
            };
            of_legacy.push(time(Variant::LegacyAlone) / time(Variant::Declared));
        }
        for (variant, ratios) in variants.iter().zip(&mut ratios) {
            ratios.sort_by(f64::total_cmp);
            let (name, median) = (variant.name(), ratios[ROUNDS / 2]);
            println!("in turns, {tasks} tasks, {name}: {median:.3} of hand-written");
        }
        of_legacy.sort_by(f64::total_cmp);
        let median = of_legacy[ROUNDS / 2];
        println!("in turns, {tasks} tasks, declared: {median:.3} of legacy_alone");
    }
}

criterion_group!(benches, dual_write);
criterion_main!(benches);
