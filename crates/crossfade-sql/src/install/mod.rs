//! The control tables and their versioned migrations.

use crossfade_store::{StoreError, StoreErrorKind};

use crate::error::Doing;
#[cfg(feature = "postgres")]
use crate::fence::mend_fence;
#[cfg(feature = "mysql")]
use crate::fence::mend_open_epochs;
#[cfg(feature = "mysql")]
use crate::mariadb;
use crate::session::Session;
use crate::value::args;
use crate::{Database, Engine};

/// Orders installers on MariaDB, and how long one waits for another.
#[cfg(feature = "mysql")]
const INSTALLING: &str = "crossfade_install";
#[cfg(feature = "mysql")]
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(60);

/// One versioned migration of the control tables.
struct Version {
    number: i64,
    name: &'static str,
    script: Script,
}

enum Script {
    /// For every engine but MariaDB, whose keys need lengths; `{counter}` stands for the engine's
    /// counting primary key.
    Common {
        text: &'static str,
        #[cfg_attr(not(feature = "mysql"), expect(dead_code, reason = "MariaDB's alone"))]
        mysql: &'static str,
    },
    /// For one engine, by name; the others have nothing to do.
    Only(&'static str, &'static str),
}

/// Every migration in order. They are never changed once released, only followed.
const VERSIONS: &[Version] = &[
    Version {
        number: 1,
        name: "control_tables",
        script: Script::Common {
            text: include_str!("control_tables.sql"),
            mysql: include_str!("control_tables.mysql.sql"),
        },
    },
    Version {
        number: 2,
        name: "fence",
        script: Script::Only("postgres", include_str!("fence.postgres.sql")),
    },
    Version {
        number: 3,
        name: "operations",
        script: Script::Common {
            text: include_str!("operations.sql"),
            mysql: include_str!("operations.mysql.sql"),
        },
    },
    Version {
        number: 4,
        name: "operations_fence",
        script: Script::Only("postgres", include_str!("operations.postgres.sql")),
    },
    Version {
        number: 5,
        name: "capture",
        script: Script::Common {
            text: include_str!("capture.sql"),
            mysql: include_str!("capture.mysql.sql"),
        },
    },
    Version {
        number: 6,
        name: "passed_fence",
        script: Script::Only("postgres", include_str!("passed_fence.postgres.sql")),
    },
    Version {
        number: 7,
        name: "quick_fence",
        script: Script::Only("postgres", include_str!("quick_fence.postgres.sql")),
    },
    Version {
        number: 8,
        name: "quick_fence",
        script: Script::Only("mysql", include_str!("quick_fence.mysql.sql")),
    },
    Version {
        number: 9,
        name: "fence_by_insert",
        script: Script::Only("mysql", include_str!("fence_by_insert.mysql.sql")),
    },
    Version {
        number: 10,
        name: "verify_progress",
        script: Script::Common {
            text: include_str!("verify_progress.sql"),
            mysql: include_str!("verify_progress.mysql.sql"),
        },
    },
    Version {
        number: 11,
        name: "proof",
        script: Script::Common {
            text: include_str!("proof.sql"),
            mysql: include_str!("proof.mysql.sql"),
        },
    },
];

impl Script {
    /// What the engine is to run, if anything.
    fn on(&self, engine: Engine) -> Option<String> {
        match *self {
            #[cfg(feature = "mysql")]
            Self::Common { mysql, .. } if engine == Engine::Mysql => Some(mysql.to_owned()),
            Self::Common { text, .. } => Some(text.replace("{counter}", engine.counter())),
            Self::Only(name, script) => (name == engine.as_str()).then(|| script.to_owned()),
        }
    }
}

/// Applies what is missing, all in one transaction, and returns its names. Two installers at once
/// are ordered by a lock. MariaDB commits after each statement that makes a table, so its script can
/// be run again over what an earlier try has left.
pub(crate) async fn install(database: &Database) -> Result<Vec<String>, StoreError> {
    let doing = "failed to install the control tables";
    let engine = database.engine();
    let mut session = database.begin().await.doing(doing)?;
    #[cfg(feature = "mysql")]
    if engine == Engine::Mysql
        && !mariadb::take(&mut session, INSTALLING, PATIENCE).await.doing(doing)?
    {
        session.rollback().await;
        return Err(StoreError::new(StoreErrorKind::LockTimeout, "somebody else is installing"));
    }
    // Serializes installers on PostgreSQL; the number is the text "crossfad" in ASCII.
    #[cfg(feature = "postgres")]
    if engine == Engine::Postgres {
        session
            .fetch("select pg_advisory_xact_lock(7165912498747892068)::text", args![])
            .await
            .doing(doing)?;
    }
    refuse_second_set(&mut session, engine).await?;
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
        if let Some(script) = version.script.on(engine) {
            session.run_script(&script).await.doing(doing)?;
        }
        let sql = format!(
            "insert into crossfade_schema (version, name, applied_ms) values ($1, $2, {})",
            engine.now_ms()
        );
        session.execute(&sql, args![version.number, version.name]).await.doing(doing)?;
    }
    #[cfg(feature = "postgres")]
    if engine == Engine::Postgres {
        let names = session.fetch("select name from crossfade_migrations order by name", args![]);
        for row in names.await.doing(doing)? {
            let Ok(name) = row.text(0).parse() else { continue };
            if mend_fence(database, &mut session, &name).await? {
                applied.push(format!("fence of {name}, which did not fit the tables"));
            }
        }
    }
    #[cfg(feature = "mysql")]
    if engine == Engine::Mysql {
        for name in mend_open_epochs(&mut session).await? {
            applied.push(format!("fence of {name}, which did not fit the tables"));
        }
        session.execute("commit", args![]).await.doing(doing)?;
        mariadb::let_go(session, INSTALLING).await;
        return Ok(applied);
    }
    session.commit_or(doing).await?;
    Ok(applied)
}

/// A role whose search path begins with another schema must not make control tables of its own
/// beside those that its unqualified names mean.
async fn refuse_second_set(session: &mut Session, engine: Engine) -> Result<(), StoreError> {
    match engine {
        #[cfg(feature = "postgres")]
        Engine::Postgres => {
            let elsewhere = session
                .fetch_one(
                    "select n.nspname::text, current_schema()::text from pg_class c \
                     join pg_namespace n on n.oid = c.relnamespace \
                     where c.oid = to_regclass('crossfade_schema') \
                       and n.nspname <> current_schema()",
                    args![],
                )
                .await
                .doing("failed to look for control tables")?;
            let Some(row) = elsewhere else { return Ok(()) };
            let (there, here) = (row.text(0), row.text(1));
            let error = StoreError::new(
                StoreErrorKind::Invalid,
                format!("the control tables are in schema `{there}`, not in `{here}`"),
            );
            Err(error.with_hint(format!(
                "begin the search path of this role with `{there}`, or take it out of the path"
            )))
        }
        #[cfg(any(feature = "mysql", feature = "sqlite"))]
        _ => {
            let _ = session;
            Ok(())
        }
    }
}
