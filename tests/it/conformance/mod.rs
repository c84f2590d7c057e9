//! The conformance suite of `crossfade-testkit`: it lets a sound pair pass, and names what is wrong
//! with each of the others.

mod friends;

use std::path::PathBuf;
use std::time::Duration;

use crossfade::{Database, Engine};
use crossfade_testkit::conformance::{
    Conformance, Diagnosis, Pair, Report, Step, Verb, assert_conforms,
};
use tempfile::TempDir;

use crate::support::{Bench, TestDatabase};
use friends::{Fault, Forwarding, Friends};

/// A database with the Legacy table, and the migration's folder.
struct Place {
    test: TestDatabase,
    database: Database,
    path: PathBuf,
    _folder: TempDir,
}

impl Place {
    async fn new(engine: Engine) -> Self {
        let test = TestDatabase::create(engine, "conformance").await;
        let database = test.open_unsynced().await;
        let columns = "name text not null, email text not null, changed bigint not null, \
                       note text not null";
        let legacy = format!("create table friends (id bigint primary key, {columns})");
        Bench { db: database.clone() }.sql(&legacy).await;
        let folder = tempfile::tempdir().expect("a folder can be made");
        let path = folder.path().join("friends");
        std::fs::create_dir(&path).expect("a folder can be made");
        let new = format!(
            "create table friends_v2 (friend_id bigint primary key, {columns}, \
             check (name <> 'bad'));\n"
        );
        for (file, text) in [
            (
                "migration.toml",
                "name = \"friends\"\nread_flag = \"read_friends_v2\"\n\
                 [legacy]\ntable = \"friends\"\nkey = [\"id\"]\n\
                 [new]\ntable = \"friends_v2\"\nkey = [\"friend_id\"]\n",
            ),
            ("expand.sql", new.as_str()),
            ("mapping.sql", "select id as friend_id, name, email, changed, note from friends\n"),
            ("contract.sql", "drop table friends;\n"),
        ] {
            std::fs::write(path.join(file), text).expect("the file can be written");
        }
        Self { test, database, path, _folder: folder }
    }

    async fn run<P: Pair>(&self, pair: &P) -> Report {
        let run = Conformance::new(&self.database, &self.path).seed(11).stories(5);
        let report = run.patience(Duration::from_secs(3)).run(pair).await;
        report.unwrap_or_else(|error| panic!("{error}: {:?}", std::error::Error::source(&error)))
    }
}

/// The suite names the fault, and nothing else.
async fn named(engines: &[Engine], fault: Fault, expect: Diagnosis) -> Vec<Step> {
    let mut story = Vec::new();
    for engine in engines {
        let place = Place::new(*engine).await;
        let report = place.run(&Friends::new(&place.database, fault)).await;
        story = only(&report, expect);
        place.test.drop().await;
    }
    story
}

#[track_caller]
fn only(report: &Report, expect: Diagnosis) -> Vec<Step> {
    let found: Vec<Diagnosis> = report.findings.iter().map(|found| found.diagnosis).collect();
    assert_eq!(found, [expect], "{report}");
    let text = report.to_string();
    for words in [expect.to_string(), report.findings[0].seen.clone(), ".seed(11)".to_owned()] {
        assert!(text.contains(words.trim_end_matches('.')), "`{words}` is missing in:\n{text}");
    }
    report.findings[0].story.clone()
}

const ONE: &[Engine] = &[Engine::Sqlite];

async fn conforms_on(engine: Engine) {
    let place = Place::new(engine).await;
    let pair = Friends::new(&place.database, Fault::None);
    if engine == Engine::Sqlite {
        assert_conforms(&place.database, &place.path, &pair).await;
    }
    // On SQLite among the rows that are there by now.
    let report = place.run(&pair).await;
    report.assert_clean();
    assert!(report.stories >= 25, "{report}");
    place.test.drop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sound_pair_conforms_on_postgres() {
    conforms_on(Engine::Postgres).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sound_pair_conforms_on_mariadb() {
    conforms_on(Engine::Mysql).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sound_pair_conforms_on_sqlite() {
    conforms_on(Engine::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn puts_that_are_no_upserts_are_named() {
    let story = named(Engine::ALL, Fault::PlainInsert, Diagnosis::NotAnUpsert).await;
    assert_eq!(story.len(), 3, "{story:?}");
    named(ONE, Fault::KeepsOldRow, Diagnosis::NotAnUpsert).await;
    let story = named(ONE, Fault::UpdateOnly, Diagnosis::UpdatesOnlyExistingRows).await;
    assert_eq!(story.len(), 2, "{story:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn partial_updates_and_forgotten_deletes_are_named() {
    for engine in Engine::ALL {
        let place = Place::new(*engine).await;
        let report = place.run(&Forwarding(Friends::new(&place.database, Fault::None))).await;
        let story = only(&report, Diagnosis::ForwardsPartialUpdates);
        assert!(story.iter().any(|step| matches!(step, Step::Act { verb: Verb::Patch(_), .. })));
        place.test.drop().await;
    }
    named(Engine::ALL, Fault::NoDelete, Diagnosis::ForgetsDeletes).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_of_news_own_making_are_named() {
    named(ONE, Fault::OwnClock, Diagnosis::OwnClockOrId).await;
    named(ONE, Fault::OtherKey, Diagnosis::WritesAnotherKey).await;
    named(ONE, Fault::UpperCase, Diagnosis::StoresAnotherRow).await;
    named(ONE, Fault::OwnNote, Diagnosis::DiffersFromMapping).await;
    named(ONE, Fault::LegacyLosesEmail, Diagnosis::LegacyDiffers).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_with_errors_is_named() {
    named(Engine::ALL, Fault::SwallowsErrors, Diagnosis::SwallowsErrors).await;
    named(ONE, Fault::RefusesOdd, Diagnosis::RefusesRows).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_with_transactions_is_named() {
    named(Engine::ALL, Fault::KeepsTransaction, Diagnosis::KeepsTransaction).await;
    named(Engine::ALL, Fault::OtherConnection, Diagnosis::WritesOutsideTransaction).await;
    named(ONE, Fault::NeverEnds, Diagnosis::NeverEnds).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_side_that_delete_only_deceives_is_named() {
    for engine in [Engine::Sqlite, Engine::Postgres] {
        let place = Place::new(engine).await;
        let pair = Friends::new(&place.database, Fault::Tags);
        let expand = std::fs::read_to_string(place.path.join("expand.sql")).expect("readable");
        let tags = "create table tags (friend_id bigint primary key references friends_v2);\n";
        std::fs::write(place.path.join("expand.sql"), expand + tags).expect("writable");
        only(&place.run(&pair).await, Diagnosis::BreaksInDeleteOnly);
        place.test.drop().await;
    }
    // A memory is deceived by a rollback as well.
    let place = Place::new(Engine::Sqlite).await;
    let report = place.run(&Friends::new(&place.database, Fault::Remembers)).await;
    let found: Vec<Diagnosis> = report.findings.iter().map(|found| found.diagnosis).collect();
    assert_eq!(
        found,
        [Diagnosis::BreaksInDeleteOnly, Diagnosis::RemembersUndoneWrites],
        "{report}"
    );
    place.test.drop().await;
}
