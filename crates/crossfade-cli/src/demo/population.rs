//! The users that the demo begins with, awkward ones among them.

use crossfade::{Database, Db};
use serde_json::{Value, json};

use super::{
    domain::{engine::on_engine, repository::RepositoryError, settings::Settings},
    oracle::State,
};
use crate::failure::Failure;

/// Users in one statement.
const AT_ONCE: usize = 5000;

/// A key of the demo: a user who is loaded, or an id that is free at first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct User {
    /// The user's id.
    pub(super) id: i64,
    /// The JSON of the profile; `None` for a `NULL`, and for an id without a row.
    pub(super) profile: Option<String>,
    /// What the profile means.
    pub(super) settings: State,
    /// Whether there is a row.
    pub(super) exists: bool,
}

/// So many users, and a tenth as many free ids that lie between theirs.
pub(super) fn population(users: u32) -> Vec<User> {
    let loaded = (0..users).map(|index| {
        let (profile, settings) = profile(index);
        User { id: id(index), profile, settings, exists: true }
    });
    let free = (0..users.div_ceil(10)).map(|index| User {
        id: spread(i64::from(index) * 20 + 1, index),
        profile: None,
        settings: None,
        exists: false,
    });
    loaded.chain(free).collect()
}

fn id(index: u32) -> i64 {
    match index {
        0 => 0,
        1 => i64::MIN,
        2 => i64::MAX,
        3 => -2,
        _ => spread(i64::from(index) * 2, index),
    }
}

/// Makes some ids negative.
fn spread(id: i64, index: u32) -> i64 {
    if index.is_multiple_of(7) { -id } else { id }
}

fn profile(index: u32) -> (Option<String>, State) {
    let document = match index % 20 {
        0 => return (None, None),
        1 => json!({}),
        2 => json!({ "theme": "only a theme" }),
        3 => json!({ "notifications_enabled": false }),
        4 => json!({ "theme": "Дюна 🌗 深夜", "notifications_enabled": true }),
        // As long as New takes, in characters.
        5 => json!({ "theme": "🌘".repeat(50), "notifications_enabled": false }),
        6 => json!({ "theme": null, "notifications_enabled": true }),
        7 => json!({ "theme": "", "locale": "de", "panes": [{ "left": 3 }] }),
        8 => json!({ "theme": "it's \"quoted\" \\ and \n broken", "notifications_enabled": false }),
        _ => {
            let notified = index.is_multiple_of(2);
            json!({ "theme": format!("dark-{index}"), "notifications_enabled": notified })
        }
    };
    let theme = document.get("theme").and_then(Value::as_str).map(str::to_owned);
    let notified = document.get("notifications_enabled").and_then(Value::as_bool);
    let settings = Settings { theme, notifications_enabled: notified.unwrap_or(true) };
    (Some(document.to_string()), Some(settings))
}

/// Creates the Legacy table and fills it.
pub(super) async fn load(database: &Database, users: &[User]) -> Result<(), Failure> {
    let failed = |error| Failure::failed("failed to load the users", &error);
    create(database).await.map_err(failed)?;
    let rows: Vec<Value> = users
        .iter()
        .filter(|user| user.exists)
        .map(|user| json!([user.id, user.profile]))
        .collect();
    for rows in rows.chunks(AT_ONCE) {
        insert(database, json!(rows).to_string()).await.map_err(failed)?;
    }
    Ok(())
}

async fn create(database: &Database) -> Result<(), RepositoryError> {
    let statements = [
        include_str!("../../../../examples/user_settings/schema.mysql.sql"),
        include_str!("../../../../examples/user_settings/schema.postgres.sql"),
        include_str!("../../../../examples/user_settings/schema.sqlite.sql"),
    ];
    let mut conn = Db::from(database).conn().await?;
    on_engine!(conn, statements, |connection, sql| {
        sqlx::query(sql).execute(connection).await?;
    });
    Ok(())
}

async fn insert(database: &Database, rows: String) -> Result<(), RepositoryError> {
    let mysql = "insert into users (id, profile)
        select id, profile from json_table
            (?, '$[*]' columns (id bigint path '$[0]', profile longtext path '$[1]')) as loaded";
    let postgres = "insert into users (id, profile)
        select (value ->> 0)::bigint, (value ->> 1)::jsonb
        from jsonb_array_elements($1::jsonb) as value";
    let sqlite = "insert into users (id, profile)
        select value ->> 0, value ->> 1 from json_each($1)";
    let mut conn = Db::from(database).conn().await?;
    on_engine!(conn, [mysql, postgres, sqlite], |connection, sql| {
        sqlx::query(sql).bind(rows).execute(connection).await?;
    });
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn ids_are_unique_and_some_are_not_positive() {
        let users = population(5000);
        let ids: HashSet<i64> = users.iter().map(|user| user.id).collect();
        assert_eq!((users.len(), ids.len()), (5500, 5500));
        assert!([0, -2, i64::MIN, i64::MAX].iter().all(|id| ids.contains(id)));
        assert!(ids.iter().filter(|id| **id < 0).count() > 500);
    }

    #[test]
    fn profiles_mean_what_they_say() {
        let users = population(40);
        let of = |index: usize| users[index].settings.clone();
        let settings = |theme: Option<&str>, notifications_enabled| {
            Some(Settings { theme: theme.map(str::to_owned), notifications_enabled })
        };
        assert_eq!(of(0), None);
        assert_eq!(of(1), settings(None, true));
        assert_eq!(of(3), settings(None, false));
        assert_eq!(of(6), settings(None, true));
        assert_eq!(of(7), settings(Some(""), true));
        assert_eq!(of(29), settings(Some("dark-29"), false));
        assert!(users.iter().flat_map(|user| &user.settings).all(|settings| {
            settings.theme.as_ref().is_none_or(|theme| theme.chars().count() <= 50)
        }));
    }
}
