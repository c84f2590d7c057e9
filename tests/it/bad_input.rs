//! Bad input: each gets its exit code and a clear word, nothing half-applied, no secrets shown.

use crossfade::Engine;

use crate::support::Project;

#[tokio::test(flavor = "multi_thread")]
async fn words_that_name_nothing() {
    let project = Project::with_people(Engine::Sqlite, "names", "").await;
    project.ok(&["expand", "people"]);
    for (args, code, words) in [
        (&["status", "nobody"][..], 1, &["unknown migration `nobody`", "people"][..]),
        (&["stage", "nobody", "live"], 1, &["nobody"]),
        (&["stage", "people", "livee"], 2, &["livee", "dual_write"]),
        (&["flag", "show", "nothing"], 1, &["nothing"]),
        (&["expand", "nobody"], 1, &["nobody", "crossfade new"]),
        (&["status", "users\"; drop table x;--"], 2, &["drop table x"]),
        (&["backfill", "people", "--workers", "0"], 2, &["workers"]),
        (&["no-such-command"], 2, &["no-such-command"]),
        (&["flag", "eval", "read_people_v2", "--context", "{"], 2, &["context"]),
    ] {
        project.run(args).expect(code).says(words);
    }
    assert_eq!(project.stage(), "off");
    project.drop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn files_that_do_not_parse() {
    let project = Project::with_people(Engine::Sqlite, "files", "").await;
    let toml = "migrations/people/migration.toml";
    let expand = "migrations/people/expand.sql";
    for (file, text, code, words) in [
        (toml, "name = \"people\"\nread_flag = \n", 1, &["migration.toml", "2"][..]),
        (
            toml,
            "name = \"people\"\nread_flagg = \"x\"\n",
            1,
            &["migration.toml", "read_flagg", "2"],
        ),
        (expand, "create table a (x bigint);\n\nselect 'never ends\n", 1, &["expand.sql", "3"]),
        (expand, "drop table people;\n", 1, &["expand.sql:1", "must not drop a table"]),
        ("crossfade.toml", "database_urll = \"x\"\n", 2, &["crossfade.toml:1:1", "database_urll"]),
    ] {
        project.write_people();
        let kept = std::fs::read_to_string(project.folder.path().join("crossfade.toml"));
        project.write(file, text);
        project.run(&["expand", "people"]).expect(code).says(words);
        project.write("crossfade.toml", &kept.expect("init wrote it"));
    }
    project.write_people();
    project.ok(&["expand", "people"]);
    project.drop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_identifier_that_is_more_than_one() {
    let project = Project::with_people(Engine::Sqlite, "identifier", "").await;
    let manifest = "name = \"people\"\nread_flag = \"read_people_v2\"\n\
                    [legacy]\ntable = 'users\"; drop table x;--'\nkey = [\"id\"]\n\
                    [new]\ntable = \"people_v2\"\nkey = [\"person_id\"]\n";
    project.write("migrations/people/migration.toml", manifest);
    let words = ["migration.toml", "4", "not a valid table name"];
    project.run(&["expand", "people"]).expect(1).says(&words);
    project.drop().await;
}

async fn a_mapping_that_does_not_fit(engine: Engine) {
    let project = Project::with_people(engine, "mapping", "").await;
    for (mapping, words) in [
        ("select id as person_id, name as nam from people", &["nam"][..]),
        ("select name from people", &["person_id"]),
        ("select id as person_id from people", &["name"]),
        ("selec id from people", &["mapping.sql"]),
        ("select id as person_id, nme as name from people", &["nme"]),
        ("select id as person_id, name from people; drop table people", &["mapping"]),
    ] {
        project.write("migrations/people/mapping.sql", mapping);
        let answer = project.run(&["expand", "people"]);
        assert_ne!(answer.code, 0, "{mapping}: {answer:?}");
        answer.says(words);
    }
    project.write_people();
    project.ok(&["expand", "people"]);
    project.ok(&["stage", "people", "delete_only"]);
    project.drop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mapping_that_does_not_fit_on_sqlite() {
    a_mapping_that_does_not_fit(Engine::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mapping_that_does_not_fit_on_postgres() {
    a_mapping_that_does_not_fit(Engine::Postgres).await;
}

/// PostgreSQL rolls the failing statement back and names the place; what ran before it is not run
/// again after the script is mended.
#[tokio::test(flavor = "multi_thread")]
async fn a_failing_statement_names_its_place_and_the_mended_script_goes_on() {
    let project = Project::with_people(Engine::Postgres, "failing", "").await;
    let script = "create table people_v2 (person_id bigint primary key, name text);\n\
                  -- a comment\ncreate index i on\n  people_v2 (name) whre name <> '';\n";
    project.write("migrations/people/expand.sql", script);
    let words = ["expand.sql:4:20", "whre"];
    project.run(&["expand", "people"]).expect(1).says(&words);
    project.write("migrations/people/expand.sql", &script.replace("whre", "where"));
    project.ok(&["expand", "people"]);
    project.drop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_is_down_and_a_secret_that_stays_one() {
    let project = Project::create(Engine::Sqlite, "down").await;
    let url = "postgres://app:s3cret@127.0.0.1:1/app";
    for args in [
        &["init", "--database-url", url][..],
        &["status", "--database-url", url, "--json"],
        &["status", "--database-url", url, "-v"],
        &["status", "--database-url", "oracle://app:s3cret@db/app"],
    ] {
        let answer = project.run(args);
        assert!([1, 2].contains(&answer.code), "{args:?}: {answer:?}");
        let text = format!("{}{}", answer.stdout, answer.stderr);
        assert!(!text.contains("s3cret"), "{text}");
        assert!(text.contains("hint"), "{text}");
    }
    project.drop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_control_tables() {
    let project = Project::create(Engine::Sqlite, "no_tables").await;
    project.write_people();
    project.run(&["status"]).expect(1).says(&["crossfade init"]);
    project.drop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_operators_at_once() {
    let project = Project::with_people(Engine::Postgres, "at_once", "").await;
    project.ok(&["expand", "people"]);
    let operators: Vec<_> = (0..2)
        .map(|_| {
            project
                .command(&["stage", "people", "delete_only"])
                .stdout(std::process::Stdio::piped())
                .stderr(std::process::Stdio::piped())
                .spawn()
                .expect("the binary starts")
        })
        .collect();
    let codes: Vec<_> = operators
        .into_iter()
        .map(|child| child.wait_with_output().expect("it ends").status.code())
        .collect();
    assert!(codes.contains(&Some(0)), "{codes:?}");
    assert_eq!(project.stage(), "delete_only");
    let audit = project.json(&["audit"], 0).to_string();
    assert_eq!(audit.matches("\"stage\"").count(), 1, "{audit}");
    project.drop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lock_that_is_not_had_in_time() {
    lock_not_had(Engine::Mysql, "sleep").await;
    lock_not_had(Engine::Postgres, "idle in transaction").await;
}

/// A writer stays in its epoch, and is named by what it does.
async fn lock_not_had(engine: Engine, does: &str) {
    let project = Project::with_people(engine, "lock", "").await;
    project.ok(&["expand", "people"]);
    let db = project.database.open().await;
    let name = "people".parse().expect("a name");
    let state = crossfade_store::ControlStore::migration(&db, &name);
    let state = state.await.expect("registered");
    let key = crossfade::ToKey::to_key(&1i64);
    let entry =
        crossfade_store::Entry { migration: &state.definition.name, epoch: state.epoch, key: &key };
    let writer = crossfade_store::FencedStore::enter(&db, entry, None).await.expect("open");
    let args = ["stage", "people", "delete_only", "--close-wait", "1s"];
    project.run(&args).expect(5).says(&[does, "--terminate-stragglers"]);
    let status = project.json(&["status", "people"], 0);
    assert!(status.to_string().contains("previous"), "{status}");
    // The change is resumed, and the straggler ended, when asked to.
    let args = ["stage", "people", "delete_only", "--close-wait", "1s", "--terminate-stragglers"];
    project.ok(&args);
    drop(writer);
    project.drop().await;
}
