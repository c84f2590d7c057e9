//! The README's Rust code, compiled; and the check that it is the README's.

use crossfade::{Crossfade, Database, Db, Flags, InTransaction, ReadError, Tx, WriteError};
use sqlx::SqlitePool;

#[derive(Clone, Debug)]
struct Settings;

#[derive(Debug, thiserror::Error)]
#[error("the settings cannot be reached")]
struct Error;

impl From<ReadError<Error>> for Error {
    fn from(_: ReadError<Error>) -> Self {
        Self
    }
}

impl From<WriteError<Error>> for Error {
    fn from(_: WriteError<Error>) -> Self {
        Self
    }
}

#[crossfade::repository(dual = DualSettings)]
trait UserSettingsRepository: Send + Sync {
    #[read(key = user)] // the read flag picks the side
    async fn get(&self, user: i64) -> Result<Option<Settings>, Error>;

    #[write(key = user)] // one transaction, Legacy first
    async fn put(&self, user: i64, settings: &Settings) -> Result<(), Error>;
}

struct LegacySettings {
    db: Db,
}

#[rustfmt::skip] // a comment stands where the README has it
impl InTransaction for LegacySettings { // and for NewSettings
    fn within(&self, tx: Tx) -> Self {
        Self { db: tx.into() } // a `Db`, where a pool was
    }
}

impl UserSettingsRepository for LegacySettings {
    async fn get(&self, _: i64) -> Result<Option<Settings>, Error> {
        self.db.conn().await.map(|_| None).map_err(|_| Error)
    }

    async fn put(&self, _: i64, _: &Settings) -> Result<(), Error> {
        self.db.conn().await.map(drop).map_err(|_| Error)
    }
}

type NewSettings = LegacySettings;

type Outcome = Result<(), Box<dyn std::error::Error>>;

/// Compiled, and run by nobody: the guide's migration is not there.
async fn wrap(pool: SqlitePool) -> Outcome {
    let database = Database::open(pool.clone()).await?;
    let legacy = LegacySettings { db: Db::from(&database) };
    let new = NewSettings { db: Db::from(&database) };

    let crossfade = Crossfade::builder(pool).build().await?; // PgPool, MySqlPool or SqlitePool
    let migration = crossfade.migration("user_settings")?; // cheap to clone, shared by all tasks
    let settings = DualSettings::new(migration, legacy, new);

    settings.put(1, &Settings).await?;
    settings.get(1).await.map(drop).map_err(Into::into)
}

async fn force(pool: SqlitePool) -> Outcome {
    let flags = Flags::forced([("read_user_settings_v2", true)]);
    let crossfade = Crossfade::builder(pool).flags(flags.clone()).build().await?;

    flags.force_for("read_user_settings_v2", "42", false); // one user reads Legacy, from now on
    flags.release("read_user_settings_v2"); // nothing leaks into other tests
    crossfade.sign_off().await.map_err(Into::into)
}

fn without_blanks(text: &str) -> String {
    text.split_whitespace().collect()
}

#[test]
fn the_readme_is_compiled() {
    // Named here, since nothing runs them.
    let _ = (wrap, force);
    let readme = include_str!("../../README.md");
    let compiled = without_blanks(include_str!("readme.rs"));
    let blocks: Vec<&str> = readme.split("```rust,ignore\n").skip(1).collect();
    assert_eq!(blocks.len(), 2);
    for block in blocks {
        let code = block.split("```").next().unwrap_or_default();
        for paragraph in code.split("\n\n") {
            assert!(compiled.contains(&without_blanks(paragraph)), "not compiled:\n{paragraph}");
        }
    }
}
