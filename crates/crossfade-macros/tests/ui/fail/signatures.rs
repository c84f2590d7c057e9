//! Methods that the wrapper cannot carry out.

struct Failed;

#[crossfade::repository]
trait Signatures {
    #[read(key = id)]
    fn blocking(&self, id: i64) -> Result<(), Failed>;

    #[read(key = id)]
    async fn without_result(&self, id: i64);

    #[read(key = id)]
    async fn with_option(&self, id: i64) -> Option<String>;

    #[read(key = id)]
    async fn with_tuple(&self, id: i64) -> (i64, i64);

    #[write(key = id)]
    async fn exclusive(&mut self, id: i64) -> Result<(), Failed>;

    #[write(key = id)]
    async fn consuming(self, id: i64) -> Result<(), Failed>;

    #[write(key = id)]
    async fn without_receiver(id: i64) -> Result<(), Failed>;

    #[write(key = id)]
    async fn with_exclusive_argument(&self, id: i64, names: &mut Vec<u8>) -> Result<(), Failed>;

    #[write(key = id)]
    async fn converting(&self, id: i64, name: impl Into<String>) -> Result<(), Failed>;

    #[write(key = first)]
    async fn with_pattern(&self, (first, _): (i64, i64)) -> Result<(), Failed> {
        if first > 0 { Ok(()) } else { Err(Failed) }
    }

    #[read(key = id)]
    async unsafe fn unsafely(&self, id: i64) -> Result<(), Failed>;

    #[write(key = id)]
    async fn borrowing(&self, id: i64) -> Result<Option<&str>, Failed>;

    #[read(key = id, compare)]
    async fn borrowing_by_name<'a>(&'a self, id: i64) -> Result<Borrowed<'a>, Failed>;
}

fn main() {}
