//! The effective search path, and the time zone that this role's sessions have here.
//!
//! sqlx asks for UTC when it connects, which hides the zone in the session itself, so it is read
//! where it is set, in PostgreSQL's order of precedence.

use crossfade_core::{Identifier, Pinned, TableName};
use crossfade_store::{StoreError, StoreErrorKind, Surroundings};
use sqlx::Error;

use super::super::table::TableFacts;
use crate::error::Doing;
use crate::session::Session;
use crate::value::args;
use crate::{Database, Engine};

/// Schemas that exist and may be used, `$user` replaced.
const PATH: &str = "\
select coalesce(string_agg(quote_ident(s.name), ', ' order by s.place), '')
from unnest(current_schemas(false)) with ordinality as s (name, place)";

/// `alter role … in database`, `alter role`, `alter database`, `alter role all`.
const SET_FOR: &str = "\
select substr(c.setting, strpos(c.setting, '=') + 1), (s.setrole <> 0)::int, (s.setdatabase <> 0)::int
from pg_db_role_setting s cross join unnest(s.setconfig) as c (setting)
where lower(split_part(c.setting, '=', 1)) = 'timezone'
and s.setdatabase in (0, (select oid from pg_database where datname = current_database()))
and s.setrole in (0, (select oid from pg_roles where rolname = session_user))
order by s.setrole = 0, s.setdatabase = 0 limit 1";

const MAY_READ_FILES: &str = "\
select 1 where has_function_privilege('pg_show_all_file_settings()', 'execute')
and has_table_privilege('pg_file_settings', 'select')";

/// `alter system` comes after `postgresql.conf`, as the server reads them.
const IN_FILES: &str = "\
select setting from pg_file_settings where lower(name) = 'timezone' and applied
order by seqno desc limit 1";

/// `initdb` writes both zones alike, and every role may read this one.
const ASSUMED: &str = "select current_setting('log_timezone')";

pub(super) async fn look(session: &mut Session) -> Result<Surroundings, Error> {
    let path = session.fetch_one(PATH, args![]).await?.map(|row| row.text(0));
    let (zone, zone_source, zone_assumed) = zone(session).await?;
    let pinned = Pinned { search_path: path, time_zone: Some(zone), ..Pinned::default() };
    Ok(Surroundings { pinned, zone_source, zone_assumed })
}

async fn zone(session: &mut Session) -> Result<(String, &'static str, bool), Error> {
    if let Some(row) = session.fetch_one(SET_FOR, args![]).await? {
        let source = match (row.int(1) != 0, row.int(2) != 0) {
            (true, true) => "the role in this database",
            (true, false) => "the role",
            (false, true) => "the database",
            (false, false) => "all roles",
        };
        return Ok((row.text(0), source, false));
    }
    if session.fetch_one(MAY_READ_FILES, args![]).await?.is_some() {
        if let Some(row) = session.fetch_one(IN_FILES, args![]).await? {
            return Ok((row.text(0), "the server's configuration", false));
        }
        let default = "select boot_val from pg_settings where name = 'TimeZone'";
        let row = session.fetch_one(default, args![]).await?.ok_or(Error::RowNotFound)?;
        return Ok((row.text(0), "the server's default", false));
    }
    let row = session.fetch_one(ASSUMED, args![]).await?.ok_or(Error::RowNotFound)?;
    Ok((row.text(0), "log_timezone", true))
}

pub(super) async fn resolve(
    database: &Database,
    table: &TableName,
    pinned: &Pinned,
) -> Result<Option<TableName>, StoreError> {
    let doing = "failed to look a table up";
    let mut session = database.read_pinned(pinned).await.doing(doing)?;
    let found = TableFacts::find(&mut session, Engine::Postgres, table).await;
    session.rollback().await;
    let Some(found) = found? else { return Ok(None) };
    let schema = found.schema.parse::<Identifier>().map_err(|error| {
        let message = format!("the schema `{}` of `{table}` cannot be registered", found.schema);
        StoreError::new(StoreErrorKind::Invalid, message)
            .with_source(error)
            .with_hint("names stand in SQL statements, so only plain ones are taken")
    })?;
    Ok(Some(TableName { schema: Some(schema), name: table.name.clone() }))
}
