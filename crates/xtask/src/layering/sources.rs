//! Looks in the text of the library crates for what only programs may do.

use super::{
    edges::Package,
    table::{Kind, ROWS},
};
use crate::{
    source::{self, mentions},
    workspace::TextFile,
};

/// What gives a program away, and what it is.
const PROGRAM_ONLY: [(&str, &str); 7] = [
    ("env::args", "reads arguments"),
    ("env::var", "reads the environment"),
    ("process::exit", "exits"),
    ("print!", "prints"),
    ("println!", "prints"),
    ("eprint!", "prints"),
    ("eprintln!", "prints"),
];

/// Every line outside of tests where a library acts like a program.
pub(super) fn problems(packages: &[Package], files: &[TextFile]) -> Vec<String> {
    let folders: Vec<String> = packages
        .iter()
        .filter(|package| {
            ROWS.iter().any(|row| row.package == package.name && row.kind == Kind::Library)
        })
        .map(|package| format!("{}/src/", package.folder))
        .collect();
    let library_files = files.iter().filter(|file| {
        file.extension() == "rs"
            && folders.iter().any(|folder| file.path.starts_with(folder))
            && !source::is_test_file(&file.path)
    });
    library_files.flat_map(|file| check(&file.path, &file.text)).collect()
}

fn check(path: &str, text: &str) -> Vec<String> {
    let mut problems = Vec::new();
    for line in source::lines(text).iter().filter(|line| !line.in_test) {
        for (needle, act) in PROGRAM_ONLY {
            if mentions(&line.code, needle) {
                let number = line.number;
                problems.push(format!("{path}:{number}: `{needle}`: a library never {act}"));
            }
        }
    }
    problems
}
