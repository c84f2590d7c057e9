//! Errors that hold an error and are none by the standard library's trait.
#![deny(warnings, clippy::all)]

use std::error::Error;

use crossfade::{Db, InTransaction, Migration, Tx};

type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

#[crossfade::repository(opaque_error)]
trait Names: Send + Sync {
    #[read(key = id)]
    async fn get(&self, id: i64, name: String) -> anyhow::Result<String>;

    #[read(key = id, compare)]
    async fn find(&self, id: i64, name: &str) -> Outcome<String>;

    #[write(key = id)]
    async fn put(&self, id: i64, name: String) -> anyhow::Result<()>;

    #[delete(key = id)]
    async fn delete(&self, id: i64) -> Outcome<()>;
}

#[derive(Clone)]
struct Side(Db);

impl InTransaction for Side {
    fn within(&self, tx: Tx) -> Self {
        Self(tx.into())
    }
}

impl Names for Side {
    async fn get(&self, _: i64, name: String) -> anyhow::Result<String> {
        self.0.conn().await?;
        Ok(name)
    }

    async fn find(&self, _: i64, name: &str) -> Outcome<String> {
        self.0.conn().await?;
        Ok(name.to_owned())
    }

    async fn put(&self, _: i64, _: String) -> anyhow::Result<()> {
        anyhow::bail!("refused")
    }

    async fn delete(&self, _: i64) -> Outcome<()> {
        Err("refused".into())
    }
}

async fn wrap(migration: Migration, legacy: Side, new: Side) -> Outcome<()> {
    let dual = DualNames::new(migration, legacy, new);
    let handler = async move {
        dual.get(1, "a".to_owned()).await?;
        dual.find(1, "a").await?;
        dual.put(1, "a".to_owned()).await?;
        dual.delete(1).await
    };
    tokio::spawn(handler).await?
}

fn main() {
    let _ = wrap;
}
