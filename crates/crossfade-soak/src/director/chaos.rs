//! Disturbances, in an order of chance's.

use std::time::{Duration, Instant};

use anyhow::Result;
use crossfade_testkit::Fault;
use rand::seq::SliceRandom as _;
use rand::{RngExt as _, rngs::StdRng};
use rustix::process::Signal;

use super::fleet::Fleet;
use super::server::Server;
use crate::mechanism::Without;
use crate::place::{APPLICATIONS, LEASE};

/// How long a process stands still where the stage does not change.
const LONGEST_SLEEP: Duration = Duration::from_secs(8);

/// One kind of trouble.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trouble {
    /// A process is killed, and another takes its place.
    Kill,
    /// Every process of the database's is killed; it recovers.
    Crash,
    /// A process's connections are cut.
    Cut,
    /// A process gets no connection for a while.
    Refuse,
    /// Nothing passes between a process and the database for a while.
    Stall,
    /// A COMMIT does not arrive.
    LoseCommit,
    /// A COMMIT is carried out, and its answer does not arrive.
    LoseAnswer,
    /// A process stands still for longer than its lease.
    Stop,
    /// A process stands still without its connections, until the fleet is two stages further.
    Oversleep,
}

/// How often each kind has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub(super) struct Troubles {
    pub(super) kills: u64,
    pub(super) crashes: u64,
    pub(super) cuts: u64,
    pub(super) stops: u64,
}

/// As many kills as are asked for, and what goes with them, shuffled.
pub(super) fn plan(
    kills: u64,
    without: Option<Without>,
    server: &Server,
    chance: &mut StdRng,
) -> Vec<Trouble> {
    let times = |trouble, count: u64| std::iter::repeat_n(trouble, count.max(1) as usize);
    let (kills, sleepers) = match without {
        // Who sleeps through two stages is who the fence is for.
        Some(Without::Fence) => (kills / 6, kills),
        // Backfill is to come through.
        Some(Without::SourceLock) => (kills / 6, 1),
        _ => (kills, kills / 5),
    };
    let mut troubles: Vec<Trouble> = times(Trouble::Kill, kills).collect();
    troubles.extend(times(Trouble::Oversleep, sleepers));
    troubles.extend(times(Trouble::Stop, kills / 5));
    if server.can_crash() {
        troubles.extend(times(Trouble::Crash, kills / 5));
        for trouble in [Trouble::Cut, Trouble::Refuse, Trouble::Stall] {
            troubles.extend(times(trouble, kills / 3));
        }
        for trouble in [Trouble::LoseCommit, Trouble::LoseAnswer] {
            troubles.extend(times(trouble, kills));
        }
    }
    troubles.shuffle(chance);
    troubles
}

/// Lets one trouble come. `stages` tells how often the stage was changed so far.
pub(super) async fn disturb(
    trouble: Trouble,
    fleet: &mut Fleet,
    server: &Server,
    counts: &mut Troubles,
    chance: &mut StdRng,
    stages: impl Fn() -> u64,
) -> Result<()> {
    let anybody = chance.random_range(0..fleet.len());
    let application = chance.random_range(0..APPLICATIONS as usize);
    match trouble {
        Trouble::Kill => {
            fleet.kill(anybody).await?;
            counts.kills += 1;
        }
        Trouble::Crash => {
            server.crash().await?;
            counts.crashes += 1;
        }
        Trouble::Cut | Trouble::Refuse | Trouble::Stall => {
            let Some(proxy) = fleet.proxy(anybody) else { return Ok(()) };
            match trouble {
                Trouble::Cut => proxy.cut(),
                Trouble::Refuse => proxy.refuse(),
                _ => proxy.stall(),
            }
            if trouble != Trouble::Cut {
                tokio::time::sleep(Duration::from_millis(chance.random_range(20..600))).await;
                proxy.admit();
            }
            counts.cuts += 1;
        }
        Trouble::LoseCommit | Trouble::LoseAnswer => {
            let Some(proxy) = fleet.proxy(application) else { return Ok(()) };
            let lost = trouble == Trouble::LoseCommit;
            proxy.arm("commit", if lost { Fault::LoseRequest } else { Fault::LoseReply });
            counts.cuts += 1;
        }
        Trouble::Stop => {
            fleet.signal(application, Signal::STOP)?;
            tokio::time::sleep(LEASE * 5 / 2).await;
            fleet.signal(application, Signal::CONT)?;
            counts.stops += 1;
        }
        Trouble::Oversleep => {
            fleet.signal(application, Signal::STOP)?;
            if let Some(proxy) = fleet.proxy(application) {
                // What it was in the middle of would keep its epoch open.
                proxy.cut();
            }
            let (began, before) = (Instant::now(), stages());
            while began.elapsed() < LONGEST_SLEEP && stages() < before + 2 {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            // What was changed last is at work for a while.
            tokio::time::sleep(Duration::from_millis(chance.random_range(0..500))).await;
            fleet.signal(application, Signal::CONT)?;
            tokio::time::sleep(Duration::from_millis(chance.random_range(20..200))).await;
            counts.stops += 1;
        }
    }
    Ok(())
}
