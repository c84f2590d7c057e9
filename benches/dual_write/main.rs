//! Wrapped dual write beside the same two statements hand-written in one sqlx transaction, on
//! PostgreSQL: `cargo xtask postgres -- cargo bench -p crossfade-benches`.
//!
//! - `hand_written`: begin, Legacy, New, commit, nothing else.
//! - `fence_alone`: the same with the fence on the first round trip, still hand-written.
//! - `wrapped`: `Migration::write` in stage `live`.
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
    for tasks in [16, 1] {
        let mut group = criterion.benchmark_group(format!("dual_write/{tasks}_tasks"));
        group.throughput(Throughput::Elements(1));
        group.sample_size(30);
        group.measurement_time(Duration::from_secs(12));
        for variant in [Variant::HandWritten, Variant::FenceAlone, Variant::Wrapped] {
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

criterion_group!(benches, dual_write);
criterion_main!(benches);
