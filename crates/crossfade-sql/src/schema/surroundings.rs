//! What a session that expands runs with by the database's own settings, and where its tables are.

#[cfg(feature = "mysql")]
mod mariadb;
#[cfg(feature = "postgres")]
mod postgres;

use crossfade_core::{Pinned, TableName};
use crossfade_store::{StoreError, Surroundings};

#[cfg(any(feature = "mysql", feature = "postgres"))]
use crate::error::Doing;
use crate::{Database, Engine};

#[cfg(any(feature = "mysql", feature = "postgres"))]
const DOING: &str = "failed to read the session's settings";

pub(super) async fn look(database: &Database) -> Result<Surroundings, StoreError> {
    match database.engine() {
        #[cfg(feature = "mysql")]
        Engine::Mysql => {
            let mut session = database.session().await.doing(DOING)?;
            mariadb::look(&mut session).await.doing(DOING)
        }
        #[cfg(feature = "postgres")]
        Engine::Postgres => {
            let mut session = database.session().await.doing(DOING)?;
            postgres::look(&mut session).await.doing(DOING)
        }
        #[cfg(feature = "sqlite")]
        Engine::Sqlite => Ok(Surroundings::default()),
    }
}

pub(super) async fn resolve(
    database: &Database,
    table: &TableName,
    pinned: &Pinned,
) -> Result<Option<TableName>, StoreError> {
    match database.engine() {
        #[cfg(feature = "postgres")]
        Engine::Postgres => postgres::resolve(database, table, pinned).await,
        // The control tables are in the database, or the file, that a bare name means.
        #[cfg(any(feature = "mysql", feature = "sqlite"))]
        _ => {
            let _ = pinned;
            Ok(Some(table.clone()))
        }
    }
}
