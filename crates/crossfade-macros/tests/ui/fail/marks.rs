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

    #[read(key = id, owner = id)]
    async fn with_unknown_option(&self, id: i64) -> Result<(), Failed>;

    #[delete(key = id, once = id)]
    async fn with_unknown_option_of_a_write(&self, id: i64) -> Result<(), Failed>;

    #[write(key = id, user = id)]
    async fn written_for_a_user(&self, id: i64) -> Result<(), Failed>;

    #[read(key = id, operation = id)]
    async fn read_once(&self, id: i64) -> Result<(), Failed>;

    #[read(key = id, user)]
    async fn with_nobody(&self, id: i64) -> Result<(), Failed>;

    #[read(key = id, user = id, user = id)]
    async fn with_two_users(&self, id: i64) -> Result<(), Failed>;

    #[read(key = id, compare, compare = by_length)]
    async fn compared_twice(&self, id: i64) -> Result<(), Failed>;

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
