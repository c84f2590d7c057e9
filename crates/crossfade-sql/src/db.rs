//! A pool, or a transaction that Crossfade lent: what a repository of either side holds.

use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use crossfade_store::{Lent, StoreError};
use tokio::sync::{Mutex, OwnedMutexGuard};

use crate::error::Doing;
use crate::session::Session;
use crate::{Database, Tx};

/// Where a repository gets its connection: from the database's pool, or, inside a write of
/// Crossfade's, from the transaction that both sides share. Cheap to clone.
///
/// A repository that holds a `Db` is an ordinary implementation of the application's own trait
/// and works alone as well as inside the wrapper.
#[derive(Clone, Debug)]
pub struct Db(Source);

#[derive(Clone, Debug)]
enum Source {
    Pool(Database),
    Lent(Arc<Mutex<Lent<Tx>>>),
}

impl From<Database> for Db {
    fn from(database: Database) -> Self {
        Self(Source::Pool(database))
    }
}

impl From<&Database> for Db {
    fn from(database: &Database) -> Self {
        Self::from(database.clone())
    }
}

impl From<Lent<Tx>> for Db {
    fn from(tx: Lent<Tx>) -> Self {
        Self(Source::Lent(Arc::new(Mutex::new(tx))))
    }
}

/// A connection of a [`Db`]. Dereferences to [`Tx`], which yields the engine's own connection.
#[derive(Debug)]
pub struct Conn(Held);

#[derive(Debug)]
enum Held {
    Pooled(Tx),
    Lent(OwnedMutexGuard<Lent<Tx>>),
}

impl Db {
    /// The transaction that it was made of, where it was and no clone of it is left.
    #[must_use]
    pub fn into_transaction(self) -> Option<Lent<Tx>> {
        match self.0 {
            Source::Pool(_) => None,
            Source::Lent(tx) => Arc::into_inner(tx).map(Mutex::into_inner),
        }
    }

    /// A connection: the shared transaction's where there is one; outside any transaction one to
    /// the replica that a read of Crossfade's was routed to, in that read's own task, else one of
    /// the pool's.
    ///
    /// # Errors
    ///
    /// Kind `Unavailable` when the pool has none to give, or the replica none within 250 ms, upon
    /// which the read goes on to the primary.
    ///
    /// # Cancel safety
    ///
    /// Nothing is held when dropped midway.
    pub async fn conn(&self) -> Result<Conn, StoreError> {
        Ok(Conn(match &self.0 {
            Source::Pool(database) => {
                let session: Session = match database.routed_replica() {
                    Some(replica) => replica.session().await,
                    None => database.untested_session().await,
                }
                .doing("failed to get a connection")?;
                Held::Pooled(Tx { session })
            }
            Source::Lent(tx) => Held::Lent(Arc::clone(tx).lock_owned().await),
        }))
    }
}

impl Deref for Conn {
    type Target = Tx;

    fn deref(&self) -> &Tx {
        match &self.0 {
            Held::Pooled(tx) => tx,
            Held::Lent(tx) => tx,
        }
    }
}

impl DerefMut for Conn {
    fn deref_mut(&mut self) -> &mut Tx {
        match &mut self.0 {
            Held::Pooled(tx) => tx,
            Held::Lent(tx) => tx,
        }
    }
}
