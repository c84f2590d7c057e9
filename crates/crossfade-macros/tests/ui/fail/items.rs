//! What stands in the wrong place, or in the wrong shape.

#[crossfade::repository]
struct NoTrait;

#[crossfade::repository]
impl NoTrait {}

#[crossfade::repository]
trait Empty {}

#[crossfade::repository]
trait OnlyABody {
    fn name(&self) -> &str {
        "only a body"
    }
}

#[crossfade::repository]
trait Generic {
    type Row<'a>;

    #[read(key = id)]
    async fn get(&self, id: i64) -> Result<(), std::fmt::Error>;
}

#[crossfade::repository]
#[async_trait::async_trait(?Send)]
trait Local {
    #[read(key = id)]
    async fn get(&self, id: i64) -> Result<(), std::fmt::Error>;
}

#[crossfade::repository]
unsafe trait Unsafe {
    #[read(key = id)]
    async fn get(&self, id: i64) -> Result<(), std::fmt::Error>;
}

fn main() {}
