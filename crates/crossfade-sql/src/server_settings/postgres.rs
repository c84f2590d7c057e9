//! PostgreSQL's settings, as a session of this role begins.

use crossfade_core::ServerSettings;
use sqlx::Error;

use crate::session::Session;

/// A standby says so by `in_hot_standby`, which it shows from version 14 on.
const SETTINGS: &str = "\
select name, reset_val from pg_settings where name in (
    'default_transaction_read_only', 'session_replication_role', 'track_counts')
union all select name, setting from pg_settings where name = 'in_hot_standby'";

pub(super) async fn settings(session: &mut Session) -> Result<ServerSettings, Error> {
    let rows = session.fetch(SETTINGS, Vec::new()).await?;
    Ok(rows.iter().map(|row| (row.text(0), row.opt_text(1).unwrap_or_default())).collect())
}
