//! Disturbances, in an order of chance's.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use crossfade_testkit::Fault;
use rand::seq::SliceRandom as _;
use rand::{RngExt as _, rngs::StdRng};
use rustix::process::Signal;
use tokio::sync::Mutex;

use super::fleet::Fleet;
use super::server::Server;
use crate::place::{APPLICATIONS, LEASE};

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
    /// A process stands still for longer than its lease, at times without its connections.
    Stop,
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
pub(super) fn plan(kills: u64, server: &Server, chance: &mut StdRng) -> Vec<Trouble> {
    let times = |trouble, count: u64| std::iter::repeat_n(trouble, count.max(1) as usize);
    let mut troubles: Vec<Trouble> = times(Trouble::Kill, kills).collect();
    troubles.extend(times(Trouble::Stop, kills / 3));
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

/// Lets one trouble come. The fleet is everybody's again while a process stands still.
pub(super) async fn disturb(
    trouble: Trouble,
    fleet: &Arc<Mutex<Fleet>>,
    server: &Server,
    counts: &mut Troubles,
    chance: &mut StdRng,
) -> Result<()> {
    let mut fleet = fleet.lock().await;
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
            if chance.random() && let Some(proxy) = fleet.proxy(application) {
                // What it was in the middle of is over for the database.
                proxy.cut();
            }
            tokio::time::sleep(LEASE * 5 / 2).await;
            fleet.signal(application, Signal::CONT)?;
            counts.stops += 1;
        }
    }
    Ok(())
}
