//! What PostgreSQL makes of a declared statement: the types of its parameters, the table it writes,
//! and whether it may share a statement, and with it a snapshot, with the other side's.
//!
//! A statement sees what was committed when it began, which is before it has waited for its key.
//! An insert of given values does not look: the unique index tells it of a row that has come since,
//! and `on conflict do update` then changes that very row. An `update` or a `delete` passes such a
//! row over, so beside an insert, or a batch of backfill, it would split the pair.

use std::collections::BTreeSet;

use crossfade_core::{MigrationName, Side, SideTable};
use crossfade_store::StoreError;
use serde_json::Value as Json;
use sqlx::{AssertSqlSafe, Row as _};

use super::fit::{other_table, refused};
use super::text::Text;
use crate::Database;
use crate::capture::let_writes_pass;
use crate::error::{Doing, words_in_chain};
use crate::schema::TableFacts;
use crate::session::Session;
use crate::value::args;

/// A statement of one side.
#[derive(Clone, Copy, Debug)]
pub(super) struct Statement<'a> {
    pub(super) migration: &'a MigrationName,
    pub(super) side: Side,
    pub(super) text: &'a Text,
    /// How many values it is given.
    pub(super) values: usize,
    pub(super) table: &'a SideTable,
    pub(super) facts: &'a TableFacts,
}

/// What PostgreSQL makes of it.
#[derive(Clone, Debug)]
pub(super) struct Judged {
    /// The type of each parameter, where it is used.
    pub(super) parameters: Vec<Option<Parameter>>,
    /// Why it cannot be put into a larger statement.
    pub(super) alone: Result<(), String>,
    /// Why it cannot share a snapshot with the other side's.
    pub(super) shares: Result<(), String>,
}

/// The type of a parameter, and its category in the catalog.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Parameter {
    pub(super) name: String,
    category: String,
}

impl Parameter {
    /// Whether one value may serve as both: numbers, texts, moments and bits are converted.
    pub(super) fn fits(&self, other: &Self) -> bool {
        let json = |parameter: &Self| matches!(parameter.name.as_str(), "json" | "jsonb");
        let converts = matches!(self.category.as_str(), "N" | "S" | "D" | "T" | "V");
        self.name == other.name
            || converts && self.category == other.category
            || json(self) && json(other)
    }
}

/// The name of the statement while it is looked over.
const NAME: &str = "crossfade_declared";

/// Columns of the unique indexes of a table that hold for all its rows.
const INDEXES: &str = "\
select i.relname::text, a.attname::text from pg_index x \
join pg_class i on i.oid = x.indexrelid \
join pg_attribute a on a.attrelid = x.indrelid \
    and a.attnum = any((x.indkey::int2[])[0:x.indnkeyatts - 1]) \
where x.indrelid = $1::oid and x.indisunique and x.indpred is null and x.indexprs is null";

/// What a table does beside storing a row, and how it would notice being written at once with the
/// other side's: rules, row security, triggers. A trigger of Legacy's that runs behind the statement
/// would run behind New's too; one whose function is not volatile sees the statement's snapshot.
///
/// A capture's own triggers run behind no write of the migration's: by the time their condition is
/// looked at, the statement has entered the fence that it names.
const SIDE_EFFECTS: &str = "\
select 'its table has rules' from pg_class where oid = $1::oid and relhasrules \
union all select 'its table has row security' from pg_class where oid = $1::oid and relrowsecurity \
union all select 'the trigger ' || t.tgname || ' would run behind New' \
from pg_trigger t join pg_proc p on p.oid = t.tgfoid \
join pg_namespace n on n.oid = p.pronamespace \
where $2 = 1 and t.tgrelid = $1::oid and not t.tgisinternal and t.tgtype & 66 = 0 \
    and (t.tgqual is null or n.nspname <> $3 \
        or t.tgname || ' ' || p.proname <> all(string_to_array($4, ','))) \
union all select 'the function of the trigger ' || t.tgname || ' is not volatile' \
from pg_trigger t join pg_proc p on p.oid = t.tgfoid \
where t.tgrelid = $1::oid and not t.tgisinternal and p.provolatile <> 'v'";

/// Functions that are not PostgreSQL's own and see the snapshot of whoever calls them.
const FUNCTIONS: &str = "\
select p.proname::text from pg_proc p where p.provolatile <> 'v' \
and p.pronamespace <> 'pg_catalog'::regnamespace and p.proname = any(string_to_array($1, ' '))";

pub(super) async fn judge(
    database: &Database,
    statement: Statement<'_>,
) -> Result<Judged, StoreError> {
    let doing = "failed to look a statement over";
    let Statement { side, text, values, table, facts, .. } = statement;
    let types: Vec<&str> = (1..=values)
        .map(|number| if text.parameters.contains(&number) { "unknown" } else { "text" })
        .collect();
    let types = types.join(", ");
    let mut session = database.begin().await.doing(doing)?;
    let prepared = prepare(&mut session, &types, &text.sql).await;
    prepared.map_err(|error| refused(side, error))?;
    let parameters = parameters(&mut session, text).await.doing(doing)?;
    let nothing = vec!["null"; values].join(", ");
    let plan = explain(&mut session, &nothing).await.map_err(|error| refused(side, error))?;
    let writes = Writes::of(&plan);
    if let Some(writes) = &writes
        && (&writes.schema, &writes.table) != (&facts.schema, &facts.name)
    {
        session.rollback().await;
        return Err(other_table(side, &format!("{}.{}", writes.schema, writes.table), table));
    }
    let namespace = &database.inner.namespace;
    let shares = shares(&mut session, namespace, statement, writes).await.doing(doing)?;
    session.rollback().await;

    let mut session = database.begin().await.doing(doing)?;
    let inside = format!("with crossfade_side as (\n{}\nreturning 1) select 1", text.sql);
    let alone = match prepare(&mut session, &types, &inside).await {
        Ok(()) => Ok(()),
        Err(error) => {
            let error = refused(side, error);
            Err(format!("it cannot be part of a statement: {}", words_in_chain(&error)))
        }
    };
    session.rollback().await;
    Ok(Judged { parameters, alone, shares })
}

/// Prepares a statement under [`NAME`], in place of any other.
async fn prepare(session: &mut Session, types: &str, sql: &str) -> Result<(), sqlx::Error> {
    // What is prepared outlives a transaction that is rolled back.
    let forget = format!("select 1 from pg_prepared_statements where name = '{NAME}'");
    if session.fetch_one(&forget, args![]).await?.is_some() {
        session.run_script(&format!("deallocate {NAME}")).await?;
    }
    let Some(connection) = session.raw().postgres() else { return Ok(()) };
    // As one of sqlx's own, since PostgreSQL takes several statements for a syntax error there.
    let prepare = AssertSqlSafe(format!("prepare {NAME} ({types}) as {sql}"));
    sqlx::query(prepare).persistent(false).execute(connection).await.map(drop)
}

async fn parameters(
    session: &mut Session,
    text: &Text,
) -> Result<Vec<Option<Parameter>>, sqlx::Error> {
    let sql = format!(
        "select t.typname::text, t.typcategory::text from pg_prepared_statements s, \
         unnest(s.parameter_types) with ordinality as p (type, number) \
         join pg_type t on t.oid = p.type where s.name = '{NAME}' order by p.number"
    );
    let rows = session.fetch(&sql, args![]).await?;
    let parameter = |(index, row): (usize, &crate::value::Row)| {
        let used = text.parameters.contains(&(index + 1));
        used.then(|| Parameter { name: row.text(0), category: row.text(1) })
    };
    Ok(rows.iter().enumerate().map(parameter).collect())
}

/// The plan for values that nobody knows yet.
async fn explain(session: &mut Session, values: &str) -> Result<Json, sqlx::Error> {
    session.run_script("set local plan_cache_mode = force_generic_plan").await?;
    let Some(connection) = session.raw().postgres() else { return Ok(Json::Null) };
    let explain =
        AssertSqlSafe(format!("explain (verbose, format json) execute {NAME} ({values})"));
    let row = sqlx::query(explain).persistent(false).fetch_one(connection).await?;
    let plan: String = row.try_get_unchecked(0)?;
    serde_json::from_str(&plan).map_err(|error| sqlx::Error::Decode(Box::new(error)))
}

/// The one write of a plan.
#[derive(Debug)]
struct Writes<'a> {
    schema: String,
    table: String,
    node: &'a Json,
}

impl<'a> Writes<'a> {
    /// `None` for a plan that writes several tables, as rules make it, or none.
    fn of(plan: &'a Json) -> Option<Self> {
        let [plan] = &plan.as_array()?[..] else { return None };
        let node = plan.get("Plan")?;
        let text = |name| Some(node.get(name)?.as_str()?.to_owned());
        (node.get("Node Type")? == "ModifyTable").then_some(()).and_then(|()| {
            Some(Self { schema: text("Schema")?, table: text("Relation Name")?, node })
        })
    }

    /// Whether it inserts values that it is given, and looks nothing up for them.
    fn inserts_given_values(&self) -> bool {
        let plans = self.node.get("Plans").and_then(Json::as_array);
        let plain = match plans.map(Vec::as_slice) {
            Some([plan]) => {
                plan.get("Node Type").is_some_and(|node| node == "Result")
                    && plan.get("Plans").is_none()
            }
            _ => false,
        };
        plain && self.node.get("Operation").is_some_and(|operation| operation == "Insert")
    }

    /// The indexes by which it finds a row that is there already; `None` where it does not change
    /// that row in any case.
    fn arbiters(&self) -> Option<Vec<&str>> {
        if self.node.get("Conflict Filter").is_some() {
            return None;
        }
        match self.node.get("Conflict Resolution").and_then(Json::as_str) {
            None => Some(Vec::new()),
            Some("UPDATE") => {
                let arbiters = self.node.get("Conflict Arbiter Indexes")?.as_array()?;
                arbiters.iter().map(Json::as_str).collect()
            }
            Some(_) => None,
        }
    }
}

async fn shares(
    session: &mut Session,
    namespace: &str,
    statement: Statement<'_>,
    writes: Option<Writes<'_>>,
) -> Result<Result<(), String>, sqlx::Error> {
    let Statement { text, table, facts, .. } = statement;
    let no = |reason: &str| Ok(Err(reason.to_owned()));
    let Some(writes) = writes else { return no("it does not write one table") };
    if !writes.inserts_given_values() {
        return no("it is not an insert of given values");
    }
    let Some(arbiters) = writes.arbiters() else {
        return no("it does not write a row that is there already");
    };
    let key: BTreeSet<String> = table
        .key
        .iter()
        .filter_map(|part| Some(facts.column(part.as_str())?.name.clone()))
        .collect();
    let rows = session.fetch(INDEXES, args![facts.oid]).await?;
    for arbiter in arbiters {
        let columns = rows.iter().filter(|row| row.text(0) == arbiter).map(|row| row.text(1));
        if columns.collect::<BTreeSet<_>>() != key {
            return no("it finds its row by something else than the key");
        }
    }
    let first = i64::from(statement.side == Side::Legacy);
    let own = let_writes_pass(statement.migration).into_iter();
    let own: Vec<String> = own.map(|(trigger, function)| format!("{trigger} {function}")).collect();
    let args = args![facts.oid, first, namespace, own.join(",")];
    if let Some(row) = session.fetch_one(SIDE_EFFECTS, args).await? {
        return Ok(Err(row.text(0)));
    }
    let calls: Vec<&str> = text.calls.iter().map(String::as_str).collect();
    if let Some(row) = session.fetch_one(FUNCTIONS, args![calls.join(" ")]).await? {
        return Ok(Err(format!("`{}` is not volatile and may look something up", row.text(0))));
    }
    Ok(Ok(()))
}
