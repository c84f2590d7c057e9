//! MariaDB's settings: the global ones, which the application's sessions begin with.

use crossfade_core::ServerSettings;
use sqlx::Error;

use crate::session::Session;

/// `innodb` and `may_make_triggers` are no variables of the server's.
const SETTINGS: &str = "\
select cast(lower(variable_name) as char), cast(variable_value as char)
from information_schema.global_variables where variable_name in (
    'autocommit', 'binlog_format', 'completion_type', 'enforce_storage_engine',
    'innodb_default_row_format', 'innodb_force_recovery', 'innodb_read_only', 'log_bin',
    'log_bin_trust_function_creators', 'read_only', 'sql_mode', 'tx_read_only', 'wsrep_on')
union all select 'innodb', coalesce(max(support), 'NO')
    from information_schema.engines where engine = 'InnoDB'
union all select 'may_make_triggers', count(*) > 0 from information_schema.user_privileges
    where privilege_type in ('SUPER', 'BINLOG ADMIN')
    and grantee = concat('''', replace(current_user(), '@', '''@'''), '''')";

pub(super) async fn settings(session: &mut Session) -> Result<ServerSettings, Error> {
    let rows = session.fetch(SETTINGS, Vec::new()).await?;
    Ok(rows.iter().map(|row| (row.text(0), row.opt_text(1).unwrap_or_default())).collect())
}
