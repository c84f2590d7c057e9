//! `verify` over a whole table beside the plain comparison that one would write by hand, in turns:
//! `cargo xtask postgres -- cargo xtask mariadb -- cargo bench -p crossfade-benches --bench verify`.
//!
//! `CROSSFADE_BENCH_ROWS` rows (default 200,000), `CROSSFADE_BENCH_ROUNDS` rounds (default 5). A ratio
//! is the median of the rounds' ratios of throughput, the plain comparison's being 1.

mod engines;

use std::time::{Duration, Instant};

use crossfade_core::MigrationName;
use crossfade_reconcile::{Cancel, VerifyHooks, VerifySettings, verify};
use crossfade_sql::Database;

use engines::{PlainComparison, definition};

/// What is measured, each round once.
const WORKERS: [u32; 2] = [1, 2];

/// Entries that a second series of rounds puts into quarantine.
const ENTRIES: u64 = 1_000;

#[tokio::main]
async fn main() {
    let number = |name: &str, default: u64| {
        std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
    };
    let rows = number("CROSSFADE_BENCH_ROWS", 200_000);
    let rounds = number("CROSSFADE_BENCH_ROUNDS", 5);
    for plain in engines::all(rows).await {
        let database = plain.database.clone();
        series(&plain, &database, rounds, rows, 0).await;
        plain.enter(ENTRIES).await;
        series(&plain, &database, rounds, rows, ENTRIES).await;
    }
}

#[expect(clippy::print_stdout, reason = "a benchmark prints its figures")]
async fn series(
    plain: &PlainComparison,
    database: &Database,
    rounds: u64,
    rows: u64,
    entries: u64,
) {
    let mut hand = Vec::new();
    let mut verified = WORKERS.map(|_| Vec::new());
    for _ in 0..rounds {
        let begun = Instant::now();
        assert_eq!(plain.differences().await, 0, "the sides are equal");
        hand.push(begun.elapsed());
        for (times, workers) in verified.iter_mut().zip(WORKERS) {
            times.push(pass(database, workers, rows).await);
        }
    }
    let engine = database.engine();
    println!("{engine}, {rows} rows, {entries} entries: by hand {:?}", median(hand.clone()));
    for (times, workers) in verified.into_iter().zip(WORKERS) {
        let ratios = hand
            .iter()
            .zip(&times)
            .map(|(hand, time)| Duration::from_secs_f64(hand.as_secs_f64() / time.as_secs_f64()));
        let ratio = median(ratios.collect()).as_secs_f64();
        println!("  verify, {workers} worker(s): {:?}, throughput {ratio:.2}", median(times));
    }
}

/// One pass. Its time includes that of recording it.
async fn pass(database: &Database, workers: u32, rows: u64) -> Duration {
    let hooks = VerifyHooks { progress: &|_| {}, cancel: Cancel::never() };
    let settings = VerifySettings { workers, ..VerifySettings::default() };
    let name: MigrationName = definition().name;
    let begun = Instant::now();
    let report = verify(database, database, &name, settings, hooks).await.expect("verified");
    assert_eq!((report.compared, report.found.total()), (rows, 0));
    begun.elapsed()
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}
