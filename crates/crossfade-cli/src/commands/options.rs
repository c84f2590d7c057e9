//! Options that several commands share.

use std::time::Duration;

use crossfade_control::{Patience, Stragglers};

/// Why, for the audit trail.
#[derive(Debug, clap::Args)]
pub(crate) struct Reason {
    /// Why, for the audit trail.
    #[arg(long, value_name = "TEXT", default_value = "")]
    pub(crate) reason: String,
}

/// How long a stage change waits for others.
#[derive(Debug, clap::Args)]
pub(crate) struct Waiting {
    /// How long to wait until live instances acknowledge the stage [default: 20s].
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
    pub(crate) wait: Option<Duration>,
    /// How long to wait for the writers of the stage before [default: 30s].
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
    pub(crate) close_wait: Option<Duration>,
    /// End the sessions of writers that stay longer than that; they are rolled back.
    #[arg(long)]
    pub(crate) terminate_stragglers: bool,
}

impl Waiting {
    pub(crate) fn patience(&self) -> Patience {
        let default = Patience::default();
        Patience {
            acknowledgements: self.wait.unwrap_or(default.acknowledgements),
            writers: self.close_wait.unwrap_or(default.writers),
            stragglers: match self.terminate_stragglers {
                true => Stragglers::Terminate,
                false => Stragglers::Name,
            },
        }
    }
}
