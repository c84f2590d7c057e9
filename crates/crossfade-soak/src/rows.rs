//! The application's repository: one side's table, on the pool or in a lent transaction.

use anyhow::Result;
use crossfade::{Database, Db, Engine, Side, StoreError, WrongEngine};
use sqlx::AssertSqlSafe;

use crate::place::{Round, TableKey};

/// What a key holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Row {
    /// Names the write that made it, of which there is one.
    pub(crate) tag: String,
    /// Goes up by one with each change that reads before it writes.
    pub(crate) version: i64,
}

/// Why a statement failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RowError {
    /// The database did.
    #[error("the database failed")]
    Database(#[from] sqlx::Error),
    /// There was no connection.
    #[error("no connection")]
    Store(#[from] StoreError),
    /// The connection is another engine's.
    #[error("another engine")]
    Engine(#[from] WrongEngine),
}

/// One side's repository.
#[derive(Clone, Debug)]
pub(crate) struct Table {
    db: Db,
    side: Side,
    round: Round,
}

/// Runs `$run` with a query of `$sql` that has its arguments bound.
macro_rules! run {
    ($conn:ident, $sql:expr, [$($bind:expr),*], |$query:ident, $on:ident| $run:expr) => {{
        let sql: String = $sql;
        match $conn.engine() {
            Engine::Mysql => {
                let $query = sqlx::query(AssertSqlSafe(mariadb(&sql)))$(.bind($bind))*;
                let $on = $conn.mysql()?;
                $run
            }
            Engine::Postgres => {
                let $query = sqlx::query(AssertSqlSafe(sql))$(.bind($bind))*;
                let $on = $conn.postgres()?;
                $run
            }
            Engine::Sqlite => {
                let $query = sqlx::query(AssertSqlSafe(sql))$(.bind($bind))*;
                let $on = $conn.sqlite()?;
                $run
            }
        }
    }};
}

/// The same for either kind of key, which is bound first.
macro_rules! run_on_key {
    ($self:ident, $conn:ident, $key:expr, $sql:expr, [$($bind:expr),*], |$query:ident, $on:ident| $run:expr) => {{
        match $self.round.key($key) {
            TableKey::Number(key) => run!($conn, $sql, [key $(, $bind)*], |$query, $on| $run),
            TableKey::Text(key) => run!($conn, $sql, [key $(, $bind)*], |$query, $on| $run),
        }
    }};
}

/// The statements below as MariaDB spells them, for a call of sqlx's.
fn mariadb(sql: &str) -> String {
    let sql = on_duplicate(sql);
    ["$1", "$2", "$3"].iter().fold(sql, |sql, argument| sql.replace(argument, "?"))
}

/// The same with its parameters as they are, for a declaration.
fn on_duplicate(sql: &str) -> String {
    match sql.split_once(" on conflict ") {
        Some((insert, update)) => {
            let sets = update.split_once("set ").map_or("", |(_, sets)| sets);
            let sets: Vec<String> = sets
                .split(", ")
                .filter_map(|set| set.split_once(" = "))
                .map(|(column, _)| format!("{column} = values({column})"))
                .collect();
            format!("{insert} on duplicate key update {}", sets.join(", "))
        }
        None => sql.to_owned(),
    }
}

/// The statement that inserts or replaces a row of a side: key, tag and version.
fn upsert(side: Side, round: Round) -> String {
    let (table, id, tag) = round.table(side);
    format!(
        "insert into {table} ({id}, {tag}, version) values ($1, $2, $3) \
         on conflict ({id}) do update set {tag} = excluded.{tag}, version = excluded.version"
    )
}

/// The same for a declaration.
pub(crate) fn declared_upsert(side: Side, round: Round, engine: Engine) -> String {
    let sql = upsert(side, round);
    match engine {
        Engine::Mysql => on_duplicate(&sql),
        Engine::Postgres | Engine::Sqlite => sql,
    }
}

impl Table {
    /// A side of a round.
    pub(crate) fn on(side: Side, round: Round, db: impl Into<Db>) -> Self {
        Self { db: db.into(), side, round }
    }

    /// Inserts or replaces the row.
    pub(crate) async fn put(&self, key: u32, row: &Row) -> Result<(), RowError> {
        let mut conn = self.db.conn().await?;
        let sql = upsert(self.side, self.round);
        let (tag, version) = (row.tag.clone(), row.version);
        run_on_key!(self, conn, key, sql, [tag, version], |query, on| query
            .execute(on)
            .await?
            .rows_affected());
        Ok(())
    }

    /// Deletes the row, if there is one.
    pub(crate) async fn delete(&self, key: u32) -> Result<(), RowError> {
        let mut conn = self.db.conn().await?;
        let (table, id, _) = self.round.table(self.side);
        let sql = format!("delete from {table} where {id} = $1");
        run_on_key!(self, conn, key, sql, [], |query, on| query.execute(on).await?.rows_affected());
        Ok(())
    }

    /// The row, if there is one.
    pub(crate) async fn get(&self, key: u32) -> Result<Option<Row>, RowError> {
        use sqlx::Row as _;
        let mut conn = self.db.conn().await?;
        let (table, id, tag) = self.round.table(self.side);
        let sql = format!("select {tag}, version from {table} where {id} = $1");
        Ok(run_on_key!(self, conn, key, sql, [], |query, on| {
            let row = query.fetch_optional(on).await?;
            row.map(|row| Row { tag: row.get(0), version: row.get(1) })
        }))
    }
}

/// Writes a note outside Crossfade, in a transaction of the statement's own.
pub(crate) async fn note(database: &Database, round: Round, tag: &str) -> Result<(), RowError> {
    let mut conn = Db::from(database).conn().await?;
    let sql = format!("insert into {} (tag) values ($1)", round.notes());
    run!(conn, sql, [tag.to_owned()], |query, on| query.execute(on).await?.rows_affected());
    Ok(())
}

/// Everything that is in the database, at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Snapshot {
    /// Legacy's rows, by the key's text.
    pub(crate) legacy: Vec<(String, Row)>,
    /// New's.
    pub(crate) new: Vec<(String, Row)>,
    /// The keys in quarantine.
    pub(crate) marked: Vec<String>,
    /// The notes.
    pub(crate) notes: Vec<String>,
}

impl Snapshot {
    /// Takes it in one statement, which sees one moment on every engine.
    pub(crate) async fn take(database: &Database, round: Round) -> Result<Self> {
        let text = |column: &str| match database.engine() {
            Engine::Mysql => {
                format!("cast({column} as char(200) character set utf8mb4) collate utf8mb4_bin")
            }
            Engine::Postgres | Engine::Sqlite => format!("cast({column} as text)"),
        };
        let part = |place: &str, key: &str, tag: &str, version: &str, from: &str| {
            let place = text(&format!("'{place}'"));
            format!("select {place}, {}, {}, {version} from {from}", text(key), text(tag))
        };
        let side = |side: Side| {
            let (table, id, tag) = round.table(side);
            part(side.as_str(), id, tag, "version", &table)
        };
        let nothing = "cast(0 as signed)";
        let nothing =
            if database.engine() == Engine::Mysql { nothing } else { "cast(0 as bigint)" };
        let marks = format!("crossfade_quarantine where migration = '{}'", round.migration());
        let sql = [
            side(Side::Legacy),
            side(Side::New),
            part("mark", "crossfade_quarantine.key", "''", nothing, &marks),
            part("note", "tag", "''", nothing, &round.notes()),
        ]
        .join(" union all ");
        let sql = AssertSqlSafe(sql);
        let rows: Vec<(String, String, String, i64)> = if let Some(pool) = database.postgres() {
            sqlx::query_as(sql).fetch_all(pool).await?
        } else if let Some(pool) = database.mysql() {
            sqlx::query_as(sql).fetch_all(pool).await?
        } else if let Some(pool) = database.sqlite() {
            sqlx::query_as(sql).fetch_all(pool).await?
        } else {
            Vec::new()
        };
        let mut snapshot = Self::default();
        for (place, key, tag, version) in rows {
            match place.as_str() {
                "mark" => snapshot.marked.push(key),
                "note" => snapshot.notes.push(key),
                place if place == Side::Legacy.as_str() => {
                    snapshot.legacy.push((key, Row { tag, version }));
                }
                _ => snapshot.new.push((key, Row { tag, version })),
            }
        }
        Ok(snapshot)
    }
}
