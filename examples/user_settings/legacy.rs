//! The Legacy side: a JSON profile on the user's own row.

use async_trait::async_trait;
use crossfade::{Db, InTransaction, Tx};
use serde_json::json;
use sqlx::{query, query_as};

use super::{
    engine::on_engine,
    repository::{RepositoryError, UserSettingsRepository},
    settings::{Changes, Settings},
};

// MariaDB's `json_value` would tell an empty text as NULL, and tells true as 1.
const GET: [&str; 3] = [
    "select if(json_type(json_extract(profile, '$.theme')) = 'NULL', null,
            json_unquote(json_extract(profile, '$.theme'))),
         coalesce(json_value(profile, '$.notifications_enabled') = 1, true)
     from users where id = ? and profile is not null",
    "select profile ->> 'theme', coalesce((profile ->> 'notifications_enabled')::boolean, true)
     from users where id = $1 and profile is not null",
    "select profile ->> 'theme', coalesce(profile ->> 'notifications_enabled', true)
     from users where id = $1 and profile is not null",
];

const PUT: [&str; 3] = [
    "insert into users (id, profile) values (?, ?)
     on duplicate key update profile = values(profile)",
    "insert into users (id, profile) values ($1, $2::jsonb)
     on conflict (id) do update set profile = excluded.profile",
    "insert into users (id, profile) values ($1, $2)
     on conflict (id) do update set profile = excluded.profile",
];

const UPDATE: [&str; 3] = [
    "insert into users (id, profile) values (?, ?)
     on duplicate key update profile = json_merge_patch(coalesce(profile, '{}'), values(profile))
     returning if(json_type(json_extract(profile, '$.theme')) = 'NULL', null,
            json_unquote(json_extract(profile, '$.theme'))),
         coalesce(json_value(profile, '$.notifications_enabled') = 1, true)",
    "insert into users (id, profile) values ($1, $2::jsonb)
     on conflict (id) do update
     set profile = coalesce(users.profile, '{}'::jsonb) || excluded.profile
     returning profile ->> 'theme',
         coalesce((profile ->> 'notifications_enabled')::boolean, true)",
    "insert into users (id, profile) values ($1, $2)
     on conflict (id) do update
     set profile = json_patch(coalesce(users.profile, '{}'), excluded.profile)
     returning profile ->> 'theme', coalesce(profile ->> 'notifications_enabled', true)",
];

const DELETE: [&str; 3] = [
    "update users set profile = null where id = ?",
    "update users set profile = null where id = $1",
    "update users set profile = null where id = $1",
];

/// Settings in the column `profile` of the table `users`. `NULL` means that there are none; a key
/// that the profile lacks has its default.
#[derive(Clone, Debug)]
pub(crate) struct LegacySettings {
    db: Db,
}

impl LegacySettings {
    /// On a pool, or inside a transaction that both sides share.
    pub(crate) fn on(db: impl Into<Db>) -> Self {
        Self { db: db.into() }
    }
}

impl InTransaction for LegacySettings {
    fn within(&self, tx: Tx) -> Self {
        Self::on(tx)
    }
}

#[async_trait]
impl UserSettingsRepository for LegacySettings {
    async fn get(&self, user: i64) -> Result<Option<Settings>, RepositoryError> {
        let mut conn = self.db.conn().await?;
        let row: Option<(Option<String>, bool)> = on_engine!(conn, GET, |connection, sql| {
            query_as(sql).bind(user).fetch_optional(connection).await?
        });
        Ok(row.map(settings))
    }

    async fn put(&self, user: i64, settings: &Settings) -> Result<(), RepositoryError> {
        let profile = json!(settings).to_string();
        let mut conn = self.db.conn().await?;
        on_engine!(conn, PUT, |connection, sql| {
            query(sql).bind(user).bind(profile).execute(connection).await?;
        });
        Ok(())
    }

    async fn update(&self, user: i64, changes: &Changes) -> Result<Settings, RepositoryError> {
        let profile = json!(changes).to_string();
        let mut conn = self.db.conn().await?;
        let row: (Option<String>, bool) = on_engine!(conn, UPDATE, |connection, sql| {
            query_as(sql).bind(user).bind(profile).fetch_one(connection).await?
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
