//! What hangs on the tables is found, on each engine by its own catalog.

use crossfade::Engine;
use serde_json::Value;

use crate::support::Project;

/// A situation, and the findings that it must lead to.
struct Case {
    engine: Engine,
    name: &'static str,
    /// Run before `crossfade expand`.
    before: &'static str,
    /// Put behind the statement of expand.sql.
    expand: &'static str,
    /// Run behind `crossfade expand`, which must succeed then; empty: it is not run.
    after: &'static str,
    /// Check, object and gate.
    finds: &'static [(&'static str, &'static str, &'static str)],
}

const NOTHING: Case =
    Case { engine: Engine::Postgres, name: "", before: "", expand: "", after: "", finds: &[] };

const TOUCH: &str = "create function touch() returns trigger language plpgsql as \
    $$ begin new.name := 'x'; return new; end $$;";

fn postgres() -> Vec<Case> {
    vec![
        Case {
            name: "foreign_keys",
            before: "create table orders (id int primary key, \
                     person bigint references people (id) on delete cascade)",
            finds: &[("inbound-foreign-key", "orders.orders_person_fkey", "complete")],
            ..NOTHING
        },
        Case {
            name: "views",
            before: "create view names as select name from people; \
                     create materialized view kept as select name from people",
            finds: &[
                ("dependent-view", "names", "complete"),
                ("dependent-view", "kept", "complete"),
            ],
            ..NOTHING
        },
        Case {
            name: "routines",
            before: "create function counted() returns bigint begin atomic \
                     select count(*) from people; end; \
                     create function searched() returns bigint language plpgsql as \
                     $$ begin return (select count(*) from people); end $$; \
                     create function other() returns int language sql as $$ select 1 $$",
            finds: &[
                ("dependent-routine", "counted()", "complete"),
                ("dependent-routine", "searched()", "complete"),
            ],
            ..NOTHING
        },
        Case {
            name: "row_types",
            before: "create table kept (id int primary key, person people)",
            finds: &[("dependent-object", "person", "complete")],
            ..NOTHING
        },
        Case {
            name: "legacy_triggers",
            before: "create function touch() returns trigger language plpgsql as \
                     $$ begin return new; end $$; \
                     create trigger touch_row after update on people for each row \
                     execute function touch()",
            finds: &[("legacy-trigger", "touch_row", "complete")],
            ..NOTHING
        },
        Case {
            name: "new_triggers",
            before: TOUCH,
            expand: "create trigger touch_row before insert on people_v2 for each row \
                     execute function touch()",
            finds: &[("new-trigger", "touch_row", "off")],
            ..NOTHING
        },
        Case {
            name: "children_of_new",
            expand: "create table prefs (id int primary key, \
                     person bigint references people_v2 (person_id))",
            finds: &[("new-child", "prefs.prefs_person_fkey", "delete_only")],
            ..NOTHING
        },
        Case {
            name: "sequences",
            before: "create sequence people_seq owned by people.id",
            expand: "alter table people_v2 alter person_id set default nextval('people_seq')",
            after: "insert into people_v2 values (7, 'a')",
            finds: &[
                ("sequence-behind", "people_seq", "complete"),
                ("sequence-goes-with-legacy", "people_seq", "contracted"),
            ],
            ..NOTHING
        },
        Case {
            name: "rights",
            before: "grant select, insert on people to pg_monitor; grant select on people to public",
            finds: &[("missing-grant", "pg_monitor", "live"), ("missing-grant", "public", "live")],
            ..NOTHING
        },
        Case {
            name: "policies",
            before: "alter table people enable row level security; \
                     create policy own on people using (id > 0)",
            finds: &[("missing-policy", "public.people", "live")],
            ..NOTHING
        },
        Case {
            name: "publications",
            before: "create publication changes for table people",
            finds: &[("not-published", "changes", "complete")],
            ..NOTHING
        },
        Case {
            name: "replica_identity",
            before: "create publication everything for all tables",
            expand: "alter table people_v2 drop constraint people_v2_pkey; \
                     alter table people_v2 add unique (person_id)",
            finds: &[("replica-identity", "public.people_v2", "off")],
            ..NOTHING
        },
        Case {
            name: "inheritance",
            before: "create table kid () inherits (people)",
            finds: &[("inheritance", "kid", "off")],
            ..NOTHING
        },
        Case {
            name: "unlogged",
            expand: "alter table people_v2 set unlogged",
            finds: &[("unlogged", "public.people_v2", "off")],
            ..NOTHING
        },
        Case {
            name: "rules",
            before: "create rule quiet as on update to people do also nothing",
            finds: &[("rewrite-rule", "quiet", "off")],
            ..NOTHING
        },
    ]
}

fn mariadb() -> Vec<Case> {
    let nothing = Case { engine: Engine::Mysql, ..NOTHING };
    vec![
        Case {
            name: "foreign_keys",
            before: "create table orders (id int primary key, person bigint, \
                     constraint of_person foreign key (person) references people (id) \
                     on delete cascade)",
            finds: &[("inbound-foreign-key", "orders.of_person", "complete")],
            ..nothing
        },
        Case {
            name: "views",
            before: "create view names as select name from people",
            finds: &[("dependent-view", "DB.names", "complete")],
            ..nothing
        },
        Case {
            name: "routines",
            before: "create procedure counted() select count(*) from people; \
                     create procedure other() select 1; \
                     create event nightly on schedule every 1 day do delete from people",
            finds: &[
                ("dependent-routine", "DB.counted", "complete"),
                ("dependent-routine", "DB.nightly", "complete"),
            ],
            ..nothing
        },
        Case {
            name: "triggers",
            before: "create table log (id bigint); create table other (id bigint); \
                     create trigger logged after insert on people for each row \
                     insert into log values (new.id); \
                     create trigger elsewhere after insert on other for each row \
                     delete from people where id = new.id",
            finds: &[
                ("legacy-trigger", "logged", "complete"),
                ("dependent-routine", "elsewhere", "complete"),
            ],
            ..nothing
        },
        Case {
            name: "new_triggers",
            expand: "create trigger changed before insert on people_v2 for each row \
                     set new.name = 'x'",
            after: "select 1",
            finds: &[("new-trigger", "changed", "off")],
            ..nothing
        },
    ]
}

fn sqlite() -> Vec<Case> {
    let nothing = Case { engine: Engine::Sqlite, ..NOTHING };
    vec![
        Case {
            name: "foreign_keys",
            before: "create table orders (id integer primary key, \
                     person bigint references People (id) on delete cascade)",
            finds: &[("inbound-foreign-key", "orders(person)", "complete")],
            ..nothing
        },
        Case {
            name: "views",
            before: "create view names as select name from people; \
                     create view other as select 1",
            finds: &[("dependent-view", "names", "complete")],
            ..nothing
        },
        Case {
            name: "triggers",
            before: "create table other (id bigint); \
                     create trigger elsewhere after insert on other begin \
                     delete from people where id = new.id; end; \
                     create trigger logged after insert on people begin \
                     insert into other values (new.id); end",
            finds: &[
                ("dependent-routine", "elsewhere", "complete"),
                ("legacy-trigger", "logged", "complete"),
            ],
            ..nothing
        },
        Case {
            name: "new_triggers",
            expand: "create trigger changed after insert on people_v2 begin \
                     update people_v2 set name = 'x' where person_id = new.person_id; end",
            finds: &[("new-trigger", "changed", "off")],
            ..nothing
        },
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn what_hangs_on_the_tables_is_found() {
    for case in [postgres(), mariadb(), sqlite()].into_iter().flatten() {
        found(&case).await;
    }
}

async fn found(case: &Case) {
    let project =
        Project::with_people(case.engine, &format!("check_{}", case.name), case.before).await;
    let schema = project.database.name().to_owned();
    if !case.expand.is_empty() {
        let expand = "create table people_v2 (person_id bigint primary key, name text not null)";
        project.write("migrations/people/expand.sql", &format!("{expand};\n{};\n", case.expand));
    }
    if !case.after.is_empty() {
        // Whether it registers the migration or not, New is there then.
        project.run(&["expand", "people"]);
        project.sql(case.after).await;
    }
    let wanted = |object: &str| object.replace("DB", &schema);
    let answer = project.run(&["check", "people", "--json", "--stage", "contracted"]);
    let report: Value = serde_json::from_str(&answer.stdout).expect("JSON on stdout");
    let findings = report["findings"].as_array().expect("a list");
    for (check, object, gate) in case.finds {
        let is = |finding: &&Value| {
            finding["check"] == *check && finding["object"] == wanted(object).as_str()
        };
        let Some(finding) = findings.iter().find(is) else {
            panic!("{} {}: no {check} of {object} in {report:#}", case.engine, case.name);
        };
        assert_eq!(finding["gate"], *gate, "{} {}", case.engine, case.name);
    }
    let expected = case.finds.len();
    assert_eq!(findings.len(), expected, "{} {}: {report:#}", case.engine, case.name);
    project.drop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sound_migration_has_no_finding() {
    for engine in Engine::ALL {
        let project = Project::with_people(*engine, "check_sound", "").await;
        let report = project.json(&["check", "people"], 0);
        assert_eq!(report["findings"], serde_json::json!([]), "{engine}");
        project.ok(&["expand", "people"]);
        let report = project.json(&["check", "people", "--stage", "contracted"], 0);
        assert_eq!(report["findings"], serde_json::json!([]), "{engine}");
        project.drop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn expand_refuses_before_it_changes_anything_and_an_acceptance_lets_it_pass() {
    let project = Project::with_people(Engine::Postgres, "check_refuses", TOUCH).await;
    project.write(
        "migrations/people/expand.sql",
        "create table people_v2 (person_id bigint primary key, name text not null);\n\
         create trigger touch_row before insert on people_v2 for each row execute function touch();\n",
    );
    for args in [&["expand", "people", "--dry-run"][..], &["expand", "people"]] {
        project.run(args).expect(3).says(&["new-trigger", "touch_row", "nothing was changed"]);
    }
    project.sql("create table people_v2 (only_here int); drop table people_v2").await;
    let manifest =
        std::fs::read_to_string(project.folder.path().join("migrations/people/migration.toml"));
    let accepted = format!(
        "{}[accept.new-trigger]\n\"touch_row\" = \"it sets no mapped column\"\n",
        manifest.expect("the manifest can be read")
    );
    project.write("migrations/people/migration.toml", &accepted);
    project.ok(&["expand", "people"]).says(&["accepted (it sets no mapped column): new-trigger"]);
    project.ok(&["audit"]).says(&["finding.accepted", "it sets no mapped column"]);
    project.ok(&["status", "people"]).says(&["accepted (it sets no mapped column): new-trigger"]);
    project.ok(&["stage", "people", "delete_only"]);
    project.drop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_printed_statements_lead_foreign_keys_to_new() {
    for engine in [Engine::Postgres, Engine::Mysql] {
        let orders = "create table orders (id int primary key, person bigint, \
                      constraint of_person foreign key (person) references people (id) \
                      on delete cascade)";
        let project = Project::with_people(engine, "check_moves", orders).await;
        project.ok(&["expand", "people"]);
        let report = project.json(&["check", "people", "--stage", "complete"], 3);
        let statements = report["findings"][0]["statements"].as_array().expect("statements");
        for statement in statements {
            project.sql(statement.as_str().expect("text")).await;
        }
        let report = project.json(&["check", "people", "--stage", "complete"], 0);
        // It is a child of New's now.
        assert_eq!(report["findings"][0]["check"], "new-child", "{engine}: {report:#}");
        assert!(report["findings"][0]["message"].as_str().is_some_and(|it| it.contains("cascade")));
        project.drop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sequences_are_advanced_on_the_way_to_complete() {
    let rows = "insert into people values (1, 'a'), (2, 'b'), (3, 'c')";
    let project = Project::with_people(Engine::Postgres, "check_advances", rows).await;
    project.write(
        "migrations/people/expand.sql",
        "create table people_v2 (\n    person_id bigint generated by default as identity primary \
         key,\n    name text not null\n);\n",
    );
    for args in [
        &["expand", "people"][..],
        &["stage", "people", "delete_only"],
        &["stage", "people", "dual_write"],
        &["backfill", "people"],
        &["verify", "people"],
        &["stage", "people", "live"],
        &["flag", "on", "read_people_v2"],
        &["verify", "people"],
        &["stage", "people", "ramp_down"],
        &["verify", "people"],
    ] {
        project.ok(args);
    }
    let complete =
        ["stage", "people", "complete", "--approved-by", "ada", "--accept-loss", "people"];
    project.run(&complete).expect(3).says(&["sequence-behind", "people_v2_person_id_seq"]);
    project.ok(&[&complete[..], &["--advance-sequences"]].concat()).says(&["ran: select setval"]);
    project.sql("insert into people_v2 (name) values ('new')").await;
    project.ok(&["audit"]).says(&["sequence.advanced"]);
    project.drop().await;
}
