//! A read of a millisecond, with and without a shadow of half a second.

use std::time::{Duration, Instant};

use crossfade::{Engine, Flags, Migration};

use crate::ground::{Failed, Ground};
use crate::spread::Spread;

const READ: Duration = Duration::from_millis(1);
pub(crate) const SHADOW: Duration = Duration::from_millis(500);
const ROUNDS: usize = 3_000;

async fn answer_after(wait: Duration) -> Result<u64, Failed> {
    tokio::time::sleep(wait).await;
    Ok(1)
}

/// In turns, so that both see the same machine. Each compared read begins a shadow, as long as
/// there is room for one.
pub(crate) async fn slow() {
    let ground = Ground::prepare(Engine::Postgres).await;
    let migration = ground.app(&Flags::forced::<&str, bool>([])).await;
    let [mut alone, mut compared] = [Spread::new(), Spread::new()];
    for _ in 0..ROUNDS {
        alone.add(read(&migration).await);
        compared.add(read_compared(&migration).await);
    }
    alone.print("read of 1 ms, alone");
    compared.print("read of 1 ms, compared with a side that takes 500 ms");
    compared.print_against(&alone, "compared against alone");
}

async fn read(migration: &Migration) -> Duration {
    let begun = Instant::now();
    let side = || answer_after(READ);
    migration.read(&1, &1, side, side).await.expect("read");
    begun.elapsed()
}

async fn read_compared(migration: &Migration) -> Duration {
    let begun = Instant::now();
    let (legacy, new) = (|| answer_after(READ), || answer_after(SHADOW));
    migration.read_compared(&1, &1, legacy, new).await.expect("read");
    begun.elapsed()
}
