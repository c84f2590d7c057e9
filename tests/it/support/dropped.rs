//! Futures that a caller drops midway.

use std::fmt::Debug;
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::task::{Context, Poll};

use crossfade::Stage;
use crossfade_store::ControlStore;

use super::{Bench, WAIT, definition, eventually};

/// Polls the inner future at most `polls` times, then ends and drops it.
struct DropAfter<F> {
    inner: Pin<Box<F>>,
    polls: u32,
}

impl<F: Future> Future for DropAfter<F> {
    type Output = Option<F::Output>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        if self.polls == 0 {
            return Poll::Ready(None);
        }
        self.polls -= 1;
        match self.inner.as_mut().poll(context) {
            Poll::Ready(output) => Poll::Ready(Some(output)),
            Poll::Pending if self.polls == 0 => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        }
    }
}

/// Polls `future` at most `polls` times and drops it; what it answered, if it came to that.
pub(crate) async fn drop_after<F: Future>(future: F, polls: u32) -> Option<F::Output> {
    DropAfter { inner: Box::pin(future), polls }.await
}

/// Polls a future and catches its panic; whether there was one.
pub(crate) async fn panics<F: Future>(future: F) -> bool {
    let mut future = pin!(future);
    poll_fn(|context| match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(context))) {
        Ok(poll) => poll.map(|_| false),
        Err(_) => Poll::Ready(true),
    })
    .await
}

/// Panics instead of polling the inner future for the `polls`th time; whether it came to that is
/// told by the panic alone.
pub(crate) async fn panic_at<F: Future>(future: F, polls: u32) -> F::Output {
    let mut future = pin!(future);
    let mut polled = 0;
    poll_fn(|context| {
        polled += 1;
        assert!(polled != polls, "told to panic");
        future.as_mut().poll(context)
    })
    .await
}

/// Dropping a write after its 1st, 2nd, … poll until it gets through, on a pool of one connection:
/// whatever the dropped write left on that connection, the next one would inherit.
pub(crate) async fn dropped_at_every_point<E: Debug>(
    bench: &Bench,
    put: impl AsyncFn(i64, &str) -> Result<u64, E>,
) {
    let mut finished = false;
    for polls in 1.. {
        let name = format!("dropped after {polls}");
        finished = drop_after(put(1, &name), polls).await.is_some_and(|result| result.is_ok());
        acknowledged(bench, &put, &format!("acknowledged after {polls}")).await;
        if finished {
            break;
        }
        assert!(polls < 1000, "the write never gets through");
    }
    assert!(finished);
}

/// An acknowledged write right behind one that came to nothing, on the connection that it left; the
/// sides agree then.
pub(crate) async fn acknowledged<E: Debug>(
    bench: &Bench,
    put: &impl AsyncFn(i64, &str) -> Result<u64, E>,
    name: &str,
) {
    tokio::time::timeout(WAIT, put(2, name))
        .await
        .expect("the pool has a connection to give")
        .expect("written");
    let stage = bench.state().await.stage;
    agree(bench, stage).await;
    bench.expect(2, Some(name), (stage != Stage::DeleteOnly).then_some(name)).await;
}

/// Both sides agree as seen from another connection, once a dropped write has left: they are equal,
/// but for marked keys, and in `delete_only` New is empty.
async fn agree(bench: &Bench, stage: Stage) {
    eventually("the sides agree", async || {
        let marks = bench.db.quarantine(&definition().name, 10).await.expect("marks");
        let counts = |rows: Vec<(i64, String)>| -> Vec<(i64, String)> {
            let marked = |id: i64| marks.iter().any(|(key, _)| *key == id.to_string());
            rows.into_iter().filter(|(id, _)| !marked(*id)).collect()
        };
        let legacy = counts(bench.legacy().all().await.expect("Legacy"));
        let new = counts(bench.new_side().all().await.expect("New"));
        if stage == Stage::DeleteOnly { new.is_empty() } else { legacy == new }
    })
    .await;
}
