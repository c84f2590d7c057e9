//! Marks that are missing, repeated or say too little.

struct Failed;

#[crossfade::repository]
trait Marks {
    async fn unmarked(&self, id: i64) -> Result<(), Failed>;

    #[read]
    async fn without_key(&self, id: i64) -> Result<(), Failed>;

    #[delete()]
    async fn with_empty_mark(&self, id: i64) -> Result<(), Failed>;

    #[read(compare)]
    async fn only_compared(&self, id: i64) -> Result<(), Failed>;

    #[read(key = id, user = id)]
    async fn with_unknown_option(&self, id: i64) -> Result<(), Failed>;

    #[write(key = id, compare)]
    async fn compared_write(&self, id: i64) -> Result<(), Failed>;

    #[write(key = id, key = id)]
    async fn with_two_keys(&self, id: i64) -> Result<(), Failed>;

    #[write(key = )]
    async fn with_half_a_key(&self, id: i64) -> Result<(), Failed>;

    #[read(key = id)]
    #[write(key = id)]
    async fn with_two_marks(&self, id: i64) -> Result<(), Failed>;

    #[custom]
    async fn without_path(&self, id: i64) -> Result<(), Failed>;
}

fn main() {}
