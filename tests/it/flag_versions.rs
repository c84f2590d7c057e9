//! The versions of the rule set in the database: `crossfade flag apply`, `history` and `revert`.

use crossfade::Engine;
use serde_json::{Value, json};

use crate::support::Project;

const FLAG: &str = "read_people_v2";

fn document(metadata: &str, on: u32) -> String {
    format!(
        "{{{metadata}\"flags\": {{\"{FLAG}\": {{\"state\": \"ENABLED\", \"variants\": {{\"on\": true, \
         \"off\": false}}, \"defaultVariant\": \"off\", \"targeting\": {{\"fractional\": \
         [[\"on\", {on}], [\"off\", {}]]}}}}}}}}",
        100 - on
    )
}

fn version(project: &Project) -> Value {
    project.json(&["flag", "list"], 0)["version"].clone()
}

fn percent(project: &Project) -> Value {
    project.json(&["flag", "show", FLAG], 0)["percent"].clone()
}

async fn versions_go_up(engine: Engine) {
    let project = Project::with_people(engine, "versions", "").await;
    let none = project.json(&["flag", "eval", FLAG, "--type", "boolean", "--default", "false"], 0);
    assert_eq!(none["errorCode"], json!("PROVIDER_NOT_READY"), "{none}");
    project.run(&["flag", "eval", FLAG, "--rules", "@latest"]).expect(1).says(&["no rule set"]);
    assert_eq!(project.json(&["flag", "history"], 0), json!([]));
    project.ok(&["expand", "people"]);

    project.write("25.json", &document("", 25));
    project.ok(&["flag", "apply", "25.json", "--dry-run"]).says(&["25 %", "nothing was changed"]);
    assert_eq!(version(&project), json!(1));
    let applied = project.json(&["flag", "apply", "25.json", "--reason", "beta"], 0);
    assert_eq!((&applied["version"], &applied["changed"]), (&json!(2), &json!(true)), "{applied}");
    assert_eq!(applied["flags"][0]["share"], json!("25 %"));
    let again = project.json(&["flag", "apply", "25.json"], 0);
    assert_eq!((&again["version"], &again["changed"]), (&json!(2), &json!(false)), "{again}");
    project.ok(&["flag", "on", FLAG]);
    project.ok(&["flag", "diff", "@2", "@latest"]).says(&["changed, for 75 %"]);
    project.ok(&["flag", "check", "@latest"]).says(&["@3: no problems"]);

    project.ok(&["flag", "revert", "2", "--dry-run"]).says(&["75 %", "nothing was changed"]);
    assert_eq!((version(&project), percent(&project)), (json!(3), json!(100.0)));
    project.ok(&["flag", "revert", "@2", "--reason", "errors"]).says(&["rule set 4 is that of @2"]);
    assert_eq!((version(&project), percent(&project)), (json!(4), json!(25.0)));
    project.ok(&["flag", "revert", "2"]).says(&["already"]);
    assert_eq!(version(&project), json!(4));
    project.run(&["flag", "revert", "9"]).expect(1).says(&["no rule set 9", "newest is 4"]);

    let history = project.json(&["flag", "history", "--limit", "3"], 0);
    let versions: Vec<_> = (0..3).map(|at| history[at]["version"].clone()).collect();
    assert_eq!((json!(versions), &history[3]), (json!([4, 3, 2]), &Value::Null));
    assert_eq!(history[0]["reason"], json!("errors"));
    project.ok(&["flag", "history"]).says(&["beta", "errors"]);
    let audit = project.json(&["audit", "--limit", "1"], 0)[0].clone();
    let told = ["action", "subject", "from", "to", "reason"].map(|member| audit[member].clone());
    assert_eq!(json!(told), json!(["flag.revert", "@2", "3", "4", "errors"]));

    refusals(&project);
    a_newest_version_that_cannot_be_read(&project).await;
    project.drop().await;
}

fn refusals(project: &Project) {
    project.write("bad.json", "{\"flags\": {\n\"a\": {\"state\": \"ON\"},\n\"b\": 1}}");
    let refused = project.run(&["flag", "apply", "bad.json"]).expect(1);
    refused.says(&["bad.json:2:7: error", "bad.json:3:1: error", "2 errors; nothing was changed"]);
    let refused = project.json(&["flag", "apply", "bad.json"], 1);
    assert!(refused["error"]["causes"][0].to_string().contains("bad.json:2"), "{refused}");

    let text = format!(
        "{{\"flags\": {{\"{FLAG}\": {{\"state\": \"ENABLED\", \"variants\": {{\"a\": \"x\"}}, \
         \"defaultVariant\": \"a\"}}}}}}"
    );
    project.write("text.json", &text);
    for dry_run in [&[][..], &["--dry-run"]] {
        let refused = project.run(&[&["flag", "apply", "text.json"], dry_run].concat()).expect(3);
        refused.says(&[FLAG, "would not be boolean", "rollback"]);
    }
    let v3 = "\"metadata\": {\"crossfade.fractional\": \"v3\"}, ";
    project.write("v3.json", &document(v3, 25));
    let refused = project.run(&["flag", "apply", "v3.json"]).expect(3);
    refused.says(&["WARNING", "v2 to v3", "--accept-fractional-change"]);
    let refused = project.json(&["flag", "apply", "v3.json"], 3);
    assert!(refused["error"]["reasons"][0].to_string().contains("v2 to v3"), "{refused}");
    assert_eq!(version(project), json!(4));
    project.ok(&["flag", "apply", "v3.json", "--accept-fractional-change"]);
    project.run(&["flag", "revert", "4"]).expect(3).says(&["v3 to v2"]);
    project.ok(&["flag", "revert", "4", "--accept-fractional-change"]);
    assert_eq!(version(project), json!(6));
}

/// Instances go on with the version before it, and a revert leads out of it.
async fn a_newest_version_that_cannot_be_read(project: &Project) {
    let sql = "insert into crossfade_rule_sets (version, document, author, reason, created_ms) \
               values (7, '{\"flags\": 7}', 'somebody', '', 0)";
    project.sql(sql).await;
    project.run(&["flag", "eval", FLAG]).expect(1).says(&["rule set 7"]);
    project.run(&["flag", "check", "@latest"]).expect(1).says(&["@7:1:"]);
    project.run(&["flag", "revert", "7"]).expect(1).says(&["rule set 7 cannot be read"]);
    project.ok(&["flag", "revert", "3"]).says(&["75 %", "rule set 8"]);
    assert_eq!(percent(project), json!(100.0));
}

#[tokio::test(flavor = "multi_thread")]
async fn versions_go_up_on_sqlite() {
    versions_go_up(Engine::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn versions_go_up_on_postgres() {
    versions_go_up(Engine::Postgres).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn versions_go_up_on_mariadb() {
    versions_go_up(Engine::Mysql).await;
}
