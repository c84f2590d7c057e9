//! The triggers on PostgreSQL.
//!
//! Conditions stand in the triggers themselves, so a fenced write costs their evaluation and no call.
//! The triggers fire for what a subscription applies, too (`enable always`). Functions run with the
//! rights of their owner: a writer needs none on the control tables. None of them touches a
//! sequence, which would change what `lastval()` tells the writer.

use std::time::Duration;

use crossfade_core::{CaptureMode, MigrationName, MigrationState};
use crossfade_store::{CaptureChange, StoreError, StoreErrorKind, Timeouts};
use tokio::time::{Instant, sleep};

use super::change::record;
use super::{DOING, Plan, Triggers, row_key};
use crate::error::Doing;
use crate::fence::{expect_named, inside, is_named, name_fence};
use crate::schema::{TableFacts, bound};
use crate::session::Session;
use crate::shape::ResolvedTable;
use crate::value::args;
use crate::{Database, Engine};

/// The triggers: the end of their names, the event, and the rows of a statement that are counted.
const STATEMENTS: [(&str, &str, &str); 3] =
    [("ins", "insert", "new"), ("upd", "update", "new"), ("del", "delete", "old")];
const ROW: &str = "row";
const TRUNCATE: &str = "trunc";

/// The functions: the middle of their names.
const COUNT: &str = "count";
const DIRTY: &str = "dirty";
const DENY: &str = "deny";

fn trigger(migration: &MigrationName, end: &str) -> String {
    // A migration name holds lower-case letters, digits and underscores, 47 of them at most.
    format!("crossfade_{migration}_{end}")
}

/// Triggers of a capture that run behind a statement on Legacy, each with its function. A condition
/// of theirs lets a write pass that has entered the migration's fence.
pub(crate) fn let_writes_pass(migration: &MigrationName) -> Vec<(String, String)> {
    let counts = STATEMENTS.map(|(end, ..)| (end, COUNT));
    let pairs = counts.into_iter().chain([(ROW, DIRTY), (ROW, DENY)]);
    let name = |(end, middle)| (trigger(migration, end), function_name(migration, middle));
    pairs.map(name).collect()
}

/// The triggers of a mode, by the ends of their names, each with its function.
fn ends(mode: CaptureMode) -> Vec<(&'static str, &'static str)> {
    let counts = STATEMENTS.map(|(end, ..)| (end, COUNT));
    match mode {
        CaptureMode::Observe => counts.into_iter().chain([(TRUNCATE, COUNT)]).collect(),
        CaptureMode::Journal => {
            counts.into_iter().chain([(ROW, DIRTY), (TRUNCATE, DENY)]).collect()
        }
        CaptureMode::Reject => vec![(ROW, DENY), (TRUNCATE, DENY)],
    }
}

/// Those of a migration's triggers that are on Legacy.
async fn found(
    session: &mut Session,
    legacy: &TableFacts,
    migration: &MigrationName,
) -> Result<Vec<String>, StoreError> {
    let sql = format!(
        "select tgname::text from pg_trigger where tgrelid = $1::oid and tgname in ({}) \
         order by tgname",
        every_name(migration)
    );
    let rows = session.fetch(&sql, args![legacy.oid]).await.doing(DOING)?;
    Ok(rows.iter().map(|row| row.text(0)).collect())
}

/// The names that a migration's triggers may have, as SQL literals.
fn every_name(migration: &MigrationName) -> String {
    let ends = STATEMENTS.map(|(end, ..)| end).into_iter().chain([ROW, TRUNCATE]);
    let names: Vec<String> = ends.map(|end| format!("'{}'", trigger(migration, end))).collect();
    names.join(", ")
}

/// Triggers with what the catalog says of them and their functions. A row of the catalog gets
/// another `xmin` with each change.
const TRIGGERS: &str = "\
select t.tgname::text, p.prosrc,
  (t.tgenabled = 'A' and t.tgqual is not null and p.prosecdef
   and t.tgfoid::regprocedure::oid is not distinct from to_regprocedure({function}))::int,
  concat_ws(':', t.tgname, t.xmin, p.xmin)
from pg_trigger t join pg_proc p on p.oid = t.tgfoid
where t.tgrelid = $1::oid and t.tgname in ({names}) order by t.tgname";

pub(super) async fn triggers_of(
    database: &Database,
    session: &mut Session,
    state: &MigrationState,
    mode: CaptureMode,
) -> Result<Triggers, StoreError> {
    let definition = &state.definition;
    let name = &definition.name;
    let facts = TableFacts::find(session, Engine::Postgres, &definition.legacy.table).await?;
    let legacy = facts.as_ref().and_then(|facts| facts.resolve(&definition.legacy.key));
    let (Some(facts), Some(legacy)) = (facts, legacy) else { return Ok(Triggers::default()) };
    let maker = Maker { database, name, legacy: &legacy, mode };
    let mut wanted: Vec<(String, String)> = Vec::new();
    let mut functions = String::new();
    for (end, middle) in ends(mode) {
        let trigger = trigger(name, end);
        functions.push_str(&format!(
            " when '{trigger}' then '{}()'",
            function(database, name, middle).replace('\'', "''")
        ));
        wanted.push((trigger, maker.body(middle)));
    }
    wanted.sort();
    let sql = TRIGGERS
        .replace("{function}", &format!("case t.tgname{functions} end"))
        .replace("{names}", &every_name(name));
    let rows = session.fetch(&sql, args![facts.oid]).await.doing(DOING)?;
    let there: Vec<(String, String)> = rows.iter().map(|row| (row.text(0), row.text(1))).collect();
    let marks: Vec<String> = rows.iter().map(|row| row.text(3)).collect();
    let in_place = there == wanted
        && rows.iter().all(|row| row.int(2) == 1)
        && is_named(database, session, name).await?;
    Ok(Triggers { in_place, marks: marks.join(" ") })
}

pub(super) async fn plan(
    database: &Database,
    session: &mut Session,
    state: &MigrationState,
    to: Option<CaptureMode>,
) -> Result<Plan, StoreError> {
    let (definition, name) = (&state.definition, &state.definition.name);
    let mut plan = Plan::default();
    let facts = TableFacts::find(session, Engine::Postgres, &definition.legacy.table).await?;
    if let Some(facts) = &facts {
        let there = found(session, facts, name).await?;
        let table = facts.qualified();
        // Taking a trigger away needs the table alone; asking for that lock second could deadlock
        // with a reader that begins to write.
        let lock = if there.is_empty() { "share row exclusive" } else { "access exclusive" };
        plan.before.push(format!("lock table {table} in {lock} mode"));
        plan.before.extend(there.iter().map(|name| format!("drop trigger {name} on {table}")));
    }
    let mut functions = Vec::new();
    if let Some(mode) = to {
        let resolved = facts.as_ref().and_then(|facts| facts.resolve(&definition.legacy.key));
        let Some(legacy) = resolved else {
            let message = format!("Legacy `{}` cannot be captured", definition.legacy.table);
            return Err(StoreError::new(StoreErrorKind::Invalid, message)
                .with_hint("`crossfade expand NAME --dry-run` tells what does not fit"));
        };
        let maker = Maker { database, name, legacy: &legacy, mode };
        functions = maker.functions().iter().map(|(middle, _)| *middle).collect();
        plan.make.extend(maker.functions().into_iter().map(|(_, sql)| sql));
        plan.make.extend(maker.triggers());
        plan.make.extend(ends(mode).into_iter().map(|(end, _)| {
            let trigger = trigger(name, end);
            format!("alter table {} enable always trigger {trigger}", legacy.qualified)
        }));
    }
    for middle in [COUNT, DIRTY, DENY].iter().filter(|middle| !functions.contains(middle)) {
        plan.after.push(format!("drop function if exists {}()", function(database, name, middle)));
    }
    Ok(plan)
}

/// Changes triggers, record and audit trail in one transaction. Before there are triggers, writers are
/// asked to say which fence they have passed, and those that entered before that are waited for;
/// nobody is held up meanwhile.
pub(super) async fn change(
    database: &Database,
    change: CaptureChange<'_>,
    timeouts: Timeouts,
) -> Result<(), StoreError> {
    let name = &change.state.definition.name;
    if change.to.is_some() {
        name_fence(database, name, true).await?;
        outwait(database, change.state, timeouts.lock).await?;
    }
    let mut session = database.begin().await.doing(DOING)?;
    bound(&mut session, Engine::Postgres, timeouts).await.doing(DOING)?;
    let plan = database.plan(&mut session, change.state, change.to).await?;
    for (index, statement) in plan.statements().enumerate() {
        session.run_script(statement).await.doing(DOING)?;
        // What is there is looked up again behind the lock, which orders operators.
        if index == 0
            && database.plan(&mut session, change.state, change.to).await?.before != plan.before
        {
            session.rollback().await;
            let message = "somebody else changed the capture in the same moment";
            return Err(StoreError::new(StoreErrorKind::Conflict, message));
        }
    }
    if change.to.is_some() {
        expect_named(database, &mut session, name).await?;
    }
    record(database, &mut session, change, &plan.digest()).await?;
    session.commit_or(DOING).await?;
    if change.to.is_none() {
        // Should this fail, writers go on saying what nobody asks for.
        name_fence(database, name, false).await?;
    }
    Ok(())
}

/// How often it is looked whether the writers before have ended.
const LOOK: Duration = Duration::from_millis(20);

/// Waits until every transaction has ended that is inside the fence now, `patience` at most.
async fn outwait(
    database: &Database,
    state: &MigrationState,
    patience: Duration,
) -> Result<(), StoreError> {
    let mut session = database.session().await.doing(DOING)?;
    let mut before = inside(database, &mut session, state).await?;
    let ends = Instant::now() + patience;
    while !before.is_empty() {
        if Instant::now() >= ends {
            let processes: Vec<_> = before.iter().map(|(_, pid)| pid.to_string()).collect();
            let message = format!(
                "writers that passed the fence before are still at it: {} {}",
                if before.len() == 1 { "process" } else { "processes" },
                processes.join(", ")
            );
            return Err(StoreError::new(StoreErrorKind::LockTimeout, message));
        }
        sleep(LOOK).await;
        let now = inside(database, &mut session, state).await?;
        before.retain(|transaction| now.contains(transaction));
    }
    Ok(())
}

fn function_name(migration: &MigrationName, middle: &str) -> String {
    format!("crossfade_{middle}_{migration}")
}

/// A function's name, qualified.
fn function(database: &Database, migration: &MigrationName, middle: &str) -> String {
    let schema = Engine::Postgres.quote(&database.inner.namespace);
    format!("{schema}.{}", function_name(migration, middle))
}

struct Maker<'a> {
    database: &'a Database,
    name: &'a MigrationName,
    legacy: &'a ResolvedTable,
    mode: CaptureMode,
}

impl Maker<'_> {
    fn schema(&self) -> String {
        Engine::Postgres.quote(&self.database.inner.namespace)
    }

    fn functions(&self) -> Vec<(&'static str, String)> {
        let middles: &[&'static str] = match self.mode {
            CaptureMode::Observe => &[COUNT],
            CaptureMode::Journal => &[COUNT, DIRTY, DENY],
            CaptureMode::Reject => &[DENY],
        };
        let function = |middle: &&'static str| {
            let name = function(self.database, self.name, middle);
            let (schema, body) = (self.schema(), self.body(middle));
            let sql = format!(
                "create or replace function {name}() returns trigger language plpgsql \
                 security definer set search_path = pg_catalog, {schema}, pg_temp \
                 as $crossfade${body}$crossfade$"
            );
            (*middle, sql)
        };
        middles.iter().map(function).collect()
    }

    fn body(&self, middle: &str) -> String {
        match middle {
            COUNT => self.count(),
            DIRTY => self.dirty(),
            _ => self.deny(),
        }
    }

    /// Counts a statement's rows in a row of the writer's own connection. One that a prepared
    /// transaction of the same connection holds is passed over. Only that connection ever changes
    /// it, so no snapshot is too old for it.
    fn count(&self) -> String {
        let (schema, name, now) = (self.schema(), self.name, Engine::Postgres.now_ms());
        format!(
            "
declare
    touched bigint := 1;
begin
    if tg_op <> 'TRUNCATE' then
        select count(*) into touched from crossfade_rows;
        if touched = 0 then
            return null;
        end if;
    end if;
    update {schema}.crossfade_bypasses as b set writes = b.writes + touched, last_ms = {now}
    where b.ctid = (
        select o.ctid from {schema}.crossfade_bypasses as o
        where o.migration = '{name}' and o.session_id = pg_backend_pid()
        and o.operation = lower(tg_op) and o.writer = session_user
        and o.application = current_setting('application_name')
        order by o.born desc limit 1 for update skip locked
    );
    if not found then
        insert into {schema}.crossfade_bypasses values ('{name}', pg_backend_pid(), lower(tg_op),
            session_user, current_setting('application_name'), pg_current_xact_id()::text::bigint,
            touched, {now}, {now});
    end if;
    return null;
end
"
        )
    }

    /// Marks the keys of a row. The version is the transaction's number, which is never given to
    /// another; marks of one transaction are seen together.
    fn dirty(&self) -> String {
        let (schema, name, now) = (self.schema(), self.name, Engine::Postgres.now_ms());
        let mark = |key: &str| {
            format!(
                "insert into {schema}.crossfade_journal (migration, key, version, first_ms, last_ms)
        values ('{name}', {key}, pg_current_xact_id()::text::bigint, {now}, {now})
        on conflict (migration, key)
        do update set version = excluded.version, last_ms = excluded.last_ms"
            )
        };
        format!(
            "
declare
    old_key text;
    new_key text;
begin
    if tg_op <> 'INSERT' then
        old_key := {old};
        {mark_old};
    end if;
    if tg_op <> 'DELETE' then
        new_key := {new};
        if new_key is distinct from old_key then
            {mark_new};
        end if;
    end if;
    return null;
end
",
            old = row_key(self.legacy, "old"),
            new = row_key(self.legacy, "new"),
            mark_old = mark("old_key"),
            mark_new = mark("new_key"),
        )
    }

    fn deny(&self) -> String {
        let name = self.name;
        let (message, hint) = match self.mode {
            CaptureMode::Journal => (
                format!("TRUNCATE leaves no keys for the journal of migration {name}"),
                "delete the rows instead, or run `crossfade capture install` with another mode"
                    .to_owned(),
            ),
            CaptureMode::Observe | CaptureMode::Reject => (
                format!("this write does not pass the fence of migration {name}"),
                format!(
                    "write through the SDK, or let an operator run `crossfade capture install \
                     {name} --mode journal`"
                ),
            ),
        };
        format!(
            "
begin
    raise exception using errcode = 'CFF03', message = '{message}', hint = '{hint}';
end
"
        )
    }

    fn triggers(&self) -> Vec<String> {
        let table = &self.legacy.qualified;
        let function = |middle| function(self.database, self.name, middle);
        let unfenced = format!(
            "when (current_setting('crossfade.fence', true) is distinct from \
             {}::regclass::oid::text)",
            self.database.fence_literal(self.name)
        );
        let mut made = Vec::new();
        if self.mode != CaptureMode::Reject {
            made.extend(STATEMENTS.map(|(end, event, rows)| {
                format!(
                    "create trigger {} after {event} on {table} \
                     referencing {rows} table as crossfade_rows for each statement {unfenced} \
                     execute function {}()",
                    trigger(self.name, end),
                    function(COUNT)
                )
            }));
        }
        if self.mode != CaptureMode::Observe {
            let middle = if self.mode == CaptureMode::Journal { DIRTY } else { DENY };
            made.push(format!(
                "create trigger {} after insert or update or delete on {table} for each row \
                 {unfenced} execute function {}()",
                trigger(self.name, ROW),
                function(middle)
            ));
        }
        let middle = if self.mode == CaptureMode::Observe { COUNT } else { DENY };
        made.push(format!(
            "create trigger {} before truncate on {table} for each statement {unfenced} \
             execute function {}()",
            trigger(self.name, TRUNCATE),
            function(middle)
        ));
        made
    }
}
