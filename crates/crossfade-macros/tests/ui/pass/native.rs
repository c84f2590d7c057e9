//! A native async trait in a public interface, with documentation, a default body and a
//! constant; its futures go to a runtime that moves them between threads.
#![deny(warnings, clippy::all, missing_docs, missing_debug_implementations, unreachable_pub)]

use std::collections::HashMap;

use crossfade::{
    Db, InTransaction, Migration, Once, OperationId, ReadError, Tx, WriteError,
};

/// A setting.
#[derive(Clone, Debug, PartialEq)]
pub struct Setting {
    /// Whose it is.
    pub owner: i64,
}

/// It failed.
#[derive(Debug, thiserror::Error)]
#[error("failed")]
pub struct Failed;

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

type Answer<T> = Result<T, Failed>;

/// Settings.
#[crossfade::repository(dual = DualSettings)]
pub trait Settings: Send + Sync {
    /// What it is called.
    const NAME: &'static str;

    /// One of them.
    #[read(key = owner)]
    async fn get(&self, owner: i64) -> Result<Option<Setting>, Failed>;

    /// Compared with the other side.
    #[read(key = (tenant, name), compare)]
    async fn find(&self, tenant: i64, name: &str, of: Vec<String>) -> Answer<Vec<Setting>>;

    /// By an alias of `Result`, and a future spelled out.
    #[read(key = owner)]
    fn names(&self, owner: &str) -> impl Future<Output = Answer<HashMap<String, i64>>> + Send;

    /// The key is a field of an argument.
    #[write(key = setting.owner)]
    async fn put(&self, setting: &Setting) -> Result<(), Failed>;

    /// Of a user who is not the key, for a tuple as well.
    #[read(key = id, user = (tenant, user.clone()), compare)]
    async fn of(&self, tenant: i64, user: String, id: i64) -> Answer<u8>;

    /// Carried out once, by an id that goes on to the sides.
    #[write(key = id, operation = operation)]
    async fn once(&self, operation: &OperationId, id: i64) -> Answer<Once<u8>>;

    /// By an id taken by value, whose outcome is nobody's business.
    #[delete(key = id, operation = operation)]
    async fn drop_once(&self, id: i64, operation: OperationId) -> Answer<()>;

    /// Everything by value, and a key that is none of it to move.
    #[write(key = (name, owner))]
    async fn put_all(&self, name: String, owner: i64, all: Vec<Setting>) -> Result<u64, Failed>;

    /// Of arguments whose names the generated code could have had.
    #[write(key = key)]
    async fn odd(&self, key: String, legacy: &str, new: &str, tx: u8, side: u8) -> Answer<()>;

    /// Parameters, lifetimes and conditions of its own.
    #[write(key = owner.clone().into())]
    async fn rename<'a, T, const WIDTH: usize>(
        &self,
        owner: T,
        names: [&'a str; WIDTH],
        by: impl AsRef<str> + Clone + Send + Sync,
    ) -> Result<&'a str, Failed>
    where
        T: Into<String> + Clone + Send + Sync;

    /// Forgets one.
    #[delete(key = owner)]
    async fn delete(&self, owner: i64) -> Result<(), Failed>;

    /// Goes its own way.
    #[custom(touch)]
    async fn touch(&self, owner: &mut i64) -> Option<i64>;

    /// In a transaction that the caller has.
    #[custom(within)]
    async fn within(&self, tx: &mut Tx) -> Result<(), Failed>;

    /// Runs on the wrapper.
    fn has(&self, owner: i64) -> impl Future<Output = bool> + Send {
        async move { matches!(self.get(owner).await, Ok(Some(_))) }
    }

    /// Likewise.
    async fn has_not(&self, owner: i64) -> bool {
        !self.has(owner).await
    }
}

async fn touch<L: Settings, N: Settings>(
    dual: &DualSettings<L, N>,
    owner: &mut i64,
) -> Option<i64> {
    *owner += 1;
    dual.legacy.touch(owner).await.max(dual.new.touch(owner).await)
}

async fn within<T>(_: &T, tx: &mut Tx) -> Result<(), Failed> {
    tx.sqlite().map(drop).map_err(|_| Failed)
}

/// Both sides in one.
#[derive(Clone, Debug)]
pub struct Side(Db);

impl InTransaction for Side {
    fn within(&self, tx: Tx) -> Self {
        Self(tx.into())
    }
}

impl Settings for Side {
    const NAME: &'static str = "side";

    async fn get(&self, owner: i64) -> Result<Option<Setting>, Failed> {
        self.0.conn().await.map(|_| Some(Setting { owner })).map_err(|_| Failed)
    }

    async fn find(&self, owner: i64, _: &str, _: Vec<String>) -> Answer<Vec<Setting>> {
        Ok(vec![Setting { owner }])
    }

    async fn names(&self, owner: &str) -> Answer<HashMap<String, i64>> {
        Ok(HashMap::from([(owner.to_owned(), 1)]))
    }

    async fn put(&self, _: &Setting) -> Result<(), Failed> {
        Ok(())
    }

    async fn of(&self, _: i64, _: String, _: i64) -> Answer<u8> {
        Ok(1)
    }

    async fn once(&self, _: &OperationId, _: i64) -> Answer<Once<u8>> {
        Ok(Once::Applied(1))
    }

    async fn drop_once(&self, _: i64, _: OperationId) -> Answer<()> {
        Ok(())
    }

    async fn put_all(&self, _: String, _: i64, all: Vec<Setting>) -> Result<u64, Failed> {
        Ok(all.len() as u64)
    }

    async fn odd(&self, _: String, _: &str, _: &str, _: u8, _: u8) -> Answer<()> {
        Ok(())
    }

    async fn rename<'a, T, const WIDTH: usize>(
        &self,
        _: T,
        names: [&'a str; WIDTH],
        _: impl AsRef<str> + Clone + Send + Sync,
    ) -> Result<&'a str, Failed>
    where
        T: Into<String> + Clone + Send + Sync,
    {
        names.first().copied().ok_or(Failed)
    }

    async fn delete(&self, _: i64) -> Result<(), Failed> {
        Ok(())
    }

    async fn touch(&self, owner: &mut i64) -> Option<i64> {
        Some(*owner)
    }

    async fn within(&self, _: &mut Tx) -> Result<(), Failed> {
        Ok(())
    }
}

/// As a handler of a server does.
pub async fn serve<S: Settings + Clone + 'static>(settings: S) {
    let handler = async move {
        settings.get(1).await?;
        settings.find(1, "a", Vec::new()).await?;
        settings.put(&Setting { owner: 1 }).await?;
        settings.put_all("a".to_owned(), 1, Vec::new()).await?;
        settings.rename("a", ["b"], "c").await?;
        settings.of(1, "a".to_owned(), 1).await?;
        let operation = OperationId::random();
        let _ = settings.once(&operation, 1).await?.applied();
        settings.drop_once(1, operation).await?;
        settings.delete(1).await
    };
    drop(tokio::spawn(handler));
}

/// The wrapper takes the place of either side.
pub async fn wrap(migration: Migration, legacy: Side, new: Side) {
    let dual = DualSettings::new(migration, legacy, new);
    serve(dual.clone()).await;
    let name: String = DualSettings::<Side, Side>::NAME.to_owned();
    drop(format!("{name} {dual:?}"));
}

fn main() {}
