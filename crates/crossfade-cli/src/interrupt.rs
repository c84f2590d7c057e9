//! Ctrl-C in long work.

use std::process;

use crossfade_reconcile::{Cancel, cancellation};
use tokio::task::JoinHandle;

use crate::{failure::Exit, output::Output};

/// Listens for Ctrl-C until dropped: the first asks the work to stop after its batch, the second
/// ends the process, which loses nothing but the batch.
#[derive(Debug)]
pub(crate) struct Interrupt {
    pub(crate) cancel: Cancel,
    listener: JoinHandle<()>,
}

impl Interrupt {
    pub(crate) fn listen(output: Output) -> Self {
        let (canceller, cancel) = cancellation();
        let listener = tokio::spawn(async move {
            if tokio::signal::ctrl_c().await.is_err() {
                return;
            }
            canceller.cancel();
            output.note("stopping after this batch; Ctrl-C again stops at once");
            if tokio::signal::ctrl_c().await.is_ok() {
                process::exit(Exit::Failed as i32);
            }
        });
        Self { cancel, listener }
    }
}

impl Drop for Interrupt {
    fn drop(&mut self) {
        self.listener.abort();
    }
}
