//! Which installed server a test server is made of.

use std::{
    env, fs,
    path::{Path, PathBuf},
};

use anyhow::{Result, bail};

use super::kind::Kind;

/// The programs of a kind of server, in the kind's order.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Binaries {
    paths: Vec<PathBuf>,
}

impl Binaries {
    /// Looks in the kind's folder variable, else in `PATH`, else in the usual places (newest
    /// first).
    ///
    /// # Errors
    /// The variable names a folder that lacks a program: silently taking another server would test
    /// something else than was asked for.
    pub(super) fn find(kind: &Kind) -> Result<Option<Self>> {
        let search: Vec<PathBuf> =
            env::var_os("PATH").map(|path| env::split_paths(&path).collect()).unwrap_or_default();
        let explicit = env::var_os(kind.folder_variable).map(PathBuf::from);
        let installed = installed(kind);
        if explicit.is_none() && !kind.together {
            let folders: Vec<PathBuf> = search.into_iter().chain(installed).collect();
            return Ok(scattered(kind.programs, &folders, Path::is_file));
        }
        let complete = |folder: &Path| kind.programs.iter().all(|it| folder.join(it).is_file());
        let folder = choose(kind, explicit.as_deref(), &search, &installed, complete)?;
        Ok(folder.map(|folder| Self {
            paths: kind.programs.iter().map(|program| folder.join(program)).collect(),
        }))
    }

    /// The program that prepares a data folder, and the one that serves it.
    pub(super) fn installer_and_server(&self) -> (&Path, &Path) {
        (&self.paths[0], &self.paths[1])
    }

    /// The program of a name that the kind lists.
    pub(super) fn program(&self, name: &str) -> &Path {
        let named = self.paths.iter().find(|path| path.file_name().is_some_and(|it| it == name));
        named.map_or(Path::new(""), PathBuf::as_path)
    }
}

/// The first file of each name; `None` unless all are there.
pub(super) fn scattered(
    programs: &[&str],
    folders: &[PathBuf],
    is_file: impl Fn(&Path) -> bool,
) -> Option<Binaries> {
    let find = |program: &&str| {
        folders.iter().map(|folder| folder.join(program)).find(|path| is_file(path))
    };
    Some(Binaries { paths: programs.iter().map(find).collect::<Option<_>>()? })
}

/// The choice of one folder; `complete` says whether one holds all of the kind's programs.
pub(super) fn choose(
    kind: &Kind,
    explicit: Option<&Path>,
    search: &[PathBuf],
    installed: &[PathBuf],
    complete: impl Fn(&Path) -> bool,
) -> Result<Option<PathBuf>> {
    if let Some(folder) = explicit {
        if !complete(folder) {
            let programs = kind.programs.join(", ");
            let variable = kind.folder_variable;
            bail!("{variable}={} does not hold all of {programs}", folder.display());
        }
        return Ok(Some(folder.to_owned()));
    }
    let found = search.iter().find(|folder| complete(folder)).or_else(|| {
        installed.iter().filter(|folder| complete(folder)).max_by_key(|folder| version(folder))
    });
    Ok(found.cloned())
}

/// The numbers in the name of the folder above `bin`: `9.6` → `[9, 6]`, `postgresql@16` → `[16]`.
fn version(folder: &Path) -> Vec<u32> {
    let name = folder.parent().and_then(Path::file_name).unwrap_or_default().to_string_lossy();
    name.split(|it: char| !it.is_ascii_digit()).filter_map(|it| it.parse().ok()).collect()
}

/// Every folder that follows one of the kind's places, whatever it holds.
fn installed(kind: &Kind) -> Vec<PathBuf> {
    kind.places
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
