//! Where the transaction is an argument.

use crossfade::Tx;

struct Failed;

#[crossfade::repository]
trait Explicit {
    #[read(key = id)]
    async fn get(&self, tx: &mut Tx, id: i64) -> Result<(), Failed>;

    #[write(key = id)]
    async fn twice(&self, tx: &mut Tx, again: &mut Tx, id: i64) -> Result<(), Failed>;
}

#[crossfade::repository]
trait Mixed {
    #[write(key = id)]
    async fn put(&self, tx: &mut Tx, id: i64) -> Result<(), Failed>;

    #[delete(key = id)]
    async fn delete(&self, id: i64) -> Result<(), Failed>;
}

#[crossfade::repository]
trait WithBody {
    #[write(key = id)]
    async fn put(&self, tx: &mut Tx, id: i64) -> Result<(), Failed>;

    fn name(&self) -> &str {
        "with body"
    }
}

#[crossfade::repository]
trait WithParameters<K> {
    #[write(key = id)]
    async fn put(&self, tx: &mut Tx, id: K) -> Result<(), Failed>;
}

fn main() {}
