//! The New side: a table of settings of its own.

use async_trait::async_trait;
use crossfade::{Db, InTransaction, Tx};
use sqlx::{query, query_as};

use super::{
    engine::on_engine,
    repository::{RepositoryError, UserSettingsRepository},
    settings::{Changes, Settings},
};

const GET: [&str; 3] = [
    "select theme, notifications_enabled from user_settings where user_id = ?",
    "select theme, notifications_enabled from user_settings where user_id = $1",
    "select theme, notifications_enabled from user_settings where user_id = $1",
];

const PUT: [&str; 3] = [
    "insert into user_settings (user_id, theme, notifications_enabled) values (?, ?, ?)
     on duplicate key update
         theme = values(theme), notifications_enabled = values(notifications_enabled)",
    UPSERT,
    UPSERT,
];

const UPSERT: &str = "insert into user_settings (user_id, theme, notifications_enabled)
     values ($1, $2, $3)
     on conflict (user_id) do update
     set theme = excluded.theme, notifications_enabled = excluded.notifications_enabled";

const UPDATE: [&str; 3] = [
    "insert into user_settings (user_id, theme, notifications_enabled)
     select changes.user_id, changes.theme, coalesce(changes.notified, true)
     from (select ? as user_id, ? as theme, ? as notified) as changes
     on duplicate key update
         theme = coalesce(changes.theme, user_settings.theme),
         notifications_enabled =
             coalesce(changes.notified, user_settings.notifications_enabled)
     returning theme, notifications_enabled",
    PATCH,
    PATCH,
];

const PATCH: &str = "insert into user_settings (user_id, theme, notifications_enabled)
     values ($1, $2, coalesce($3, true))
     on conflict (user_id) do update
     set theme = coalesce($2, user_settings.theme),
         notifications_enabled = coalesce($3, user_settings.notifications_enabled)
     returning theme, notifications_enabled";

const DELETE: [&str; 3] = [
    "delete from user_settings where user_id = ?",
    "delete from user_settings where user_id = $1",
    "delete from user_settings where user_id = $1",
];

/// Settings in the table `user_settings`. A user without a row has none.
#[derive(Clone, Debug)]
pub(crate) struct NewSettings {
    db: Db,
}

impl NewSettings {
    /// On a pool, or inside a transaction that both sides share.
    pub(crate) fn on(db: impl Into<Db>) -> Self {
        Self { db: db.into() }
    }
}

impl InTransaction for NewSettings {
    fn within(&self, tx: Tx) -> Self {
        Self::on(tx)
    }
}

#[async_trait]
impl UserSettingsRepository for NewSettings {
    async fn get(&self, user: i64) -> Result<Option<Settings>, RepositoryError> {
        let mut conn = self.db.conn().await?;
        let row: Option<(Option<String>, bool)> = on_engine!(conn, GET, |connection, sql| {
            query_as(sql).bind(user).fetch_optional(connection).await?
        });
        Ok(row.map(settings))
    }

    async fn put(&self, user: i64, settings: &Settings) -> Result<(), RepositoryError> {
        let Settings { theme, notifications_enabled } = settings;
        let mut conn = self.db.conn().await?;
        on_engine!(conn, PUT, |connection, sql| {
            query(sql)
                .bind(user)
                .bind(theme)
                .bind(notifications_enabled)
                .execute(connection)
                .await?;
        });
        Ok(())
    }

    async fn update(&self, user: i64, changes: &Changes) -> Result<Settings, RepositoryError> {
        let Changes { theme, notifications_enabled } = changes;
        let mut conn = self.db.conn().await?;
        let row: (Option<String>, bool) = on_engine!(conn, UPDATE, |connection, sql| {
            query_as(sql)
                .bind(user)
                .bind(theme)
                .bind(notifications_enabled)
                .fetch_one(connection)
                .await?
        });
        Ok(settings(row))
    }

    async fn delete(&self, user: i64) -> Result<(), RepositoryError> {
        let mut conn = self.db.conn().await?;
        on_engine!(conn, DELETE, |connection, sql| {
            query(sql).bind(user).execute(connection).await?;
        });
        Ok(())
    }
}

fn settings((theme, notifications_enabled): (Option<String>, bool)) -> Settings {
    Settings { theme, notifications_enabled }
}
