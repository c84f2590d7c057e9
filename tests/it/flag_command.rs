//! `crossfade flag eval`, `check` and `diff`: asking rule sets in files, without a database.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;

use crossfade::Engine;
use serde_json::{Value, json};

use crate::support::{Answer, Project, WAIT};

const FLAGS: &str = r#"{
  "flags": {
    "static": {"state": "ENABLED", "variants": {"on": true, "off": false}, "defaultVariant": "on"},
    "disabled": {"state": "DISABLED", "variants": {"on": true}, "defaultVariant": "on"},
    "code": {"state": "ENABLED", "variants": {"on": true}, "defaultVariant": null},
    "color": {"state": "ENABLED", "variants": {"r": "red", "b": "blue"}, "defaultVariant": "r",
      "targeting": {"if": [{"==": [{"var": "country"}, "DE"]}, "b", null]},
      "metadata": {"team": "ui"}},
    "unknown variant": {"state": "ENABLED", "variants": {"on": true}, "defaultVariant": "on",
      "targeting": {"if": [true, "nope"]}},
    "broken": {"state": "ENABLED", "variants": {"on": true}, "defaultVariant": "on",
      "targeting": {"frobnicate": []}},
    "ten": {"state": "ENABLED", "variants": {"a": 10.0}, "defaultVariant": "a"},
    "half": {"state": "ENABLED", "variants": {"a": 0.5}, "defaultVariant": "a"},
    "url": {"state": "ENABLED", "variants": {"a": "pg://u:p@h"}, "defaultVariant": "a"},
    "object": {"state": "ENABLED", "variants": {"a": {"x": [1]}}, "defaultVariant": "a"},
    "late": {"state": "ENABLED", "variants": {"on": true, "off": false}, "defaultVariant": "off",
      "targeting": {"if": [{">": [{"var": "$flagd.timestamp"}, 1000]}, "on"]}},
    "by key": {"state": "ENABLED", "variants": {"on": true, "off": false}, "defaultVariant": "off",
      "targeting": {"fractional": [["on", 100]]}}
  }
}
"#;

async fn project(test: &str) -> Project {
    let project = Project::create(Engine::Sqlite, test).await;
    project.write("flags.json", FLAGS);
    project
}

fn answer(value: Value, variant: Option<&str>, reason: &str, error: Option<&str>) -> Value {
    json!({
        "value": value,
        "variant": variant,
        "reason": reason,
        "errorCode": error,
        "flagMetadata": null,
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn every_outcome_of_an_evaluation() {
    let project = project("eval").await;
    let evaluate = |args: &[&str]| {
        let args = [&["flag", "eval", "--rules", "flags.json"], args].concat();
        let plain = project.ok(&args).stdout;
        assert_eq!(project.ok(&[&["--json"], &args[..]].concat()).stdout, plain);
        assert_eq!(plain.lines().count(), 1, "{plain}");
        serde_json::from_str::<Value>(&plain).expect("JSON")
    };
    let error = |value, code| answer(value, None, "ERROR", Some(code));
    let de = "{\"country\":\"DE\"}";
    for (args, expected) in [
        (&["static"][..], answer(json!(true), Some("on"), "STATIC", None)),
        (&["static", "--type", "boolean"], answer(json!(true), Some("on"), "STATIC", None)),
        (&["nowhere"], error(json!(null), "FLAG_NOT_FOUND")),
        (&["no key, but \u{fc}", "--default", "[1]"], error(json!([1]), "FLAG_NOT_FOUND")),
        (&["", "--default", "-1.5"], error(json!(-1.5), "FLAG_NOT_FOUND")),
        (&["--", "--batch"], error(json!(null), "FLAG_NOT_FOUND")),
        (&["disabled", "--default", "false"], answer(json!(false), None, "DISABLED", None)),
        (&["code", "--default", "false"], answer(json!(false), None, "DEFAULT", None)),
        (&["unknown variant", "--default", "false"], error(json!(false), "GENERAL")),
        (&["broken", "--default", "false"], error(json!(false), "PARSE_ERROR")),
        (&["static", "--type", "string", "--default", "\"d\""], error(json!("d"), "TYPE_MISMATCH")),
        (&["half", "--type", "integer", "--default", "7"], error(json!(7), "TYPE_MISMATCH")),
        (&["half", "--type", "float"], answer(json!(0.5), Some("a"), "STATIC", None)),
        (&["ten", "--type", "integer"], answer(json!(10), Some("a"), "STATIC", None)),
        (&["ten"], answer(json!(10.0), Some("a"), "STATIC", None)),
        (&["url"], answer(json!("pg://u:p@h"), Some("a"), "STATIC", None)),
        (&["object", "--type", "object"], answer(json!({"x": [1]}), Some("a"), "STATIC", None)),
        (&["late", "--at", "1001"], answer(json!(true), Some("on"), "TARGETING_MATCH", None)),
        (&["late", "--at", "1000"], answer(json!(false), Some("off"), "DEFAULT", None)),
        (&["late"], answer(json!(true), Some("on"), "TARGETING_MATCH", None)),
        (
            &["by key", "--context", "{\"targetingKey\":\"42\"}"],
            answer(json!(true), Some("on"), "TARGETING_MATCH", None),
        ),
        // As everywhere in flagd, an id is a text.
        (
            &["by key", "--context", "{\"targetingKey\":42}"],
            answer(json!(false), Some("off"), "DEFAULT", None),
        ),
    ] {
        assert_eq!(evaluate(args), expected, "{args:?}");
    }
    let mut targeted = answer(json!("blue"), Some("b"), "TARGETING_MATCH", None);
    targeted["flagMetadata"] = json!({"team": "ui"});
    assert_eq!(evaluate(&["color", "--type", "string", "--context", de]), targeted);
    let args = ["flag", "eval", "by key", "--rules", "flags.json", "--context"];
    let hint = project.ok(&[&args[..], &["{\"targetingKey\":42}"]].concat());
    assert!(hint.stderr.contains("quotes"), "{hint:?}");
    project.drop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn questions_that_make_no_sense_and_rule_sets_that_are_none() {
    let project = project("eval_bad").await;
    project.write("syntax.json", "{\n  \"flags\": {\n    \"a\": }\n}");
    project.write(
        "variant.json",
        "{\"flags\": {\n \"a\": {\"variants\": {\"on\": 1},\n \"defaultVariant\": \"of\"}}}",
    );
    std::fs::write(project.folder.path().join("latin.json"), b"{\n\"flags\": {\"\xfc\": 1}}")
        .expect("the file can be written");
    for (args, code, words) in [
        (&["a", "--type", "text"][..], 2, &["text", "boolean"][..]),
        (&["a", "--default", "red"], 2, &["--default", "quotes"]),
        (&["a", "--type", "integer", "--default", "1.5"], 2, &["1.5 does not fit", "integer"]),
        (&["a", "--type", "boolean", "--default", "\"true\""], 2, &["does not fit"]),
        (&["a", "--context", "{"], 2, &["--context is no JSON"]),
        (&["a", "--context", "[1]"], 2, &["--context is no JSON object", "[1]"]),
        (&["a", "--batch"], 2, &["--batch"]),
        (&["--batch", "--rules", "-"], 2, &["stdin"]),
        (&[], 2, &["KEY"]),
        (&["a", "--rules", "nowhere.json"], 1, &["nowhere.json cannot be read"]),
        (&["a", "--rules", "."], 1, &["cannot be read"]),
        (&["a", "--rules", "syntax.json"], 1, &["syntax.json:3:10: expected value", "flag check"]),
        (&["a", "--rules", "latin.json"], 1, &["latin.json:2:12: ", "UTF-8"]),
    ] {
        project.run(&[&["flag", "eval"], args].concat()).expect(code).says(words);
        let args = [&["flag", "eval"], args, &["--json"]].concat();
        let as_json = project.run(&args).expect(code);
        let error: Value = serde_json::from_str(&as_json.stderr).expect("an error as JSON");
        assert_eq!((&error["error"]["code"], as_json.stdout.as_str()), (&json!(code), ""));
    }
    project.drop().await;
}

/// A running `flag eval --batch`, and the lines that it answers.
fn batch(project: &Project) -> (Child, Receiver<String>) {
    let mut command = project.command(&["flag", "eval", "--batch", "--rules", "flags.json"]);
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary starts");
    let stdout = BufReader::new(child.stdout.take().expect("piped"));
    let (sender, lines) = channel();
    thread::spawn(move || {
        for line in stdout.lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                return;
            }
        }
    });
    (child, lines)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_answers_each_line_before_the_next_is_written() {
    let project = project("batch").await;
    let (mut child, lines) = batch(&project);
    let mut stdin = child.stdin.take().expect("piped");
    let mut ask = |bytes: &[u8]| -> Value {
        stdin.write_all(bytes).and_then(|()| stdin.flush()).expect("it reads");
        let line = lines.recv_timeout(WAIT).expect("an answer in time");
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"))
    };
    let on = answer(json!(true), Some("on"), "STATIC", None);
    let request = br#"{"flag":"static","type":"boolean","default":false,"context":{}}"#;
    assert_eq!(ask(&[&request[..], b"\n"].concat()), on);
    // The half that is there of a next request holds no answer back.
    assert_eq!(ask(&[b"\n \n", &request[..], b"\r\n", &request[..20]].concat()), on);
    assert_eq!(ask(&[&request[20..], b"\n"].concat()), on);
    for (line, code) in [
        (&b"[]\n"[..], "PARSE_ERROR"),
        (b"not json\n", "PARSE_ERROR"),
        (b"\xff\xfe\n", "PARSE_ERROR"),
        (b"{\"flag\":\"static\",\"type\":\"bool\"}\n", "PARSE_ERROR"),
        (b"{\"flag\":\"static\",\"type\":\"boolean\",\"context\":[]}\n", "INVALID_CONTEXT"),
        (b"{\"flag\":\"static\",\"type\":\"string\"}\n", "TYPE_MISMATCH"),
    ] {
        let refused = ask(line);
        assert_eq!((&refused["reason"], &refused["errorCode"]), (&json!("ERROR"), &json!(code)));
    }
    // The last line may lack its end.
    stdin.write_all(request).expect("it reads");
    drop(stdin);
    assert_eq!(lines.recv_timeout(WAIT).map(|line| line.contains("STATIC")), Ok(true));
    let ended = Answer::of(child.wait_with_output().expect("it ends")).expect(0);
    assert_eq!(ended.stderr, "");
    project.drop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_of_answers_that_goes_away_is_no_failure() {
    let project = project("head").await;
    let mut command = project.command(&["flag", "eval", "--batch", "--rules", "flags.json"]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("the binary starts");
    drop(child.stdout.take());
    let mut stdin = child.stdin.take().expect("piped");
    // It stops reading once it has nobody to answer.
    while stdin.write_all(b"{\"flag\":\"static\",\"type\":\"boolean\"}\n").is_ok() {}
    let ended = Answer::of(child.wait_with_output().expect("it ends")).expect(0);
    assert_eq!(ended.stderr, "");
    project.drop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_check_lists_every_problem_with_its_line() {
    let project = project("check").await;
    project.write(
        "bad.json",
        "{\n  \"flags\": {\n    \"a\": {\"state\": \"ON\", \"variants\": {\"x\": 1}},\n    \"b\": 7,\n    \
         \"c\": {\"variants\": {\"x\": 1}, \"defaultVariant\": \"x\"}\n  }\n}\n",
    );
    let lines = ["bad.json:3:11: error: flag \"a\"", "bad.json:4:5: error: flag \"b\""];
    let found = project.run(&["flag", "check", "bad.json"]).expect(1);
    let found = found.says(&lines).says(&["bad.json:5:5: warning: flag \"c\"", "2 errors, 1 warn"]);
    assert_eq!(found.stdout.lines().count(), 4, "{found:?}");
    let found = project.json(&["flag", "check", "bad.json"], 1);
    assert_eq!((&found["errors"], &found["warnings"]), (&json!(2), &json!(1)));
    assert_eq!(found["problems"][0]["line"], json!(3));
    assert_eq!(found["problems"][2]["severity"], json!("warning"));

    let warned = "{\"flags\": {\"c\": {\"variants\": {\"x\": 1}, \"defaultVariant\": \"x\"}}}";
    project.write("warned.json", warned);
    project.ok(&["flag", "check", "warned.json"]).says(&["0 errors, 1 warning"]);
    project.run(&["flag", "check", "warned.json", "--strict"]).expect(1);
    project.write("fine.json", &warned.replace("{\"variants", "{\"state\":\"ENABLED\",\"variants"));
    project.ok(&["flag", "check", "fine.json", "--strict"]).says(&["no problems"]);

    let mut command = project.command(&["flag", "check", "-"]);
    let file = std::fs::File::open(project.folder.path().join("bad.json")).expect("it is there");
    let answer = Answer::of(command.stdin(file).output().expect("the binary starts"));
    answer.expect(1).says(&["stdin:3:11: error"]);
    for (args, words) in [
        (&["nowhere.json"][..], "cannot be read"),
        (&["fine.json", "--max-bytes", "10"], "fine.json: error: the document has more than 10"),
    ] {
        project.run(&[&["flag", "check"], args].concat()).expect(1).says(&[words]);
    }
    project.drop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_diff_names_flags_and_shares() {
    let project = project("diff").await;
    let ramp = |metadata: &str, on: u32| {
        format!(
            "{{{metadata}\"flags\": {{\"ramp\": {{\"state\": \"ENABLED\", \"variants\": \
             {{\"on\": true, \"off\": false}}, \"defaultVariant\": \"off\", \"targeting\": \
             {{\"fractional\": [[\"on\", {on}], [\"off\", {}]]}}}}}}}}",
            100 - on
        )
    };
    project.write("a.json", &ramp("", 25));
    project.write("b.json", &ramp("", 40));
    project.write("v3.json", &ramp("\"metadata\": {\"crossfade.fractional\": \"v3\"}, ", 25));
    project.ok(&["flag", "diff", "a.json", "b.json"]).says(&["ramp: changed, for 15 % of"]);
    project.run(&["flag", "diff", "a.json", "b.json", "--exit-code"]).expect(4);
    let same = project.ok(&["flag", "diff", "a.json", "a.json", "--exit-code"]);
    same.says(&["no flag changes"]);
    let found = project.json(&["flag", "diff", "a.json", "flags.json"], 0);
    let kinds = |kind: &str| {
        let flags = found["flags"].as_array().expect("a list");
        flags.iter().filter(|flag| flag["change"] == json!(kind)).count()
    };
    assert_eq!((kinds("removed"), kinds("added"), kinds("changed")), (1, 12, 0));
    assert_eq!((&found["flags"][0]["most"], &found["fractional"]), (&json!(100.0), &Value::Null));

    project.ok(&["flag", "diff", "a.json", "v3.json"]).says(&["WARNING", "v2 to v3", "37.5 %"]);
    let found = project.json(&["flag", "diff", "a.json", "v3.json", "--exit-code"], 4);
    assert_eq!(found["fractional"], json!({"from": "v2", "to": "v3"}));
    project.run(&["flag", "diff", "-", "-"]).expect(2).says(&["only one"]);
    project.run(&["flag", "diff", "a.json", "no.json"]).expect(1).says(&["no.json"]);
    project.drop().await;
}

/// The keys of one pair, as OpenSSL writes them.
const PRIVATE: &str = "-----BEGIN PRIVATE KEY-----
MC4CAQAwBQYDK2VwBCIEIJsGCsc2WaZmonAw0oqvLo5Wkqfc2GuYeHfdNisSOT+Y
-----END PRIVATE KEY-----
";
const PUBLIC: &str = "-----BEGIN PUBLIC KEY-----
MCowBQYDK2VwAyEAX8sr1dwC8598HDSs/qJgBGIhPnUT4BUZ/HApmKaAu0g=
-----END PUBLIC KEY-----
";

#[tokio::test(flavor = "multi_thread")]
async fn a_signed_rule_set_is_opened_with_a_trusted_key_only() {
    let project = project("sign").await;
    project.write("key.pem", PRIVATE);
    project.write("public.pem", PUBLIC);
    let sign = ["flag", "sign", "flags.json", "--key", "key.pem", "--key-id", "ops"];
    let envelope = project.ok(&sign).stdout;
    assert_eq!(envelope.lines().count(), 1, "{envelope}");
    project.write("signed.json", &envelope);
    let open = |file: &str, key: &str| {
        let trust = format!("ops={key}");
        project.run(&["flag", "open", file, "--trust", &trust])
    };
    assert_eq!(open("signed.json", "public.pem").stdout, FLAGS);
    for (file, key, word) in [
        ("flags.json", "public.pem", "flags.json is refused"),
        ("signed.json", "key.pem", "key.pem is no key"),
        ("signed.json", "missing.pem", "missing.pem cannot be read"),
    ] {
        let answer = open(file, key);
        assert_eq!(answer.code, 1, "{answer:?}");
        assert!(answer.stderr.contains(word) && answer.stdout.is_empty(), "{word}: {answer:?}");
    }
    project.write("signed.json", &envelope.replacen("eyJ", "eyK", 1).replacen("ewo", "ewp", 1));
    let tampered = open("signed.json", "public.pem");
    assert_eq!(tampered.code, 1, "{tampered:?}");

    project.write("flags.json", "{\"flags\": {\n \"x\": {\"defaultVariant\": \"y\"}}}");
    let answer = project.run(&sign);
    assert_eq!(answer.code, 1, "{answer:?}");
    assert!(answer.stderr.contains("flags.json:2"), "{answer:?}");
}
