//! What the wrapper (`crossfade-dual`) computes for a write, with a store that costs nothing in the
//! place of `crossfade-sql`, on one thread.
//!
//! `cargo bench -p crossfade-benches --bench wrapper`
//!
//! Each write has four exchanges with the store: begin and fence, Legacy, New, commit. `by_hand` makes
//! them one after the other; `wrapped` is `Migration::write` around the same. What `wrapped` takes
//! longer is the wrapper's.

mod still;

use std::convert::Infallible;
use std::hint::black_box;
use std::sync::Arc;

use criterion::{Criterion, criterion_group, criterion_main};
use crossfade_dual::{Instance, Migration, Options};
use crossfade_store::{FlagAnswer, Lent, ReadFlag};
use tokio::runtime::{Builder, Runtime};

use still::{Exchange, Held, Still, state};

/// A flag that nobody asks.
#[derive(Debug)]
struct Off;

impl ReadFlag for Off {
    fn reads_new<'a>(&'a self, _: &'a str, _: &'a str) -> FlagAnswer<'a> {
        FlagAnswer::Now(Some(false))
    }
}

async fn put(held: &Held, key: i64) -> Result<(), Infallible> {
    held.exchange.take().await;
    black_box(key);
    Ok(())
}

async fn put_in(held: Lent<Held>, key: i64) -> Result<(), Infallible> {
    put(&held, key).await
}

async fn by_hand(still: &Still, key: i64) {
    let held = still.begin().await;
    let Ok(()) = put(&held, key).await;
    let Ok(()) = put(&held, key).await;
    still.exchange.take().await;
}

async fn wrapped(migration: &Migration<Still>, key: i64) {
    let written = migration.write(&key, |tx| put_in(tx, key), |tx| put_in(tx, key)).await;
    written.expect("written");
}

fn migration(runtime: &Runtime, exchange: Exchange) -> Migration<Still> {
    runtime.block_on(async {
        let started = Instance::start(Still { exchange }, Arc::new(Off), Options::default()).await;
        started.expect("starts").migration(&state().definition.name).expect("registered")
    })
}

fn writes(criterion: &mut Criterion) {
    let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
    for (name, exchange) in [("at_once", Exchange::AtOnce), ("yielding", Exchange::Yielding)] {
        let mut group = criterion.benchmark_group(format!("wrapper/{name}"));
        let migration = migration(&runtime, exchange);
        let still = Still { exchange };
        group.bench_function("by_hand", |bench| {
            bench.iter(|| runtime.block_on(by_hand(&still, black_box(7))));
        });
        group.bench_function("wrapped", |bench| {
            bench.iter(|| runtime.block_on(wrapped(&migration, black_box(7))));
        });
        group.finish();
    }
}

criterion_group!(benches, writes);
criterion_main!(benches);
