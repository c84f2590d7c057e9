//! Types that lack what a mark asks of them.

use crossfade::{Db, Migration, Once, OperationId, ReadError, WriteError, repository};

#[derive(Debug, thiserror::Error)]
#[error("failed")]
struct Failed;

impl From<ReadError<Failed>> for Failed {
    fn from(_: ReadError<Failed>) -> Self {
        Self
    }
}

impl From<WriteError<Failed>> for Failed {
    fn from(_: WriteError<Failed>) -> Self {
        Self
    }
}

#[repository]
trait Names: Send + Sync {
    #[write(key = id)]
    async fn put(&self, id: i64) -> Result<(), Failed>;
}

/// It holds a `Db`, and cannot be had in a transaction.
struct PoolOnly(Db);

impl Names for PoolOnly {
    async fn put(&self, _: i64) -> Result<(), Failed> {
        self.0.conn().await.map(drop).map_err(|_| Failed)
    }
}

fn of_sides_without_a_transaction(migration: Migration, db: Db) -> impl Names {
    DualNames::new(migration, PoolOnly(db.clone()), PoolOnly(db))
}

#[repository]
trait Compared: Send + Sync {
    #[read(key = id, compare)]
    async fn get(&self, id: i64) -> Result<(), Failed>;
}

impl Compared for PoolOnly {
    async fn get(&self, _: i64) -> Result<(), Failed> {
        Ok(())
    }
}

fn of_sides_that_cannot_be_cloned(migration: Migration, db: Db) -> impl Compared {
    DualCompared::new(migration, PoolOnly(db.clone()), PoolOnly(db))
}

/// It converts from what a read may end with alone.
#[derive(Debug, thiserror::Error)]
#[error("failed to read")]
struct ReadFailed;

impl From<ReadError<ReadFailed>> for ReadFailed {
    fn from(_: ReadError<ReadFailed>) -> Self {
        Self
    }
}

#[repository]
trait WithHalfAnError: Send + Sync {
    #[write(key = id)]
    async fn put(&self, id: i64) -> Result<(), ReadFailed>;
}

struct Uncloned;

struct Unequal;

#[repository]
trait Lacking: Send + Sync {
    #[write(key = id)]
    async fn put(&self, id: i64, row: Uncloned) -> Result<(), Failed>;

    #[read(key = id, compare)]
    async fn get(&self, id: i64) -> Result<Unequal, Failed>;

    #[read(key = row)]
    async fn by_row(&self, row: &Uncloned) -> Result<(), Failed>;

    #[write(key = id, operation = operation)]
    async fn uncertain(&self, operation: &OperationId, id: i64) -> Result<u64, Failed>;

    #[write(key = id, operation = id)]
    async fn by_its_key(&self, id: i64) -> Result<Once<()>, Failed>;
}

fn main() {}
