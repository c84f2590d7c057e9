//! How long flags take where percentiles matter: from a flip to the answer that shows it, for a file
//! and for a PostgreSQL with 20 clients; an evaluation while large rule sets are swapped in; a start
//! without the source. Run with nothing else on the machine:
//! `cargo xtask postgres -- cargo bench -p crossfade-benches --bench flag_latency`.

#[path = "../flags/document.rs"]
mod document;

mod flips;
mod spread;
mod start;
mod tail;

use spread::Spread;
use tokio::runtime::Runtime;

fn main() {
    let runtime = Runtime::new().expect("a runtime");
    runtime.block_on(flips::file());
    runtime.block_on(flips::notify_alone());
    runtime.block_on(flips::postgres());
    runtime.block_on(start::persisted());
    tail::reload();
}
