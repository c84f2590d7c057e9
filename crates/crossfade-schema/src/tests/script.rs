//! Splitting and lint.

use crate::{Purpose, Script, Severity, lint};

fn script(purpose: Purpose, text: &str) -> Script {
    Script::parse(purpose, "expand.sql", text).unwrap()
}

#[track_caller]
fn check(text: &str, expected: &[&str]) {
    let script = script(Purpose::Expand, text);
    let found: Vec<&str> = script.statements.iter().map(|found| found.text.as_str()).collect();
    assert_eq!(found, expected, "{text}");
}

#[test]
fn semicolons_split_where_they_stand_alone() {
    check("", &[]);
    check(" -- nothing\n ; ;; /* ; */", &[]);
    check("a; b", &["a", "b"]);
    check("select ';'; select \"a;b\", `c;d`", &["select ';'", "select \"a;b\", `c;d`"]);
    check("select 'it''s;'; b", &["select 'it''s;'", "b"]);
    check(r"select E'it\';s'; b", &[r"select E'it\';s'", "b"]);
    check(r"select 'back\'; b", &[r"select 'back\'", "b"]);
    check("a -- one; two\n, c; b", &["a -- one; two\n, c", "b"]);
    check("a /* one /* ; */ ; */ c; b", &["a /* one /* ; */ ; */ c", "b"]);
    check("do $$ begin; end $$; b", &["do $$ begin; end $$", "b"]);
    check("do $f$ $$;$g$; $f$; b", &["do $f$ $$;$g$; $f$", "b"]);
    check("select $1; select a$b$; c", &["select $1", "select a$b$", "c"]);
    check("ü('é;'); ñ", &["ü('é;')", "ñ"]);
}

#[test]
fn a_body_keeps_its_semicolons() {
    let trigger = "create trigger t after insert on a begin\n  update b set c = case when 1 then 2 \
                   end; delete from d;\nend";
    check(&format!("{trigger}; x"), &[trigger, "x"]);
    let atomic = "create or replace function f() returns int begin atomic select 1; end";
    check(&format!("{atomic}; x"), &[atomic, "x"]);
    check(
        "create trigger t before update on a execute function f(); x",
        &["create trigger t before update on a execute function f()", "x"],
    );
    check(
        "create table begin_end (a int); begin; end",
        &["create table begin_end (a int)", "begin", "end"],
    );
}

#[test]
fn statements_know_where_they_begin() {
    let script = script(Purpose::Expand, "-- head\n  a;\n/* é */ b 'ü' c\n;");
    let places: Vec<_> = script.statements.iter().map(|found| (found.line, found.column)).collect();
    assert_eq!(places, [(2, 3), (3, 9)]);
    let position = script.position_in(&script.statements[1], 6);
    assert_eq!((position.line, position.column), (3, 15));
}

#[test]
fn what_is_never_closed_is_refused() {
    for (text, what, offset) in [
        ("a 'b", "the string", 2),
        ("a E'b\\'", "the string", 2),
        ("\"b", "the quoted name", 0),
        ("a /* /* */", "the comment", 2),
        ("do $x$ $$", "the dollar-quoted text", 3),
    ] {
        let error = Script::parse(Purpose::Expand, "f", text).unwrap_err();
        assert_eq!((error.what, error.offset), (what, offset), "{text}");
    }
}

#[test]
fn statements_that_run_outside_a_transaction() {
    for (text, outside) in [
        ("create index concurrently i on t (a)", true),
        ("CREATE UNIQUE INDEX Concurrently i on t (a)", true),
        ("drop index concurrently i", true),
        ("vacuum t", true),
        ("create index i on t (a)", false),
        ("create table concurrently_made (a int)", false),
        ("insert into t values ('concurrently')", false),
    ] {
        let script = script(Purpose::Expand, text);
        assert_eq!(script.statements[0].to_statement().outside_transaction, outside, "{text}");
    }
}

#[track_caller]
fn finds(engine: &str, text: &str, expected: &[(Severity, usize, &str)]) {
    let script = script(Purpose::Expand, text);
    let found = lint(&script, engine);
    assert_eq!(found.len(), expected.len(), "{text}: {found:?}");
    for (finding, (severity, line, message)) in found.iter().zip(expected) {
        assert_eq!((finding.severity, finding.line), (*severity, *line), "{text}");
        assert!(finding.message.contains(message), "{finding}");
    }
}

#[test]
fn rules() {
    use Severity::{Error, Warning};
    let index = "create index i on users (a)";
    finds("postgres", index, &[(Warning, 1, "blocks every write to users")]);
    finds("sqlite", index, &[]);
    finds("postgres", "create index concurrently i on users (a)", &[]);
    finds("postgres", "create table t (a int);\ncreate unique index on t (a)", &[]);
    finds("postgres", "create table if not exists t (a int);\ncreate index i on only t (a)", &[]);
    for (text, message) in [
        ("\ndrop table users", "drop a table"),
        ("\ntruncate users", "truncate a table"),
        ("\ndelete from users", "delete rows"),
        ("\nwith x as (select 1) delete from users", "delete rows"),
        ("\nalter table users drop column a", "drop a column"),
        ("\nalter table users drop a", "drop a column"),
        ("\ndrop schema app cascade", "drop a schema"),
        ("\ndrop view users_view", "drop a view"),
        ("\ndrop materialized view users_view", "drop a view"),
    ] {
        finds("sqlite", text, &[(Error, 2, message)]);
    }
    for text in [
        "alter table t alter column c drop not null",
        "alter table t drop constraint c",
        "create trigger t after insert on a begin delete from b; end",
        "comment on table t is 'drop table'",
    ] {
        finds("sqlite", text, &[]);
    }
    let contract = script(Purpose::Contract, "drop table users");
    assert_eq!(lint(&contract, "postgres"), []);
    for word in ["begin", "commit", "rollback", "end", "start transaction", "savepoint a"] {
        for purpose in [Purpose::Expand, Purpose::Contract] {
            let found = lint(&script(purpose, &format!("select 1;\n{word}")), "postgres");
            assert_eq!(found.len(), 1, "{word}: {found:?}");
            assert_eq!((found[0].severity, found[0].line), (Error, 2), "{word}");
        }
    }
}
