//! Connections that go from one reader or writer to the next without a stay in the pool.
//!
//! sqlx 0.9.0 takes a connection back by a task of its own that asks the server for an answer: a
//! round trip, during which nobody has the connection. One whose last statement was answered in full
//! just now needs no asking. So it is handed to whoever has waited longest, or is left for the next
//! one. It goes back to the pool after its turn, since those who know nothing of Crossfade wait for it
//! there, and since the pool looks at its age and runs its hooks there.

use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::task::Poll;
use std::time::{Duration, Instant};

use tokio::runtime::Handle;
use tokio::sync::oneshot;

use super::Pooled;
use super::first::{First, first};
use crate::database::Pool;

/// How long one lies about before the pool has it back.
const REST: Duration = Duration::from_millis(2);

/// A connection on its turn.
pub(super) struct Baton {
    pooled: Option<Pooled>,
    /// When the pool lent it.
    since: Instant,
    /// The runtime whose task takes it back, even where it is dropped outside.
    runtime: Handle,
}

impl Baton {
    fn leave(mut self) -> (Pooled, Instant) {
        let pooled = self.pooled.take();
        (pooled.expect("a baton has its connection until it is dropped"), self.since)
    }
}

impl Drop for Baton {
    fn drop(&mut self) {
        if let Some(pooled) = self.pooled.take() {
            let _entered = self.runtime.enter();
            drop(pooled);
        }
    }
}

/// Those who wait for a connection, and the connections that wait for somebody.
pub(crate) struct Relay {
    pool: Pool,
    /// How long a connection goes from hand to hand.
    turn: Duration,
    /// How many may lie about: others find the rest in the pool.
    places: usize,
    /// Whether those that are idle in the pool are taken past it, as those that rest are: hooks of such
    /// a pool are not to run around each use.
    unasked: bool,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<oneshot::Sender<Baton>>,
    resting: Vec<(Instant, Baton)>,
    /// When the task that looks after those that rest does so next.
    sweep: Option<Instant>,
}

/// The turn that a session's connection is on.
pub(super) struct Turn {
    relay: Arc<Relay>,
    since: Instant,
}

impl Turn {
    /// Ends it where the connection has done its work, and is in order.
    pub(super) fn hand_on(self, pooled: Pooled) {
        let Ok(runtime) = Handle::try_current() else { return drop(pooled) };
        self.relay.hand_on(Baton { pooled: Some(pooled), since: self.since, runtime });
    }
}

impl Relay {
    /// A relay whose connections go back to the pool after `turn`.
    pub(crate) fn new(pool: &Pool, turn: Duration) -> Arc<Self> {
        let places = usize::try_from(pool.most_connections() / 4).unwrap_or(1).max(1);
        let (pool, unasked) = (pool.clone(), pool.is_marked());
        Arc::new(Self { pool, turn, places, unasked, state: Mutex::default() })
    }

    /// A connection that rests, one of the pool's, or one that somebody hands on.
    pub(super) async fn take(self: &Arc<Self>) -> Result<(Pooled, Turn), sqlx::Error> {
        let (pooled, since) = if let Some(baton) = self.resting() {
            baton.leave()
        } else if let Some(idle) = self.unasked.then(|| self.pool.lend_idle()).flatten() {
            (idle, Instant::now())
        } else {
            // Boxed, since the pool's own future has 9 kB: who need not wait does without it.
            Box::pin(self.lent_or_handed()).await?
        };
        Ok((pooled, Turn { relay: Arc::clone(self), since }))
    }

    async fn lent_or_handed(&self) -> Result<(Pooled, Instant), sqlx::Error> {
        // A pool that is not full opens another connection, and one that pings or has hooks tests the
        // one that it has idle: both are well waited for, and would be for nothing if dropped.
        let waits = match self.pool.pings() {
            true => self.pool.is_exhausted(),
            false => self.pool.is_full(),
        };
        let mut lent = pin!(self.pool.lend());
        let at_once = poll_fn(|context| Poll::Ready(lent.as_mut().poll(context))).await;
        let lent = match at_once {
            Poll::Ready(lent) => lent,
            Poll::Pending if !waits => lent.await,
            Poll::Pending => match first(lent, self.wait()).await {
                First::Handed(baton) => return Ok(baton.leave()),
                First::Lent(lent) => lent,
            },
        };
        Ok((lent?, Instant::now()))
    }

    fn resting(&self) -> Option<Baton> {
        let mut due = Vec::new();
        let mut state = self.state();
        while let Some((_, baton)) = state.resting.pop() {
            if !self.is_due(&baton) {
                return Some(baton);
            }
            due.push(baton);
        }
        None
    }

    /// What somebody hands on, in turn.
    fn wait(&self) -> oneshot::Receiver<Baton> {
        let (give, handed) = oneshot::channel();
        let mut state = self.state();
        // Those that the pool has served meanwhile.
        while state.waiting.pop_front_if(|first| first.is_closed()).is_some() {}
        state.waiting.push_back(give);
        handed
    }

    fn hand_on(self: &Arc<Self>, mut baton: Baton) {
        if self.is_due(&baton) || self.pool.is_closed() {
            return;
        }
        let mut state = self.state();
        while let Some(next) = state.waiting.pop_front() {
            match next.send(baton) {
                Ok(()) => return,
                Err(back) => baton = back,
            }
        }
        if state.resting.len() >= self.places || self.pool.is_exhausted() {
            drop(state);
            return;
        }
        let runtime = baton.runtime.clone();
        let now = Instant::now();
        state.resting.push((now, baton));
        // The one that is late belongs to a runtime that is not being run.
        let unswept = state.sweep.is_none_or(|next| next + REST < now);
        if unswept {
            state.sweep = Some(now + REST);
        }
        drop(state);
        if unswept {
            runtime.spawn(Sweeper(Arc::downgrade(self)).sweep());
        }
    }

    /// Takes those that have rested long enough, and tells whether others still rest.
    fn rested(&self, long_enough: Duration) -> (Vec<(Instant, Baton)>, bool) {
        let mut state = self.state();
        let rested = |(since, _): &mut (Instant, Baton)| since.elapsed() >= long_enough;
        let rested = state.resting.extract_if(.., rested).collect();
        let others = !state.resting.is_empty();
        state.sweep = others.then(|| Instant::now() + REST);
        (rested, others)
    }

    fn is_due(&self, baton: &Baton) -> bool {
        baton.since.elapsed() >= self.turn
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Gives the pool back what nobody takes.
struct Sweeper(Weak<Relay>);

impl Sweeper {
    async fn sweep(mut self) {
        loop {
            tokio::time::sleep(REST).await;
            let Some(relay) = self.0.upgrade() else { return };
            let (rested, others) = relay.rested(REST);
            drop(rested);
            if !others {
                self.0 = Weak::new();
                return;
            }
        }
    }
}

impl Drop for Sweeper {
    fn drop(&mut self) {
        // Its runtime has ended, and nobody else would look after them.
        if let Some(relay) = self.0.upgrade() {
            drop(relay.rested(Duration::ZERO));
        }
    }
}
