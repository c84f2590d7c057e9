//! Wiring the crates together.

use std::sync::Arc;

use crossfade_dual::{Instance, Options};
use crossfade_flags::Flags;
use crossfade_sql::{AnyPool, Database};
use crossfade_store::{ReadFlag, StoreError};

use crate::Crossfade;
use crate::flag_switch::DatabaseFlags;

/// Builds a [`Crossfade`].
#[derive(Debug)]
#[must_use]
pub struct Builder {
    database: Source,
    flags: Option<Arc<dyn ReadFlag>>,
    options: Options,
    auto_rollback: bool,
}

#[derive(Debug)]
enum Source {
    Pool(AnyPool),
    Database(Database),
}

/// The database could not be reached or holds no control tables.
#[derive(Debug, thiserror::Error)]
#[error("failed to start Crossfade")]
pub struct BuildError(#[from] StoreError);

impl BuildError {
    /// What to do about it, where something can be said.
    #[must_use]
    pub fn hint(&self) -> Option<&str> {
        self.0.hint.as_deref()
    }
}

impl Crossfade {
    /// Begins with the application's own pool. The database that it points to holds both sides
    /// and the control tables.
    pub fn builder(pool: impl Into<AnyPool>) -> Builder {
        Builder::of(Source::Pool(pool.into()))
    }

    /// Begins with a [`Database`] that the repositories already share.
    pub fn builder_on(database: Database) -> Builder {
        Builder::of(Source::Database(database))
    }
}

impl Builder {
    fn of(database: Source) -> Self {
        Self { database, flags: None, options: Options::default(), auto_rollback: false }
    }

    /// Where the read flag comes from. Default: the rule set in the database, as `crossfade flag`
    /// sets it, followed as it changes.
    pub fn flags(self, flags: impl ReadFlag) -> Self {
        Self { flags: Some(Arc::new(flags)), ..self }
    }

    /// Options of the request path.
    pub fn options(self, options: Options) -> Self {
        Self { options, ..self }
    }

    /// An opening breaker also turns the read flag off for everybody, in the rule set in the
    /// database, as this instance, with its reason in the audit trail. Default: it keeps the reads
    /// of its own process on Legacy, and nothing else.
    ///
    /// Where [`flags`](Self::flags) named a system that the rule set in the database has no part in,
    /// give [`Options::auto_rollback`] a switch of that system's instead.
    pub fn auto_rollback(self) -> Self {
        Self { auto_rollback: true, ..self }
    }

    /// Connects, loads the state of every migration and begins to follow it.
    ///
    /// # Errors
    ///
    /// [`BuildError`] when the database does not answer or `crossfade init` has not been run.
    pub async fn build(self) -> Result<Crossfade, BuildError> {
        let database = match self.database {
            Source::Pool(pool) => Database::open(pool).await?,
            Source::Database(database) => database,
        };
        let (read_flag, flags) = match self.flags {
            Some(read_flag) => (read_flag, None),
            None => {
                let flags = Flags::from_store(Arc::new(database.clone())).await;
                (Arc::new(flags.clone()) as Arc<dyn ReadFlag>, Some(flags))
            }
        };
        let options = match self.auto_rollback {
            true => self.options.auto_rollback(Arc::new(DatabaseFlags(database.clone()))),
            false => self.options,
        };
        let instance = Instance::start(database.clone(), read_flag, options).await?;
        Ok(Crossfade { database, instance, flags })
    }
}
