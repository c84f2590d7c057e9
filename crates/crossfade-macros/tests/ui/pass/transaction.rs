//! Writes that take the transaction: the sides are handed it, and the wrapper's methods lack it.
#![deny(warnings, clippy::all)]

use async_trait::async_trait;
use crossfade::{Migration, Once, OperationId, ReadError, Tx, WriteError};
use sqlx::SqlitePool;

fn read_failed(error: ReadError<sqlx::Error>) -> sqlx::Error {
    match error {
        ReadError::Legacy(error) | ReadError::New(error) => error,
        error => sqlx::Error::Configuration(error.into()),
    }
}

fn write_failed(error: WriteError<sqlx::Error>) -> sqlx::Error {
    match error {
        WriteError::Legacy(error) | WriteError::New(error) => error,
        error => sqlx::Error::Configuration(error.into()),
    }
}

#[crossfade::repository(dual = DualNames, read_error = read_failed, write_error = write_failed)]
trait Names: Send + Sync {
    type Id: Send + Sync + Copy + Into<i64>;

    #[read(key = id.into())]
    async fn get(&self, id: Self::Id) -> Result<Option<String>, sqlx::Error>;

    /// Compared without a transaction that the sides could read in.
    #[read(key = id, user = name, compare)]
    async fn has(&self, id: i64, name: &str) -> Result<bool, sqlx::Error>;

    #[write(key = id, operation = once)]
    async fn put_once(
        &self,
        once: &OperationId,
        tx: &mut Tx,
        id: i64,
    ) -> Result<Once<i64>, sqlx::Error>;

    /// Stores a name.
    #[write(key = id.into())]
    async fn put(&self, tx: &mut Tx, id: Self::Id, name: &str) -> Result<Self::Id, sqlx::Error>;

    #[delete(key = id)]
    async fn delete(&self, id: i64, tx: &mut crossfade::Tx) -> Result<(), sqlx::Error>;
}

#[crossfade::repository(read_error = read_failed, write_error = write_failed)]
#[async_trait]
trait Below: Send + Sync {
    #[read(key = id)]
    async fn get(&self, id: i64) -> Result<Option<String>, sqlx::Error>;

    #[write(key = id)]
    async fn put(&self, tx: &mut Tx, id: i64, name: &str) -> Result<(), sqlx::Error>;
}

#[async_trait]
#[crossfade::repository(read_error = read_failed, write_error = write_failed)]
trait Above: Send + Sync {
    #[read(key = id)]
    async fn get(&self, id: i64) -> Result<Option<String>, sqlx::Error>;

    #[write(key = id)]
    async fn put(&self, tx: &mut Tx, id: i64, name: &str) -> Result<(), sqlx::Error>;
}

#[derive(Clone)]
struct Side(SqlitePool);

impl Names for Side {
    type Id = i64;

    async fn get(&self, id: i64) -> Result<Option<String>, sqlx::Error> {
        let query = sqlx::query_scalar("select name from names where id = ?").bind(id);
        query.fetch_optional(&self.0).await
    }

    async fn has(&self, id: i64, name: &str) -> Result<bool, sqlx::Error> {
        Names::get(self, id).await.map(|found| found.as_deref() == Some(name))
    }

    async fn put_once(
        &self,
        _: &OperationId,
        tx: &mut Tx,
        id: i64,
    ) -> Result<Once<i64>, sqlx::Error> {
        Names::put(self, tx, id, "once").await.map(Once::Applied)
    }

    async fn put(&self, tx: &mut Tx, id: i64, name: &str) -> Result<i64, sqlx::Error> {
        let query = sqlx::query("insert into names (id, name) values (?, ?)").bind(id).bind(name);
        query.execute(tx.sqlite()?).await.map(|_| id)
    }

    async fn delete(&self, id: i64, tx: &mut Tx) -> Result<(), sqlx::Error> {
        let query = sqlx::query("delete from names where id = ?").bind(id);
        query.execute(tx.sqlite()?).await.map(drop)
    }
}

#[async_trait]
impl Below for Side {
    async fn get(&self, id: i64) -> Result<Option<String>, sqlx::Error> {
        Names::get(self, id).await
    }

    async fn put(&self, tx: &mut Tx, id: i64, name: &str) -> Result<(), sqlx::Error> {
        Names::put(self, tx, id, name).await.map(drop)
    }
}

#[async_trait]
impl Above for Side {
    async fn get(&self, id: i64) -> Result<Option<String>, sqlx::Error> {
        Names::get(self, id).await
    }

    async fn put(&self, tx: &mut Tx, id: i64, name: &str) -> Result<(), sqlx::Error> {
        Names::put(self, tx, id, name).await.map(drop)
    }
}

async fn wrap(migration: Migration, pool: SqlitePool) -> Result<(), sqlx::Error> {
    let side = || Side(pool.clone());
    let names = DualNames::new(migration.clone(), side(), side());
    let below = DualBelow::new(migration.clone(), side(), side());
    let above = DualAbove::new(migration, side(), side());
    let handler = async move {
        names.put(1, "a").await?;
        names.get(1).await?;
        names.has(1, "a").await?;
        let _ = names.put_once(&OperationId::random(), 1).await?.applied();
        names.delete(1).await?;
        below.put(1, "a").await?;
        below.get(1).await?;
        above.put(1, "a").await?;
        above.get(1).await.map(drop)
    };
    tokio::spawn(handler).await.map_err(|_| sqlx::Error::PoolClosed)?
}

fn main() {
    let _ = wrap;
}
