//! Which request suffers which fault.

use tokio::sync::watch;

/// What happens to a request that was recognised. The connection is cut in each case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The server never receives it.
    LoseRequest,
    /// The server carries it out and answers; the client never hears of it.
    LoseReply,
    /// The server carries it out and answers; the client gets an error of PostgreSQL's instead, of
    /// severity FATAL and with this SQLSTATE, as of a pooler that has lost the server.
    FatalReply(&'static str),
    /// The server carries it out and answers; the client gets an error of MariaDB's instead, with
    /// this number and the SQLSTATE HY000, as of a proxy that has lost the server.
    ErrorReply(u16),
}

impl Fault {
    /// What the client gets in place of the server's answer.
    pub(crate) fn reply(self) -> Vec<u8> {
        const SAID: &str = "server conn crashed?";
        match self {
            Self::LoseRequest | Self::LoseReply => Vec::new(),
            Self::FatalReply(state) => {
                let body = format!("SFATAL\0VFATAL\0C{state}\0M{SAID}\0\0").into_bytes();
                // The length counts itself.
                let length = u32::try_from(body.len() + 4).unwrap_or(u32::MAX);
                [b"E".as_slice(), &length.to_be_bytes(), &body].concat()
            }
            Self::ErrorReply(number) => {
                let body = [b"\xff".as_slice(), &number.to_le_bytes(), b"#HY000", SAID.as_bytes()];
                let body = body.concat();
                let length = u32::try_from(body.len()).unwrap_or(u32::MAX).to_le_bytes();
                // The first packet behind that of a command.
                [&length[..3], &[1], &body].concat()
            }
        }
    }
}

/// A fault that waits for its request.
#[derive(Clone, Debug)]
pub struct Armed {
    struck: watch::Receiver<bool>,
}

impl Armed {
    /// Whether the fault has struck: the connection is cut and, for a lost reply, the server has
    /// answered.
    #[must_use]
    pub fn has_struck(&self) -> bool {
        *self.struck.borrow()
    }

    /// Waits until the fault has struck; for ever, when the proxy is dropped before.
    ///
    /// # Cancel safety
    ///
    /// It changes nothing; dropping it at any point has no effect.
    pub async fn struck(&mut self) {
        if self.struck.wait_for(|struck| *struck).await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

#[derive(Debug)]
struct Rule {
    /// In lower case.
    text: Vec<u8>,
    fault: Fault,
    struck: watch::Sender<bool>,
}

/// A fault on its way: dropped unless it strikes.
#[derive(Debug)]
pub(crate) struct Strike {
    pub(crate) fault: Fault,
    struck: watch::Sender<bool>,
}

impl Strike {
    pub(crate) fn done(self) {
        self.struck.send_replace(true);
    }
}

#[derive(Debug, Default)]
pub(crate) struct Rules {
    rules: Vec<Rule>,
}

impl Rules {
    pub(crate) fn arm(&mut self, text: &str, fault: Fault) -> Armed {
        let (struck, receiver) = watch::channel(false);
        let text = text.to_ascii_lowercase().into_bytes();
        self.rules.push(Rule { text, fault, struck });
        Armed { struck: receiver }
    }

    /// Takes out the rule that `sent` fulfils.
    pub(crate) fn take(&mut self, sent: &[u8]) -> Option<Strike> {
        if self.rules.is_empty() {
            return None;
        }
        let sent = sent.to_ascii_lowercase();
        let place = self.rules.iter().position(|rule| contains(&sent, &rule.text))?;
        let Rule { fault, struck, .. } = self.rules.remove(place);
        Some(Strike { fault, struck })
    }

    /// As many bytes as a text may have in front of what is read next.
    pub(crate) fn longest(&self) -> usize {
        self.rules.iter().map(|rule| rule.text.len()).max().unwrap_or_default()
    }
}

fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    needle.is_empty() || haystack.windows(needle.len()).any(|window| window == needle)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_that_fits_strikes_once() {
        let mut rules = Rules::default();
        let commit = rules.arm("COMMIT", Fault::LoseReply);
        let second = rules.arm("commit", Fault::LoseRequest);
        assert!(rules.take(b"select 1").is_none());
        let strike = rules.take(b"Q\0\0\0\x0bCommit\0").expect("it is recognised");
        assert_eq!(strike.fault, Fault::LoseReply);
        strike.done();
        assert!(commit.has_struck());
        assert!(!second.has_struck());
        assert_eq!(rules.take(b"commit").map(|strike| strike.fault), Some(Fault::LoseRequest));
        assert!(rules.take(b"commit").is_none());
    }
}
