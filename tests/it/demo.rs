//! `crossfade demo`: a whole migration under traffic, on each engine, with nothing lost, stale,
//! resurrected or differing.

use crossfade::Engine;
use serde_json::json;

use crate::support::Project;

async fn demo(engine: Engine) {
    let project = Project::create(engine, "demo").await;
    let mut args = vec!["demo", "--users", "2000", "--writers", "3", "--seconds", "8", "--json"];
    if engine != Engine::Sqlite {
        args.extend(["--database-url", &project.database.url]);
    }
    let answer = project.run(&args).expect(0);
    let last = answer.stdout.trim().lines().last().unwrap_or_default();
    let summary: serde_json::Value = serde_json::from_str(last).expect("one JSON object");
    for zero in ["errors", "lost", "stale", "resurrected", "differing"] {
        assert_eq!(summary[zero], json!(0), "{zero} in {summary}");
    }
    assert_eq!(summary["engine"], json!(engine.as_str()));
    assert_eq!(summary["users"], json!(2000));
    for some in ["reads", "writes"] {
        assert!(summary[some].as_u64().is_some_and(|count| count > 100), "{some} in {summary}");
    }
    for figure in ["rollback_ms", "backfill_rows_per_s"] {
        assert!(summary[figure].as_f64().is_some_and(|n| n > 0.0), "{figure} in {summary}");
    }
    let stages = summary["stages"].to_string();
    for stage in ["delete_only", "dual_write", "backfill", "live", "rollback", "ramp_down"] {
        assert!(stages.contains(stage), "{stage} in {stages}");
    }
    assert_eq!(left(&project).await, 0, "the demo drops what it made");
    project.drop().await;
}

/// How many schemas, or databases, of the demo's there are.
async fn left(project: &Project) -> i64 {
    let db = project.database.open().await;
    let sql =
        "select count(*) from information_schema.schemata where schema_name like 'crossfade_demo%'";
    let left = match project.database.engine {
        Engine::Mysql => sqlx::query_scalar(sql).fetch_one(db.mysql().expect("MariaDB")).await,
        Engine::Postgres => {
            sqlx::query_scalar(sql).fetch_one(db.postgres().expect("PostgreSQL")).await
        }
        Engine::Sqlite => return 0,
    };
    left.expect("schemata")
}

#[tokio::test(flavor = "multi_thread")]
async fn on_mariadb() {
    demo(Engine::Mysql).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn on_sqlite() {
    demo(Engine::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn on_postgres() {
    demo(Engine::Postgres).await;
}
