//! The rights on Legacy, and taking them away.

#[cfg(feature = "mysql")]
mod mariadb;

use crossfade_core::Definition;
use crossfade_store::StoreError;

use crate::{Database, Engine};

pub(super) async fn legacy_grants(
    database: &Database,
    definition: &Definition,
) -> Result<Vec<String>, StoreError> {
    if !definition.legacy_columns.is_empty() {
        return Ok(Vec::new());
    }
    match database.engine() {
        #[cfg(feature = "mysql")]
        Engine::Mysql => mariadb::legacy_grants(database, definition).await,
        #[cfg(feature = "postgres")]
        Engine::Postgres => postgres::legacy_grants(database, definition).await,
        #[cfg(feature = "sqlite")]
        Engine::Sqlite => Ok(Vec::new()),
    }
}

pub(super) async fn revoke_legacy(
    database: &Database,
    definition: &Definition,
) -> Result<Vec<String>, StoreError> {
    if !definition.legacy_columns.is_empty() {
        return Ok(Vec::new());
    }
    match database.engine() {
        #[cfg(feature = "mysql")]
        Engine::Mysql => mariadb::revoke_legacy(database, definition).await,
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
    use crossfade_store::{StoreError, StoreErrorKind, Timeouts};

    use super::super::bound;
    use super::super::table::TableFacts;
    use crate::Database;
    use crate::error::Doing;
    use crate::session::Session;
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

    /// What a role may do.
    struct Grant {
        /// The role as a statement names it.
        role: String,
        /// The same in words.
        who: String,
        rights: String,
    }

    impl Grant {
        fn on(&self, definition: &Definition) -> String {
            format!("{} on `{}` from {}", self.rights, definition.legacy.table, self.who)
        }
    }

    async fn grants(session: &mut Session, legacy: &TableFacts) -> Result<Vec<Grant>, sqlx::Error> {
        let rows = session.fetch(GRANTS, args![legacy.oid]).await?;
        let grant = |row: &crate::value::Row| {
            let (role, who) = match row.int(0) {
                0 => (legacy.quote(&row.text(1)), row.text(1)),
                _ => ("public".to_owned(), "everybody".to_owned()),
            };
            Grant { role, who, rights: row.text(2) }
        };
        Ok(rows.iter().map(grant).collect())
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
        for grant in grants(&mut session, &legacy).await.doing(doing)? {
            // Whoever may grant has granted on: those rights go with theirs.
            let (table, role) = (legacy.qualified(), &grant.role);
            let sql = format!("revoke all on table {table} from {role} cascade");
            session.execute(&sql, args![]).await.doing(doing)?;
            taken.push(grant.on(definition));
        }
        // PostgreSQL only warns of what its user did not grant, and leaves it.
        let left = grants(&mut session, &legacy).await.doing(doing)?;
        if !left.is_empty() {
            session.rollback().await;
            let left: Vec<String> = left.iter().map(|grant| grant.on(definition)).collect();
            let message = format!("these rights could not be revoked: {}", left.join("; "));
            return Err(StoreError::new(StoreErrorKind::Database, message)
                .with_hint(format!("run it as the user who owns `{table}`")));
        }
        session.commit_or(doing).await?;
        Ok(taken)
    }
}
