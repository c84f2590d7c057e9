//! Taking the rights on Legacy away.

use crossfade_core::Definition;
use crossfade_store::StoreError;

use crate::{Database, Engine};

pub(super) async fn revoke_legacy(
    database: &Database,
    definition: &Definition,
) -> Result<Vec<String>, StoreError> {
    if !definition.legacy_columns.is_empty() {
        return Ok(Vec::new());
    }
    match database.engine() {
        #[cfg(feature = "postgres")]
        Engine::Postgres => postgres::revoke_legacy(database, definition).await,
        #[cfg(feature = "sqlite")]
        Engine::Sqlite => Ok(Vec::new()),
    }
}

#[cfg(feature = "postgres")]
mod postgres {
    use std::time::Duration;

    use crossfade_core::Definition;
    use crossfade_store::{StoreError, Timeouts};

    use super::super::bound;
    use super::super::table::{TableFacts, quote};
    use crate::Database;
    use crate::error::Doing;
    use crate::value::args;

    const TIMEOUTS: Timeouts =
        Timeouts { lock: Duration::from_millis(500), statement: Duration::from_secs(5) };

    /// Rights on the table and on its columns. Grantee 0 is everybody.
    const GRANTS: &str = "\
select a.grantee = 0, coalesce(r.rolname::text, ''), string_agg(distinct a.right_name, ', ')
from pg_class c
cross join lateral (
    select g.grantee, lower(g.privilege_type) as right_name from aclexplode(c.relacl) g
    union all
    select g.grantee, lower(g.privilege_type) || ' on ' || t.attname
    from pg_attribute t cross join lateral aclexplode(t.attacl) g
    where t.attrelid = c.oid and not t.attisdropped
) a
left join pg_roles r on r.oid = a.grantee
where c.oid = $1::oid and a.grantee <> c.relowner
group by a.grantee, r.rolname
order by 1 desc, 2";

    pub(super) async fn revoke_legacy(
        database: &Database,
        definition: &Definition,
    ) -> Result<Vec<String>, StoreError> {
        let doing = "failed to revoke the rights on Legacy";
        let table = &definition.legacy.table;
        let mut session = database.begin().await.doing(doing)?;
        bound(&mut session, database.engine(), TIMEOUTS).await.doing(doing)?;
        let legacy = TableFacts::find(&mut session, database.engine(), table).await?;
        let Some(legacy) = legacy else { return Ok(Vec::new()) };
        let mut taken = Vec::new();
        for row in session.fetch(GRANTS, args![legacy.oid]).await.doing(doing)? {
            let (role, who) = match row.int(0) {
                0 => (quote(&row.text(1)), row.text(1)),
                _ => ("public".to_owned(), "everybody".to_owned()),
            };
            // Whoever may grant has granted on: those rights go with theirs.
            let sql = format!("revoke all on table {} from {role} cascade", legacy.qualified());
            session.execute(&sql, args![]).await.doing(doing)?;
            taken.push(format!("{} on `{table}` from {who}", row.text(2)));
        }
        session.commit_or(doing).await?;
        Ok(taken)
    }
}
