//! Children of a table: tables whose foreign keys change or delete their rows when a row of the table
//! is deleted.

#[cfg(feature = "mysql")]
mod mariadb;
#[cfg(feature = "postgres")]
mod postgres;
#[cfg(feature = "sqlite")]
mod sqlite;

use crate::Engine;
use crate::session::Session;
use crate::value::args;

/// A query of the children of a table, each qualified and quoted. The table is given by its
/// qualified and by its bare name, both quoted.
pub(crate) fn query(engine: Engine, qualified: &str, bare: &str) -> String {
    let _ = (qualified, bare);
    match engine {
        #[cfg(feature = "mysql")]
        Engine::Mysql => mariadb::query(qualified),
        #[cfg(feature = "postgres")]
        Engine::Postgres => postgres::query(qualified),
        #[cfg(feature = "sqlite")]
        Engine::Sqlite => sqlite::query(bare),
    }
}

/// The children that hold rows.
pub(crate) async fn with_rows(
    session: &mut Session,
    engine: Engine,
    qualified: &str,
    bare: &str,
) -> Result<Vec<String>, sqlx::Error> {
    let mut found = Vec::new();
    for child in session.fetch(&query(engine, qualified, bare), args![]).await? {
        let child = child.text(0);
        let any = format!("select 1 from {child} limit 1");
        if session.fetch_one(&any, args![]).await?.is_some() {
            found.push(child);
        }
    }
    Ok(found)
}
