//! A pair of repositories that can be told to get one thing wrong:
//! `friends(id, name, email, changed, note)` and `friends_v2(friend_id, …)`.

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::time::SystemTime;

use crossfade::{Database, Db, Engine, Side, StoreError};
use crossfade_testkit::conformance::{Pair, Patching};
use sqlx::{AssertSqlSafe, Row};

/// What a pair gets wrong, on New where nothing else is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    None,
    PlainInsert,
    KeepsOldRow,
    UpdateOnly,
    NoDelete,
    OtherKey,
    OwnClock,
    UpperCase,
    OwnNote,
    SwallowsErrors,
    RefusesOdd,
    KeepsTransaction,
    OtherConnection,
    Remembers,
    Tags,
    LegacyLosesEmail,
    NeverEnds,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Friend {
    name: String,
    email: String,
    changed: i64,
}

#[derive(Debug, thiserror::Error)]
pub(super) enum FriendError {
    #[error("the database failed")]
    Database(#[from] sqlx::Error),
    #[error("no connection")]
    Store(#[from] StoreError),
    #[error("another engine")]
    Engine(#[from] crossfade::WrongEngine),
    #[error("New likes even numbers only")]
    Odd,
}

/// Both repositories.
#[derive(Debug)]
pub(super) struct Friends {
    fault: Fault,
    database: Database,
    kept: Mutex<Vec<Db>>,
    known: Mutex<BTreeSet<i64>>,
}

/// The same, with a wrapper that hands partial updates to both sides.
#[derive(Debug)]
pub(super) struct Forwarding(pub(super) Friends);

enum Bind<'a> {
    Id(i64),
    Text(&'a str),
}

impl Friends {
    pub(super) fn new(database: &Database, fault: Fault) -> Self {
        let (kept, known) = (Mutex::default(), Mutex::default());
        Self { fault, database: database.clone(), kept, known }
    }

    fn fails(&self, side: Side, fault: Fault) -> bool {
        side == Side::New && self.fault == fault
    }

    async fn run(&self, db: &Db, sql: &str, binds: &[Bind<'_>]) -> Result<u64, FriendError> {
        macro_rules! execute {
            ($sql:expr, $conn:expr) => {{
                let mut query = sqlx::query(AssertSqlSafe($sql));
                for bind in binds {
                    query = match bind {
                        Bind::Id(id) => query.bind(*id),
                        Bind::Text(text) => query.bind((*text).to_owned()),
                    };
                }
                query.execute($conn).await?.rows_affected()
            }};
        }
        let mut conn = db.conn().await?;
        Ok(match conn.engine() {
            Engine::Mysql => execute!(questions(sql), conn.mysql()?),
            Engine::Postgres => execute!(sql.to_owned(), conn.postgres()?),
            Engine::Sqlite => execute!(sql.to_owned(), conn.sqlite()?),
        })
    }

    async fn store(&self, side: Side, db: &Db, id: i64, row: &Friend) -> Result<u64, FriendError> {
        let (table, key) = names(side);
        let mut row = row.clone();
        let mut note = "";
        if side == Side::Legacy && self.fault == Fault::LegacyLosesEmail {
            row.email = "lost".to_owned();
        }
        if side == Side::New {
            match self.fault {
                Fault::OwnClock => {
                    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
                    row.changed = since.expect("after 1970").as_nanos() as i64;
                }
                Fault::UpperCase => row.name = row.name.to_uppercase(),
                Fault::OwnNote => note = "own",
                _ => {}
            }
        }
        let binds = [
            Bind::Id(id),
            Bind::Text(&row.name),
            Bind::Text(&row.email),
            Bind::Id(row.changed),
            Bind::Text(note),
        ];
        let known = self.known.lock().expect("not poisoned").contains(&id);
        let remembered = self.fails(side, Fault::Remembers) && known;
        if self.fails(side, Fault::UpdateOnly) || remembered {
            let sql = format!(
                "update {table} set name = $2, email = $3, changed = $4, note = $5 where {key} = $1"
            );
            // In the order of MariaDB's question marks.
            let [id, name, email, changed, note] = binds;
            return match self.database.engine() {
                Engine::Mysql => self.run(db, &sql, &[name, email, changed, note, id]).await,
                _ => self.run(db, &sql, &[id, name, email, changed, note]).await,
            };
        }
        let insert = format!(
            "insert into {table} ({key}, name, email, changed, note) values ($1, $2, $3, $4, $5)"
        );
        let conflict = match (self.fault, self.database.engine()) {
            (Fault::PlainInsert, _) if side == Side::New => String::new(),
            (Fault::KeepsOldRow, Engine::Mysql) if side == Side::New => {
                format!(" on duplicate key update {key} = {key}")
            }
            (Fault::KeepsOldRow, _) if side == Side::New => {
                format!(" on conflict ({key}) do nothing")
            }
            (_, Engine::Mysql) => " on duplicate key update name = values(name), \
                email = values(email), changed = values(changed), note = values(note)"
                .to_owned(),
            _ => format!(
                " on conflict ({key}) do update set name = excluded.name, \
                 email = excluded.email, changed = excluded.changed, note = excluded.note"
            ),
        };
        self.run(db, &format!("{insert}{conflict}"), &binds).await
    }
}

fn names(side: Side) -> (&'static str, &'static str) {
    match side {
        Side::Legacy => ("friends", "id"),
        Side::New => ("friends_v2", "friend_id"),
    }
}

fn questions(sql: &str) -> String {
    (1..=5).fold(sql.to_owned(), |sql, number| sql.replace(&format!("${number}"), "?"))
}

impl Pair for Friends {
    type Key = i64;
    type Value = Friend;
    type Error = FriendError;

    fn key(&self, n: u32) -> i64 {
        n.into()
    }

    fn value(&self, n: u32) -> Friend {
        Friend { name: format!("name {n}"), email: format!("{n}@example.org"), changed: n.into() }
    }

    fn patched(&self, old: Friend, n: u32) -> Friend {
        Friend { email: format!("patch {n}"), ..old }
    }

    fn refused(&self) -> Option<Friend> {
        Some(Friend { name: "bad".to_owned(), ..self.value(0) })
    }

    async fn put(&self, side: Side, db: Db, id: &i64, row: &Friend) -> Result<(), FriendError> {
        let id = match self.fails(side, Fault::OtherKey) {
            true => id + 1_000_000,
            false => *id,
        };
        if self.fails(side, Fault::RefusesOdd) && row.changed % 2 == 1 {
            return Err(FriendError::Odd);
        }
        if self.fails(side, Fault::NeverEnds) {
            std::future::pending::<()>().await;
        }
        if self.fails(side, Fault::KeepsTransaction) {
            self.kept.lock().expect("not poisoned").push(db.clone());
        }
        let db = match self.fails(side, Fault::OtherConnection) {
            true => Db::from(&self.database),
            false => db,
        };
        let stored = self.store(side, &db, id, row).await;
        if side == Side::New && stored.is_ok() {
            self.known.lock().expect("not poisoned").insert(id);
        }
        if self.fails(side, Fault::Tags) && stored.is_ok() {
            let tag = "insert into tags (friend_id) values ($1) on conflict (friend_id) do nothing";
            self.run(&db, tag, &[Bind::Id(id)]).await?;
        }
        match stored {
            Err(_) if self.fails(side, Fault::SwallowsErrors) => Ok(()),
            stored => stored.map(drop),
        }
    }

    async fn delete(&self, side: Side, db: Db, id: &i64) -> Result<(), FriendError> {
        if self.fails(side, Fault::NoDelete) {
            return Ok(());
        }
        if self.fails(side, Fault::Tags) {
            self.run(&db, "delete from tags where friend_id = $1", &[Bind::Id(*id)]).await?;
        }
        let (table, key) = names(side);
        let sql = format!("delete from {table} where {key} = $1");
        self.run(&db, &sql, &[Bind::Id(*id)]).await?;
        if side == Side::New {
            self.known.lock().expect("not poisoned").remove(id);
        }
        Ok(())
    }

    async fn get(&self, side: Side, db: Db, id: &i64) -> Result<Option<Friend>, FriendError> {
        macro_rules! fetch {
            ($sql:expr, $conn:expr) => {{
                let found =
                    sqlx::query(AssertSqlSafe($sql)).bind(*id).fetch_optional($conn).await?;
                found.map(|row| Friend { name: row.get(0), email: row.get(1), changed: row.get(2) })
            }};
        }
        let (table, key) = names(side);
        let sql = format!("select name, email, changed from {table} where {key} = $1");
        let mut conn = db.conn().await?;
        Ok(match conn.engine() {
            Engine::Mysql => fetch!(questions(&sql), conn.mysql()?),
            Engine::Postgres => fetch!(sql, conn.postgres()?),
            Engine::Sqlite => fetch!(sql, conn.sqlite()?),
        })
    }
}

impl Pair for Forwarding {
    type Key = i64;
    type Value = Friend;
    type Error = FriendError;

    const PATCHING: Patching = Patching::EachSide;

    fn key(&self, n: u32) -> i64 {
        self.0.key(n)
    }

    fn value(&self, n: u32) -> Friend {
        self.0.value(n)
    }

    fn patched(&self, old: Friend, n: u32) -> Friend {
        self.0.patched(old, n)
    }

    async fn put(&self, side: Side, db: Db, id: &i64, row: &Friend) -> Result<(), FriendError> {
        self.0.put(side, db, id, row).await
    }

    async fn delete(&self, side: Side, db: Db, id: &i64) -> Result<(), FriendError> {
        self.0.delete(side, db, id).await
    }

    async fn get(&self, side: Side, db: Db, id: &i64) -> Result<Option<Friend>, FriendError> {
        self.0.get(side, db, id).await
    }

    async fn patch(&self, side: Side, db: Db, id: &i64, n: u32) -> Result<(), FriendError> {
        let (table, key) = names(side);
        let sql = format!("update {table} set email = $1 where {key} = $2");
        let email = format!("patch {n}");
        self.0.run(&db, &sql, &[Bind::Text(&email), Bind::Id(*id)]).await.map(drop)
    }
}
