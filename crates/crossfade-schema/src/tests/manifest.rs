//! Manifests, good and bad.

use std::path::{Path, PathBuf};
use std::time::Duration;

use tempfile::TempDir;

use crossfade_core::MaxRefusals;

use crate::{Manifest, ManifestError};

const TOML: &str = r#"name = "user_settings"
read_flag = "read_user_settings_v2"
[legacy]
table = "users"
key = ["id"]
[new]
table = "user_settings"
key = ["user_id"]
[backfill]
batch_size = 1000
delay = "100ms"
"#;

const MAPPING: &str = "-- a comment\nselect id as user_id from users;\n";

fn folder(files: &[(&str, &str)]) -> (TempDir, PathBuf) {
    let root = tempfile::tempdir().unwrap();
    let dir = root.path().join("user_settings");
    std::fs::create_dir(&dir).unwrap();
    let defaults = [
        ("migration.toml", TOML),
        ("mapping.sql", MAPPING),
        ("expand.sql", ""),
        ("contract.sql", ""),
    ];
    for (file, text) in defaults.iter().chain(files) {
        std::fs::write(dir.join(file), text).unwrap();
    }
    (root, dir)
}

fn load(files: &[(&str, &str)]) -> Result<Manifest, ManifestError> {
    let (_root, dir) = folder(files);
    Manifest::load(&dir, "postgres")
}

#[test]
fn the_whole_of_it() {
    let more = "[gates]\nbake_time = \"2h\"\ninvertible = true\n";
    let toml = TOML.replace("key = [\"id\"]", "key = [\"id\"]\ncolumns = [\"profile\"]") + more;
    let files = [
        ("migration.toml", toml.as_str()),
        ("expand.sql", "create table plain (a int)"),
        ("expand.postgres.sql", "create table own (a int); create table second (a int)"),
        ("contract.sqlite.sql", "not for this engine"),
    ];
    let manifest = load(&files).unwrap();
    let definition = &manifest.definition;
    assert_eq!(definition.name.as_str(), "user_settings");
    assert_eq!(definition.legacy.table.to_string(), "users");
    assert_eq!(definition.legacy_columns[0].as_str(), "profile");
    assert_eq!(definition.mapping, "select id as user_id from users");
    assert_eq!(definition.backfill.batch_size, Some(1000));
    assert_eq!(definition.backfill.delay, Some(Duration::from_millis(100)));
    assert_eq!(definition.gates.bake_time, Duration::from_secs(2 * 60 * 60));
    assert_eq!(definition.gates.quiet_time, Duration::from_secs(60 * 60));
    assert!(definition.gates.invertible);
    assert_eq!(manifest.expand.statements.len(), 2);
    assert!(manifest.expand.path.ends_with("expand.postgres.sql"));
    assert!(manifest.contract.statements.is_empty());
}

#[track_caller]
fn refused(file: &str, text: &str, line: usize, column: usize, message: &str) {
    let error = load(&[(file, text)]).unwrap_err();
    assert_eq!((error.line(), error.column()), (Some(line), Some(column)), "{error}");
    assert!(error.path().ends_with(file), "{error}");
    assert!(error.to_string().contains(message), "{error}");
}

#[test]
fn what_is_wrong_is_pointed_at() {
    let toml = |from: &str, to: &str, line, column, message: &str| {
        assert!(TOML.contains(from), "{from}");
        refused("migration.toml", &TOML.replace(from, to), line, column, message);
    };
    toml("name = \"user_settings\"", "name = \"other\"", 1, 8, "not that of the folder");
    toml("name = \"user_settings\"", "name = ", 1, 8, "");
    toml("[legacy]", "[legacy]\nkeys = []", 4, 1, "unknown field `keys`");
    toml("\"users\"", "\"users\\\"; drop table x;--\"", 4, 9, "not a valid table name");
    toml("\"user_id\"", "\"user id\"", 8, 8, "not a valid identifier");
    toml("key = [\"user_id\"]", "key = [\"a\", \"b\"]", 8, 7, "New's key has 2");
    toml("key = [\"id\"]", "key = []", 5, 7, "no columns");
    toml("batch_size = 1000", "batch_size = 0", 10, 14, "moves nothing");
    toml("batch_size = 1000", "batch_size = -1", 10, 14, "");
    toml("100ms", "100 parsecs", 11, 9, "not a duration");
    toml("\"user_settings\"\nkey", "\"users\"\nkey", 7, 9, "the same table");
    refused("mapping.sql", "select 1;\nselect 2", 2, 1, "2 statements");
    refused("mapping.sql", "-- nothing\n", 1, 1, "0 statements");
    refused("mapping.sql", "\n  delete from users", 2, 3, "does not begin with");
    refused("mapping.sql", "select * from crossfade_mapped", 1, 1, "uses the name");
    refused("mapping.sql", "select 'a", 1, 8, "never closed");
    refused("expand.postgres.sql", "a;\nb 'c", 2, 3, "never closed");
}

#[test]
fn a_missing_file_says_how_to_make_it() {
    let error = Manifest::load(Path::new("nowhere/user_settings"), "sqlite").unwrap_err();
    assert!(error.is_missing());
    assert!(error.hint().unwrap().contains("crossfade new"));
    assert_eq!(error.line(), None);
}

#[test]
fn findings_are_accepted_by_check_and_object() {
    let accept =
        "[accept.inbound-foreign-key]\n\"orders.orders_user_id_fkey\" = \"moved in June\"\n";
    let toml = format!("{TOML}max_refusals = \"2.5%\"\n[gates]\nproof_age = \"1h\"\n{accept}");
    let definition = load(&[("migration.toml", toml.as_str())]).unwrap().definition;
    let [accepted] = &definition.accepted[..] else { panic!("{:?}", definition.accepted) };
    assert_eq!(accepted.check, "inbound-foreign-key");
    assert_eq!(accepted.object, "orders.orders_user_id_fkey");
    assert_eq!(accepted.reason, "moved in June");
    assert_eq!(definition.gates.proof_age, Duration::from_secs(3600));
    assert_eq!(definition.backfill.max_refusals, MaxRefusals::PartsPerMillion(25_000));
}

#[test]
fn an_acceptance_that_means_nothing_is_refused_with_its_line() {
    for (accept, words) in [
        ("[accept.no-such-check]\n\"a\" = \"b\"\n", "`no-such-check` is not a check"),
        ("[accept.inheritance]\n\"a\" = \"b\"\n", "findings of `inheritance` are refused"),
        ("[accept.unlogged]\n\"a\" = \" \"\n", "`a` is accepted without a reason"),
    ] {
        let toml = format!("{TOML}{accept}");
        let error = load(&[("migration.toml", toml.as_str())]).unwrap_err();
        assert!(error.to_string().contains(words), "{error}");
        assert!(error.to_string().contains("migration.toml:1"), "{error}");
        assert!(error.hint().is_some());
    }
}
