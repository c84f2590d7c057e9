//! What every command works with.

use std::env;
use std::path::{Path, PathBuf};

use crossfade_control::Stores;
use crossfade_core::{MigrationName, MigrationState};
use crossfade_schema::Manifest;
use crossfade_sql::Database;
use crossfade_store::{StoreError, Timeouts};

use crate::{
    cli::Global,
    config::Config,
    failure::{Exit, Failure},
    output::Output,
    url::database_url,
};

/// Configuration, database URL, operator and output of one call.
#[derive(Debug)]
pub(crate) struct App {
    pub(crate) output: Output,
    pub(crate) config: Config,
    pub(crate) url: Option<String>,
    pub(crate) actor: String,
}

impl App {
    pub(crate) fn new(global: &Global, config: Config, output: Output) -> Self {
        let url = database_url(global.database_url.as_deref(), &config);
        let user = || env::var("USER").or_else(|_| env::var("USERNAME")).ok();
        let actor = global.actor.clone().or_else(user).filter(|name| !name.is_empty());
        Self { output, config, url, actor: actor.unwrap_or_else(|| "unknown".to_owned()) }
    }

    /// Connects to the database that was named, to make control tables on its search path; an
    /// SQLite file is made where there is none.
    pub(crate) async fn new_database(&self) -> Result<Database, Failure> {
        Ok(Database::connect_to_install(self.named()?).await?)
    }

    fn named(&self) -> Result<&str, Failure> {
        self.url.as_deref().ok_or_else(|| {
            Failure::usage("no database was named").with_hint(
                "give --database-url, set CROSSFADE_DATABASE_URL, or write `database_url` into \
                 crossfade.toml",
            )
        })
    }

    /// Connects to a database that exists. Opening an SQLite file makes it, which only `init` is
    /// meant to do.
    pub(crate) async fn database(&self) -> Result<Database, Failure> {
        if let Some(file) = self.url.as_deref().and_then(sqlite_file)
            && !Path::new(file).exists()
        {
            let message = format!("there is no SQLite file {file}");
            let hint = "is the path right, seen from this folder? `crossfade init` makes it";
            return Err(Failure::new(Exit::Failed, message).with_hint(hint));
        }
        Ok(Database::connect_to_operate(self.named()?).await?)
    }

    /// The folder of a migration.
    pub(crate) fn folder(&self, name: &MigrationName) -> PathBuf {
        self.config.migrations.join(name.as_str())
    }

    /// The manifest of a migration, in the variant for the database's engine.
    pub(crate) fn manifest(
        &self,
        name: &MigrationName,
        database: &Database,
    ) -> Result<Manifest, Failure> {
        Ok(Manifest::load(&self.folder(name), database.engine().as_str())?)
    }

    /// Bounds on statements of scripts.
    pub(crate) fn timeouts(&self) -> Timeouts {
        let default = crossfade_schema::DEFAULT_TIMEOUTS;
        Timeouts {
            lock: self.config.lock_timeout.unwrap_or(default.lock),
            statement: self.config.max_execution_time.unwrap_or(default.statement),
        }
    }
}

/// The migrations that were asked for: the named one, or all.
pub(crate) async fn migrations(
    stores: Stores<'_>,
    name: Option<&MigrationName>,
) -> Result<Vec<MigrationState>, StoreError> {
    match name {
        Some(name) => Ok(vec![stores.control.migration(name).await?]),
        None => stores.control.migrations().await,
    }
}

/// The file of a plain SQLite URL; `None` for other engines, memory, and paths with escapes.
fn sqlite_file(url: &str) -> Option<&str> {
    let path = url.strip_prefix("sqlite:")?;
    let path = path.strip_prefix("//").unwrap_or(path);
    let path = path.split_once('?').map_or(path, |(path, _)| path);
    (!path.is_empty() && !path.contains(":memory:") && !path.contains('%')).then_some(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_urls() {
        for (url, file) in [
            ("sqlite://a/b.db", Some("a/b.db")),
            ("sqlite:///a/b.db?mode=rw", Some("/a/b.db")),
            ("sqlite:b.db", Some("b.db")),
            ("sqlite::memory:", None),
            ("sqlite://a%20b.db", None),
            ("postgres://h/d", None),
        ] {
            assert_eq!(sqlite_file(url), file, "{url}");
        }
    }
}
