//! What becomes of writers that go around the SDK, and in which stages.

use std::fmt;
use std::str::FromStr;

use crate::{MigrationName, Refusal, Stage};

/// What a capture does with a write on Legacy that did not pass the fence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CaptureMode {
    /// It is counted, together with who wrote.
    Observe,
    /// It is counted, and its keys go to the journal, from which a repair carries them to New.
    Journal,
    /// It fails.
    Reject,
}

impl CaptureMode {
    /// Every mode.
    pub const ALL: [Self; 3] = [Self::Observe, Self::Journal, Self::Reject];

    /// The name used in commands, output and control tables.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Observe => "observe",
            Self::Journal => "journal",
            Self::Reject => "reject",
        }
    }
}

impl fmt::Display for CaptureMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A word that names no mode of a capture.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown mode `{0}`; the modes are observe, journal and reject")]
pub struct UnknownCaptureMode(pub String);

impl FromStr for CaptureMode {
    type Err = UnknownCaptureMode;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let found = Self::ALL.into_iter().find(|mode| mode.as_str() == text);
        found.ok_or_else(|| UnknownCaptureMode(text.to_owned()))
    }
}

/// What a gate knows of a capture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CaptureFacts {
    /// What it does.
    pub mode: CaptureMode,
    /// Since when, in milliseconds since 1970.
    pub since_ms: i64,
    /// Whether its triggers are there, enabled, and those that were installed.
    pub in_place: bool,
}

/// Why a capture is not installed in this mode while the migration is in `stage`; `None` when
/// nothing stands against it.
///
/// A journal is worth what its repair is: from `ramp_down` on New is the base of changes, Legacy no
/// longer overwrites it, and a journaled key would wait for ever.
#[must_use]
pub fn capture_refusal(
    migration: &MigrationName,
    mode: CaptureMode,
    stage: Stage,
) -> Option<Refusal> {
    (mode == CaptureMode::Journal && stage > Stage::Live).then(|| Refusal {
        reason: format!("in `{stage}` nothing carries journaled keys to New"),
        hint: format!(
            "`crossfade capture install {migration} --mode reject` stops writers that still go \
             around the SDK, `--mode observe` names them"
        ),
        passes_with_time: false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_round_trip() {
        for mode in CaptureMode::ALL {
            assert_eq!(mode.as_str().parse(), Ok(mode));
        }
        let unknown = "watch".parse::<CaptureMode>().unwrap_err().to_string();
        assert!(unknown.contains("observe, journal and reject"), "{unknown}");
    }

    #[test]
    fn a_journal_ends_with_live() {
        let name: MigrationName = "people".parse().unwrap();
        for stage in Stage::ALL {
            for mode in CaptureMode::ALL {
                let refused = capture_refusal(&name, mode, stage).is_some();
                assert_eq!(refused, mode == CaptureMode::Journal && stage > Stage::Live);
            }
        }
    }
}
