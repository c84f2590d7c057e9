//! What stands between an application and its tables, where callers feel it: a slow shadow, a handle
//! that many tasks share, flips and stage changes under load; and, with `--features peers`, the
//! same beside launchdarkly-server-sdk's Migrator. Run with nothing else on the machine:
//! `cargo xtask postgres -- cargo xtask mariadb -- cargo bench -p crossfade-benches --bench request_path`.

mod changes;
mod figures;
mod ground;
#[cfg(feature = "peers")]
mod migrator;
mod shadow;
mod sharing;
#[path = "../flag_latency/spread.rs"]
mod spread;

use crossfade::Engine;
use tokio::runtime::Runtime;

fn main() {
    let runtime = Runtime::new().expect("a runtime");
    runtime.block_on(async {
        shadow::slow().await;
        sharing::one_handle().await;
        for engine in [Engine::Postgres, Engine::Mysql] {
            changes::under_load(engine).await;
        }
    });
    #[cfg(feature = "peers")]
    migrator::beside();
}
