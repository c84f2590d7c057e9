//! A clock that moves only when told.

use std::{future::poll_fn, pin::pin, sync::mpsc, task::Poll, time::Duration};

use tokio::{
    task::{spawn_blocking, yield_now},
    time::{advance, pause},
};

/// How often everything is polled before another second passes, so that what is on its way through a
/// socket arrives in time.
const ROUNDS: usize = 200;

/// After this much real time the clock runs off, so that a test that waits in vain meets its deadline.
const DEADLINE: Duration = Duration::from_secs(20);

/// A stopped clock. A clock that is merely paused jumps to the next timer whenever nothing is left
/// to do, though a packet may be under way; it does not while a blocking task runs.
pub(super) struct Clock {
    _blocking: mpsc::Sender<()>,
}

impl Clock {
    pub(super) fn stop() -> Self {
        let (sender, receiver) = mpsc::channel();
        spawn_blocking(move || receiver.recv_timeout(DEADLINE));
        pause();
        Self { _blocking: sender }
    }

    /// Lets time pass until the future is ready, and returns after how many seconds that was.
    pub(super) async fn run<T>(&self, future: impl Future<Output = T>) -> (T, u64) {
        let mut future = pin!(future);
        for second in 0..300 {
            for _ in 0..ROUNDS {
                let poll = poll_fn(|context| Poll::Ready(future.as_mut().poll(context))).await;
                if let Poll::Ready(output) = poll {
                    return (output, second);
                }
                yield_now().await;
            }
            advance(Duration::from_secs(1)).await;
        }
        panic!("waited in vain for five minutes");
    }

    /// Lets so many seconds pass, in which the future must not become ready, and drops it.
    pub(super) async fn give_up_after<T>(&self, seconds: u64, future: impl Future<Output = T>) {
        let passed = self.run(tokio::time::timeout(Duration::from_secs(seconds), future)).await.0;
        assert!(passed.is_err(), "the future was ready within {seconds} s");
    }
}
