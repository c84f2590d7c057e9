//! Asking long work to stop after its current batch.

use std::time::Duration;

use tokio::sync::watch;

/// A pair of which the first asks and the second is asked.
#[must_use]
pub fn cancellation() -> (Canceller, Cancel) {
    let (sender, receiver) = watch::channel(false);
    (Canceller(sender), Cancel(Some(receiver)))
}

/// Asks work to stop. Dropping it asks for nothing.
#[derive(Debug)]
pub struct Canceller(watch::Sender<bool>);

impl Canceller {
    /// Asks every holder of the other half to stop after the current batch.
    pub fn cancel(&self) {
        self.0.send_replace(true);
    }
}

/// Tells work whether it was asked to stop.
#[derive(Clone, Debug)]
pub struct Cancel(Option<watch::Receiver<bool>>);

impl Cancel {
    /// Never asks to stop.
    #[must_use]
    pub const fn never() -> Self {
        Self(None)
    }

    /// Whether to stop.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.0.as_ref().is_some_and(|receiver| *receiver.borrow())
    }

    /// Returns after `duration`, or as soon as it is asked to stop.
    pub(crate) async fn sleep(&self, duration: Duration) {
        let asked = async {
            let waited = match self.0.clone() {
                Some(mut receiver) => receiver.wait_for(|asked| *asked).await.is_ok(),
                None => false,
            };
            // Nobody is left who could ask.
            if !waited {
                std::future::pending::<()>().await;
            }
        };
        tokio::select! {
            () = asked => {}
            () = tokio::time::sleep(duration) => {}
        }
    }
}
