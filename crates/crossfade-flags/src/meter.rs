//! What the client tells through the `metrics` facade. `docs/metrics.md` explains each.

use metrics::{Gauge, Unit, gauge};

use crate::{State, Status};

pub(crate) struct Meter {
    version: Gauge,
    age: Gauge,
    stale: Gauge,
    silence: Vec<Gauge>,
}

impl Meter {
    pub(crate) fn new(status: &Status) -> Self {
        let silence = |origin: &str| {
            gauge!(
                description: "How long ago a source of rule sets could last be asked.",
                unit: Unit::Seconds,
                "crossfade_flags_silence_seconds",
                "origin" => origin.to_owned()
            )
        };
        Self {
            version: gauge!(
                description: "Version of the rule set in use; 0 before the first.",
                "crossfade_flags_version"
            ),
            age: gauge!(
                description: "How long ago the rule set in use was swapped in.",
                unit: Unit::Seconds,
                "crossfade_flags_age_seconds"
            ),
            stale: gauge!(
                description: "1 while a source of rule sets is silent for too long.",
                "crossfade_flags_stale"
            ),
            silence: status.sources().iter().map(|source| silence(source.origin())).collect(),
        }
    }

    pub(crate) fn tell(&self, status: &Status) {
        #[expect(clippy::cast_precision_loss, reason = "versions are far fewer than 2^52")]
        self.version.set(status.version() as f64);
        if let Some(age) = status.age() {
            self.age.set(age.as_secs_f64());
        }
        self.stale.set(if status.state() == State::Stale { 1.0 } else { 0.0 });
        for (gauge, source) in self.silence.iter().zip(status.sources()) {
            if let Some(silence) = source.last_contact() {
                gauge.set(silence.as_secs_f64());
            }
        }
    }
}
