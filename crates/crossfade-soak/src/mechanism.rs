//! What `--without` takes out.

use crossfade::Database;

/// A mechanism whose absence the run must notice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Without {
    /// A write looks whether its epoch is open.
    Fence,
    /// A batch of backfill locks the Legacy rows that it copies.
    SourceLock,
    /// The stage `delete_only` lies between `off` and `dual_write`.
    DeleteOnly,
    /// A connection whose transaction was dropped midway is closed.
    CancelGuard,
}

impl Without {
    /// All of them, in the order of `--self-test`.
    pub(crate) const ALL: [Self; 4] =
        [Self::Fence, Self::SourceLock, Self::DeleteOnly, Self::CancelGuard];

    /// Its name on the command line.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Fence => "fence",
            Self::SourceLock => "source-lock",
            Self::DeleteOnly => "delete-only",
            Self::CancelGuard => "cancel-guard",
        }
    }

    /// The same database without it. A skipped stage is the director's business.
    #[cfg(feature = "mutants")]
    fn taken_out(self, database: &Database) -> Database {
        use crossfade_sql::Mechanism;
        match self {
            Self::Fence => database.without(Mechanism::FenceCheck),
            Self::SourceLock => database.without(Mechanism::SourceLock),
            Self::DeleteOnly => database.clone(),
            Self::CancelGuard => database.without(Mechanism::CancelGuard),
        }
    }

    #[cfg(not(feature = "mutants"))]
    fn taken_out(self, database: &Database) -> Database {
        database.clone()
    }
}

/// The same database, without what is to be taken out, if anything is.
pub(crate) fn weakened(database: &Database, without: Option<Without>) -> Database {
    without.map_or_else(|| database.clone(), |without| without.taken_out(database))
}

/// Whether this build can take anything out.
pub(crate) const CAN_WEAKEN: bool = cfg!(feature = "mutants");
