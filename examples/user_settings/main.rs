//! A small service whose settings move from a JSON profile on `users` to a table of their own.
//!
//! ```text
//! cd examples/user_settings
//! export DATABASE_URL=sqlite://user_settings.db
//! cargo run --example user_settings -- schema    # the table `users`, as before the migration
//! crossfade init && crossfade expand user_settings
//! cargo run --example user_settings
//! curl -X PUT localhost:3000/users/7/settings -H 'content-type: application/json' \
//!     -d '{"theme": "dark"}'
//! ```
//!
//! A `postgres://…` or `mysql://…` URL of a database, MariaDB's, does as well.
//!
//! The service has always created its table `users` when it starts; with the word `schema` it does
//! no more than that. While it runs, an operator walks the migration from stage to stage; no restart is needed.

mod dual;
mod engine;
mod http;
mod legacy;
mod new;
mod repository;
mod service;
mod settings;

use anyhow::{Context, Result};
use crossfade::{Crossfade, Database, Db};

use self::{engine::on_engine, service::UserService};

/// The Legacy table as the service has always created it.
const SCHEMA: [&str; 3] = [
    include_str!("schema.mysql.sql"),
    include_str!("schema.postgres.sql"),
    include_str!("schema.sqlite.sql"),
];

#[tokio::main]
async fn main() -> Result<()> {
    tracing_subscriber::fmt().init();
    let url = std::env::var("DATABASE_URL");
    let url = url.unwrap_or_else(|_| "sqlite://user_settings.db".to_owned());
    let database = Database::connect(&url).await?;
    create_users(&database).await.context("failed to create the table `users`")?;
    if std::env::args().nth(1).is_some_and(|word| word == "schema") {
        return Ok(());
    }

    let crossfade = Crossfade::builder_on(database.clone())
        .build()
        .await
        .context("`crossfade init` creates the control tables")?;
    let migration = crossfade
        .migration("user_settings")
        .context("`crossfade expand user_settings` registers the migration")?;
    let service = UserService::new(dual::wrap(migration, &database));

    let listener = tokio::net::TcpListener::bind("127.0.0.1:3000").await?;
    tracing::info!("listening on http://{}", listener.local_addr()?);
    axum::serve(listener, http::router(service)).with_graceful_shutdown(interrupted()).await?;
    // No gate of the migration waits for this instance any longer.
    crossfade.sign_off().await?;
    Ok(())
}

async fn create_users(database: &Database) -> Result<()> {
    let mut conn = Db::from(database).conn().await?;
    on_engine!(conn, SCHEMA, |connection, sql| {
        sqlx::query(sql).execute(connection).await?;
    });
    Ok(())
}

async fn interrupted() {
    if let Err(error) = tokio::signal::ctrl_c().await {
        tracing::warn!(%error, "Ctrl-C is not noticed");
        std::future::pending::<()>().await;
    }
}
