//! The triggers on MariaDB.
//!
//! There a trigger fires for each row, and belongs to one event. It runs with the rights of whoever
//! made it. What foreign keys cascade fires none, and neither does TRUNCATE, which is a statement
//! about the table.

use crossfade_core::{CaptureMode, MigrationName, MigrationState, script_lock_id};
use crossfade_store::{CaptureChange, StoreError, StoreErrorKind, Timeouts};

use super::change::record;
use super::{DOING, Plan, Triggers, row_key};
use crate::error::Doing;
use crate::schema::{TableFacts, bound};
use crate::session::Session;
use crate::shape::ResolvedTable;
use crate::value::args;
use crate::{Database, Engine, mariadb};

/// The triggers: the end of their names, their event, and the rows whose keys it touches.
const EVENTS: [(&str, &str, &[&str]); 3] =
    [("ins", "insert", &["new"]), ("upd", "update", &["old", "new"]), ("del", "delete", &["old"])];

/// Foreign keys of the table by which another table's rows change its own.
const CASCADES: &str = "\
select constraint_name from information_schema.referential_constraints
where constraint_schema = $1 and table_name = $2
and (update_rule not in ('RESTRICT', 'NO ACTION') or delete_rule not in ('RESTRICT', 'NO ACTION'))
order by constraint_name";

/// A trigger's name, in the schema of Legacy.
fn trigger(schema: &str, migration: &MigrationName, end: &str) -> String {
    // A migration name holds lower-case letters, digits and underscores, 47 of them at most.
    format!("{}.crossfade_{migration}_{end}", Engine::Mysql.quote(schema))
}

async fn legacy(
    session: &mut Session,
    state: &MigrationState,
) -> Result<Option<TableFacts>, StoreError> {
    TableFacts::find(session, Engine::Mysql, &state.definition.legacy.table).await
}

pub(super) async fn triggers_of(
    database: &Database,
    session: &mut Session,
    state: &MigrationState,
    mode: CaptureMode,
) -> Result<Triggers, StoreError> {
    let definition = &state.definition;
    let facts = legacy(session, state).await?;
    let resolved = facts.as_ref().and_then(|facts| facts.resolve(&definition.legacy.key));
    let (Some(facts), Some(resolved)) = (facts, resolved) else { return Ok(Triggers::default()) };
    let names = EVENTS.map(|(end, ..)| format!("'crossfade_{}_{end}'", definition.name));
    let sql = format!(
        "select cast(trigger_name as char), cast(action_statement as char), \
         cast(concat_ws(' ', trigger_name, action_timing, event_manipulation, created) as char) \
         from information_schema.triggers where event_object_schema = $1 \
         and event_object_table = $2 and trigger_name in ({}) order by trigger_name",
        names.join(", ")
    );
    let args = args![facts.schema.as_str(), facts.name.as_str()];
    let rows = session.fetch(&sql, args).await.doing(DOING)?;
    let mut wanted = EVENTS.map(|(end, event, keys)| {
        let name = format!("crossfade_{}_{end}", definition.name);
        (name, statement(database, &definition.name, mode, &resolved, event, keys))
    });
    wanted.sort();
    let there: Vec<(String, String)> = rows.iter().map(|row| (row.text(0), row.text(1))).collect();
    let marks: Vec<String> = rows.iter().map(|row| row.text(2)).collect();
    Ok(Triggers { in_place: there == wanted, marks: marks.join(" ") })
}

/// What a trigger runs for each row.
fn statement(
    database: &Database,
    name: &MigrationName,
    mode: CaptureMode,
    legacy: &ResolvedTable,
    event: &str,
    rows: &[&str],
) -> String {
    format!(
        "begin\n    if not (@crossfade_fence <=> '{name}') then\n{}    end if;\nend",
        body(database, name, mode, legacy, event, rows)
    )
}

pub(super) async fn plan(
    database: &Database,
    session: &mut Session,
    state: &MigrationState,
    to: Option<CaptureMode>,
) -> Result<Plan, StoreError> {
    let (definition, name) = (&state.definition, &state.definition.name);
    let mut plan = Plan::default();
    let facts = legacy(session, state).await?;
    let invalid = |message: String| StoreError::new(StoreErrorKind::Invalid, message);
    let Some(facts) = facts else {
        return match to {
            // The triggers went with the table.
            None => Ok(plan),
            Some(_) => Err(invalid(format!("Legacy `{}` is not there", definition.legacy.table))),
        };
    };
    plan.before.push(format!("lock tables {} write", facts.qualified()));
    match to {
        Some(mode) => {
            let names = args![facts.schema.as_str(), facts.name.as_str()];
            let cascades = session.fetch(CASCADES, names).await.doing(DOING)?;
            if let Some(row) = cascades.first().filter(|_| mode != CaptureMode::Observe) {
                return Err(invalid(format!(
                    "foreign key `{}` changes rows of `{}` without a trigger",
                    row.text(0),
                    definition.legacy.table
                ))
                .with_hint("let it restrict, or observe only and verify instead"));
            }
            let Some(legacy) = facts.resolve(&definition.legacy.key) else {
                let message = format!("Legacy `{}` cannot be captured", definition.legacy.table);
                return Err(invalid(message)
                    .with_hint("`crossfade expand NAME --dry-run` tells what does not fit"));
            };
            let schema = &facts.schema;
            plan.make.extend(EVENTS.map(|(end, event, rows)| {
                format!(
                    "create or replace trigger {} after {event} on {} for each row\n{}",
                    trigger(schema, name, end),
                    legacy.qualified,
                    statement(database, name, mode, &legacy, event, rows)
                )
            }));
        }
        None => {
            let drop = |(end, ..): &(&str, _, _)| {
                format!("drop trigger if exists {}", trigger(&facts.schema, name, end))
            };
            plan.before.extend(EVENTS.iter().map(drop));
        }
    }
    plan.after.push("unlock tables".to_owned());
    Ok(plan)
}

/// What a trigger does with a write that did not pass the fence.
fn body(
    database: &Database,
    name: &MigrationName,
    mode: CaptureMode,
    legacy: &ResolvedTable,
    event: &str,
    rows: &[&str],
) -> String {
    if mode == CaptureMode::Reject {
        return format!(
            "        signal sqlstate '45000' set message_text = 'this write does not pass the fence \
             of {name}: write through the SDK or ask for --mode journal';\n"
        );
    }
    let (schema, now) = (Engine::Mysql.quote(&database.inner.namespace), Engine::Mysql.now_ms());
    let mut body = format!(
        "        insert into {schema}.crossfade_bypasses \
         (migration, session_id, operation, writer, writes, first_ms, last_ms)\n        \
         values ('{name}', connection_id(), '{event}', left(user(), 200), 1, {now}, {now})\n        \
         on duplicate key update writes = writes + 1, last_ms = values(last_ms);\n"
    );
    if mode == CaptureMode::Observe {
        return body;
    }
    let mark = |row: &str| {
        // The greatest bit is the server's number, and would not fit.
        format!(
            "insert into {schema}.crossfade_journal \
             (migration, `key`, version, first_ms, last_ms)\n        \
             values ('{name}', {}, uuid_short() & 9223372036854775807, {now}, {now})\n        \
             on duplicate key update version = values(version), last_ms = values(last_ms);\n",
            row_key(legacy, row)
        )
    };
    body.push_str(&format!("        {}", mark(rows[0])));
    if let [old, new] = rows {
        // By bytes: two keys may be equal to the server's collation.
        body.push_str(&format!(
            "        if not (binary {} <=> binary {}) then\n        {}        end if;\n",
            row_key(legacy, old),
            row_key(legacy, new),
            mark(new)
        ));
    }
    body
}

/// Changes the triggers while nobody else writes Legacy, and records it behind that. A lock of the
/// session's keeps two operators apart; should this one die in between, the capture is found out of
/// place and is installed again.
pub(super) async fn change(
    database: &Database,
    change: CaptureChange<'_>,
    timeouts: Timeouts,
) -> Result<(), StoreError> {
    let mut session = database.begin().await.doing(DOING)?;
    let lock = script_lock_id(&database.inner.namespace, &change.state.definition.name);
    let lock = format!("crossfade_{lock}");
    if !mariadb::take(&mut session, &lock, timeouts.lock).await.doing(DOING)? {
        session.rollback().await;
        let message = "somebody else changes tables of the same migration";
        return Err(StoreError::new(StoreErrorKind::LockTimeout, message));
    }
    // Whatever fails closes the connection, which unlocks the table.
    bound(&mut session, Engine::Mysql, timeouts).await.doing(DOING)?;
    let plan = database.plan(&mut session, change.state, change.to).await?;
    for statement in plan.statements() {
        session.run_script(statement).await.doing(DOING)?;
    }
    record(database, &mut session, change, &plan.digest()).await?;
    session.execute("commit", args![]).await.doing(DOING)?;
    mariadb::let_go(session, &lock).await;
    Ok(())
}
