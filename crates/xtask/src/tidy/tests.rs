//! Each rule against a file that breaks it and nothing else.

use super::{modules, text};
use crate::workspace::TextFile;

const FILE: &str = "crates/a/src/b.rs";
const TEST_FILE: &str = "crates/a/src/tests.rs";

/// Checks `line` as the second line of the file at `path`; `expect` is the problem without its
/// position, empty for none.
#[track_caller]
fn check_line(path: &str, line: &str, expect: &str) {
    let problems = text::problems(path, &format!("//! Docs.\n{line}\n"));
    let expect: Vec<String> =
        expect.split_terminator('|').map(|problem| format!("{path}:2: {problem}")).collect();
    assert_eq!(problems, expect, "{line}");
}

#[test]
fn rust_files_start_with_their_documentation() {
    assert_eq!(
        text::problems(FILE, "// Docs.\n"),
        ["crates/a/src/b.rs:1: does not start with `//!` documentation"]
    );
    assert_eq!(text::problems("README.md", "# Title\n"), [""; 0]);
}

#[test]
fn rust_files_stay_short() {
    let file = |lines| format!("//!{}", "\n".repeat(lines));
    assert_eq!(text::problems(FILE, &file(600)), [""; 0]);
    assert_eq!(
        text::problems(FILE, &file(601)),
        ["crates/a/src/b.rs:601: 601 lines, more than 600"]
    );
}

#[test]
fn leftovers_are_found_in_code_only() {
    for (needle, instead) in [
        ("#[allow(", "use #[expect(…, reason = \"…\")]"),
        ("#![allow(", "use #![expect(…, reason = \"…\")]"),
        ("#[ignore", "a test runs or goes"),
        ("dbg!(", "take it out"),
        ("todo!(", "do it, or return an error"),
        ("unimplemented!(", "do it, or return an error"),
    ] {
        check_line(FILE, &format!("    {needle}x)]"), &format!("`{needle}`: {instead}"));
        check_line(FILE, &format!("// {needle}x)]"), "");
        check_line(FILE, &format!("let a = \"{needle}x)]\";"), "");
        check_line("docs/a.md", &format!("Never {needle}x)]."), "");
    }
}

#[test]
fn tests_do_not_sleep() {
    let problem = "a test sleeps: wait for a condition with a deadline, or pause time";
    for line in [
        "std::thread::sleep(a);",
        "thread::sleep(a);",
        "tokio::time::sleep(a).await;",
        "time::sleep(a).await;",
        "sleep(a).await;",
    ] {
        check_line(TEST_FILE, line, problem);
        check_line("tests/it/a.rs", line, problem);
        check_line(FILE, line, "");
        assert_eq!(
            text::problems(FILE, &format!("//! D.\n#[cfg(test)]\nmod t {{\n{line}\n}}\n")),
            [format!("{FILE}:4: {problem}")]
        );
    }
    check_line(TEST_FILE, "clock.sleep(a).await;", "");
    check_line(TEST_FILE, "fn sleep(a: u8) {}", "");
}

#[test]
fn white_space_is_checked_in_every_text_file() {
    for path in ["a.md", "a.rs", "a.sql", "a.toml"] {
        check_line(path, "a\tb", "tab");
        check_line(path, "a ", "white space at the end of the line");
        check_line(path, "a b", "");
    }
    check_line("Makefile", "a\tb ", "");
}

#[test]
fn paths_of_machines_are_found_everywhere() {
    for folder in ["Users", "home", "root", "work", "workspace"] {
        let problem = format!("`/{folder}/`: a path of somebody's machine");
        for line in [format!("// /{folder}/ann/a"), format!("cd \"/{folder}/ann\"")] {
            check_line(FILE, &line, &problem);
        }
        check_line("a.md", &format!("https://example.org/{folder}/ann"), "");
        check_line("a.md", &format!("$folder/{folder}/ann"), "");
    }
}

#[track_caller]
fn check_modules(files: &[(&str, &str)], expect: &[&str]) {
    let files: Vec<TextFile> = files
        .iter()
        .map(|&(path, text)| TextFile { path: path.to_owned(), text: text.to_owned() })
        .collect();
    assert_eq!(modules::problems(&files), expect);
}

#[test]
fn integration_tests_are_declared() {
    let sound = [
        ("tests/it/main.rs", "mod a;\npub(crate) mod b;\nmod c;\n"),
        ("tests/it/a.rs", ""),
        ("tests/it/b/mod.rs", "mod d;"),
        ("tests/it/b/d.rs", ""),
        ("tests/it/c.rs", "mod e;"),
        ("tests/it/c/e.rs", ""),
        ("crates/f/src/g.rs", ""),
    ];
    check_modules(&sound, &[]);
    check_modules(
        &[("tests/it/main.rs", "// mod a;\nmod aa;"), ("tests/it/a.rs", "")],
        &["tests/it/a.rs:1: not declared in tests/it/main.rs"],
    );
    check_modules(
        &[
            ("tests/it/main.rs", "mod b;\nmod d;"),
            ("tests/it/b/mod.rs", ""),
            ("tests/it/b/d.rs", ""),
        ],
        &["tests/it/b/d.rs:1: not declared in tests/it/b/mod.rs or tests/it/b.rs"],
    );
}
