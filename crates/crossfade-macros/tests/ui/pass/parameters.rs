//! A trait with parameters, an error of each side's choice, and a crate of another name.
#![deny(warnings, clippy::all)]

use std::error::Error;

use crossfade as fade;
use fade::{Db, InTransaction, Migration, ReadError, ToKey, Tx, WriteError};

#[fade::repository(dual = DualStore, crate = fade)]
trait Store<K, V>: Send + Sync
where
    K: ToKey + Send + Sync,
    V: Clone + Send + Sync,
{
    type Row: Send;
    type Error: Error + Send + Sync + 'static;

    #[read(key = key)]
    async fn get(&self, key: &K) -> Result<Self::Row, Self::Error>;

    #[write(key = key)]
    async fn put(&self, key: &K, value: V) -> Result<(), Self::Error>;
}

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

struct Side(Db);

impl InTransaction for Side {
    fn within(&self, tx: Tx) -> Self {
        Self(tx.into())
    }
}

impl Store<i64, String> for Side {
    type Row = u8;
    type Error = Failed;

    async fn get(&self, _: &i64) -> Result<u8, Failed> {
        self.0.conn().await.map(|_| 1).map_err(|_| Failed)
    }

    async fn put(&self, _: &i64, _: String) -> Result<(), Failed> {
        Ok(())
    }
}

async fn wrap(migration: Migration, legacy: Side, new: Side) -> Result<u8, Failed> {
    let dual = DualStore::new(migration, legacy, new);
    dual.put(&1, "a".to_owned()).await?;
    tokio::spawn(async move { dual.get(&1).await }).await.map_err(|_| Failed)?
}

fn main() {
    let _ = wrap;
}
