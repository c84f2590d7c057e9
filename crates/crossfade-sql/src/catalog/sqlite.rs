//! Catalog queries of SQLite.

use crossfade_core::Side;
use crossfade_core::check::{Dependent, DependentKind, SideSurvey, Trigger};
use sqlx::Error;

use super::{Look, names, words};
use crate::schema::TableFacts;
use crate::session::Session;
use crate::value::args;

/// Foreign keys of other tables, one row for each column.
const FOREIGN_KEYS: &str = "\
select m.name, f.id, lower(f.on_delete), group_concat(f.\"from\", ', '),
    group_concat(coalesce(f.\"to\", ''), char(10))
from sqlite_schema m, pragma_foreign_key_list(m.name) f
where m.type = 'table' and lower(f.\"table\") = lower($1) and lower(m.name) <> lower($1)
group by m.name, f.id order by 1, 2";

const TEXTS: &str = "\
select type, name, tbl_name, sql from sqlite_schema
where type in ('view', 'trigger') and sql is not null order by type, name";

pub(super) async fn side(
    look: &Look<'_>,
    session: &mut Session,
    side: Side,
    facts: &TableFacts,
    _: &mut Vec<String>,
) -> Result<SideSurvey, Error> {
    let mut seen = SideSurvey { table: facts.qualified(), ..SideSurvey::default() };
    let dropped = match side {
        Side::Legacy => look.dropped_columns(),
        Side::New => Vec::new(),
    };
    for row in session.fetch(FOREIGN_KEYS, args![facts.name.as_str()]).await? {
        // Without columns it refers to the primary key.
        let referenced = row.text(4);
        let stays = |name: &str| !dropped.iter().any(|column| column.eq_ignore_ascii_case(name));
        if !dropped.is_empty() && referenced.split('\n').all(stays) {
            continue;
        }
        seen.dependents.push(Dependent {
            kind: DependentKind::ForeignKey,
            name: format!("{}({})", row.text(0), row.text(3)),
            on_table: None,
            on_delete: Some(row.text(2)).filter(|rule| rule != "no action" && rule != "restrict"),
            recorded: true,
            move_to_new: Vec::new(),
        });
    }
    for row in session.fetch(TEXTS, args![]).await? {
        let (kind, name, table, sql) = (row.text(0), row.text(1), row.text(2), row.text(3));
        let own = table.eq_ignore_ascii_case(&facts.name);
        if kind == "trigger" && own {
            seen.triggers.push(trigger(name, &sql, &facts.name));
        } else if side == Side::Legacy && names(&sql, &facts.name) {
            let is_view = kind == "view";
            seen.dependents.push(Dependent {
                kind: if is_view { DependentKind::View } else { DependentKind::Trigger },
                name,
                on_table: (!is_view).then_some(table),
                on_delete: None,
                recorded: true,
                move_to_new: Vec::new(),
            });
        }
    }
    Ok(seen)
}

/// A trigger cannot change the row that is about to be written here; it may write the table again.
fn trigger(name: String, sql: &str, table: &str) -> Trigger {
    let lower = sql.to_lowercase();
    let body = lower.find("begin").map_or("", |at| &lower[at..]);
    let words = words(&lower);
    let moment = words.iter().position(|word| ["before", "after", "instead"].contains(&&**word));
    let on = words.iter().position(|word| word == "on").unwrap_or(words.len());
    let events = ["insert", "update", "delete"];
    let event = words[..on].iter().rev().find(|word| events.contains(&&***word));
    let event = event.map_or("", String::as_str);
    let moment = moment.filter(|at| *at < on).map_or("before", |at| words[at].as_str());
    Trigger {
        name,
        when: format!("{moment} {event}"),
        may_change_row: event != "delete" && names(body, table),
        enabled: true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn triggers_are_read_from_their_text() {
        for (sql, when, changes) in [
            (
                "create trigger t after insert on n begin update n set a = 1; end",
                "after insert",
                true,
            ),
            (
                "create trigger t after insert on n begin insert into log values (1); end",
                "after insert",
                false,
            ),
            ("create trigger t update of a on n begin select 1; end", "before update", false),
            (
                "create trigger t before delete on n begin delete from n; end",
                "before delete",
                false,
            ),
        ] {
            let found = trigger("t".to_owned(), sql, "n");
            assert_eq!((found.when.as_str(), found.may_change_row), (when, changes), "{sql}");
        }
    }
}
