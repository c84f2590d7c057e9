//! Mappings and what they are made of.

use crossfade_core::check::{ConstructKind, ParsedMapping, Source};

use super::*;
use crate::tests::definition;

#[track_caller]
fn parsed(engine: &str, mapping: &str) -> ParsedMapping {
    let mut definition = definition();
    definition.mapping = mapping.to_owned();
    match analyse(&definition, engine) {
        MappingText::Parsed(parsed) => parsed,
        MappingText::Unparsed { reason, .. } => panic!("{engine}: {mapping}: {reason}"),
    }
}

#[track_caller]
fn constructs(engine: &str, mapping: &str, expected: &[ConstructKind]) {
    let found = parsed(engine, mapping).constructs;
    let found: Vec<_> = found.iter().map(|found| found.kind).collect();
    assert_eq!(found, expected, "{engine}: {mapping}");
}

const ENGINES: [&str; 3] = ["postgres", "mysql", "sqlite"];

#[test]
fn mappings_row_by_row_have_no_constructs() {
    for mapping in [
        "select id as user_id, theme from users",
        "select id, coalesce(theme, 'light') as theme from users where theme <> 'x' order by id",
        "with u as (select id, theme from users) select id, theme from u",
        "select id, a as v from users where a is not null union all select id, b from users where a is null",
        "with u as (select * from users) select id from u where x = 1 union all select id from u where x = 2",
        "select u.id, p.bio from users u left join profiles p on p.user_id = u.id",
        "select u.id, p.bio from profiles p right join users u on p.user_id = u.id",
        "select id, (select count(*) from orders o where o.user_id = users.id) as n from users",
        "select id, (select max(o.at) from orders o where o.user_id = users.id limit 1) as n from users",
        "select id, (select count(*) from app.users x where x.id < users.id) as n from users",
        "select id, (select n from (select row_number() over (order by id) as n, id from app.users) r where r.id = users.id) as n from users",
        "select d.id, d.theme from (select id, theme from users) as d",
        "select id, exists (select 1 from orders where user_id = users.id) as has from users",
    ] {
        for engine in ENGINES {
            constructs(engine, mapping, &[]);
        }
    }
}

#[test]
fn what_sees_several_rows_of_the_batch_is_found() {
    use ConstructKind::*;
    for (mapping, expected) in [
        ("select id, row_number() over (order by id) as n from users", Window),
        ("select id, sum(x) over w as n from users window w as (order by id)", Window),
        ("select id, theme from users order by id limit 4", Limit),
        ("select id, theme from users limit 4 offset 2", Limit),
        ("with u as (select * from users limit 10) select id from u", Limit),
        ("select min(id) as id from users group by theme", GroupBy),
        ("select distinct id, theme from users", Distinct),
        ("select id from users union select id from users", SetOperation),
        ("select id from users except select id from app.users", SetOperation),
        ("select a.id from users a join users b on a.id = b.id", SecondMention),
        (
            "select id, (select count(*) from users x where x.id < users.id) as n from users",
            SecondMention,
        ),
        ("select id from users where id in (select parent from users)", SecondMention),
        (
            "with u as (select * from users) select users.id from users join u on u.id = users.id",
            SecondMention,
        ),
        ("select u.id from users u right join profiles p on p.user_id = u.id", OuterJoin),
        ("select u.id from profiles p left join users u on p.user_id = u.id", OuterJoin),
        (
            "with recursive r as (select id from users union all select r.id from r) select id from r",
            Recursion,
        ),
    ] {
        for engine in ENGINES {
            let found = parsed(engine, mapping).constructs;
            assert!(
                found.iter().any(|found| found.kind == expected),
                "{engine}: {mapping}: {found:?}"
            );
        }
    }
    constructs("postgres", "select distinct on (theme) id from users", &[Distinct]);
    constructs("postgres", "select id from users fetch first 3 rows only", &[Limit]);
    constructs("postgres", "select id from users tablesample system (1)", &[TableSample]);
    constructs("postgres", "select id from users for update", &[Locking]);
    constructs("postgres", "select id into x from users", &[Into]);
    constructs("postgres", "select id, 'now'::date as d from users", &[Present]);
    constructs("postgres", "select id, timestamp 'today' as d from users", &[Present]);
    constructs("postgres", "select id, a || b as v from users", &[]);
    constructs("mysql", "select id, a || b as v from users", &[Pipes]);
    constructs("mysql", "select id, @@sql_mode as v from users", &[Variable]);
}

#[test]
fn a_construct_is_found_where_it_stands() {
    let text = "select id,\n  row_number() over (order by id) as n\nfrom users";
    let found = parsed("postgres", text).constructs;
    assert_eq!(found[0].place, Some(Place { line: 2, column: 3 }));
}

#[test]
fn calls_have_arguments_and_place() {
    let text = "select id, lower(theme) as t, app.f(id, 'Now') as f from users where g()";
    let calls = parsed("postgres", text).calls;
    let found: Vec<_> = calls
        .iter()
        .map(|call| (call.schema.as_deref(), call.name.as_str(), call.arguments))
        .collect();
    assert_eq!(found, [(None, "lower", 1), (Some("app"), "f", 2), (None, "g", 0)]);
    assert_eq!(calls[1].texts, ["now"]);
    assert!(calls[1].in_select_list && calls[1].over_batch && !calls[2].in_select_list);
    for (engine, text, name) in [
        ("postgres", "select id, current_date as d from users", "current_date"),
        ("postgres", "select id, current_timestamp as d from users", "current_timestamp"),
        ("postgres", "select id, current_user as d from users", "current_user"),
        ("mysql", "select id, current_timestamp() as d from users", "current_timestamp"),
        ("mysql", "select id, utc_date as d from users", "utc_date"),
        ("sqlite", "select id, current_time as d from users", "current_time"),
        ("sqlite", "select id, datetime('now') as d from users", "datetime"),
        ("postgres", "select id from users, lateral generate_series(1, 2) as g", "generate_series"),
    ] {
        let calls = parsed(engine, text).calls;
        assert!(calls.iter().any(|call| call.name == name), "{engine}: {text}: {calls:?}");
    }
    let over_window = parsed("postgres", "select id, count(*) over () as n from users");
    assert!(!over_window.calls[0].over_batch);
}

#[test]
fn columns_that_are_read_are_found() {
    for engine in ENGINES {
        let found = parsed(engine, "select id as user_id, lower(Theme) as theme from users");
        assert_eq!(
            (found.reads, found.reads_all),
            (vec!["id".to_owned(), "theme".to_owned()], false)
        );
        assert!(parsed(engine, "select * from users").reads_all);
        assert!(parsed(engine, "select u.* from users as u").reads_all);
        let joined = "select u.id, p.tier from users u join profiles p on p.user_id = u.id";
        assert_eq!(parsed(engine, joined).reads, ["id"]);
        let other = parsed(engine, joined).other_tables;
        assert_eq!((other[0].name.as_str(), other[0].is_legacy), ("profiles", false));
    }
    assert!(parsed("postgres", "select id, to_jsonb(users) as doc from users").reads_all);
    let legacy = parsed("sqlite", "select id, (select max(id) from main.users) as m from users");
    assert!(legacy.other_tables[0].is_legacy);
}

#[test]
fn outputs_are_followed_to_where_they_come_from() {
    #[track_caller]
    fn check(engine: &str, mapping: &str, output: &str, expected: Option<Source>) {
        assert_eq!(parsed(engine, mapping).source(output).cloned(), expected, "{mapping}");
    }
    let column = |name: &str| Some(Source::Column(name.to_owned()));
    for engine in ENGINES {
        check(engine, "select id, V as w from users", "W", column("v"));
        check(engine, "select users.v from users", "v", column("v"));
        check(
            engine,
            "with u as (select id, v as w from users) select w as x from u",
            "x",
            column("v"),
        );
        check(engine, "select d.w from (select v as w from users) d", "w", column("v"));
        check(engine, "select v + 1 as v from users", "v", Some(Source::Expression));
        check(
            engine,
            "select p.v from users u join p on p.id = u.id",
            "v",
            Some(Source::Expression),
        );
        check(engine, "select *  from users", "v", None);
    }
    let cast = Some(Source::Cast("INT".to_owned()));
    check("postgres", "select v::int from users", "v", cast.clone());
    check("postgres", "with u as (select v::int from users) select v from u", "v", cast);
    check(
        "postgres",
        "select at at time zone 'UTC' as at from users",
        "at",
        Some(Source::AtTimeZone),
    );
}

#[test]
fn what_does_not_parse_still_shows_its_calls() {
    let mut definition = definition();
    definition.mapping = "select id, next value for s as n, rand() from users where".to_owned();
    let MappingText::Unparsed { calls, .. } = analyse(&definition, "mysql") else {
        panic!("it is unfinished");
    };
    let names: Vec<_> = calls.iter().map(|call| call.name.as_str()).collect();
    assert_eq!(names, ["nextval", "rand"]);
}
