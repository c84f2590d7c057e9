//! What `expand` resolves once: later commands and scripts work on the same tables, with the same
//! settings, wherever they are started.

use crossfade::Engine;

use crate::support::{Answer, Project};

/// A command whose sessions begin with another search path.
fn under(project: &Project, path: &str, args: &[&str]) -> Answer {
    let url = format!("{}?options[search_path]={path}", project.database.url);
    let output = project.command(args).env("DATABASE_URL", url).output();
    Answer::of(output.expect("the binary starts"))
}

async fn rows(project: &Project, table: &str) -> i64 {
    let bench = crate::support::Bench { db: project.database.open().await };
    bench.rows(table).await
}

/// Goes from `off` to the gate of `contract`.
fn complete(project: &Project) {
    for args in [
        &["stage", "people", "delete_only"][..],
        &["stage", "people", "dual_write"],
        &["backfill", "people"],
        &["verify", "people"],
        &["stage", "people", "live"],
        &["flag", "on", "read_people_v2"],
        &["verify", "people"],
        &["stage", "people", "ramp_down"],
        &["verify", "people"],
        &["stage", "people", "complete", "--approved-by", "ada", "--accept-loss", "people"],
    ] {
        project.ok(args);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn contract_drops_the_table_that_was_registered() {
    let rows_of = "insert into people (id, name) values (1, 'a'), (2, 'b')";
    let project = Project::with_people(Engine::Postgres, "registered_table", rows_of).await;
    let answer = project.ok(&["expand", "people"]);
    let _ = answer.says(&["Legacy public.people", "New public.people_v2", "search path public"]);
    project
        .sql(
            "create schema other; create table other.people (id bigint primary key, name text); \
             insert into other.people values (7, 'not ours')",
        )
        .await;
    complete(&project);
    let planned = under(&project, "other,public", &["contract", "people", "--dry-run"]).expect(0);
    let _ = planned.says(&["drop table people"]);
    let _ = under(&project, "other,public", &["contract", "people"]).expect(0);
    assert_eq!(rows(&project, "other.people").await, 1, "a table that no migration has touched");
    assert_eq!(rows(&project, "pg_tables where tablename = 'people'").await, 1);
    project.drop().await;
}

/// A table that was made since in an earlier schema of the pinned path is not dropped in place of
/// the registered one.
#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_means_another_table_by_now_is_refused() {
    let project = Project::create(Engine::Postgres, "shadowed").await;
    project
        .sql("create schema app; create table people (id bigint primary key, name text not null)")
        .await;
    project.ok(&["init"]);
    project.write_people();
    let _ = under(&project, "app,public", &["expand", "people"]).expect(0).says(&["app, public"]);
    project.sql("create table app.people (id bigint); insert into app.people values (1)").await;
    complete(&project);
    let refused = project.run(&["contract", "people"]).expect(1);
    let _ = refused.says(&["app.people", "public.people", "migration.toml"]);
    assert_eq!(rows(&project, "app.people").await, 1);
    assert_eq!(rows(&project, "pg_tables where tablename = 'people'").await, 2);
    project.drop().await;
}

/// The first table of that name on the path at `expand` stays the one, also when the path changes.
#[tokio::test(flavor = "multi_thread")]
async fn a_later_expand_keeps_the_registered_schema() {
    let project = Project::with_people(Engine::Postgres, "kept_schema", "").await;
    project.ok(&["expand", "people"]);
    project.ok(&["stage", "people", "delete_only"]);
    project
        .sql(
            "create schema other; create table other.people (id bigint primary key, name text); \
             create table other.people_v2 (person_id bigint primary key, name text)",
        )
        .await;
    let again = under(&project, "other,public", &["expand", "people", "--json"]).expect(0);
    let again: serde_json::Value = serde_json::from_str(&again.stdout).expect("an object");
    assert_eq!(again["legacy"], "public.people");
    assert_eq!(again["new"], "public.people_v2");
    assert_eq!(again["search_path"], "public");
    assert_eq!(again["registration"], "unchanged");
    project.drop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_manifest_that_was_changed_is_named_field_by_field() {
    for engine in [Engine::Mysql, Engine::Postgres, Engine::Sqlite] {
        let project = Project::with_people(engine, "changed_manifest", "").await;
        project.ok(&["expand", "people"]);
        project.ok(&["stage", "people", "delete_only"]);
        project.write(
            "migrations/people/migration.toml",
            "name = \"people\"\nread_flag = \"another_flag\"\n\
             [legacy]\ntable = \"users\"\nkey = [\"id\"]\n\
             [new]\ntable = \"people_v2\"\nkey = [\"person_id\"]\n\
             [gates]\nbake_time = \"0s\"\nquiet_time = \"0s\"\n",
        );
        project.write("migrations/people/expand.sql", "create table surplus (a int);\n");
        for command in ["expand", "contract"] {
            let answer = project.run(&[command, "people"]).expect(1);
            let text = answer.stderr.clone();
            let _ = answer.says(&["read_flag", "legacy.table", "crossfade expand people"]);
            assert!(!text.contains("new.table") && !text.contains("mapping.sql"), "{text}");
        }
        let tables = match engine {
            Engine::Mysql => {
                "information_schema.tables where table_name = 'surplus' \
                              and table_schema = database()"
            }
            Engine::Postgres => "pg_tables where tablename = 'surplus'",
            Engine::Sqlite => "sqlite_schema where name = 'surplus'",
        };
        assert_eq!(rows(&project, tables).await, 0, "{engine}: nothing was run");
        project.drop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_contract_script_that_was_not_registered_is_refused() {
    for engine in [Engine::Mysql, Engine::Postgres, Engine::Sqlite] {
        let project = Project::with_people(engine, "changed_contract", "").await;
        project.ok(&["expand", "people"]);
        complete(&project);
        project.write("migrations/people/contract.sql", "drop table people_v2;\n");
        for args in [&["contract", "people", "--dry-run"][..], &["contract", "people"]] {
            let answer = project.run(args).expect(1);
            let _ = answer.says(&["contract.sql", "crossfade expand people"]);
        }
        project.write("migrations/people/contract.sql", "drop table  people;\n");
        project.ok(&["expand", "people"]);
        project.ok(&["contract", "people"]);
        assert_eq!(rows(&project, "people_v2").await, 0, "{engine}: New is there");
        project.drop().await;
    }
}

/// The zone is the database's own, which sqlx's sessions hide; the role in the database comes first.
#[tokio::test(flavor = "multi_thread")]
async fn the_zone_of_database_or_role_is_pinned_and_shown() {
    let project = Project::with_people(Engine::Postgres, "zone_of", "").await;
    let name = project.database.url.rsplit_once('/').expect("a database").1.to_owned();
    let zone = |zone: &str, source: &str| {
        let shown = project.json(&["expand", "people"], 0);
        assert_eq!(shown["time_zone"], zone, "{shown}");
        assert_eq!(shown["time_zone_source"], source, "{shown}");
    };
    let config = project.json(&["expand", "people"], 0);
    assert_eq!(config["time_zone_source"], "the server's configuration", "{config}");
    project.sql(&format!("alter database {name} set timezone = 'Europe/Berlin'")).await;
    zone("Europe/Berlin", "the database");
    project
        .sql(&format!("alter role current_user in database {name} set timezone = 'Asia/Tokyo'"))
        .await;
    zone("Asia/Tokyo", "the role in this database");
    let shown = project.ok(&["expand", "people"]);
    let _ = shown.says(&["time zone Asia/Tokyo, of the role in this database"]);
    // Once the migration has left `off`, it stays.
    project.ok(&["stage", "people", "delete_only"]);
    project.sql(&format!("alter role current_user in database {name} reset timezone")).await;
    assert_eq!(project.json(&["expand", "people"], 0)["time_zone"], "Asia/Tokyo");
    project.drop().await;
}

/// A script's statements run with the pinned path, inside a transaction and outside one.
#[tokio::test(flavor = "multi_thread")]
async fn scripts_run_with_the_pinned_path() {
    let project = Project::with_people(Engine::Postgres, "script_path", "").await;
    project.ok(&["expand", "people"]);
    project.ok(&["stage", "people", "delete_only"]);
    project.sql("create schema other; create table other.people (id bigint, name text)").await;
    project.write(
        "migrations/people/expand.sql",
        "create table people_v2 (\n    person_id bigint primary key,\n    \
         name text not null,\n    check (name <> 'bad')\n);\n\
         alter table people add column inside int;\n\
         create index concurrently people_outside on people (name);\n",
    );
    let _ = under(&project, "other,public", &["expand", "people"]).expect(0);
    let ours = "pg_indexes where indexname = 'people_outside' and schemaname = 'public'";
    assert_eq!(rows(&project, ours).await, 1);
    let ours =
        "information_schema.columns where column_name = 'inside' and table_schema = 'public'";
    assert_eq!(rows(&project, ours).await, 1);
    project.drop().await;
}
