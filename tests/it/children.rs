//! Rows of tables that refer to New are never taken away by a repair or by emptying New.

use crossfade::Engine;

use crate::support::{Bench, Project};

const PREFS: &str = "create table prefs (id int primary key, person bigint, \
    foreign key (person) references people_v2 (person_id) on delete cascade)";

async fn project(engine: Engine, test: &str) -> Project {
    let rows = "insert into people values (1, 'a'), (2, 'b')";
    let project = Project::with_people(engine, test, rows).await;
    project.write(
        "migrations/people/expand.sql",
        &format!(
            "create table people_v2 (person_id bigint primary key, name text not null);\n{PREFS};\n"
        ),
    );
    for args in [
        &["expand", "people"][..],
        &["stage", "people", "delete_only"],
        &["stage", "people", "dual_write"],
        &["backfill", "people"],
    ] {
        project.ok(args);
    }
    project
}

async fn rows(project: &Project, table: &str) -> i64 {
    Bench { db: project.database.open().await }.rows(table).await
}

async fn child_is_there(project: &Project) {
    let engine = project.database.engine;
    assert_eq!(rows(project, "prefs").await, 1, "{engine}: the child has lost its row");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repair_leaves_an_orphan_with_children_and_names_them() {
    for engine in Engine::ALL {
        let project = project(*engine, "children_repair").await;
        project
            .sql("insert into people_v2 values (99, 'n'); insert into prefs values (1, 99)")
            .await;
        project.run(&["verify", "people", "--repair"]).expect(4);
        child_is_there(&project).await;
        project.ok(&["status", "people"]).says(&["99", "prefs", "foreign key"]);
        // Once a person has decided, the repair goes on.
        project.sql("delete from prefs").await;
        project.ok(&["verify", "people", "--repair"]);
        assert_eq!(rows(&project, "people_v2").await, 2, "{engine}");
        project.drop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn new_is_not_emptied_beside_children_with_rows() {
    for engine in Engine::ALL {
        let project = project(*engine, "children_truncate").await;
        project.sql("insert into prefs values (1, 1)").await;
        project.ok(&["stage", "people", "delete_only"]);
        project.ok(&["stage", "people", "off"]);
        let empty = ["stage", "people", "delete_only", "--truncate-new"];
        project.run(&empty).expect(1).says(&["prefs", "foreign keys"]);
        child_is_there(&project).await;
        project.sql("delete from prefs").await;
        // PostgreSQL truncates no table that a foreign key points at.
        if *engine != Engine::Postgres {
            project.ok(&empty);
        }
        project.drop().await;
    }
}
