//! The two sides of a migration and the stages it passes through.

use std::fmt;
use std::str::FromStr;

/// One of the two schemas that a migration moves between.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Side {
    /// The schema the migration leaves.
    Legacy,
    /// The schema the migration moves to.
    New,
}

impl Side {
    /// The lower-case name used in logs and output: `legacy` or `new`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Legacy => "legacy",
            Self::New => "new",
        }
    }

    /// The opposite side.
    #[must_use]
    pub const fn other(self) -> Self {
        match self {
            Self::Legacy => Self::New,
            Self::New => Self::Legacy,
        }
    }
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Where a migration stands, fleet-wide. The order of the variants is the order of the stages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Stage {
    /// Writes and reads use Legacy alone.
    Off,
    /// Writes use Legacy and take the written key away from New; nothing is inserted on New.
    DeleteOnly,
    /// Writes go to both sides, Legacy is authoritative, reads use Legacy.
    DualWrite,
    /// Writes go to both sides or neither; the read flag picks the side for each user.
    Live,
    /// Writes go to both sides or neither; reads use New.
    RampDown,
    /// Writes and reads use New alone; Legacy still exists.
    Complete,
    /// Legacy is gone.
    Contracted,
}

impl Stage {
    /// Every stage in order.
    pub const ALL: [Self; 7] = [
        Self::Off,
        Self::DeleteOnly,
        Self::DualWrite,
        Self::Live,
        Self::RampDown,
        Self::Complete,
        Self::Contracted,
    ];

    /// The name used in commands, output and control tables.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::DeleteOnly => "delete_only",
            Self::DualWrite => "dual_write",
            Self::Live => "live",
            Self::RampDown => "ramp_down",
            Self::Complete => "complete",
            Self::Contracted => "contracted",
        }
    }

    /// The stage after this one, `None` after `contracted`.
    #[must_use]
    pub fn next(self) -> Option<Self> {
        Self::ALL.get(self as usize + 1).copied()
    }

    /// The stage before this one, `None` before `off`.
    #[must_use]
    pub fn previous(self) -> Option<Self> {
        (self as usize).checked_sub(1).map(|index| Self::ALL[index])
    }

    /// The side whose result the caller of a write gets and whose failure fails the call.
    #[must_use]
    pub const fn authoritative(self) -> Side {
        match self {
            Self::Off | Self::DeleteOnly | Self::DualWrite | Self::Live => Side::Legacy,
            Self::RampDown | Self::Complete | Self::Contracted => Side::New,
        }
    }

    /// Whether backfill and repair may write New rows from Legacy rows in this stage.
    ///
    /// From `ramp_down` on New is the base of changes, so Legacy may no longer overwrite it.
    #[must_use]
    pub const fn reconciles(self) -> bool {
        matches!(self, Self::DualWrite | Self::Live)
    }

    /// Whether a verification means something: both sides are written in full in this stage, or
    /// are about to be made equal.
    #[must_use]
    pub const fn compares(self) -> bool {
        matches!(self, Self::DualWrite | Self::Live | Self::RampDown)
    }

    /// Whether New may be emptied: nobody writes it or relies on its rows.
    #[must_use]
    pub const fn may_empty_new(self) -> bool {
        matches!(self, Self::Off)
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A word that names no stage.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "unknown stage `{0}`; the stages are off, delete_only, dual_write, live, ramp_down, complete \
     and contracted"
)]
pub struct UnknownStage(pub String);

impl FromStr for Stage {
    type Err = UnknownStage;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wanted = text.replace('-', "_");
        Self::ALL
            .into_iter()
            .find(|stage| stage.as_str() == wanted)
            .ok_or_else(|| UnknownStage(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_round_trip() {
        for stage in Stage::ALL {
            assert_eq!(stage.as_str().parse(), Ok(stage));
        }
        assert_eq!("ramp-down".parse(), Ok(Stage::RampDown));
        assert!("livee".parse::<Stage>().is_err());
    }

    #[test]
    fn neighbours_are_inverse() {
        for stage in Stage::ALL {
            if let Some(next) = stage.next() {
                assert_eq!(next.previous(), Some(stage));
            }
        }
        assert_eq!(Stage::Off.previous(), None);
        assert_eq!(Stage::Contracted.next(), None);
    }
}
