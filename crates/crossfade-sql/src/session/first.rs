//! A wait in two places at once.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use futures_util::task::AtomicWaker;
use tokio::sync::oneshot;

/// Which was first.
#[derive(Debug)]
pub(super) enum First<L, H> {
    Lent(L),
    Handed(H),
}

/// Waits for `lent`, a loan of the pool's that waits for its turn, or for what is handed on.
///
/// A loan that was woken and is not ready then has had its turn: it opens a connection or tests one, and
/// is not given up for another any more. Otherwise a busy pool would begin to open its last connection
/// again and again.
///
/// # Cancel safety
///
/// What was handed on is dropped with the future.
pub(super) async fn first<L: Future, H>(
    mut lent: Pin<&mut L>,
    handed: oneshot::Receiver<H>,
) -> First<L::Output, H> {
    let woken = Arc::new(Woken::default());
    let waker = Waker::from(Arc::clone(&woken));
    let mut handed = Some(handed);
    let mut asked = false;
    poll_fn(|context| {
        woken.task.register(context.waker());
        let turn = woken.is.swap(false, Ordering::AcqRel);
        if turn || !asked {
            if let Poll::Ready(lent) = lent.as_mut().poll(&mut Context::from_waker(&waker)) {
                return Poll::Ready(First::Lent(lent));
            }
            asked = true;
        }
        if turn {
            handed = None;
        }
        match handed.as_mut().map(|handed| Pin::new(handed).poll(context)) {
            Some(Poll::Ready(Ok(it))) => Poll::Ready(First::Handed(it)),
            _ => Poll::Pending,
        }
    })
    .await
}

/// Whether the loan itself was woken.
#[derive(Debug, Default)]
struct Woken {
    is: AtomicBool,
    task: AtomicWaker,
}

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.is.store(true, Ordering::Release);
        self.task.wake();
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::time::Duration;

    use tokio::sync::Semaphore;
    use tokio::time::timeout;

    use super::*;

    /// A turn, and then a connection to open.
    async fn loan(turns: &Semaphore, opened: oneshot::Receiver<()>) -> &'static str {
        let _turn = turns.acquire().await;
        let _ = opened.await;
        "lent"
    }

    #[tokio::test]
    async fn what_is_handed_on_is_taken_before_the_turn() {
        let turns = Semaphore::new(0);
        let (_open, opened) = oneshot::channel();
        let (hand, handed) = oneshot::channel();
        let hands = async {
            tokio::task::yield_now().await;
            hand.send("handed").expect("somebody waits");
        };
        let loan = pin!(loan(&turns, opened));
        let (found, ()) = tokio::join!(first(loan, handed), hands);
        assert!(matches!(found, First::Handed("handed")), "{found:?}");
    }

    #[tokio::test]
    async fn a_loan_that_had_its_turn_is_not_given_up() {
        let turns = Semaphore::new(0);
        let (open, opened) = oneshot::channel();
        let (hand, handed) = oneshot::channel();
        let opens = async {
            tokio::task::yield_now().await;
            turns.add_permits(1);
            tokio::task::yield_now().await;
            hand.send("handed").expect_err("nobody waits for it any more");
            open.send(()).expect("it is awaited");
        };
        let loan = pin!(loan(&turns, opened));
        let (found, ()) = tokio::join!(first(loan, handed), opens);
        assert!(matches!(found, First::Lent("lent")), "{found:?}");
    }

    #[tokio::test]
    async fn a_giver_that_is_gone_leaves_the_loan() {
        let turns = Semaphore::new(0);
        let (open, opened) = oneshot::channel();
        let (hand, handed) = oneshot::channel::<&str>();
        drop(hand);
        let opens = async {
            tokio::task::yield_now().await;
            turns.add_permits(1);
            open.send(()).expect("it is awaited");
        };
        let loan = pin!(loan(&turns, opened));
        let waits = timeout(Duration::from_secs(20), first(loan, handed));
        let (found, ()) = tokio::join!(waits, opens);
        assert!(matches!(found, Ok(First::Lent("lent"))), "{found:?}");
    }
}
