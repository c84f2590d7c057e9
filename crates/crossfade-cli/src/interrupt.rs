//! Ctrl-C, and the signal by which a service is stopped.

use std::{io, process};

use crossfade_reconcile::{Cancel, cancellation};
use tokio::{signal, task::JoinHandle};

use crate::{
    cli::Command,
    failure::{Exit, Failure},
    output::Output,
};

/// What remains of a command that Ctrl-C ends; `None` for commands that end in their own way.
pub(crate) fn rest(command: &Command) -> Option<&'static str> {
    match command {
        Command::Backfill(_)
        | Command::Validate(_)
        | Command::Verify(_)
        | Command::Repair(_)
        | Command::Demo(_) => None,
        // A watch ends without an error.
        Command::Status(args) if args.watch => None,
        Command::Flag(args) if args.ends_anywhere() => None,
        Command::Quarantine(args) if args.ends_by_itself() => None,
        Command::Quarantine(_) => Some("nothing was changed"),
        Command::Status(_) | Command::Check(_) | Command::Audit(_) => Some("nothing was changed"),
        Command::New(_) | Command::Init(_) => Some("what was made stays; run it again"),
        Command::Capture(_) => Some(
            "`crossfade capture status` tells how the capture stands; running it again finishes",
        ),
        Command::Expand(_) => Some(
            "statements that are done stay done; running it again goes on after them, once the \
             one that was running has ended on the server",
        ),
        Command::Contract(_) => Some(
            "rights that were revoked stay revoked and statements that are done stay done; \
             running it again goes on after them",
        ),
        Command::Stage(_) => Some(
            "`crossfade status` tells the stage; when it was changed already, running it again \
             closes the epoch before",
        ),
        Command::Rollback(_) => Some(
            "the read flag goes off first; `crossfade status` tells flag and stage, and running \
             it again does the rest",
        ),
        Command::Flag(_) => {
            Some("a rule set is stored whole or not at all; see `crossfade flag list`")
        }
    }
}

/// Returns once Ctrl-C was pressed.
pub(crate) async fn interrupted(rest: &str) -> Failure {
    match signal::ctrl_c().await {
        Ok(()) => Failure::new(Exit::Failed, "interrupted").with_hint(rest),
        // It ends the process then, as without a listener.
        Err(_) => std::future::pending().await,
    }
}

/// Returns once this process is asked to stop.
async fn asked() -> io::Result<()> {
    #[cfg(unix)]
    {
        let mut terminated = signal::unix::signal(signal::unix::SignalKind::terminate())?;
        tokio::select! {
            pressed = signal::ctrl_c() => pressed,
            _ = terminated.recv() => Ok(()),
        }
    }
    #[cfg(not(unix))]
    signal::ctrl_c().await
}

/// Listens for Ctrl-C and SIGTERM until dropped: the first asks the work to stop after its batch, the second
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
            if asked().await.is_err() {
                return;
            }
            canceller.cancel();
            output.note("stopping after this batch; Ctrl-C again stops at once");
            if asked().await.is_ok() {
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
