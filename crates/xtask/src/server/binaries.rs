//! Which installed PostgreSQL a test server is made of.

use std::{
    env, fs,
    path::{Path, PathBuf},
};

use anyhow::{Result, bail};

/// The folder variable that overrides the search.
const FOLDER_VARIABLE: &str = "CROSSFADE_PG_BIN";
/// A folder qualifies only with all of these; the client packages install some of them.
const PROGRAMS: [&str; 3] = ["initdb", "postgres", "pg_isready"];
/// Folders outside `PATH` where packages put the programs: parent, start of the name, and the
/// folder below it. Debian, Red Hat, Homebrew on ARM and on Intel.
const PLACES: [(&str, &str, &str); 4] = [
    ("/usr/lib/postgresql", "", "bin"),
    ("/usr", "pgsql-", "bin"),
    ("/opt/homebrew/opt", "postgresql", "bin"),
    ("/usr/local/opt", "postgresql", "bin"),
];

/// A folder that holds all of PostgreSQL's programs a test server needs.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Binaries {
    folder: PathBuf,
}

impl Binaries {
    /// Looks in `CROSSFADE_PG_BIN`, else in `PATH`, else in the usual places (newest first).
    ///
    /// # Errors
    /// `CROSSFADE_PG_BIN` names a folder that lacks a program: silently taking another server
    /// would test something else than was asked for.
    pub(super) fn find() -> Result<Option<Self>> {
        let search: Vec<PathBuf> =
            env::var_os("PATH").map(|path| env::split_paths(&path).collect()).unwrap_or_default();
        let explicit = env::var_os(FOLDER_VARIABLE).map(PathBuf::from);
        let complete = |folder: &Path| PROGRAMS.iter().all(|it| folder.join(it).is_file());
        choose(explicit.as_deref(), &search, &installed(), complete)
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    pub(super) fn program(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }
}

/// The choice itself; `complete` says whether a folder holds all [`PROGRAMS`].
pub(super) fn choose(
    explicit: Option<&Path>,
    search: &[PathBuf],
    installed: &[PathBuf],
    complete: impl Fn(&Path) -> bool,
) -> Result<Option<Binaries>> {
    if let Some(folder) = explicit {
        if !complete(folder) {
            let programs = PROGRAMS.join(", ");
            bail!("{FOLDER_VARIABLE}={} does not hold all of {programs}", folder.display());
        }
        return Ok(Some(Binaries { folder: folder.to_owned() }));
    }
    let found = search.iter().find(|folder| complete(folder)).or_else(|| {
        installed.iter().filter(|folder| complete(folder)).max_by_key(|folder| version(folder))
    });
    Ok(found.map(|folder| Binaries { folder: folder.clone() }))
}

/// The numbers in the name of the folder above `bin`: `9.6` → `[9, 6]`, `postgresql@16` → `[16]`.
fn version(folder: &Path) -> Vec<u32> {
    let name = folder.parent().and_then(Path::file_name).unwrap_or_default().to_string_lossy();
    name.split(|it: char| !it.is_ascii_digit()).filter_map(|it| it.parse().ok()).collect()
}

/// Every folder that follows one of the [`PLACES`], whatever it holds.
fn installed() -> Vec<PathBuf> {
    PLACES
        .iter()
        .flat_map(|&(parent, start, below)| {
            fs::read_dir(parent)
                .into_iter()
                .flatten()
                .flatten()
                .filter(move |entry| entry.file_name().to_string_lossy().starts_with(start))
                .map(move |entry| entry.path().join(below))
        })
        .collect()
}
