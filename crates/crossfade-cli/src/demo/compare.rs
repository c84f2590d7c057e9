//! Comparing the log with the rows of both sides, while nothing is under way.

use std::collections::{HashMap, HashSet};

use crossfade::{Database, Db, Side};

use super::{
    Result,
    domain::{engine::on_engine, repository::RepositoryError, settings::Settings},
    log::Log,
    oracle::Verdict,
};
use crate::failure::Failure;

/// Keys by what is wrong with them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Wrong {
    /// An acknowledged write is not there.
    pub(super) lost: u64,
    /// A deleted row is there.
    pub(super) resurrected: u64,
    /// The sides differ, or a row that nobody wrote is not as it was loaded.
    pub(super) differing: u64,
}

type Rows = HashMap<i64, Settings>;

/// Compares the log with Legacy, the log with New, and both sides with each other.
pub(super) async fn both_sides(database: &Database, log: &Log) -> Result<Wrong> {
    let legacy = rows(database, Side::Legacy).await?;
    let new = rows(database, Side::New).await?;
    let mut wrong = judge(log, Side::Legacy, &legacy);
    wrong.add(judge(log, Side::New, &new));
    for id in legacy.keys().chain(new.keys()).collect::<HashSet<_>>() {
        let (legacy, new) = (legacy.get(id), new.get(id));
        if legacy != new {
            wrong.differing += 1;
            log.find(|| format!("user {id} is {legacy:?} on Legacy and {new:?} on New"));
        }
    }
    Ok(wrong)
}

/// Compares the log with New.
pub(super) async fn new_side(database: &Database, log: &Log) -> Result<Wrong> {
    let new = rows(database, Side::New).await?;
    Ok(judge(log, Side::New, &new))
}

fn judge(log: &Log, side: Side, rows: &Rows) -> Wrong {
    let mut wrong = Wrong::default();
    for (id, verdict) in log.judge_rows(|id| rows.get(&id).cloned()) {
        match verdict {
            Verdict::Right | Verdict::Unjudged => continue,
            Verdict::Lost | Verdict::Stale => wrong.lost += 1,
            Verdict::Resurrected => wrong.resurrected += 1,
            Verdict::Altered => wrong.differing += 1,
        }
        log.find(|| format!("user {id} is {:?} on {side}: {verdict:?}", rows.get(&id)));
    }
    let known: HashSet<i64> = log.ids().collect();
    for id in rows.keys().filter(|id| !known.contains(id)) {
        wrong.differing += 1;
        log.find(|| format!("user {id} on {side} was never there"));
    }
    wrong
}

impl Wrong {
    /// All of them.
    pub(super) const fn total(self) -> u64 {
        self.lost + self.resurrected + self.differing
    }

    /// Adds what another comparison found.
    pub(super) fn add(&mut self, other: Self) {
        self.lost += other.lost;
        self.resurrected += other.resurrected;
        self.differing += other.differing;
    }
}

async fn rows(database: &Database, side: Side) -> Result<Rows> {
    let statements = match side {
        Side::Legacy => [
            "select id, if(json_type(json_extract(profile, '$.theme')) = 'NULL', null,
                    json_unquote(json_extract(profile, '$.theme'))),
                 coalesce(json_value(profile, '$.notifications_enabled') = 1, true)
             from users where profile is not null",
            "select id, profile ->> 'theme',
                 coalesce((profile ->> 'notifications_enabled')::boolean, true)
             from users where profile is not null",
            "select id, profile ->> 'theme', coalesce(profile ->> 'notifications_enabled', true)
             from users where profile is not null",
        ],
        Side::New => ["select user_id, theme, notifications_enabled from user_settings"; 3],
    };
    let rows = all(database, statements).await;
    let rows = rows.map_err(|error| Failure::failed(format!("failed to read {side}"), &error))?;
    Ok(rows
        .into_iter()
        .map(|(id, theme, notifications_enabled)| (id, Settings { theme, notifications_enabled }))
        .collect())
}

async fn all(
    database: &Database,
    statements: [&'static str; 3],
) -> Result<Vec<(i64, Option<String>, bool)>, RepositoryError> {
    let mut conn = Db::from(database).conn().await?;
    Ok(on_engine!(conn, statements, |connection, sql| {
        sqlx::query_as(sql).fetch_all(connection).await?
    }))
}
