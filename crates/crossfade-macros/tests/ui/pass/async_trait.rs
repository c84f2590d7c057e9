//! `#[async_trait]` above the attribute and below it, and futures boxed by hand.
#![deny(warnings, clippy::all)]

use std::pin::Pin;
use std::sync::Arc;

use async_trait::async_trait;
use crossfade::{Db, InTransaction, Migration, ReadError, Tx, WriteError};

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

#[crossfade::repository(dual = DualBelow)]
#[async_trait]
trait Below: Send + Sync {
    #[read(key = id, compare)]
    async fn get(&self, id: i64, name: &str) -> Result<Option<String>, Failed>;

    #[write(key = id)]
    async fn put(&self, id: i64, name: &str, tags: Vec<String>) -> Result<(), Failed>;

    #[custom(touch)]
    async fn touch(&self, id: i64) -> Result<(), Failed>;
}

#[async_trait]
#[crossfade::repository]
trait Above: Send + Sync {
    #[read(key = id, compare)]
    async fn get(&self, id: i64, name: &str) -> Result<Option<String>, Failed>;

    #[read(key = id)]
    async fn any<'a>(&'a self, id: &'a str) -> Result<&'a str, Failed>;

    #[write(key = id)]
    async fn put(&self, id: i64, name: &str, tags: Vec<String>) -> Result<(), Failed>;

    #[custom(touch)]
    async fn touch(&self, id: i64) -> Result<(), Failed>;
}

async fn touch<T>(_: &T, _: i64) -> Result<(), Failed> {
    Ok(())
}

#[crossfade::repository]
trait ByHand: Send + Sync {
    #[write(key = id)]
    fn put<'a>(
        &'a self,
        id: &'a str,
    ) -> Pin<Box<dyn Future<Output = Result<(), Failed>> + Send + 'a>>;
}

#[derive(Clone)]
struct Side(Db);

impl InTransaction for Side {
    fn within(&self, tx: Tx) -> Self {
        Self(tx.into())
    }
}

#[async_trait]
impl Below for Side {
    async fn get(&self, _: i64, name: &str) -> Result<Option<String>, Failed> {
        self.0.conn().await.map(|_| Some(name.to_owned())).map_err(|_| Failed)
    }

    async fn put(&self, _: i64, _: &str, _: Vec<String>) -> Result<(), Failed> {
        Ok(())
    }

    async fn touch(&self, _: i64) -> Result<(), Failed> {
        Ok(())
    }
}

#[async_trait]
impl Above for Side {
    async fn get(&self, _: i64, name: &str) -> Result<Option<String>, Failed> {
        Ok(Some(name.to_owned()))
    }

    async fn any<'a>(&'a self, id: &'a str) -> Result<&'a str, Failed> {
        Ok(id)
    }

    async fn put(&self, _: i64, _: &str, _: Vec<String>) -> Result<(), Failed> {
        Ok(())
    }

    async fn touch(&self, _: i64) -> Result<(), Failed> {
        Ok(())
    }
}

impl ByHand for Side {
    fn put<'a>(
        &'a self,
        _: &'a str,
    ) -> Pin<Box<dyn Future<Output = Result<(), Failed>> + Send + 'a>> {
        Box::pin(async { Ok(()) })
    }
}

async fn objects(migration: Migration, side: Side) -> Result<(), Failed> {
    let below: Arc<dyn Below> =
        Arc::new(DualBelow::new(migration.clone(), side.clone(), side.clone()));
    let above: Arc<dyn Above> =
        Arc::new(DualAbove::new(migration.clone(), side.clone(), side.clone()));
    let by_hand: Arc<dyn ByHand> = Arc::new(DualByHand::new(migration, side.clone(), side));
    let handler = async move {
        below.get(1, "a").await?;
        below.put(1, "a", Vec::new()).await?;
        below.touch(1).await?;
        above.get(1, "a").await?;
        above.any("a").await?;
        above.put(1, "a", Vec::new()).await?;
        above.touch(1).await?;
        by_hand.put("a").await
    };
    tokio::spawn(handler).await.map_err(|_| Failed)?
}

fn main() {
    let _ = objects;
}
