//! Wrapped dual write of the guide's user settings beside the same two statements hand-written in
//! one sqlx transaction, on servers whose commits are durable, as in production:
//! `cargo xtask postgres -- cargo xtask mariadb -- cargo bench -p crossfade-benches --bench
//! dual_write`, with `CROSSFADE_PG_FSYNC=on`, `CROSSFADE_MARIADB_FSYNC=on` and
//! `CROSSFADE_REPLICAS=off` in the environment.
//!
//! - `hand_written`: begin, Legacy, New, commit, nothing else, on a pool as sqlx makes it.
//! - `fence_alone`: the same with the fence on the first round trip, still hand-written.
//! - `wrapped`: `Migration::write` in stage `live`, on a pool as Crossfade's documentation asks
//!   for it, `Database::postgres_pool_options()`: without the ping that the wrapper makes
//!   superfluous.
//! - `declared`: the same two statements declared beforehand, which travel as one with the fence on
//!   PostgreSQL, and as a transaction on MariaDB.
//! - `legacy_alone`: Legacy's statement without any transaction, on Crossfade's pool: what the
//!   application paid for a write before the migration.
//! - `wrapped_pinging` and `hand_written_trusting`: each on the other's pool.
//!
//! Each sample writes through 16 tasks on a pool of 8, or through one task. `begin_commit` and
//! `begin_fence_commit` show the fence's cost by itself.

mod server;
mod setup;
mod turns;
mod variants;

use std::time::Duration;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use sqlx::Postgres;
use sqlx::mysql::MySql;

use server::Server;
use setup::Setup;
use variants::Variant;

fn dual_write(criterion: &mut Criterion) {
    // Both in turns first, since these are the figures that are compared.
    let (postgres, mariadb) = (Setup::<Postgres>::new(), Setup::<MySql>::new());
    turns::take(&postgres);
    turns::take(&mariadb);
    groups(criterion, &postgres);
    groups(criterion, &mariadb);
}

fn groups<S: Server>(criterion: &mut Criterion, setup: &Setup<S>) {
    let engine = S::ENGINE;
    for tasks in [16, 1] {
        let mut group = criterion.benchmark_group(format!("dual_write/{engine}/{tasks}_tasks"));
        group.throughput(Throughput::Elements(1));
        group.sample_size(30);
        group.measurement_time(Duration::from_secs(12));
        for variant in Variant::WRITES {
            group.bench_function(variant.name(), |bencher| {
                bencher.iter_custom(|writes| setup.sample(variant, tasks, writes).elapsed);
            });
        }
        group.finish();
    }
    let mut group = criterion.benchmark_group(format!("fence/{engine}"));
    group.sample_size(30);
    for variant in [Variant::BeginCommit, Variant::BeginFenceCommit] {
        group.bench_function(variant.name(), |bencher| {
            bencher.iter_custom(|turns| setup.sample(variant, 1, turns).elapsed);
        });
    }
    group.finish();
}

criterion_group!(benches, dual_write);
criterion_main!(benches);
