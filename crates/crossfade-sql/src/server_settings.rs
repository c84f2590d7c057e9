//! The settings of a server that decide whether a migration can be carried through.

#[cfg(feature = "mysql")]
mod mariadb;
#[cfg(feature = "postgres")]
mod postgres;

use crossfade_core::ServerSettings;
use crossfade_store::StoreError;

use crate::error::Doing;
use crate::{Database, Engine};

const DOING: &str = "failed to read the server's settings";

impl Database {
    /// The settings that [`crossfade_core::unfit_settings`] judges. Needs no rights and changes
    /// nothing.
    ///
    /// # Errors
    ///
    /// Whatever the database answers.
    pub async fn server_settings(&self) -> Result<ServerSettings, StoreError> {
        let mut session = self.session().await.doing(DOING)?;
        match self.engine() {
            #[cfg(feature = "mysql")]
            Engine::Mysql => mariadb::settings(&mut session).await,
            #[cfg(feature = "postgres")]
            Engine::Postgres => postgres::settings(&mut session).await,
            #[cfg(feature = "sqlite")]
            Engine::Sqlite => {
                let row = session.fetch_one("pragma query_only", Vec::new()).await;
                row.map(|row| {
                    let value = row.map_or(0, |row| row.int(0)).to_string();
                    ServerSettings::from([("query_only".to_owned(), value)])
                })
            }
        }
        .doing(DOING)
    }
}
