//! Arguments, targets and messages.

use super::*;

#[track_caller]
fn check(arguments: &[&str], expect: Option<(u32, &[&str])>) {
    let arguments: Vec<String> = arguments.iter().map(|&it| it.to_owned()).collect();
    let expect = expect.map(|(seconds, targets)| Plan {
        seconds,
        targets: targets.iter().map(|&it| it.to_owned()).collect(),
    });
    assert_eq!(Plan::from_arguments(&arguments), expect, "{arguments:?}");
}

#[test]
fn arguments() {
    check(&[], Some((60, &[])));
    check(&["parse", "compile"], Some((60, &["parse", "compile"])));
    check(&["--seconds", "5"], Some((5, &[])));
    check(&["--seconds", "5", "parse"], Some((5, &["parse"])));
    check(&["--seconds"], None);
    check(&["--seconds", "0"], None);
    check(&["--seconds", "soon"], None);
    check(&["parse", "--seconds", "5"], None);
    check(&["--help-me"], None);
}

/// The package's manifest and its folders name the same targets, and each has seeds.
#[test]
fn every_target_is_declared_and_has_seeds() {
    let folder = workspace::root().unwrap().join(FOLDER);
    let manifest = fs::read_to_string(folder.join("Cargo.toml")).unwrap();
    let targets = targets(&folder).unwrap();
    assert_eq!(targets, ["compile", "evaluate", "parse"]);
    assert_eq!(manifest.matches("[[bin]]").count(), targets.len());
    for target in targets {
        assert!(manifest.contains(&format!("name = \"{target}\"")), "{target}");
        assert!(newest(&folder.join("seeds").join(&target)).is_some(), "{target}");
    }
}

#[test]
fn what_is_missing_is_said_with_its_remedy() {
    let error = require(&["false"], "it is missing", "get it").unwrap_err();
    assert_eq!(error.to_string(), "it is missing; get it with `get it`");
    let error = require(&["no-such-program-anywhere"], "", "").unwrap_err();
    assert!(error.to_string().starts_with("`no-such-program-anywhere` is missing"), "{error}");
    assert!(require(&["true"], "", "").is_ok());
}

#[test]
fn findings_are_named_with_the_way_to_run_them_again() {
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(newest(folder.path()), None);
    let input = folder.path().join("crash-1");
    fs::write(&input, "x").unwrap();
    assert_eq!(newest(folder.path()), Some(input));
    assert_eq!(
        replay("parse", Path::new("crash-1")),
        "(cd crates/crossfade-rules/fuzz && rustup run nightly cargo fuzz run --fuzz-dir . parse crash-1)"
    );
}
