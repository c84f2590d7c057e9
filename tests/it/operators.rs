//! The command line beside what operators do to it: pipes that close, outages, Ctrl-C, empty
//! variables, secrets in the wrong place; and what commands say before and after they fail.

use std::process::Stdio;

use crossfade::{Database, Engine, ToKey};
use crossfade_store::{ControlStore, Entry, FencedStore, SchemaStore, StoreErrorKind};
use serde_json::json;
use sqlx::postgres::{PgConnectOptions, PgPool};
use tokio::{
    io::{AsyncBufRead, AsyncBufReadExt, BufReader, Lines},
    process::{Child, Command},
    time::timeout,
};

use crate::support::{Answer, Bench, Project, TestDatabase, WAIT, definition, eventually};

fn start(project: &Project, args: &[&str]) -> Child {
    Command::from(project.command(args))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("the binary starts")
}

/// Reads lines until one contains `word`.
async fn until(lines: &mut Lines<impl AsyncBufRead + Unpin>, word: &str) {
    let found = async {
        while let Some(line) = timeout(WAIT, lines.next_line()).await.expect("in time")? {
            if line.contains(word) {
                return Ok(true);
            }
        }
        Ok::<_, std::io::Error>(false)
    };
    assert!(found.await.expect("it reads"), "no line says `{word}`");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_ends_with_its_reader_and_outlives_an_outage() {
    let project = Project::with_people(Engine::Sqlite, "watch", "").await;
    project.ok(&["expand", "people"]);
    let mut watch = start(&project, &["status", "--watch"]);
    let mut out = BufReader::new(watch.stdout.take().expect("piped")).lines();
    let mut err = BufReader::new(watch.stderr.take().expect("piped")).lines();
    until(&mut out, "people").await;
    project.sql("alter table crossfade_epochs rename to away").await;
    until(&mut err, "error: ").await;
    project.sql("alter table away rename to crossfade_epochs").await;
    until(&mut out, "people").await;
    drop(out);
    let ended = timeout(WAIT, watch.wait()).await.expect("it ends").expect("it ran");
    assert_eq!(ended.code(), Some(0));
    project.drop().await;
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn ctrl_c_ends_a_stage_change_with_a_word() {
    let project = Project::with_people(Engine::Postgres, "ctrl_c", "").await;
    project.ok(&["expand", "people"]);
    let db = project.database.open().await;
    let state = db.migration(&"people".parse().expect("a name")).await.expect("registered");
    let key = 1i64.to_key();
    let entry = Entry { migration: &state.definition.name, epoch: state.epoch, key: &key };
    let writer = FencedStore::enter(&db, entry, None).await.expect("open");
    let child = start(&project, &["stage", "people", "delete_only"]);
    eventually("the change waits for the writer", async || {
        let state = db.migration(&state.definition.name).await.expect("registered");
        state.previous_open
    })
    .await;
    let pid = child.id().expect("it runs").to_string();
    let sent = std::process::Command::new("kill").args(["-INT", &pid]).status();
    assert!(sent.expect("kill is there").success());
    let output = timeout(WAIT, child.wait_with_output()).await.expect("it ends");
    let answer = Answer::of(output.expect("it ran")).expect(1);
    answer.says(&["interrupted", "running it again closes the epoch before"]);
    drop(writer);
    project.ok(&["stage", "people", "delete_only"]);
    project.drop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_variable_counts_as_none() {
    let project = Project::with_people(Engine::Sqlite, "empty", "").await;
    let output = project.command(&["status"]).env("CROSSFADE_DATABASE_URL", "").output();
    Answer::of(output.expect("it runs")).expect(0);
    project.drop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_in_the_wrong_place_is_not_repeated() {
    let project = Project::create(Engine::Sqlite, "secret").await;
    let url = "postgres://boss:s3,c'r3t)@127.0.0.1:1/db?sslpassword=s3,c'r3t";
    let unknown = &format!("{url}&passphrase=s3,c'r3t");
    for args in [
        &["status", "people", url][..],
        &["status", "people", url, "--json"],
        &["stage", url, "live"],
        &["status", "--database-url", unknown],
    ] {
        let answer = project.run(args);
        assert!([1, 2].contains(&answer.code), "{answer:?}");
        let text = format!("{}{}", answer.stdout, answer.stderr);
        assert!(!text.contains("r3t"), "{text}");
    }
    project.drop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn small_words() {
    let project = Project::with_people(Engine::Sqlite, "words", "").await;
    project.ok(&["expand", "people"]);
    let refused = project.json(&["stage", "people", "live"], 3);
    let hint = "one stage at a time; next is `delete_only`";
    assert_eq!(refused["error"]["reasons"][0]["hint"], json!(hint));
    let args = ["flag", "eval", "read_people_v2", "--context", "{\"targetingKey\":42}"];
    project.ok(&args);
    project.run(&["demo", "--database-url", "sqlite://x.db"]).expect(2).says(&["PostgreSQL"]);
    let nowhere = "sqlite:///no/such/folder/x.db";
    project.run(&["init", "--database-url", nowhere]).expect(1).says(&["folder", "hint"]);
    project.ok(&["new", "more"]);
    let made = project.folder.path().join("migrations/more/migration.toml");
    let made = std::fs::read_to_string(made).expect("it was made");
    assert!(made.contains("read_flag = \"read_more_v2\""), "{made}");
    project.drop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_known_before_the_script_keeps_it_from_running() {
    for engine in Engine::ALL {
        let project = Project::with_people(*engine, "before", "").await;
        let manifest = |legacy: &str| {
            let text = format!(
                "name = \"people\"\nread_flag = \"read_people_v2\"\n[legacy]\n{legacy}\n\
                 [new]\ntable = \"people_v2\"\nkey = [\"person_id\"]\n"
            );
            project.write("migrations/people/migration.toml", &text);
        };
        for (legacy, words) in [
            ("table = \"persons\"\nkey = [\"id\"]", &["Legacy table `persons` does not exist"][..]),
            ("table = \"people\"\nkey = [\"no\"]", &["has no column `no`"]),
            (
                "table = \"people\"\nkey = [\"id\"]\ncolumns = [\"name\"]",
                &["contract.sql:1", "must not drop people"],
            ),
        ] {
            manifest(legacy);
            project.run(&["expand", "people", "--dry-run"]).expect(1).says(words);
            project.run(&["expand", "people"]).expect(1).says(words);
        }
        manifest("table = \"people\"\nkey = [\"id\"]\ncolumns = [\"nme\"]");
        project.write("migrations/people/contract.sql", "alter table people drop column nme;\n");
        let table = if *engine == Engine::Postgres { "public.people" } else { "people" };
        let words = format!("Legacy table `{table}` has no column `nme`, which is to be dropped");
        let words = [words.as_str()];
        project.run(&["expand", "people", "--dry-run"]).expect(1).says(&words);
        // No script was run.
        project.sql("create table people_v2 (not_there_yet text)").await;
        project.drop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_in_the_mapping_is_pointed_at_in_its_file() {
    let mapping =
        "-- where names come from\n\nselect id as person_id,\n  nme as name from people\n";
    for (engine, place) in [
        (Engine::Postgres, "mapping.sql:4:3: the mapping: column \"nme\" does not exist"),
        (Engine::Sqlite, "mapping.sql: the mapping: no such column: nme"),
    ] {
        let project = Project::with_people(engine, "place", "").await;
        project.write("migrations/people/mapping.sql", mapping);
        project.run(&["expand", "people"]).expect(1).says(&[place]);
        // The script is done, so the plan tells it too.
        project.run(&["expand", "people", "--dry-run"]).expect(1).says(&[place]);
        project.drop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failing_statement_is_told_with_its_detail() {
    let project = Project::with_people(Engine::Postgres, "detail", "").await;
    let script = "create table people_v2 (person_id bigint primary key, name text not null);\n\
                  insert into people_v2 values (7, 'a'), (7, 'b');\n";
    project.write("migrations/people/expand.sql", script);
    let words =
        ["expand.sql:2:1", "duplicate key", "(detail: Key (person_id)=(7) already exists.)"];
    project.run(&["expand", "people"]).expect(1).says(&words);
    project.drop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rule_set_that_cannot_be_read_does_not_bar_the_way_back() {
    let project = Project::with_people(Engine::Sqlite, "unreadable", "").await;
    project.ok(&["expand", "people"]);
    project.ok(&["flag", "set", "read_people_v2", "--percent", "50"]);
    let insert = "insert into crossfade_rule_sets (version, document, author, reason, created_ms) \
                  select max(version) + 1, '{', 'by hand', '', 0 from crossfade_rule_sets";
    project.sql(insert).await;
    let words = ["cannot be read", "crossfade flag off"];
    project.run(&["flag", "on", "read_people_v2"]).expect(1).says(&words);
    project.ok(&["rollback", "people"]).says(&["the read flag is off since rule set 4"]);
    project.sql(&insert.replace("'by hand'", "'again'")).await;
    project.ok(&["flag", "off", "read_people_v2"]).says(&["rule set 6"]);
    project.drop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rights_are_listed_first_and_stay_revoked_when_the_script_fails() {
    let project = Project::with_people(Engine::Postgres, "rights_cli", "").await;
    project.sql("grant select on people to pg_monitor").await;
    project.ok(&["expand", "people"]);
    for line in [
        "stage people delete_only",
        "stage people dual_write",
        "backfill people",
        "verify people",
        "stage people live",
        "flag on read_people_v2",
        "verify people",
        "stage people ramp_down",
        "verify people",
        "stage people complete --approved-by ada --accept-loss people",
    ] {
        project.ok(&line.split(' ').collect::<Vec<_>>());
    }
    project.write("migrations/people/contract.sql", "drop table people_v1;\n");
    project.ok(&["expand", "people"]);
    let right = "select on `public.people` from pg_monitor";
    for _ in 0..2 {
        let would = format!("would revoke: {right}");
        project.ok(&["contract", "people", "--dry-run"]).says(&[&would]);
    }
    let revoked = format!("revoked: {right}");
    let words =
        [&revoked, "the owner of public.people keeps its rights", "rights on Legacy stay revoked"];
    project.run(&["contract", "people"]).expect(1).says(&words);
    let trail = project.json(&["audit"], 0);
    assert_eq!(trail[0]["action"], json!("rights.revoked"), "{trail}");
    assert_eq!((&trail[0]["to"], &trail[0]["reason"]), (&json!(""), &json!(right)));
    project.write("migrations/people/contract.sql", "drop table people;\n");
    project.ok(&["expand", "people"]);
    project.ok(&["contract", "people"]);
    project.drop().await;
}

/// PostgreSQL only warns when a user revokes what somebody else has granted.
#[tokio::test(flavor = "multi_thread")]
async fn rights_that_cannot_be_revoked_are_told() {
    let test = TestDatabase::create(Engine::Postgres, "not_owner").await;
    let bench = Bench::new(test.open().await).await;
    bench.sql("grant select on people to pg_monitor, pg_read_all_stats").await;
    let options: PgConnectOptions = test.url.parse().expect("a URL");
    let pool = PgPool::connect_with(options.options([("role", "pg_monitor")])).await;
    let other = Database::open(pool.expect("the role may connect")).await.expect("it opens");
    let refused = other.revoke_legacy(&definition()).await.expect_err("not the owner");
    assert_eq!(refused.kind, StoreErrorKind::Database, "{refused:?}");
    assert!(refused.hint.is_some_and(|hint| hint.contains("owns `people`")));
    let left = bench.db.legacy_grants(&definition()).await.expect("listed");
    assert_eq!(left.len(), 2, "{left:?}");
    other.postgres().expect("PostgreSQL").close().await;
    test.drop().await;
}
