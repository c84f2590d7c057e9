//! What the director tells a process on its standard input, one word a line; the end of the input
//! ends the process, so that none outlives the director.

use tokio::io::{AsyncBufReadExt, BufReader, Lines, Stdin};

/// Let nothing begin, and answer with [`PAUSED`] once nothing is under way.
pub(crate) const PAUSE: &str = "pause";
/// Go on.
pub(crate) const RESUME: &str = "resume";
/// The answer to [`PAUSE`].
pub(crate) const PAUSED: &str = "paused";

/// The orders of this process.
#[derive(Debug)]
pub(crate) struct Orders(Lines<BufReader<Stdin>>);

impl Orders {
    /// Those on its standard input.
    pub(crate) fn of_this_process() -> Self {
        Self(BufReader::new(tokio::io::stdin()).lines())
    }

    /// The next order; `None` at the end.
    pub(crate) async fn next(&mut self) -> Option<String> {
        self.0.next_line().await.ok().flatten()
    }
}
