//! The operator's day through the command line, on each engine.

use crossfade::Engine;
use serde_json::json;

use crate::support::Project;

const ROWS: &str = "insert into people (id, name) values (-1, 'minus'), (0, 'zero'), (1, 'ünï'), \
                    (2, 'hidden'), (9223372036854775807, 'greatest')";

async fn the_whole_day(engine: Engine) {
    let project = Project::with_people(engine, "day", ROWS).await;
    project.ok(&["init"]);
    project.ok(&["expand", "people", "--dry-run"]).says(&["create table people_v2"]);
    project.run(&["status", "people"]).expect(1).says(&["unknown migration `people`", "expand"]);
    project.ok(&["expand", "people"]);
    project.ok(&["expand", "people"]);
    assert_eq!(project.stage(), "off");

    project.ok(&["stage", "people", "delete_only", "--dry-run"]);
    assert_eq!(project.stage(), "off", "a dry run changes nothing");
    project.ok(&["stage", "people", "delete_only"]);
    project.ok(&["stage", "people", "delete_only"]);
    project.run(&["stage", "people", "live"]).expect(3).says(&["dual_write"]);
    project.run(&["backfill", "people"]).expect(3).says(&["dual_write"]);
    project.ok(&["stage", "people", "dual_write", "--reason", "first try"]);

    // Both reasons, not the first; and nothing changed.
    let refused = project.json(&["stage", "people", "live"], 3);
    assert!(refused.to_string().contains("backfill"), "{refused}");
    assert_eq!(project.stage(), "dual_write");
    project.ok(&["backfill", "people"]);
    project.ok(&["backfill", "people"]);
    project.run(&["stage", "people", "live"]).expect(3).says(&["verification", "verify"]);
    let report = project.json(&["verify", "people"], 0);
    assert_eq!(report["missing"], json!(0), "{report}");
    differing_missing_and_orphaned(&project).await;
    project.ok(&["stage", "people", "live"]);

    flags(&project);
    project.ok(&["rollback", "people", "--reason", "drill"]);
    project.ok(&["rollback", "people"]);
    let flag = project.json(&["flag", "eval", "read_people_v2", "--context", "{}"], 0);
    assert_eq!(flag["value"], json!(false), "{flag}");
    project.run(&["stage", "people", "ramp_down"]).expect(3).says(&["not 100 %"]);
    project.ok(&["flag", "on", "read_people_v2"]);
    // The pass that opened `live` says nothing of what was written in `live`.
    project.run(&["stage", "people", "ramp_down"]).expect(3).says(&["since `live` began"]);
    project.ok(&["verify", "people"]);
    project.ok(&["stage", "people", "ramp_down"]);
    project.run(&["stage", "people", "complete"]).expect(3).says(&[
        "nobody approved",
        "--approved-by",
        "not declared invertible",
        "--accept-loss",
    ]);
    let approved = ["--approved-by", "ada", "--accept-loss", "people"];
    project.run(&["contract", "people"]).expect(3);
    let complete = [&["stage", "people", "complete"][..], &approved].concat();
    // Nor does the one that opened `ramp_down` of what was written since.
    project.run(&complete).expect(3).says(&["since `ramp_down` began"]);
    project.ok(&["verify", "people"]);
    project.ok(&complete);
    project.run(&["rollback", "people"]).expect(3).says(&["New"]);
    project.run(&["stage", "people", "ramp_down"]).expect(3).says(&["from New to Legacy"]);

    project.ok(&["contract", "people", "--dry-run"]).says(&["drop table people"]);
    assert_eq!(project.stage(), "complete");
    project.ok(&["contract", "people"]);
    project.ok(&["contract", "people"]);
    assert_eq!(project.stage(), "contracted");
    let audit = project.json(&["audit"], 0);
    assert!(audit.to_string().contains("first try"), "{audit}");
    project.drop().await;
}

async fn differing_missing_and_orphaned(project: &Project) {
    project.sql("update people_v2 set name = 'another' where person_id = 1").await;
    project.sql("delete from people_v2 where person_id = -1").await;
    project.sql("insert into people_v2 (person_id, name) values (77, 'orphan')").await;
    let report = project.json(&["verify", "people"], 4);
    for kind in ["differing", "missing", "orphaned"] {
        assert_eq!(report[kind], json!(1), "{kind} in {report}");
    }
    project.run(&["stage", "people", "live"]).expect(3).says(&["3 differing keys"]);
    project.ok(&["verify", "people", "--repair"]);
    // Only a pass without repairs opens the gate.
    project.run(&["stage", "people", "live"]).expect(3).says(&["repaired"]);
    project.ok(&["verify", "people"]);
}

fn flags(project: &Project) {
    let evaluate = |user: &str| {
        let context = format!("{{\"targetingKey\":\"{user}\"}}");
        project.json(&["flag", "eval", "read_people_v2", "--context", &context], 0)["value"].clone()
    };
    project.ok(&["flag", "set", "read_people_v2", "--percent", "50"]);
    let at_50: Vec<_> = (0..40).map(|user| evaluate(&user.to_string())).collect();
    assert!(at_50.contains(&json!(true)) && at_50.contains(&json!(false)), "{at_50:?}");
    project.ok(&["flag", "on", "read_people_v2"]);
    assert_eq!(evaluate("1"), json!(true));
    project.ok(&["flag", "off", "read_people_v2"]);
    assert_eq!(evaluate("1"), json!(false));
    project.ok(&["flag", "list"]).says(&["read_people_v2"]);
    project.ok(&["flag", "show", "read_people_v2"]);
    for percent in ["101", "-1", "NaN", "many"] {
        let answer = project.run(&["flag", "set", "read_people_v2", "--percent", percent]);
        assert!([1, 2].contains(&answer.code), "{percent}: {answer:?}");
    }
    project.run(&["flag", "on", "no_such_flag"]).expect(1).says(&["read_people_v2"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_whole_day_on_sqlite() {
    the_whole_day(Engine::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_whole_day_on_postgres() {
    the_whole_day(Engine::Postgres).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_whole_day_on_mariadb() {
    the_whole_day(Engine::Mysql).await;
}
