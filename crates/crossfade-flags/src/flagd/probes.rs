//! How a silent connection is probed.

use std::time::Duration;

/// The time between two pings of HTTP/2 in silence, and how long the answer may take; together less
/// than 20 s.
pub(super) const PING: Duration = Duration::from_secs(9);

/// Whether pings of HTTP/2 are sent.
///
/// grpc-go, unless it is told otherwise, hangs up after the third ping in silence that comes sooner
/// than five minutes after the last (`too_many_pings`), and the reason does not reach the stream. So
/// a stream that breaks at the time of the third ping or of the two behind it is taken to have broken
/// from them. That may be wrong once; TCP's own probes, which no server minds, go on either way.
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
        // The first ping comes a full interval after the last message.
        if (PING * 3..PING * 6).contains(&silence) {
            *self = Self::TcpOnly;
        }
    }
}
