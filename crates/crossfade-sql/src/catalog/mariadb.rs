//! Catalog queries of MariaDB.

use crossfade_core::Side;
use crossfade_core::check::{Dependent, DependentKind, Grant, SequenceUse, SideSurvey, Trigger};
use sqlx::Error;

use super::Look;
use crate::schema::TableFacts;
use crate::session::Session;
use crate::value::args;

/// Foreign keys of other tables.
const FOREIGN_KEYS: &str = "\
select k.table_schema, k.table_name, k.constraint_name, lower(r.delete_rule),
    group_concat(k.column_name order by k.ordinal_position separator '\\n'),
    group_concat(k.referenced_column_name order by k.ordinal_position separator '\\n'),
    lower(r.update_rule)
from information_schema.key_column_usage k
join information_schema.referential_constraints r
    on r.constraint_schema = k.constraint_schema and r.constraint_name = k.constraint_name
    and r.table_name = k.table_name
where k.referenced_table_schema = $1 and k.referenced_table_name = $2
    and not (k.table_schema = $1 and k.table_name = $2)
group by k.table_schema, k.table_name, k.constraint_name, r.delete_rule, r.update_rule
order by 1, 2, 3";

/// Views: the server stores their text with every name qualified and quoted.
const VIEWS: &str = "\
select table_schema, table_name from information_schema.views
where instr(view_definition, $1) > 0 order by 1, 2";

/// Routines and events of every schema that this user sees, with their text.
const ROUTINES: &str = "\
select lower(routine_type), routine_schema, routine_name, routine_definition
from information_schema.routines
where routine_name not like 'crossfade\\_%' and routine_schema not in ('mysql', 'sys')
    and (routine_definition is null or instr(lower(routine_definition), lower($1)) > 0)
union all
select 'event', event_schema, event_name, event_definition from information_schema.events
where instr(lower(event_definition), lower($1)) > 0
order by 2, 3";

const TRIGGERS: &str = "\
select trigger_name, lower(concat(action_timing, ' ', event_manipulation)), event_object_schema,
    event_object_table, action_statement
from information_schema.triggers
where trigger_name not like 'crossfade\\_%' and (
    event_object_schema = $1 and event_object_table = $2
    or instr(lower(action_statement), lower($2)) > 0)
order by 1";

/// The table's own counter, and columns whose default asks a sequence.
const COUNTERS: &str = "\
select c.column_name, cast(t.auto_increment as signed), c.extra like '%auto_increment%',
    c.column_default
from information_schema.columns c
join information_schema.tables t on t.table_schema = c.table_schema and t.table_name = c.table_name
where c.table_schema = $1 and c.table_name = $2
    and (c.extra like '%auto_increment%' or lower(c.column_default) like 'nextval(%')";

const GRANTS: &str = "\
select grantee, lower(privilege_type) from information_schema.table_privileges
where table_schema = $1 and table_name = $2 and privilege_type <> 'USAGE'
    and replace(grantee, '\\'', '') <> current_user()
order by 1, 2";

pub(super) async fn side(
    look: &Look<'_>,
    session: &mut Session,
    side: Side,
    facts: &TableFacts,
    unseen: &mut Vec<String>,
) -> Result<SideSurvey, Error> {
    let names = || args![facts.schema.as_str(), facts.name.as_str()];
    let mut seen = SideSurvey { table: facts.qualified(), ..SideSurvey::default() };
    seen.dependents = dependents(look, session, side, facts, unseen).await?;
    for row in session.fetch(TRIGGERS, names()).await? {
        let (name, when, body) = (row.text(0), row.text(1), row.text(4));
        if row.text(2) == facts.schema && row.text(3) == facts.name {
            let may_change_row = when.starts_with("before") && !when.ends_with("delete");
            seen.triggers.push(Trigger { name, when, may_change_row, enabled: true });
        } else if side == Side::Legacy && super::names(&body, &facts.name) {
            seen.dependents.push(Dependent {
                kind: DependentKind::Trigger,
                name,
                on_table: Some(row.text(3)),
                on_delete: None,
                recorded: false,
                move_to_new: Vec::new(),
            });
        }
    }
    for row in session.fetch(COUNTERS, names()).await? {
        let (column, own) = (row.text(0), row.int(2) != 0);
        let (sequence, next) = if own {
            (format!("auto_increment of {}", facts.qualified()), row.opt_int(1))
        } else {
            let default = row.text(3);
            let sequence = default.trim_start_matches("nextval(").trim_end_matches(')').to_owned();
            let sql = format!("select next_not_cached_value from {sequence}");
            let next = session.fetch_one(&sql, args![]).await?.and_then(|row| row.opt_int(0));
            (sequence, next)
        };
        let Some(next) = next else { continue };
        let of = facts.quote(&column);
        let sql = format!("select cast(max({of}) as signed) from {}", facts.qualified());
        let greatest = session.fetch_one(&sql, args![]).await?.and_then(|row| row.opt_int(0));
        let beyond = greatest.unwrap_or_default().saturating_add(1);
        let advance = if own {
            format!("alter table {} auto_increment = {beyond}", facts.qualified())
        } else {
            format!("select setval({sequence}, {beyond}, false)")
        };
        seen.sequences.push(SequenceUse {
            sequence,
            column,
            next: i128::from(next),
            greatest: greatest.map(i128::from),
            descending: false,
            owned_by: None,
            shared_with: Vec::new(),
            advance,
            take_over: None,
        });
    }
    for row in session.fetch(GRANTS, names()).await? {
        seen.grants.push(Grant { grantee: row.text(0), right: row.text(1) });
    }
    Ok(seen)
}

async fn dependents(
    look: &Look<'_>,
    session: &mut Session,
    side: Side,
    facts: &TableFacts,
    unseen: &mut Vec<String>,
) -> Result<Vec<Dependent>, Error> {
    let dropped = match side {
        Side::Legacy => look.dropped_columns(),
        Side::New => Vec::new(),
    };
    let mut found = Vec::new();
    for row in
        session.fetch(FOREIGN_KEYS, args![facts.schema.as_str(), facts.name.as_str()]).await?
    {
        let list = |index: usize| -> Vec<String> {
            row.text(index).split('\n').map(str::to_owned).collect()
        };
        let (referring, referenced) = (list(4), list(5));
        if !dropped.is_empty() && !referenced.iter().any(|name| dropped.contains(&name.as_str())) {
            continue;
        }
        let table = format!("{}.{}", facts.quote(&row.text(0)), facts.quote(&row.text(1)));
        let key = facts.quote(&row.text(2));
        let moved = look.on_new(&referenced).zip(look.new).filter(|_| side == Side::Legacy);
        let move_to_new = moved.map_or_else(Vec::new, |(columns, new)| {
            let quoted = |names: &[String]| {
                names.iter().map(|name| new.quote(name)).collect::<Vec<_>>().join(", ")
            };
            vec![
                format!("alter table {table} drop foreign key {key}"),
                format!(
                    "alter table {table} add constraint {key} foreign key ({}) references {} ({}) \
                     on delete {} on update {}",
                    quoted(&referring),
                    new.qualified(),
                    quoted(&columns),
                    row.text(3),
                    row.text(6)
                ),
            ]
        });
        found.push(Dependent {
            kind: DependentKind::ForeignKey,
            name: format!("{}.{}", row.text(1), row.text(2)),
            on_table: None,
            on_delete: Some(row.text(3)).filter(|rule| rule != "restrict" && rule != "no action"),
            recorded: true,
            move_to_new,
        });
    }
    let qualified = facts.qualified();
    for row in session.fetch(VIEWS, args![qualified.as_str()]).await? {
        found.push(Dependent {
            kind: DependentKind::View,
            name: format!("{}.{}", row.text(0), row.text(1)),
            on_table: None,
            on_delete: None,
            recorded: true,
            move_to_new: Vec::new(),
        });
    }
    if side == Side::New {
        return Ok(found);
    }
    for row in session.fetch(ROUTINES, args![facts.name.as_str()]).await? {
        let name = format!("{}.{}", row.text(1), row.text(2));
        match row.opt_text(3) {
            None => unseen.push(format!("the text of {} {name} may not be read", row.text(0))),
            Some(body) if super::names(&body, &facts.name) => found.push(Dependent {
                kind: DependentKind::Routine,
                name,
                on_table: None,
                on_delete: None,
                recorded: false,
                move_to_new: Vec::new(),
            }),
            Some(_) => {}
        }
    }
    Ok(found)
}
