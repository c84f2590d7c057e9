//! `crossfade.toml`.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;
use toml::Spanned;

/// The file that is read when none is named.
pub(crate) const DEFAULT_FILE: &str = "crossfade.toml";

/// What the configuration says; everything may be left out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Config {
    /// Where the control tables live.
    pub(crate) database_url: Option<String>,
    /// The folder of the migrations.
    pub(crate) migrations: PathBuf,
    /// Longest wait of one statement for a lock.
    pub(crate) lock_timeout: Option<Duration>,
    /// Longest run of one statement that may hold others up.
    pub(crate) max_execution_time: Option<Duration>,
    /// Rows in a batch where the migration names none.
    pub(crate) batch_size: Option<u32>,
    /// Pause after a batch where the migration names none.
    pub(crate) backfill_delay: Option<Duration>,
}

/// Why the configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConfigError {
    /// It cannot be read.
    #[error("{} cannot be read", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        error: io::Error,
    },
    /// It says something that cannot be used.
    #[error("{}:{line}:{column}: {message}", path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// The column, from 1.
        column: usize,
        /// What is wrong.
        message: String,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wire {
    database_url: Option<String>,
    migrations: Option<PathBuf>,
    lock_timeout: Option<Spanned<String>>,
    max_execution_time: Option<Spanned<String>>,
    batch_size: Option<Spanned<u32>>,
    backfill_delay: Option<Spanned<String>>,
}

impl Config {
    /// Reads the file that was named, or the default one where it exists.
    pub(crate) fn load(named: Option<&Path>) -> Result<Self, ConfigError> {
        let path = named.unwrap_or(Path::new(DEFAULT_FILE));
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if named.is_none() && error.kind() == io::ErrorKind::NotFound => {
                String::new()
            }
            Err(error) => return Err(ConfigError::Read { path: path.to_owned(), error }),
        };
        Self::parse(path, &text)
    }

    /// What is assumed before the file exists.
    pub(crate) fn beside(path: &Path) -> Self {
        let folder = path.parent().unwrap_or(Path::new(""));
        Self { migrations: folder.join("migrations"), ..Self::default() }
    }

    fn parse(path: &Path, text: &str) -> Result<Self, ConfigError> {
        let wire: Wire = toml::from_str(text).map_err(|error| {
            let offset = error.span().map_or(0, |span| span.start);
            content(path, text, offset, error.message())
        })?;
        let duration = |value: &Option<Spanned<String>>| match value {
            None => Ok(None),
            Some(value) => humantime::parse_duration(value.get_ref()).map(Some).map_err(|error| {
                let message =
                    format!("`{}` is no duration like \"500ms\": {error}", value.get_ref());
                content(path, text, value.span().start, &message)
            }),
        };
        if let Some(zero) = wire.batch_size.as_ref().filter(|size| *size.get_ref() == 0) {
            return Err(content(path, text, zero.span().start, "a batch of 0 rows moves nothing"));
        }
        let defaults = Self::beside(path);
        let folder = path.parent().unwrap_or(Path::new(""));
        Ok(Self {
            database_url: wire.database_url,
            migrations: wire
                .migrations
                .map_or(defaults.migrations, |migrations| folder.join(migrations)),
            lock_timeout: duration(&wire.lock_timeout)?,
            max_execution_time: duration(&wire.max_execution_time)?,
            batch_size: wire.batch_size.map(Spanned::into_inner),
            backfill_delay: duration(&wire.backfill_delay)?,
        })
    }
}

fn content(path: &Path, text: &str, offset: usize, message: &str) -> ConfigError {
    let before = text.get(..offset).unwrap_or(text);
    let start = before.rfind('\n').map_or(0, |newline| newline + 1);
    ConfigError::Content {
        path: path.to_owned(),
        line: before.matches('\n').count() + 1,
        column: before[start..].chars().count() + 1,
        message: message.trim_end().to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_may_be_said_or_left_out() {
        let path = Path::new("a/crossfade.toml");
        let empty = Config::parse(path, "").unwrap();
        assert_eq!(empty, Config::beside(path));
        assert_eq!(empty.migrations, Path::new("a/migrations"));
        let full = "database_url = \"sqlite://x\"\nmigrations = \"m\"\nlock_timeout = \"1s\"\n\
                    max_execution_time = \"2s\"\nbatch_size = 7\nbackfill_delay = \"3ms\"\n";
        let expected = Config {
            database_url: Some("sqlite://x".to_owned()),
            migrations: "a/m".into(),
            lock_timeout: Some(Duration::from_secs(1)),
            max_execution_time: Some(Duration::from_secs(2)),
            batch_size: Some(7),
            backfill_delay: Some(Duration::from_millis(3)),
        };
        assert_eq!(Config::parse(path, full).unwrap(), expected);
    }

    #[track_caller]
    fn refused(text: &str, expected: &str) {
        let error = Config::parse(Path::new("c.toml"), text).unwrap_err().to_string();
        assert!(error.starts_with(expected), "{error}");
    }

    #[test]
    fn what_is_wrong_is_pointed_at() {
        refused("\nbatch_sise = 1", "c.toml:2:1: unknown field `batch_sise`");
        refused("batch_size = 0", "c.toml:1:14: a batch of 0 rows");
        refused("lock_timeout = \"soon\"", "c.toml:1:16: `soon` is no duration");
        refused("lock_timeout = ", "c.toml:1:16: ");
        assert!(matches!(
            Config::load(Some(Path::new("no/such/file.toml"))),
            Err(ConfigError::Read { .. })
        ));
    }
}
