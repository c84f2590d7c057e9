//! Rule sets from a file.

use std::{fs, path::Path};

use super::{BAD, FLAG, document, ended, until, within_deadline};
use crate::{FileSource, Flags, FlagsError, MemorySource, State};

/// Replaces the file as editors and deployments do: by renaming a new one over it.
fn replace(path: &Path, content: &str) {
    let draft = path.with_extension("draft");
    fs::write(&draft, content).unwrap();
    fs::rename(draft, path).unwrap();
}

#[tokio::test]
async fn a_renamed_file_is_loaded_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("flags.json");
    fs::write(&path, document(false)).unwrap();
    let flags = Flags::from_file(&path).await.unwrap();
    assert_eq!((flags.version(), flags.is_enabled(FLAG, "u1")), (1, false));

    replace(&path, &document(true));
    assert_eq!(within_deadline(flags.wait_for(2)).await, 2);
    assert!(flags.is_enabled(FLAG, "u1"));

    fs::write(&path, document(false)).unwrap();
    within_deadline(flags.wait_for(3)).await;
    assert!(!flags.is_enabled(FLAG, "u1"));
}

#[tokio::test]
async fn a_bad_file_is_refused_and_the_last_good_one_stays() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("flags.json");
    fs::write(&path, document(true)).unwrap();
    let flags = Flags::from_file(&path).await.unwrap();

    replace(&path, BAD);
    let status = until(&flags, |status| status.last_error().is_some()).await;
    let Some(FlagsError::Refused { origin, source }) = status.last_error() else {
        panic!("{status:?}")
    };
    assert!(origin.contains("flags.json"), "{origin}");
    assert_eq!(source.line(), Some(2));
    assert_eq!((flags.version(), flags.is_enabled(FLAG, "u1")), (1, true));

    fs::remove_file(&path).unwrap();
    let gone =
        |status: &crate::Status| matches!(status.last_error(), Some(FlagsError::Unreadable { .. }));
    until(&flags, gone).await;
    assert_eq!((flags.version(), flags.is_enabled(FLAG, "u1")), (1, true));

    replace(&path, &document(false));
    let status = until(&flags, |status| status.version() == 2).await;
    assert!(status.last_error().is_none() && !flags.is_enabled(FLAG, "u1"));
}

#[cfg(unix)]
#[tokio::test]
async fn a_swapped_symbolic_link_is_followed() {
    use std::os::unix::fs::symlink;

    let folder = tempfile::tempdir().unwrap();
    for (name, on) in [("..2024_1", false), ("..2024_2", true)] {
        fs::create_dir(folder.path().join(name)).unwrap();
        fs::write(folder.path().join(name).join("flags.json"), document(on)).unwrap();
    }
    symlink("..2024_1", folder.path().join("..data")).unwrap();
    let path = folder.path().join("flags.json");
    symlink("..data/flags.json", &path).unwrap();
    let flags = Flags::from_file(&path).await.unwrap();
    assert!(!flags.is_enabled(FLAG, "u1"));

    symlink("..2024_2", folder.path().join("..data_tmp")).unwrap();
    fs::rename(folder.path().join("..data_tmp"), folder.path().join("..data")).unwrap();
    within_deadline(flags.wait_for(2)).await;
    assert!(flags.is_enabled(FLAG, "u1"));
}

/// A link into a folder that is not watched: only the comparison of the content sees the change.
#[cfg(unix)]
#[tokio::test]
async fn a_change_that_the_watch_misses_is_polled() {
    let [folder, elsewhere] = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let target = elsewhere.path().join("real.json");
    fs::write(&target, document(false)).unwrap();
    let path = folder.path().join("flags.json");
    std::os::unix::fs::symlink(&target, &path).unwrap();
    let flags = Flags::from_file(&path).await.unwrap();

    replace(&target, &document(true));
    within_deadline(flags.wait_for(2)).await;
    assert!(flags.is_enabled(FLAG, "u1"));
}

#[tokio::test]
async fn a_first_load_that_fails_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("flags.json");
    let missing = Flags::from_file(&path).await.unwrap_err();
    assert!(matches!(missing, FlagsError::Unreadable { .. }), "{missing:?}");
    fs::write(&path, BAD).unwrap();
    let refused = Flags::from_file(&path).await.unwrap_err();
    assert!(matches!(refused, FlagsError::Refused { .. }), "{refused:?}");
}

#[tokio::test]
async fn the_task_ends_with_the_last_clone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("flags.json");
    fs::write(&path, document(true)).unwrap();
    let flags = Flags::from_file(&path).await.unwrap();
    let tasks = flags.shared.tasks();
    assert!(!tasks.is_empty());
    let clone = flags.clone();
    drop(flags);
    replace(&path, &document(false));
    within_deadline(clone.wait_for(2)).await;
    assert!(tasks.iter().all(|task| !task.is_finished()));
    drop(clone);
    ended(tasks).await;
}

#[tokio::test]
async fn an_optional_file_that_is_not_there_has_no_flags() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("overrides.json");
    let below = MemorySource::new();
    below.set(&document(false)).unwrap();
    let optional = FileSource::new(&path).optional();
    let flags = Flags::builder().source(optional).memory(&below).start().await;
    let status = flags.status();
    assert_eq!(
        (status.state(), status.last_error().is_none()),
        (State::Current, true),
        "{status:?}"
    );
    assert!(!flags.is_enabled(FLAG, "u1"));
    let version = flags.version();
    replace(&path, &document(true));
    within_deadline(flags.wait_for(version + 1)).await;
    assert!(flags.is_enabled(FLAG, "u1"));
    fs::remove_file(&path).unwrap();
    within_deadline(flags.wait_for(version + 2)).await;
    assert!(!flags.is_enabled(FLAG, "u1"));
    // A folder in the place of the file is trouble all the same.
    fs::create_dir(&path).unwrap();
    until(&flags, |status| status.last_error().is_some()).await;
}
