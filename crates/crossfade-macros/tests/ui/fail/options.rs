//! Options of the attribute that it does not know, or not so.

struct Failed;

#[crossfade::repository(wrapper = Dual)]
trait Unknown {
    #[read(key = id)]
    async fn get(&self, id: i64) -> Result<(), Failed>;
}

#[crossfade::repository(dual = one::Two)]
trait NoName {
    #[read(key = id)]
    async fn get(&self, id: i64) -> Result<(), Failed>;
}

#[crossfade::repository(dual)]
trait NoValue {
    #[read(key = id)]
    async fn get(&self, id: i64) -> Result<(), Failed>;
}

#[crossfade::repository(dual = One, dual = Two)]
trait Twice {
    #[read(key = id)]
    async fn get(&self, id: i64) -> Result<(), Failed>;
}

#[crossfade::repository(opaque_error, read_error = convert)]
trait Contradiction {
    #[read(key = id)]
    async fn get(&self, id: i64) -> Result<(), Failed>;
}

fn main() {}
