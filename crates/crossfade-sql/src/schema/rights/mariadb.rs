//! Rights on one table of MariaDB's. Those on a whole database or server reach it too and cannot be
//! taken from it alone, so they stay.

use crossfade_core::Definition;
use crossfade_store::{StoreError, StoreErrorKind};
use sqlx::Error;

use super::super::table::TableFacts;
use crate::error::{Doing, mysql_number, store_error};
use crate::session::Session;
use crate::value::{Row, args};
use crate::{Database, Engine};

/// What the server says to a user who may not read its tables of rights.
const DENIED: [u16; 2] = [1142, 1044];

/// Rights on the table and on its columns, of everybody but this user and the role it works in. A
/// role has no host.
const GRANTS: &str = "\
select cast(g.user as char), cast(g.host as char),
    cast(group_concat(lower(g.rights) order by g.rights separator ', ') as char), max(g.passes_on)
from (
    select user, host, replace(cast(table_priv as char), ',', ', ') as rights,
        find_in_set('Grant', table_priv) > 0 as passes_on
    from mysql.tables_priv where db = $1 and table_name = $2 and table_priv <> ''
    union all
    select user, host, concat(replace(cast(column_priv as char), ',', ', '), ' on ', column_name), 0
    from mysql.columns_priv where db = $1 and table_name = $2
) as g
where concat(g.user, '@', g.host) <> current_user()
and not (g.host = '' and g.user <=> current_role())
group by g.user, g.host order by g.user, g.host";

/// What an account may do.
struct Grant {
    /// The account as a statement names it.
    account: String,
    rights: String,
    /// Whether it may grant on what it has.
    passes_on: bool,
}

impl Grant {
    fn of(row: &Row) -> Self {
        let text = |text: String| format!("'{}'", text.replace('\\', "\\\\").replace('\'', "''"));
        let (user, host) = (row.text(0), row.text(1));
        let account = match host.as_str() {
            "" => Engine::Mysql.quote(&user),
            _ => format!("{}@{}", text(user), text(host)),
        };
        Self { account, rights: row.text(2), passes_on: row.int(3) != 0 }
    }

    fn on(&self, definition: &Definition) -> String {
        format!("{} on `{}` from {}", self.rights, definition.legacy.table, self.account)
    }
}

async fn grants(session: &mut Session, legacy: &TableFacts) -> Result<Vec<Grant>, Error> {
    let names = args![legacy.schema.as_str(), legacy.name.as_str()];
    match session.fetch(GRANTS, names).await {
        Err(error) if mysql_number(&error).is_some_and(|number| DENIED.contains(&number)) => {
            tracing::warn!(
                table = %legacy.name,
                "rights on Legacy stay as they are: this user may not read `mysql.tables_priv`"
            );
            Ok(Vec::new())
        }
        rows => Ok(rows?.iter().map(Grant::of).collect()),
    }
}

pub(super) async fn legacy_grants(
    database: &Database,
    definition: &Definition,
) -> Result<Vec<String>, StoreError> {
    let doing = "failed to list the rights on Legacy";
    let mut session = database.session().await.doing(doing)?;
    let table = &definition.legacy.table;
    let legacy = TableFacts::find(&mut session, database.engine(), table).await?;
    let Some(legacy) = legacy else { return Ok(Vec::new()) };
    let found = grants(&mut session, &legacy).await.doing(doing)?;
    Ok(found.iter().map(|grant| grant.on(definition)).collect())
}

/// Each statement commits by itself, so rights that are found when one fails have been left.
pub(super) async fn revoke_legacy(
    database: &Database,
    definition: &Definition,
) -> Result<Vec<String>, StoreError> {
    let doing = "failed to revoke the rights on Legacy";
    let table = &definition.legacy.table;
    let mut session = database.session().await.doing(doing)?;
    let legacy = TableFacts::find(&mut session, database.engine(), table).await?;
    let Some(legacy) = legacy else { return Ok(Vec::new()) };
    let mut taken = Vec::new();
    for grant in grants(&mut session, &legacy).await.doing(doing)? {
        let (table, account) = (legacy.qualified(), &grant.account);
        let option = grant.passes_on.then_some("grant option");
        for rights in option.into_iter().chain(["all privileges"]) {
            let sql = format!("revoke {rights} on {table} from {account}");
            if let Err(error) = session.execute(&sql, args![]).await {
                let left = format!("could not be revoked: {}", grant.on(definition));
                let left = if taken.is_empty() {
                    left
                } else {
                    format!("{left}; revoked before: {}", taken.join("; "))
                };
                let mut error = store_error(&left, error);
                error.kind = StoreErrorKind::Database;
                return Err(error.with_hint("run it as a user who may grant these rights"));
            }
        }
        taken.push(grant.on(definition));
    }
    Ok(taken)
}
