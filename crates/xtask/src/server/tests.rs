//! The choice among installed servers, and what is read from a server's files and log.

use std::{
    fs,
    path::{Path, PathBuf},
};

use super::{
    binaries, install,
    kind::{self, says_ready},
};

#[track_caller]
fn check_choice(
    explicit: Option<&str>,
    search: &[&str],
    installed: &[&str],
    complete: &[&str],
    expect: Option<&str>,
) {
    let paths = |names: &[&str]| names.iter().map(PathBuf::from).collect::<Vec<_>>();
    let complete = paths(complete);
    let chosen = binaries::choose(
        &kind::POSTGRES,
        explicit.map(Path::new),
        &paths(search),
        &paths(installed),
        |folder: &Path| complete.iter().any(|it| it == folder),
    )
    .unwrap();
    assert_eq!(chosen.as_deref(), expect.map(Path::new));
}

#[test]
fn newest_complete_installation_is_chosen() {
    let installed = ["/pg/9.6/bin", "/pg/16/bin", "/pg/10/bin"];
    check_choice(None, &[], &installed, &installed, Some("/pg/16/bin"));
    check_choice(None, &[], &installed, &["/pg/9.6/bin", "/pg/10/bin"], Some("/pg/10/bin"));
    check_choice(
        None,
        &[],
        &["/brew/postgresql@9/bin", "/brew/postgresql@17/bin"],
        &["/brew/postgresql@9/bin", "/brew/postgresql@17/bin"],
        Some("/brew/postgresql@17/bin"),
    );
    check_choice(None, &[], &installed, &[], None);
}

#[test]
fn search_path_goes_before_the_usual_places() {
    let all = ["/bin", "/mine", "/pg/16/bin"];
    check_choice(None, &["/bin", "/mine"], &["/pg/16/bin"], &all[1..], Some("/mine"));
    check_choice(None, &["/bin", "/mine"], &["/pg/16/bin"], &all, Some("/bin"));
}

#[test]
fn named_folder_goes_before_everything_and_is_never_replaced() {
    check_choice(Some("/named"), &["/bin"], &[], &["/named", "/bin"], Some("/named"));
    let (named, search) = (Path::new("/named"), [PathBuf::from("/bin")]);
    let complete = |folder: &Path| folder == Path::new("/bin");
    let error = binaries::choose(&kind::POSTGRES, Some(named), &search, &[], complete).unwrap_err();
    assert!(error.to_string().starts_with("CROSSFADE_PG_BIN=/named does not hold all of initdb"));
}

#[test]
fn only_the_status_line_says_ready() {
    let data = tempfile::tempdir().unwrap();
    assert!(!says_ready(data.path()), "no file yet");
    for (status, expect) in
        [("starting", false), ("ready   ", true), ("standby ", true), ("stopping", false)]
    {
        let text = format!("1\n/ready\n2\n5432\n/socket\n127.0.0.1\n3 4\n{status}\n");
        fs::write(data.path().join("postmaster.pid"), text).unwrap();
        assert_eq!(says_ready(data.path()), expect, "{status}");
    }
}

#[test]
fn programs_of_several_folders_are_gathered() {
    let folders = ["/bin", "/sbin"].map(PathBuf::from);
    let gather = |files: &[&str]| {
        binaries::scattered(&["install", "serve"], &folders, |path| {
            files.iter().any(|file| path == Path::new(file))
        })
    };
    let found = gather(&["/bin/install", "/sbin/install", "/sbin/serve"]).unwrap();
    let expect = (Path::new("/bin/install"), Path::new("/sbin/serve"));
    assert_eq!(found.installer_and_server(), expect);
    assert_eq!(found.program("serve"), expect.1);
    assert_eq!(gather(&["/bin/install"]), None);
}

#[test]
fn a_failed_installation_names_what_was_tried_and_what_to_do() {
    let said = install::failed(&kind::MARIADB, &[vec!["install", "-y", "mariadb-server"]]);
    for words in ["MariaDB", "apt-get install -y mariadb-server", "CROSSFADE_MARIADB_BIN"] {
        assert!(said.contains(words), "{words} in {said}");
    }
}

#[test]
fn taken_port_is_told_from_other_failures() {
    let lost = |kind: &kind::Kind, log: &str| log.contains(kind.lost_port);
    let taken = "LOG:  could not bind IPv4 address \"127.0.0.1\": Address already in use\n\
                 FATAL:  could not create any TCP/IP sockets";
    assert!(lost(&kind::POSTGRES, taken));
    assert!(!lost(&kind::POSTGRES, "FATAL:  could not create shared memory segment"));
    let taken = "[ERROR] Can't start server: Bind on TCP/IP port. Got error: 98: Address already \
                 in use";
    assert!(lost(&kind::MARIADB, taken));
    assert!(!lost(&kind::MARIADB, "[ERROR] Aborting"));
}
