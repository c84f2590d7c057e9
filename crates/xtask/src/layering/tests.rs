//! Each rule against a workspace that breaks it and nothing else.

use super::{
    edges::{self, Dependency, Package},
    sources,
    table::ROWS,
};
use crate::workspace::TextFile;

/// The workspace as the table wants it, without dependencies.
fn sound() -> Vec<Package> {
    ROWS.iter()
        .map(|row| Package {
            name: row.package.to_owned(),
            folder: format!("crates/{}", row.package),
            dependencies: Vec::new(),
        })
        .collect()
}

/// Adds `from -> to` to a sound workspace.
#[track_caller]
fn check_edge(from: &str, to: &str, in_tests: bool, expect: &[&str]) {
    let mut packages = sound();
    let package = packages.iter_mut().find(|package| package.name == from).unwrap();
    package.dependencies.push(Dependency { name: to.to_owned(), in_tests });
    assert_eq!(edges::problems(&packages), expect);
}

#[test]
fn lower_layers_do_not_know_higher_ones() {
    check_edge(
        "crossfade-core",
        "crossfade-store",
        false,
        &["crossfade-core -> crossfade-store: may use nothing of the workspace"],
    );
    check_edge(
        "crossfade-store",
        "crossfade-dual",
        false,
        &["crossfade-store -> crossfade-dual: may use crossfade-core"],
    );
    check_edge("crossfade-store", "crossfade-core", false, &[]);
}

#[test]
fn engines_do_not_know_each_other_or_an_adapter() {
    for target in ["crossfade-reconcile", "crossfade-sql", "crossfade-rules"] {
        let problem =
            format!("crossfade-dual -> {target}: may use crossfade-core, crossfade-store");
        check_edge("crossfade-dual", target, false, &[&problem]);
        check_edge("crossfade-dual", target, true, &[]);
    }
    check_edge("crossfade-flags", "crossfade-rules", false, &[]);
    check_edge("crossfade", "crossfade-sql", false, &[]);
}

#[test]
fn nothing_uses_the_automation() {
    let problem = "crossfade-cli -> xtask: may use anything but xtask";
    check_edge("crossfade-cli", "xtask", false, &[problem]);
    check_edge("crossfade-cli", "crossfade", false, &[]);
}

#[test]
fn packages_and_rows_match() {
    assert_eq!(edges::problems(&sound()), [""; 0]);

    let mut packages = sound();
    packages.retain(|package| package.name != "crossfade-dual");
    assert_eq!(
        edges::problems(&packages),
        ["crossfade-dual: in the layering table but no package"]
    );

    let mut packages = sound();
    packages.push(Package {
        name: "crossfade-new".to_owned(),
        folder: String::new(),
        dependencies: Vec::new(),
    });
    assert_eq!(edges::problems(&packages), ["crossfade-new: missing in the layering table"]);
}

#[test]
fn databases_and_terminals_have_their_crates() {
    let database = ": only `crossfade-sql` and the programs talk to a database";
    let terminal = ": only the command lines have a terminal";
    check_edge("crossfade", "sqlx", false, &[&format!("crossfade -> sqlx{database}")]);
    check_edge("crossfade", "sqlx", true, &[]);
    for adapter in ["sqlx", "sqlx-core", "sqlx-mysql", "sqlx-postgres", "sqlx-sqlite"] {
        for package in ["crossfade-core", "crossfade-dual", "crossfade-rules", "xtask"] {
            let problem = format!("{package} -> {adapter}{database}");
            check_edge(package, adapter, true, &[&problem]);
        }
    }
    for package in ["sql", "cli", "tests", "examples", "benches"] {
        check_edge(&format!("crossfade-{package}"), "sqlx", false, &[]);
    }
    check_edge("xtask", "clap", false, &[&format!("xtask -> clap{terminal}")]);
    check_edge("crossfade-cli", "indicatif", false, &[]);
}

#[test]
fn pure_crates_stay_pure() {
    for package in ["crossfade-core", "crossfade-rules"] {
        for target in ["rand", "tokio"] {
            let problem =
                format!("{package} -> {target}: `crossfade-core` and `crossfade-rules` are pure");
            check_edge(package, target, false, &[&problem]);
        }
    }
    check_edge("crossfade-dual", "tokio", false, &[]);
}

#[track_caller]
fn check_source(path: &str, text: &str, expect: &[&str]) {
    let file = TextFile { path: path.to_owned(), text: text.to_owned() };
    assert_eq!(sources::problems(&sound(), &[file]), expect);
}

#[test]
fn libraries_do_not_act_like_programs() {
    for (text, expect) in [
        ("std::env::var(x)", "`env::var`: a library never reads the environment"),
        ("env::args()", "`env::args`: a library never reads arguments"),
        ("std::process::exit(1)", "`process::exit`: a library never exits"),
        ("println!()", "`println!`: a library never prints"),
        ("eprintln!()", "`eprintln!`: a library never prints"),
        ("print!()", "`print!`: a library never prints"),
        ("eprint!()", "`eprint!`: a library never prints"),
    ] {
        let comment = format!("//! Docs.\n// {text}\n");
        let text = format!("//! Docs.\n{text}\n");
        let path = "crates/crossfade-dual/src/a.rs";
        check_source(path, &text, &[&format!("{path}:2: {expect}")]);
        check_source("crates/crossfade-cli/src/a.rs", &text, &[]);
        check_source("crates/crossfade-dual/src/a/tests.rs", &text, &[]);
        check_source(path, &format!("#[cfg(test)]\nmod t {{\n{text}}}\n"), &[]);
        check_source(path, &comment, &[]);
    }
}
