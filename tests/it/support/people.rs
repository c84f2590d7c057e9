//! A small pair of repositories: `people(id, name)` and `people_v2(person_id, name)`, whose name
//! must not be `bad`.

pub(crate) use crossfade::Side;
use crossfade::{Db, Engine, StoreError};
use sqlx::Row;

/// Either side's repository.
#[derive(Clone, Debug)]
pub(crate) struct People {
    db: Db,
    table: &'static str,
    key: &'static str,
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum PeopleError {
    #[error("the database failed")]
    Database(#[from] sqlx::Error),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Engine(#[from] crossfade::WrongEngine),
    #[error("told to fail")]
    Told,
}

macro_rules! run {
    ($conn:ident, |$query:ident| $run:expr, $sql:expr $(, $bind:expr)*) => {{
        let sql = $sql;
        match $conn.engine() {
            Engine::Mysql => {
                let $query = sqlx::query(sqlx::AssertSqlSafe(mariadb(&sql)))$(.bind($bind))*;
                let $conn = $conn.mysql()?;
                $run
            }
            Engine::Postgres => {
                let $query = sqlx::query(sqlx::AssertSqlSafe(sql))$(.bind($bind))*;
                let $conn = $conn.postgres()?;
                $run
            }
            Engine::Sqlite => {
                let $query = sqlx::query(sqlx::AssertSqlSafe(sql))$(.bind($bind))*;
                let $conn = $conn.sqlite()?;
                $run
            }
        }
    }};
}

/// The statements below as MariaDB spells them.
fn mariadb(sql: &str) -> String {
    let sql = match sql.split_once(" on conflict ") {
        Some((insert, _)) => format!("{insert} on duplicate key update name = values(name)"),
        None => sql.to_owned(),
    };
    sql.replace("$1", "?").replace("$2", "?")
}

impl People {
    /// The side's repository on a pool or a lent transaction.
    pub(crate) fn on(side: Side, db: impl Into<Db>) -> Self {
        let (table, key) = match side {
            Side::Legacy => ("people", "id"),
            Side::New => ("people_v2", "person_id"),
        };
        Self { db: db.into(), table, key }
    }

    pub(crate) fn legacy(db: impl Into<Db>) -> Self {
        Self::on(Side::Legacy, db)
    }

    pub(crate) fn new(db: impl Into<Db>) -> Self {
        Self::on(Side::New, db)
    }

    pub(crate) fn side(&self) -> Side {
        if self.table == "people" { Side::Legacy } else { Side::New }
    }

    pub(crate) async fn put(&self, id: i64, name: &str) -> Result<u64, PeopleError> {
        self.put_on(&mut *self.db.conn().await?, id, name).await
    }

    /// In a transaction that the caller holds.
    pub(crate) async fn put_on(
        &self,
        conn: &mut crossfade_sql::Tx,
        id: i64,
        name: &str,
    ) -> Result<u64, PeopleError> {
        let sql = format!(
            "insert into {} ({}, name) values ($1, $2) \
             on conflict ({}) do update set name = excluded.name",
            self.table, self.key, self.key
        );
        Ok(run!(conn, |query| query.execute(conn).await?.rows_affected(), sql, id, name))
    }

    pub(crate) async fn delete(&self, id: i64) -> Result<u64, PeopleError> {
        let mut conn = self.db.conn().await?;
        let sql = format!("delete from {} where {} = $1", self.table, self.key);
        Ok(run!(conn, |query| query.execute(conn).await?.rows_affected(), sql, id))
    }

    pub(crate) async fn get(&self, id: i64) -> Result<Option<String>, PeopleError> {
        let mut conn = self.db.conn().await?;
        let sql = format!("select name from {} where {} = $1", self.table, self.key);
        Ok(run!(
            conn,
            |query| query.fetch_optional(conn).await?.map(|row| row.get::<String, _>(0)),
            sql,
            id
        ))
    }

    /// Every row in key order.
    pub(crate) async fn all(&self) -> Result<Vec<(i64, String)>, PeopleError> {
        let mut conn = self.db.conn().await?;
        let sql = format!("select {}, name from {} order by 1", self.key, self.table);
        Ok(run!(
            conn,
            |query| query
                .fetch_all(conn)
                .await?
                .iter()
                .map(|row| (row.get::<i64, _>(0), row.get::<String, _>(1)))
                .collect(),
            sql
        ))
    }
}
