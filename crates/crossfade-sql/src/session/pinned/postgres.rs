//! What a pinned transaction sets on PostgreSQL. `set local` ends with the transaction.

use crossfade_core::Pinned;

use super::Session;
use crate::Engine;
use crate::value::args;

/// `row_security = off` makes PostgreSQL refuse a statement whose rows a policy would hide. The
/// formats are those that sqlx asks for at startup. The planner overestimates the common table
/// expressions of a chunk and would spend ten times the chunk's own time on compiling it.
const PIN: &str = "\
select set_config('row_security', 'off', true), \
    set_config('search_path', coalesce($1, current_setting('search_path')), true), \
    set_config('TimeZone', coalesce($2, current_setting('TimeZone')), true), \
    set_config('DateStyle', 'ISO, MDY', true), set_config('IntervalStyle', 'postgres', true), \
    set_config('extra_float_digits', '1', true), set_config('bytea_output', 'hex', true), \
    set_config('xmloption', 'content', true), set_config('standard_conforming_strings', 'on', true), \
    set_config('transform_null_equals', 'off', true), set_config('array_nulls', 'on', true), \
    set_config('jit', 'off', true)";

pub(super) async fn pin(
    session: &mut Session,
    namespace: &str,
    pinned: &Pinned,
) -> Result<(), sqlx::Error> {
    let path = pinned.search_path.as_deref().map(|path| with_control_tables(path, namespace));
    session.fetch(PIN, args![path, pinned.time_zone.clone()]).await.map(drop)
}

/// The pinned path and, last, the schema of the control tables, which the same transaction writes.
pub(crate) fn with_control_tables(path: &str, namespace: &str) -> String {
    let namespace = Some(namespace).filter(|name| !name.is_empty());
    let namespace = namespace.map(|name| Engine::Postgres.quote(name));
    let path = Some(path.to_owned()).filter(|path| !path.is_empty());
    path.into_iter().chain(namespace).collect::<Vec<_>>().join(", ")
}
