//! The control tables and their versioned migrations.

use crossfade_store::{StoreError, StoreErrorKind};

use crate::error::Doing;
use crate::value::args;
use crate::{Database, Engine};

/// One versioned migration of the control tables.
struct Version {
    number: i64,
    name: &'static str,
    #[cfg(feature = "postgres")]
    postgres: &'static str,
    #[cfg(feature = "sqlite")]
    sqlite: &'static str,
}

/// Every migration in order. They are never changed once released, only followed.
const VERSIONS: &[Version] = &[Version {
    number: 1,
    name: "control_tables",
    #[cfg(feature = "postgres")]
    postgres: include_str!("control_tables.postgres.sql"),
    #[cfg(feature = "sqlite")]
    sqlite: include_str!("control_tables.sqlite.sql"),
}];

impl Version {
    const fn script(&self, engine: Engine) -> &'static str {
        match engine {
            #[cfg(feature = "postgres")]
            Engine::Postgres => self.postgres,
            #[cfg(feature = "sqlite")]
            Engine::Sqlite => self.sqlite,
        }
    }
}

/// Applies what is missing, all in one transaction, and returns its names. Two installers at once
/// are ordered by a lock.
pub(crate) async fn install(database: &Database, dry_run: bool) -> Result<Vec<String>, StoreError> {
    let doing = "failed to install the control tables";
    let engine = database.engine();
    let mut session = database.begin().await.doing(doing)?;
    // Serializes installers on PostgreSQL; the number is the text "crossfad" in ASCII.
    #[cfg(feature = "postgres")]
    if engine == Engine::Postgres {
        session
            .fetch("select pg_advisory_xact_lock(7165069229158392164)::text", args![])
            .await
            .doing(doing)?;
    }
    session
        .execute(
            "create table if not exists crossfade_schema \
             (version bigint primary key, name text not null, applied_ms bigint not null)",
            args![],
        )
        .await
        .doing(doing)?;
    let rows = session
        .fetch("select version from crossfade_schema order by version", args![])
        .await
        .doing(doing)?;
    let installed: Vec<i64> = rows.iter().map(|row| row.int(0)).collect();
    if let Some(newer) =
        installed.iter().find(|number| VERSIONS.iter().all(|v| v.number != **number))
    {
        let error = StoreError::new(
            StoreErrorKind::Invalid,
            format!("the control tables have version {newer}, which this version does not know"),
        );
        return Err(error.with_hint("use the newer version of Crossfade"));
    }
    let mut applied = Vec::new();
    for version in VERSIONS.iter().filter(|version| !installed.contains(&version.number)) {
        applied.push(format!("{:04}_{}", version.number, version.name));
        if dry_run {
            continue;
        }
        session.run_script(version.script(engine)).await.doing(doing)?;
        let sql = format!(
            "insert into crossfade_schema (version, name, applied_ms) values ($1, $2, {})",
            engine.now_ms()
        );
        session.execute(&sql, args![version.number, version.name]).await.doing(doing)?;
    }
    if dry_run {
        session.rollback().await;
    } else {
        session.commit_or(doing).await?;
    }
    Ok(applied)
}
