//! The rules on one file.

use std::path::Path;

use crate::source::{self, mentions};

/// A longer file is two files.
const MOST_LINES: usize = 600;

/// Text files whose white space is checked.
const TEXT_EXTENSIONS: [&str; 4] = ["md", "rs", "sql", "toml"];

/// What no Rust file holds, and what to do instead.
const FORBIDDEN: [(&str, &str); 6] = [
    ("#[allow(", "use #[expect(…, reason = \"…\")]"),
    ("#![allow(", "use #![expect(…, reason = \"…\")]"),
    ("#[ignore", "a test runs or goes"),
    ("dbg!(", "take it out"),
    ("todo!(", "do it, or return an error"),
    ("unimplemented!(", "do it, or return an error"),
];

/// How a test sleeps.
const SLEEPS: [&str; 3] = ["thread::sleep", "time::sleep", "sleep("];

/// Folders at the top of a file system that only exist on somebody's machine.
const MACHINE_FOLDERS: [&str; 5] = ["Users", "home", "root", "work", "workspace"];

/// Every breach in the file at `path`, which is given from the workspace's root.
pub(super) fn problems(path: &str, text: &str) -> Vec<String> {
    let extension = Path::new(path).extension().and_then(|it| it.to_str()).unwrap_or_default();
    if !TEXT_EXTENSIONS.contains(&extension) {
        return Vec::new();
    }
    let mut found = Vec::new();
    check_characters(text, &mut found);
    if extension == "rs" {
        check_shape(text, &mut found);
        check_code(path, text, &mut found);
    }
    found.sort();
    found.into_iter().map(|(line, problem)| format!("{path}:{line}: {problem}")).collect()
}

type Found = Vec<(usize, String)>;

fn check_characters(text: &str, found: &mut Found) {
    for (number, line) in (1..).zip(text.split('\n')) {
        if line.contains('\t') {
            found.push((number, "tab".to_owned()));
        }
        if line.ends_with(char::is_whitespace) {
            found.push((number, "white space at the end of the line".to_owned()));
        }
        for folder in MACHINE_FOLDERS {
            if holds_folder(line, folder) {
                found.push((number, format!("`/{folder}/`: a path of somebody's machine")));
            }
        }
    }
}

/// Whether `line` holds an absolute path that starts with `folder`.
fn holds_folder(line: &str, folder: &str) -> bool {
    let path = format!("/{folder}/");
    line.match_indices(&path).any(|(at, _)| {
        let part_of_longer_path = |it: char| it.is_alphanumeric() || "_-./}>~*".contains(it);
        !line[..at].ends_with(part_of_longer_path)
    })
}

fn check_shape(text: &str, found: &mut Found) {
    if !text.starts_with("//!") {
        found.push((1, "does not start with `//!` documentation".to_owned()));
    }
    let lines = text.lines().count();
    if lines > MOST_LINES {
        found.push((MOST_LINES + 1, format!("{lines} lines, more than {MOST_LINES}")));
    }
}

fn check_code(path: &str, text: &str, found: &mut Found) {
    let test_file = source::is_test_file(path);
    for line in source::lines(text) {
        for (needle, instead) in FORBIDDEN {
            if mentions(&line.code, needle) {
                found.push((line.number, format!("`{needle}`: {instead}")));
            }
        }
        if (test_file || line.in_test) && sleeps(&line.code) {
            let problem = "a test sleeps: wait for a condition with a deadline, or pause time";
            found.push((line.number, problem.to_owned()));
        }
    }
}

/// Whether `code` sleeps; a method or function that is merely called `sleep` does not count.
fn sleeps(code: &str) -> bool {
    SLEEPS.iter().any(|needle| {
        code.match_indices(needle).any(|(at, _)| {
            let before = &code[..at];
            let imported = || !before.ends_with(['.', ':']) && !before.ends_with("fn ");
            !before.ends_with(|it: char| it.is_alphanumeric() || it == '_')
                && (*needle != "sleep(" || imported())
        })
    })
}
