//! Files to begin with.

use crate::{Manifest, ScaffoldError, Scaffolded, init, scaffold};

#[test]
fn a_new_folder_is_a_manifest_and_is_never_overwritten() {
    let root = tempfile::tempdir().unwrap();
    let name = "user_settings".parse().unwrap();
    let files = scaffold(root.path(), &name).unwrap();
    assert_eq!(files.len(), 4);
    let manifest = Manifest::load(&root.path().join("user_settings"), "sqlite").unwrap();
    assert_eq!(manifest.definition.name, name);
    assert_eq!(manifest.definition.read_flag.as_str(), "read_user_settings_v2");
    assert_eq!(manifest.expand.statements.len(), 1);
    std::fs::write(&files[0], "mine").unwrap();
    let again = scaffold(root.path(), &name);
    assert!(matches!(again, Err(ScaffoldError::Exists { .. })), "{again:?}");
    assert_eq!(std::fs::read_to_string(&files[0]).unwrap(), "mine");
    let entries = std::fs::read_dir(root.path()).unwrap().count();
    assert_eq!(entries, 1, "no draft is left");
}

#[test]
fn a_second_init_keeps_what_is_there() {
    let root = tempfile::tempdir().unwrap();
    let (config, migrations) = (root.path().join("crossfade.toml"), root.path().join("m"));
    let made = init(&config, &migrations).unwrap();
    assert!(made.iter().all(|one| matches!(one, Scaffolded::Created(_))), "{made:?}");
    std::fs::write(&config, "mine").unwrap();
    let kept = init(&config, &migrations).unwrap();
    assert!(kept.iter().all(|one| matches!(one, Scaffolded::Kept(_))), "{kept:?}");
    assert_eq!(std::fs::read_to_string(&config).unwrap(), "mine");
}
