//! What a mapping must be, and what it may read.

use crossfade::Engine;

use crate::support::{Bench, Project};

const MANIFEST: &str = "name = \"people\"\nread_flag = \"read_people_v2\"\n\
                        [legacy]\ntable = \"people\"\nkey = [\"id\"]\n\
                        [new]\ntable = \"people_v2\"\nkey = [\"person_id\"]\n\
                        [gates]\nbake_time = \"0s\"\nquiet_time = \"0s\"\n";

/// A project whose Legacy and New are made by these statements.
async fn project(engine: Engine, legacy: &str, new: &str, mapping: &str) -> Project {
    let project = Project::create(engine, "mapping").await;
    project.sql(legacy).await;
    project.ok(&["init"]);
    project.write("migrations/people/migration.toml", MANIFEST);
    project.write("migrations/people/expand.sql", &format!("{new};\n"));
    project.write("migrations/people/mapping.sql", mapping);
    project.write("migrations/people/contract.sql", "drop table people;\n");
    project
}

/// Columns that `select *` leaves out, or that the database computes, are columns that a mapping
/// may read.
async fn hidden_columns_are_read(engine: Engine, tier: &str) {
    let legacy = format!(
        "create table people (id bigint primary key, name varchar(20), {tier}); \
         insert into people (id, name) values (1, 'one'), (2, 'two')"
    );
    let new =
        "create table people_v2 (person_id bigint primary key, name varchar(20), tier bigint)";
    let mapping = "select id as person_id, name, tier from people";
    let project = project(engine, &legacy, new, mapping).await;
    project.ok(&["expand", "people"]);
    project.ok(&["stage", "people", "delete_only"]);
    project.ok(&["stage", "people", "dual_write"]);
    project.ok(&["backfill", "people"]);
    project.ok(&["verify", "people"]);
    let bench = Bench { db: project.database.open().await };
    assert_eq!(bench.rows("people_v2 where tier = 7").await, 2);
    bench.sql("update people_v2 set tier = 8 where person_id = 1").await;
    project.run(&["verify", "people"]).expect(4);
    project.ok(&["verify", "people", "--repair"]);
    assert_eq!(bench.rows("people_v2 where tier = 7").await, 2);
    project.drop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn invisible_columns_are_read_on_mariadb() {
    hidden_columns_are_read(Engine::Mysql, "tier int invisible default 7").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn generated_columns_are_read() {
    for (engine, tier) in [
        (Engine::Postgres, "tier bigint generated always as (7) stored"),
        (Engine::Mysql, "tier bigint as (7) invisible"),
        (Engine::Sqlite, "tier bigint generated always as (7) virtual"),
    ] {
        hidden_columns_are_read(engine, tier).await;
    }
}
