//! Catalog queries of PostgreSQL.

use crossfade_core::Side;
use crossfade_core::check::{
    Dependent, DependentKind, Grant, Publication, SequenceUse, SideSurvey, Trigger,
};
use sqlx::Error;

use super::Look;
use crate::schema::TableFacts;
use crate::session::Session;
use crate::value::{Row, args};

const TABLE: &str = "\
select quote_ident(pg_get_userbyid(c.relowner)), c.relrowsecurity, c.relpersistence = 'u',
    coalesce(p.partdefid = 0, false),
    c.relpersistence = 'p' and exists (
        select 1 from pg_publication_tables t join pg_publication u on u.pubname = t.pubname
        where t.schemaname = n.nspname and t.tablename = c.relname
        and (u.pubupdate or u.pubdelete)
    ) and case c.relreplident
        when 'd' then not exists (
            select 1 from pg_index i where i.indrelid = c.oid and i.indisprimary)
        when 'i' then not exists (
            select 1 from pg_index i where i.indrelid = c.oid and i.indisreplident)
        else c.relreplident = 'n' end,
    quote_ident(n.nspname) || '.' || quote_ident(c.relname)
from pg_class c join pg_namespace n on n.oid = c.relnamespace
left join pg_partitioned_table p on p.partrelid = c.oid
where c.oid = $1::oid";

/// Foreign keys of other tables. A table's own go with it.
const FOREIGN_KEYS: &str = "\
select k.conname::text, k.conrelid::regclass::text, quote_ident(k.conname),
    case k.confdeltype when 'c' then 'cascade' when 'n' then 'set null' when 'd' then 'set default'
        end,
    (select string_agg(quote_ident(a.attname), ', ' order by o.position)
        from unnest(k.conkey) with ordinality as o (attnum, position)
        join pg_attribute a on a.attrelid = k.conrelid and a.attnum = o.attnum),
    (select string_agg(a.attname::text, e'\\n' order by o.position)
        from unnest(k.confkey) with ordinality as o (attnum, position)
        join pg_attribute a on a.attrelid = k.confrelid and a.attnum = o.attnum),
    pg_get_constraintdef(k.oid)
from pg_constraint k
where k.contype = 'f' and k.confrelid = $1::oid and k.conrelid <> $1::oid and k.conparentid = 0
order by 2, 1";

/// What the catalog records as dependent: rules of views, bodies of routines, policies, and columns
/// of the table's row type. Of a column that stays nothing is asked.
const DEPENDENTS: &str = "\
select distinct case c.relkind when 'v' then 'view' when 'm' then 'matview' else 'rule' end,
    c.oid::regclass::text, null, d.refobjsubid
from pg_depend d
join pg_rewrite r on r.oid = d.objid
join pg_class c on c.oid = r.ev_class
where d.classid = 'pg_rewrite'::regclass and d.refclassid = 'pg_class'::regclass
    and d.refobjid = $1::oid and c.oid <> $1::oid
union all
select distinct 'routine', d.objid::regprocedure::text, null, 0
from pg_depend d
where d.classid = 'pg_proc'::regclass and (
    d.refclassid = 'pg_class'::regclass and d.refobjid = $1::oid
    or d.refclassid = 'pg_type'::regclass and d.refobjid in (
        select t.oid from pg_type t where t.typrelid = $1::oid
        union all select t.typarray from pg_type t where t.typrelid = $1::oid))
union all
select distinct 'policy', p.polname::text, p.polrelid::regclass::text, 0
from pg_depend d join pg_policy p on p.oid = d.objid
where d.classid = 'pg_policy'::regclass and d.refclassid = 'pg_class'::regclass
    and d.refobjid = $1::oid and p.polrelid <> $1::oid
union all
select 'column', a.attname::text, a.attrelid::regclass::text, 0
from pg_attribute a join pg_type t on t.typrelid = $1::oid
where a.atttypid in (t.oid, t.typarray) and a.attrelid <> $1::oid and not a.attisdropped
order by 1, 2";

/// Routines whose text names the table. Crossfade's own do.
const ROUTINES: &str = "\
select p.oid::regprocedure::text, p.prosrc from pg_proc p
join pg_namespace n on n.oid = p.pronamespace
join pg_language l on l.oid = p.prolang
where p.prosqlbody is null and l.lanname not in ('c', 'internal')
    and n.nspname not in ('pg_catalog', 'information_schema')
    and p.proname not like 'crossfade\\_%'
    and not exists (select 1 from pg_depend e where e.classid = 'pg_proc'::regclass
        and e.objid = p.oid and e.deptype = 'e')
    and strpos(lower(p.prosrc), lower($1)) > 0
order by 1";

/// Triggers of the application's. Bits of `tgtype`: 1 row, 2 before, 4 insert, 8 delete, 16 update,
/// 32 truncate, 64 instead.
const TRIGGERS: &str = "\
select t.tgname::text, concat_ws(' ',
    case when t.tgtype & 64 > 0 then 'instead of' when t.tgtype & 2 > 0 then 'before'
        else 'after' end,
    concat_ws(' or ', case when t.tgtype & 4 > 0 then 'insert' end,
        case when t.tgtype & 16 > 0 then 'update' end,
        case when t.tgtype & 8 > 0 then 'delete' end,
        case when t.tgtype & 32 > 0 then 'truncate' end)),
    t.tgtype & 3 = 3 and t.tgtype & 20 > 0, t.tgenabled <> 'D', p.prosrc
from pg_trigger t join pg_proc p on p.oid = t.tgfoid
where t.tgrelid = $1::oid and not t.tgisinternal and t.tgname not like 'crossfade\\_%'
    and t.tgparentid = 0
order by 1";

/// Sequences that a column's identity, default or ownership ties to the table.
const SEQUENCES: &str = "\
with used (seq, attnum) as (
    select d.objid, d.refobjsubid from pg_depend d
    where d.classid = 'pg_class'::regclass and d.refclassid = 'pg_class'::regclass
        and d.refobjid = $1::oid and d.refobjsubid > 0 and d.deptype in ('a', 'i')
    union
    select d.refobjid, e.adnum from pg_attrdef e
    join pg_depend d on d.classid = 'pg_attrdef'::regclass and d.objid = e.oid
    where e.adrelid = $1::oid and d.refclassid = 'pg_class'::regclass
)
select s.oid::regclass::text, a.attname::text, q.seqincrement,
    o.refobjid::bigint, coalesce((
        select string_agg(e.adrelid::regclass::text || '.' || b.attname, e'\\n')
        from pg_depend d join pg_attrdef e on e.oid = d.objid
        join pg_attribute b on b.attrelid = e.adrelid and b.attnum = e.adnum
        where d.classid = 'pg_attrdef'::regclass and d.refclassid = 'pg_class'::regclass
            and d.refobjid = s.oid and e.adrelid <> $1::oid), ''),
    has_sequence_privilege(s.oid, 'select'), s.oid::bigint,
    exists (select 1 from pg_index i where i.indrelid = $1::oid and i.indkey[0] = a.attnum),
    coalesce((select e.adrelid::regclass::text || '.' || quote_ident(b.attname)
        from pg_depend d join pg_attrdef e on e.oid = d.objid
        join pg_attribute b on b.attrelid = e.adrelid and b.attnum = e.adnum
        where d.classid = 'pg_attrdef'::regclass and d.refclassid = 'pg_class'::regclass
            and d.refobjid = s.oid and e.adrelid = $2::oid limit 1), ''), q.seqmax, q.seqmin
from used u
join pg_class s on s.oid = u.seq and s.relkind = 'S'
join pg_sequence q on q.seqrelid = s.oid
join pg_attribute a on a.attrelid = $1::oid and a.attnum = u.attnum
left join pg_depend o on o.classid = 'pg_class'::regclass and o.objid = s.oid
    and o.refclassid = 'pg_class'::regclass and o.deptype in ('a', 'i') and o.refobjsubid > 0
order by 1";

/// Rights of others than the owner, and of no superuser. Grantee 0 is everybody.
const GRANTS: &str = "\
select case when g.grantee = 0 then 'public' else quote_ident(pg_get_userbyid(g.grantee)) end,
    lower(g.privilege_type)
from pg_class c cross join lateral aclexplode(c.relacl) g
left join pg_roles r on r.oid = g.grantee
where c.oid = $1::oid and g.grantee <> c.relowner and r.rolsuper is not true
order by 1, 2";

const PUBLICATIONS: &str = "\
select quote_ident(p.pubname), p.puballtables, p.pubupdate or p.pubdelete
from pg_publication p join pg_publication_tables t on t.pubname = p.pubname
join pg_class c on c.oid = $1::oid join pg_namespace n on n.oid = c.relnamespace
where t.schemaname = n.nspname and t.tablename = c.relname order by 1";

const POLICIES: &str = "select polname::text from pg_policy where polrelid = $1::oid order by 1";

const INHERITANCE: &str = "\
select i.inhparent = $1::oid, case when i.inhparent = $1::oid then i.inhrelid
    else i.inhparent end::regclass::text
from pg_inherits i join pg_class c on c.oid = i.inhrelid
where $1::oid in (i.inhparent, i.inhrelid) and not c.relispartition order by 2";

const RULES: &str = "\
select rulename::text from pg_rewrite where ev_class = $1::oid and rulename <> '_RETURN' order by 1";

/// Values that are left free between the greatest key and what a sequence gives next.
const ROOM: u32 = 1000;

/// Names as statements write them, quoted where they have to be.
const QUOTED: &str = "\
select quote_ident(n.name) from unnest(string_to_array($1, e'\\n')) with ordinality as n (name, at)
order by n.at";

pub(super) async fn side(
    look: &Look<'_>,
    session: &mut Session,
    side: Side,
    facts: &TableFacts,
    unseen: &mut Vec<String>,
) -> Result<SideSurvey, Error> {
    let oid = facts.oid;
    let mut seen = SideSurvey { table: facts.qualified(), ..SideSurvey::default() };
    if let Some(row) = session.fetch_one(TABLE, args![oid]).await? {
        seen.table = row.text(5);
        seen.owner = row.text(0);
        seen.row_security = row.int(1) != 0;
        seen.unlogged = row.int(2) != 0;
        seen.partitions_without_default = row.int(3) != 0;
        seen.lacks_replica_identity = row.int(4) != 0;
    }
    seen.dependents = dependents(look, session, side, facts).await?;
    for row in session.fetch(TRIGGERS, args![oid]).await? {
        let on_itself = super::names(&row.text(4), &facts.name);
        seen.triggers.push(Trigger {
            name: row.text(0),
            when: row.text(1),
            may_change_row: row.int(2) != 0 || on_itself,
            enabled: row.int(3) != 0,
        });
    }
    seen.sequences = sequences(look, session, (side, &seen.table), facts, unseen).await?;
    for row in session.fetch(GRANTS, args![oid]).await? {
        seen.grants.push(Grant { grantee: row.text(0), right: row.text(1) });
    }
    for row in session.fetch(PUBLICATIONS, args![oid]).await? {
        let (all_tables, updates) = (row.int(1) != 0, row.int(2) != 0);
        seen.publications.push(Publication { name: row.text(0), all_tables, updates });
    }
    seen.policies = texts(&session.fetch(POLICIES, args![oid]).await?);
    seen.rules = texts(&session.fetch(RULES, args![oid]).await?);
    for row in session.fetch(INHERITANCE, args![oid]).await? {
        let list = if row.int(0) != 0 { &mut seen.heirs } else { &mut seen.ancestors };
        list.push(row.text(1));
    }
    Ok(seen)
}

fn texts(rows: &[Row]) -> Vec<String> {
    rows.iter().map(|row| row.text(0)).collect()
}

async fn dependents(
    look: &Look<'_>,
    session: &mut Session,
    side: Side,
    facts: &TableFacts,
) -> Result<Vec<Dependent>, Error> {
    let dropped = match side {
        Side::Legacy => look.dropped_columns(),
        Side::New => Vec::new(),
    };
    let mut found = Vec::new();
    for row in session.fetch(FOREIGN_KEYS, args![facts.oid]).await? {
        let referenced: Vec<String> = row.text(5).split('\n').map(str::to_owned).collect();
        if !dropped.is_empty() && !referenced.iter().any(|name| dropped.contains(&name.as_str())) {
            continue;
        }
        found.push(Dependent {
            kind: DependentKind::ForeignKey,
            name: format!("{}.{}", row.text(1), row.text(0)),
            on_table: None,
            on_delete: row.opt_text(3),
            recorded: true,
            move_to_new: if side == Side::Legacy {
                move_foreign_key(look, session, &row, &referenced).await?
            } else {
                Vec::new()
            },
        });
    }
    for row in session.fetch(DEPENDENTS, args![facts.oid]).await? {
        let column = row.int(3);
        let kept = |number: i64| {
            let column = facts.columns.iter().find(|column| column.number == number);
            column.is_some_and(|column| !dropped.contains(&column.name.as_str()))
        };
        // A view that names single columns is recorded once for each of them.
        if !dropped.is_empty() && (column == 0 || kept(column)) {
            continue;
        }
        let kind = match row.text(0).as_str() {
            "view" => DependentKind::View,
            "matview" => DependentKind::MaterializedView,
            "routine" => DependentKind::Routine,
            "policy" => DependentKind::Policy,
            _ => DependentKind::Other,
        };
        let dependent = Dependent {
            kind,
            name: row.text(1),
            on_table: row.opt_text(2),
            on_delete: None,
            recorded: true,
            move_to_new: Vec::new(),
        };
        if !found.contains(&dependent) {
            found.push(dependent);
        }
    }
    for row in session.fetch(ROUTINES, args![facts.name.as_str()]).await? {
        if side == Side::Legacy && super::names(&row.text(1), &facts.name) {
            found.push(Dependent {
                kind: DependentKind::Routine,
                name: row.text(0),
                on_table: None,
                on_delete: None,
                recorded: false,
                move_to_new: Vec::new(),
            });
        }
    }
    Ok(found)
}

/// The statements that point a foreign key at New, without a scan under an exclusive lock.
async fn move_foreign_key(
    look: &Look<'_>,
    session: &mut Session,
    row: &Row,
    referenced: &[String],
) -> Result<Vec<String>, Error> {
    let (Some(columns), Some(new)) = (look.on_new(referenced), look.new) else {
        return Ok(Vec::new());
    };
    let mut names = vec![new.schema.as_str(), new.name.as_str()];
    names.extend(columns.iter().map(String::as_str));
    let names = texts(&session.fetch(QUOTED, args![names.join("\n")]).await?);
    let (new, columns) = (names[..2].join("."), names[2..].join(", "));
    let (table, name, referring) = (row.text(1), row.text(2), row.text(4));
    // What follows the referenced columns: match, on update, on delete, deferrable.
    let definition = row.text(6);
    let rest = definition.rsplit_once(')').map_or("", |(_, rest)| rest.trim_end());
    let rest = rest.strip_suffix(" NOT VALID").unwrap_or(rest);
    Ok(vec![
        format!(
            "alter table {table} drop constraint {name}, add constraint {name} \
             foreign key ({referring}) references {new} ({columns}){rest} not valid"
        ),
        format!("alter table {table} validate constraint {name}"),
    ])
}

async fn sequences(
    look: &Look<'_>,
    session: &mut Session,
    (side, table): (Side, &str),
    facts: &TableFacts,
    unseen: &mut Vec<String>,
) -> Result<Vec<SequenceUse>, Error> {
    let mut found = Vec::new();
    let new_oid = look.new.map_or(0, |new| new.oid);
    for row in session.fetch(SEQUENCES, args![facts.oid, new_oid]).await? {
        let (sequence, column) = (row.text(0), row.text(1));
        if row.int(5) == 0 {
            unseen.push(format!("sequence {sequence} may not be read by this role"));
            continue;
        }
        let increment = row.int(2);
        let sql = format!("select last_value, is_called from {sequence}");
        let Some(value) = session.fetch_one(&sql, args![]).await? else { continue };
        let step = if value.int(1) != 0 { increment } else { 0 };
        let of = texts(&session.fetch(QUOTED, args![column.as_str()]).await?).concat();
        // Without an index the greatest value takes a whole scan.
        let greatest = if row.int(7) != 0 {
            let end = if increment < 0 { "min" } else { "max" };
            let mut places = vec![(facts.qualified(), of.clone())];
            places.extend(look.keys_of_legacy(&column).filter(|_| side == Side::New));
            let parts: Vec<String> = places
                .iter()
                .map(|(table, column)| format!("(select {end}({column})::bigint from {table})"))
                .collect();
            let most = if increment < 0 { "least" } else { "greatest" };
            let sql = format!("select {most}({})", parts.join(", "));
            session.fetch_one(&sql, args![]).await?.and_then(|row| row.opt_int(0))
        } else {
            unseen.push(format!("the greatest value of {column} has no index to be found by"));
            None
        };
        let owner = row.opt_int(3);
        let is =
            |table: Option<&TableFacts>| owner.is_some() && table.map(|table| table.oid) == owner;
        let taker = row.text(8);
        found.push(SequenceUse {
            advance: advance(&sequence, &of, table, (increment, row.int(9), row.int(10))),
            column,
            next: i128::from(value.int(0)) + i128::from(step),
            greatest: greatest.map(i128::from),
            descending: increment < 0,
            owned_by: if is(look.legacy) {
                Some(Side::Legacy)
            } else if is(look.new) {
                Some(Side::New)
            } else {
                None
            },
            shared_with: row.text(4).lines().map(str::to_owned).collect(),
            take_over: (!taker.is_empty())
                .then(|| format!("alter sequence {sequence} owned by {taker}")),
            sequence,
        });
    }
    Ok(found)
}

/// The statement that moves a sequence beyond the column's values, with room for those that are
/// written until it counts. `step` is the increment, the greatest and the least value of the
/// sequence.
fn advance(sequence: &str, column: &str, table: &str, step: (i64, i64, i64)) -> String {
    let (increment, most, least) = step;
    let to = if increment < 0 {
        format!("greatest(min({column}) - {ROOM}, {least})")
    } else {
        format!("least(max({column}) + {ROOM}, {most})")
    };
    let sequence = sequence.replace('\'', "''");
    format!("select setval('{sequence}', (select {to} from {table}))")
}
