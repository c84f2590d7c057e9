//! Futures that a caller drops midway.

use std::fmt::Debug;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use super::{Bench, WAIT, eventually};

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
        // An acknowledged write right behind it, on the connection it left.
        let next = format!("acknowledged after {polls}");
        tokio::time::timeout(WAIT, put(2, &next))
            .await
            .expect("the pool has a connection to give")
            .expect("written");
        both_equal(bench).await;
        bench.expect(2, Some(&next), Some(&next)).await;
        if finished {
            break;
        }
        assert!(polls < 1000, "the write never gets through");
    }
    assert!(finished);
}

/// Both sides are equal as seen from another connection, once a dropped write has left.
async fn both_equal(bench: &Bench) {
    eventually("both sides are equal", async || {
        let legacy = bench.legacy().all().await.expect("Legacy");
        let new = bench.new_side().all().await.expect("New");
        legacy == new
    })
    .await;
}
