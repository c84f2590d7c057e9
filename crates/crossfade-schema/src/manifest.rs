//! The folder that describes a migration.

mod error;
mod wire;

use std::path::{Path, PathBuf};

use crossfade_core::{Definition, MAPPED_ALIAS};

pub use error::ManifestError;

use crate::{Purpose, Script, script::Position, splitter::split, words::words};

/// A migration as its folder describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Manifest {
    /// What it moves.
    pub definition: Definition,
    /// Where the definition's mapping was read from.
    pub mapping: MappingFile,
    /// The statements that add what it moves to.
    pub expand: Script,
    /// The statements that take away what it has left.
    pub contract: Script,
}

/// The file of a mapping, and where in it the statement begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MappingFile {
    /// The file.
    pub path: PathBuf,
    pub(crate) start: Position,
}

impl MappingFile {
    /// `FILE`, or `FILE:LINE:COLUMN` of a line and column of the statement, both from 1.
    pub(crate) fn place(&self, place: Option<(usize, usize)>) -> String {
        let (file, Position { line, column }) = (self.path.display(), self.start);
        match place {
            None => file.to_string(),
            Some((1, at)) => format!("{file}:{line}:{}", column + at - 1),
            Some((below, at)) => format!("{file}:{}:{at}", line + below - 1),
        }
    }
}

impl Manifest {
    /// Reads `dir/migration.toml`, `mapping.sql`, `expand.sql` and `contract.sql`. Of the last
    /// three, a variant for `engine` such as `expand.postgres.sql` wins over the plain file.
    ///
    /// # Errors
    ///
    /// [`ManifestError`] with the file and, where one is to blame, the line and column.
    pub fn load(dir: &Path, engine: &str) -> Result<Self, ManifestError> {
        let folder = dir.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let path = dir.join("migration.toml");
        let text = read(&path)?;
        let mapping_path = variant(dir, "mapping", engine);
        let (mapping, start) = mapping(&mapping_path, &read(&mapping_path)?)?;
        let definition = wire::definition(&path, &text, folder, mapping)?;
        Ok(Self {
            definition,
            mapping: MappingFile { path: mapping_path, start },
            expand: script(dir, Purpose::Expand, engine)?,
            contract: script(dir, Purpose::Contract, engine)?,
        })
    }
}

fn read(path: &Path) -> Result<String, ManifestError> {
    std::fs::read_to_string(path).map_err(|error| ManifestError::unreadable(path, error))
}

/// The engine's own file where there is one.
fn variant(dir: &Path, stem: &str, engine: &str) -> PathBuf {
    let own = dir.join(format!("{stem}.{engine}.sql"));
    if own.exists() { own } else { dir.join(format!("{stem}.sql")) }
}

fn script(dir: &Path, purpose: Purpose, engine: &str) -> Result<Script, ManifestError> {
    let path = variant(dir, purpose.as_str(), engine);
    let text = read(&path)?;
    Script::parse(purpose, &path, text.as_str()).map_err(|error| {
        ManifestError::at(&path, Position::of(&text, error.offset), error.to_string())
    })
}

/// The mapping's one statement, and where it begins.
fn mapping(path: &Path, text: &str) -> Result<(String, Position), ManifestError> {
    let statements = split(text).map_err(|error| {
        ManifestError::at(path, Position::of(text, error.offset), error.to_string())
    })?;
    let one = "write one `select` from the Legacy table";
    let [statement] = &statements[..] else {
        let message = format!("the mapping has {} statements, not one", statements.len());
        let position = Position::of(text, statements.get(1).map_or(0, |second| second.start));
        return Err(ManifestError::at(path, position, message).with_hint(one));
    };
    let position = Position::of(text, statement.start);
    let statement = &text[statement.clone()];
    let words = words(statement);
    if !words.first().is_some_and(|first| first == "select" || first == "with") {
        let message = "the mapping does not begin with `select` or `with`";
        return Err(ManifestError::at(path, position, message).with_hint(one));
    }
    if words.iter().any(|word| word.trim_matches('"') == MAPPED_ALIAS) {
        let message = format!("the mapping uses the name {MAPPED_ALIAS}");
        let hint = "the statements around the mapping use it; pick another";
        return Err(ManifestError::at(path, position, message).with_hint(hint));
    }
    Ok((statement.to_owned(), position))
}
