//! Files to begin with.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crossfade_core::MigrationName;

const MIGRATION: &str = include_str!("templates/migration.toml");
const EXPAND: &str = include_str!("templates/expand.sql");
const MAPPING: &str = include_str!("templates/mapping.sql");
const CONTRACT: &str = include_str!("templates/contract.sql");
const CONFIG: &str = include_str!("templates/crossfade.toml");
const FLAGS: &str = include_str!("templates/flags.json");

/// What became of a file or folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scaffolded {
    /// It was made.
    Created(PathBuf),
    /// It was there and was left as it is.
    Kept(PathBuf),
}

/// Why files were not made.
#[derive(Debug, thiserror::Error)]
pub enum ScaffoldError {
    /// The folder exists. Nothing was changed.
    #[error("{} exists already", path.display())]
    Exists {
        /// The folder.
        path: PathBuf,
    },
    /// A file or folder could not be written.
    #[error("{} cannot be written", path.display())]
    Write {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        #[source]
        error: io::Error,
    },
}

/// Makes `migrations/NAME` with commented files to fill in. Returns them.
///
/// The folder appears whole or not at all.
///
/// # Errors
///
/// [`ScaffoldError::Exists`] when the folder is there; it is never overwritten.
pub fn scaffold(migrations: &Path, name: &MigrationName) -> Result<Vec<PathBuf>, ScaffoldError> {
    let folder = migrations.join(name.as_str());
    if folder.exists() {
        return Err(ScaffoldError::Exists { path: folder });
    }
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |error| ScaffoldError::Write { path, error }
    };
    let draft = migrations.join(format!(".{name}.draft"));
    // Left over from a process that was killed while it wrote.
    if draft.exists() {
        fs::remove_dir_all(&draft).map_err(failed(&draft))?;
    }
    fs::create_dir_all(&draft).map_err(failed(&draft))?;
    let files = [
        ("migration.toml", MIGRATION),
        ("expand.sql", EXPAND),
        ("mapping.sql", MAPPING),
        ("contract.sql", CONTRACT),
    ];
    for (file, template) in files {
        let path = draft.join(file);
        fs::write(&path, template.replace("{NAME}", name.as_str())).map_err(failed(&path))?;
    }
    fs::rename(&draft, &folder).map_err(failed(&folder))?;
    Ok(files.iter().map(|(file, _)| folder.join(file)).collect())
}

/// Makes the configuration file, the flags file and the migrations folder beside it, where they
/// do not exist yet.
///
/// # Errors
///
/// [`ScaffoldError::Write`] when one cannot be written; those made before stay.
pub fn init(config: &Path, migrations: &Path) -> Result<Vec<Scaffolded>, ScaffoldError> {
    let flags = config.with_file_name("flags.json");
    Ok(vec![make_file(config, CONFIG)?, make_file(&flags, FLAGS)?, make_folder(migrations)?])
}

fn make_file(path: &Path, content: &str) -> Result<Scaffolded, ScaffoldError> {
    let failed = |error| ScaffoldError::Write { path: path.to_owned(), error };
    match OpenOptions::new().write(true).create_new(true).open(path) {
        Ok(mut file) => {
            file.write_all(content.as_bytes()).map_err(failed)?;
            Ok(Scaffolded::Created(path.to_owned()))
        }
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            Ok(Scaffolded::Kept(path.to_owned()))
        }
        Err(error) => Err(failed(error)),
    }
}

fn make_folder(path: &Path) -> Result<Scaffolded, ScaffoldError> {
    if path.is_dir() {
        return Ok(Scaffolded::Kept(path.to_owned()));
    }
    fs::create_dir_all(path)
        .map_err(|error| ScaffoldError::Write { path: path.to_owned(), error })?;
    Ok(Scaffolded::Created(path.to_owned()))
}
