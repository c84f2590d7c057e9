//! How a silent connection is probed.

use std::time::Duration;

/// The time between two pings of HTTP/2 in silence.
const PING: Duration = Duration::from_secs(12);

/// How long the answer to a ping may take.
pub(super) const PONG: Duration = Duration::from_secs(6);

/// How long after a ping a peer that does not like it may hang up; shorter than [`PONG`].
const RESENTMENT: Duration = Duration::from_secs(4);

/// Whether pings of HTTP/2 are sent.
///
/// grpc-go, unless it is told otherwise, hangs up after the third or fourth ping in silence when they
/// come sooner than five minutes after one another (`too_many_pings`), and the reason does not reach
/// the stream. So a stream that breaks right behind one of the third to fifth ping is taken to have
/// broken from pings; one that breaks later in between has left a ping without an answer. That may be
/// wrong once; TCP's own probes, which no server minds, go on either way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Probes {
    #[default]
    Ping,
    TcpOnly,
}

impl Probes {
    pub(super) fn interval(self) -> Option<Duration> {
        (self == Self::Ping).then_some(PING)
    }

    /// Notes that the connection broke after so long a silence.
    pub(super) fn broke_off(&mut self, silence: Duration) {
        let resented = |pings| (PING * pings..PING * pings + RESENTMENT).contains(&silence);
        if (3..=5).any(resented) {
            *self = Self::TcpOnly;
        }
    }
}
