//! What the database's catalog says of a table.

use crossfade_core::{Identifier, KeyText, TableName};
use crossfade_store::StoreError;

#[cfg(feature = "mysql")]
use super::mariadb;
#[cfg(feature = "postgres")]
use super::postgres;
#[cfg(feature = "sqlite")]
use super::sqlite;
use crate::Engine;
use crate::error::Doing;
use crate::session::Session;
use crate::shape::{Compared, KeyColumn, ResolvedTable};

/// A table, view or the like, as the catalog shows it.
#[derive(Clone, Debug)]
pub(crate) struct TableFacts {
    /// Whose catalog it is.
    pub(crate) engine: Engine,
    /// The catalog's number; 0 where it has none.
    #[cfg_attr(
        not(feature = "postgres"),
        expect(dead_code, reason = "PostgreSQL's catalog alone")
    )]
    pub(crate) oid: i64,
    /// Its schema, unquoted.
    pub(crate) schema: String,
    /// Its name, unquoted.
    pub(crate) name: String,
    /// What it is, where it is not a plain table: `a view`.
    pub(crate) instead: Option<&'static str>,
    /// Its columns.
    pub(crate) columns: Vec<ColumnFacts>,
    /// Columns of each index that makes them unique for every row at once.
    pub(crate) unique: Vec<Vec<String>>,
}

/// A column, as the catalog shows it.
#[derive(Clone, Debug)]
pub(crate) struct ColumnFacts {
    /// Its number within the table.
    #[cfg_attr(
        not(feature = "postgres"),
        expect(dead_code, reason = "PostgreSQL's catalog alone")
    )]
    pub(crate) number: i64,
    /// Its name, unquoted.
    pub(crate) name: String,
    /// Its type as declared.
    pub(crate) declared: String,
    /// See [`MappedColumn::cast`](crate::shape::MappedColumn::cast).
    pub(crate) cast: String,
    /// See [`MappedColumn::compared`](crate::shape::MappedColumn::compared).
    pub(crate) compared: Compared,
    /// How it serves in a key; `None` when it cannot.
    pub(crate) key_kind: Option<KeyKind>,
    /// Its collation, where its type has one.
    pub(crate) collation: Option<String>,
    /// Whether it may be NULL.
    pub(crate) nullable: bool,
    /// Whether the database fills it in when an insert leaves it out.
    pub(crate) has_default: bool,
    /// Whether the database alone may write it.
    pub(crate) generated: bool,
}

/// Kinds of key columns. Columns of the same kind and collation are ordered alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum KeyKind {
    Integer,
    Text,
    /// Text padded with blanks, which its comparison leaves out.
    PaddedText,
    Uuid,
}

impl KeyKind {
    /// What a column of the kind makes of a text.
    pub(crate) const fn text(self, engine: Engine) -> KeyText {
        match self {
            Self::Integer => KeyText::Integer,
            Self::Text => KeyText::Exact,
            Self::PaddedText => KeyText::Padded,
            Self::Uuid => match engine {
                // There a uuid is a text like any other.
                #[cfg(feature = "sqlite")]
                Engine::Sqlite => KeyText::Exact,
                #[cfg(any(feature = "mysql", feature = "postgres"))]
                _ => KeyText::Uuid,
            },
        }
    }

    /// The type that a key's text is cast to. The widest of its kind, so that a key of one side
    /// never overflows the type of the other.
    const fn cast(self, engine: Engine) -> &'static str {
        match engine {
            // Wide enough for signed and unsigned ones; a text would be compared as a float.
            #[cfg(feature = "mysql")]
            Engine::Mysql => match self {
                Self::Integer => "decimal(20, 0)",
                Self::Text | Self::PaddedText | Self::Uuid => "",
            },
            #[cfg(feature = "postgres")]
            Engine::Postgres => match self {
                Self::Integer => "bigint",
                Self::Text => "text",
                Self::PaddedText => "bpchar",
                Self::Uuid => "uuid",
            },
            #[cfg(feature = "sqlite")]
            Engine::Sqlite => "",
        }
    }
}

impl TableFacts {
    /// Looks a table up; `None` when it does not exist.
    pub(crate) async fn find(
        session: &mut Session,
        engine: Engine,
        table: &TableName,
    ) -> Result<Option<Self>, StoreError> {
        match engine {
            #[cfg(feature = "mysql")]
            Engine::Mysql => mariadb::find_table(session, table).await,
            #[cfg(feature = "postgres")]
            Engine::Postgres => postgres::find_table(session, table).await,
            #[cfg(feature = "sqlite")]
            Engine::Sqlite => sqlite::find_table(session, table).await,
        }
        .doing("failed to look a table up")
    }

    /// The column that the manifest means: the one so spelled, else one that differs in case.
    pub(crate) fn column(&self, name: &str) -> Option<&ColumnFacts> {
        let alike = |column: &&ColumnFacts| column.name.eq_ignore_ascii_case(name);
        let exact = self.columns.iter().find(|column| column.name == name);
        exact.or_else(|| self.columns.iter().find(alike))
    }

    /// Whether an index makes exactly these columns unique.
    pub(crate) fn is_unique(&self, key: &[Identifier]) -> bool {
        self.unique.iter().any(|columns| {
            columns.len() == key.len()
                && key.iter().all(|part| {
                    self.column(part.as_str()).is_some_and(|part| columns.contains(&part.name))
                })
        })
    }

    /// A name that comes from the catalog and may hold anything, quoted.
    pub(crate) fn quote(&self, name: &str) -> String {
        self.engine.quote(name)
    }

    /// Qualified and quoted.
    pub(crate) fn qualified(&self) -> String {
        format!("{}.{}", self.quote(&self.schema), self.quote(&self.name))
    }

    /// Every column, quoted: those too that `select *` leaves out.
    pub(super) fn quoted_columns(&self) -> Vec<String> {
        self.columns.iter().map(|column| self.quote(&column.name)).collect()
    }

    /// The table and its key, ready for statements; `None` unless every key column can serve.
    pub(crate) fn resolve(&self, key: &[Identifier]) -> Option<ResolvedTable> {
        let key = key.iter().map(|part| {
            let column = self.column(part.as_str())?;
            let kind = column.key_kind?;
            let (cast, text) = (kind.cast(self.engine).to_owned(), kind.text(self.engine));
            let (collation, nullable) = (column.collation.clone(), column.nullable);
            Some(KeyColumn { name: self.quote(&column.name), cast, text, collation, nullable })
        });
        Some(ResolvedTable {
            engine: self.engine,
            qualified: self.qualified(),
            bare: self.quote(&self.name),
            key: key.collect::<Option<_>>()?,
            columns: self.quoted_columns(),
        })
    }
}
