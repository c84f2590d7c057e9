//! A definition resolved against the real tables: qualified names, key types, mapped columns.

use std::collections::HashMap;
use std::sync::{Arc, MutexGuard, PoisonError};

use crossfade_core::{Definition, Key, KeyText, MigrationName};
use crossfade_store::{StoreError, StoreErrorKind};

use crate::Engine;
use crate::database::Database;
#[cfg(feature = "postgres")]
use crate::error::Doing;
use crate::schema::Inspection;
use crate::session::Session;
#[cfg(feature = "postgres")]
use crate::session::with_control_tables;
#[cfg(feature = "postgres")]
use crate::value::args;
use crate::value::{Row, Value};

/// A key column and the type that its text is cast to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct KeyColumn {
    /// Quoted name.
    pub(crate) name: String,
    /// Type for a cast, such as `bigint`. Empty where the column's affinity converts the text it
    /// is compared with, as on SQLite, and where the text is compared as it is.
    pub(crate) cast: String,
    /// What it makes of a text.
    pub(crate) text: KeyText,
    /// The collation of a text, where stored keys have to be given it: on MariaDB.
    pub(crate) collation: Option<String>,
    /// Whether it may be NULL.
    pub(crate) nullable: bool,
}

impl KeyColumn {
    /// The expression that turns the bound text number `number` into a value of the column.
    fn parameter(&self, engine: Engine, number: usize) -> String {
        match (engine, self.cast.as_str()) {
            (_, "") => format!("${number}"),
            #[cfg(feature = "mysql")]
            (Engine::Mysql, cast) => format!("cast(${number} as {cast})"),
            #[cfg(any(feature = "postgres", feature = "sqlite"))]
            (_, cast) => format!("${number}::text::{cast}"),
        }
    }
}

/// One side's table as the database knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ResolvedTable {
    pub(crate) engine: Engine,
    /// Qualified and quoted, so that a common table expression of the bare name cannot hide it.
    pub(crate) qualified: String,
    /// The bare name, quoted: what the mapping calls it.
    pub(crate) bare: String,
    /// Its key.
    pub(crate) key: Vec<KeyColumn>,
    /// Every column, quoted: those too that `select *` leaves out, as MariaDB's invisible ones.
    pub(crate) columns: Vec<String>,
}

impl ResolvedTable {
    /// Every column as a list, each behind `prefix`, such as `t.`: what a mapping may read.
    pub(crate) fn column_list(&self, prefix: &str) -> String {
        let columns = self.columns.iter().map(|column| format!("{prefix}{column}"));
        columns.collect::<Vec<_>>().join(", ")
    }

    /// The key columns as a list, each behind `prefix`, such as `t.`. In an `order by` a prefix is
    /// needed: a bare name would mean the output column, which may be the key's text.
    pub(crate) fn key_list(&self, prefix: &str) -> String {
        self.each_key(|column| format!("{prefix}{}", column.name))
    }

    /// The key columns in descending order.
    pub(crate) fn key_descending(&self, prefix: &str) -> String {
        self.each_key(|column| format!("{prefix}{} desc", column.name))
    }

    /// The text of each key column, for a select list. [`Self::key_of`] reads it.
    pub(crate) fn key_texts(&self, prefix: &str) -> String {
        let text = self.engine.text_type();
        self.each_key(|column| format!("cast({prefix}{} as {text})", column.name))
    }

    /// The key whose texts stand in the row from column `first` on, in its canonical text. `None`
    /// where a part is NULL.
    pub(crate) fn key_of(&self, row: &Row, first: usize) -> Option<Key> {
        let parts = self.key.iter().enumerate().map(|(index, column)| {
            let part = row.opt_text(first + index)?;
            Some(match column.text.canonical(&part) {
                Some(text) if text != part => text.into_owned(),
                _ => part,
            })
        });
        parts.collect::<Option<Vec<_>>>().map(Key::new)
    }

    /// The condition that a row has the key whose parts are bound from number `first` on.
    pub(crate) fn key_equals(&self, first: usize) -> String {
        let equal = |(index, column): (usize, &KeyColumn)| {
            format!("{} = {}", column.name, column.parameter(self.engine, first + index))
        };
        self.key.iter().enumerate().map(equal).collect::<Vec<_>>().join(" and ")
    }

    /// The condition that a row is one of `rows`, in the database's own order of keys.
    pub(crate) fn within(&self, rows: Rows<'_>, args: &mut Args) -> String {
        let (after, upto) = match rows {
            Rows::One(key) => return self.key_equals(args.key(key)),
            Rows::Between { after, upto } => (after, upto),
        };
        let bounds = [(after, ">"), (upto, "<=")].into_iter().filter_map(|(key, operator)| {
            let first = args.key(key?);
            let parameters = self.key.iter().enumerate();
            let parameters: Vec<String> = parameters
                .map(|(index, column)| column.parameter(self.engine, first + index))
                .collect();
            Some(match &parameters[..] {
                #[cfg(feature = "mysql")]
                [_, _, ..] if self.engine == Engine::Mysql => self.beyond(operator, &parameters),
                [single] => format!("{} {operator} {single}", self.key_list("")),
                several => format!("({}) {operator} ({})", self.key_list(""), several.join(", ")),
            })
        });
        let bounds: Vec<String> = bounds.collect();
        if bounds.is_empty() { "true".to_owned() } else { bounds.join(" and ") }
    }

    /// The comparison of rows, spelled out: MariaDB finds no range of an index in the short form.
    #[cfg(feature = "mysql")]
    fn beyond(&self, operator: &str, parameters: &[String]) -> String {
        let strict = operator.trim_end_matches('=');
        let pairs: Vec<_> = self.key.iter().zip(parameters).collect();
        let last = pairs.len() - 1;
        let branches = (0..pairs.len()).map(|n| {
            let equal =
                pairs[..n].iter().map(|(column, value)| format!("{} = {value}", column.name));
            let (column, value) = pairs[n];
            let operator = if n == last { operator } else { strict };
            let beyond = format!("{} {operator} {value}", column.name);
            equal.chain([beyond]).collect::<Vec<_>>().join(" and ")
        });
        format!("({})", branches.collect::<Vec<_>>().join(" or "))
    }

    fn each_key(&self, render: impl Fn(&KeyColumn) -> String) -> String {
        self.key.iter().map(render).collect::<Vec<_>>().join(", ")
    }
}

/// Which rows of a table.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Rows<'a> {
    /// The row of one key.
    One(&'a Key),
    /// The rows behind `after`, up to and including `upto`; without a bound where it is `None`.
    Between { after: Option<&'a Key>, upto: Option<&'a Key> },
}

/// The arguments of a statement while its text is put together.
#[derive(Debug, Default)]
pub(crate) struct Args(pub(crate) Vec<Value>);

impl Args {
    /// Binds a value and returns its number.
    pub(crate) fn add(&mut self, value: impl Into<Value>) -> usize {
        self.0.push(value.into());
        self.0.len()
    }

    /// Binds each part of a key and returns the number of the first.
    fn key(&mut self, key: &Key) -> usize {
        let first = self.0.len() + 1;
        self.0.extend(key.parts().iter().map(|part| Value::from(part.as_str())));
        first
    }
}

/// A column that the mapping yields and New has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct MappedColumn {
    /// Quoted name.
    pub(crate) name: String,
    /// Type on New that a mapped value takes when it is stored, without a length that a cast would
    /// cut it to. Empty where New's affinity converts, as on SQLite. For MariaDB's texts the
    /// collation that they are compared by.
    pub(crate) cast: String,
    /// How values are compared.
    pub(crate) compared: Compared,
    /// New's collation, where its type has one.
    pub(crate) collation: Option<String>,
    /// Whether it belongs to New's key.
    pub(crate) in_key: bool,
    /// Whether its equality, which joins the sides where it belongs to the key, holds texts for
    /// equal that are stored differently.
    pub(crate) padded: bool,
}

impl MappedColumn {
    /// Whether equal rows need equal values in it: everything but a key column whose equality has
    /// compared the values already.
    pub(crate) fn is_compared(&self) -> bool {
        !self.in_key || self.padded
    }

    /// The name without the engine's quotes.
    pub(crate) fn bare_name(&self) -> String {
        let quote = self.name.chars().next().unwrap_or_default();
        let inner = self.name.strip_prefix(quote).and_then(|name| name.strip_suffix(quote));
        inner.unwrap_or(&self.name).replace(&format!("{quote}{quote}"), &quote.to_string())
    }
}

/// How two values of a type are compared, so that equal means stored alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Compared {
    /// By the type's own equality, which distinguishes any two stored values.
    Value,
    /// By their texts: the type has no equality, or one that is coarser, such as that of
    /// PostgreSQL's `interval`, `citext` or `jsonb`.
    #[cfg(any(feature = "mysql", feature = "postgres"))]
    Text,
    /// By their texts with the blanks at the end, which a cast of PostgreSQL's `bpchar` drops.
    #[cfg(feature = "postgres")]
    Blanks,
    /// By equality, and by their texts where they are zero: 0 equals -0.
    #[cfg(feature = "postgres")]
    Float,
    /// By the documents that their texts stand for.
    #[cfg(feature = "postgres")]
    Json,
    /// By the documents: normalized where the server can, else without insignificant blanks.
    #[cfg(feature = "mysql")]
    MariaDbJson {
        /// Whether the server has `json_normalize`.
        normalize: bool,
    },
    /// By the point in time with this many digits of a second: a local time may occur twice.
    #[cfg(feature = "mysql")]
    Timestamp(i64),
    /// By storage class and value: the column keeps 1, 1.0 and '1' as they are.
    #[cfg(feature = "sqlite")]
    StorageClass,
}

/// Everything that statements about a migration's rows are built from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Shape {
    pub(crate) engine: Engine,
    pub(crate) legacy: ResolvedTable,
    pub(crate) new: ResolvedTable,
    /// The mapping's output columns.
    pub(crate) columns: Vec<MappedColumn>,
    /// The mapping without a closing semicolon.
    pub(crate) mapping: String,
}

impl Database {
    /// The definition resolved against the tables, looked up once per definition.
    ///
    /// It asks through `session`, never through another connection: a caller that holds one while
    /// it waits for another could wait for ever on a full pool.
    pub(crate) async fn shape(
        &self,
        session: &mut Session,
        definition: &Definition,
    ) -> Result<Arc<Shape>, StoreError> {
        if let Some(shape) = self.cached_shape(definition) {
            return Ok(shape);
        }
        let inspection = self.inspect(session, definition).await?;
        let shape = inspection.shape().map(Arc::new).map_err(|problems| {
            StoreError::new(
                StoreErrorKind::Invalid,
                format!("the migration `{}` does not fit the database", definition.name),
            )
            .with_hint(problems.join("; "))
        })?;
        let entry = (definition.clone(), Arc::clone(&shape));
        self.shapes().insert(definition.name.clone(), entry);
        Ok(shape)
    }

    /// Looks the definition up under its pinned search path. A caller's transaction has its own
    /// path back afterwards.
    async fn inspect<'d>(
        &self,
        session: &mut Session,
        definition: &'d Definition,
    ) -> Result<Inspection<'d>, StoreError> {
        #[cfg(feature = "postgres")]
        if let Some(path) = &definition.pinned.search_path
            && self.engine() == Engine::Postgres
        {
            let doing = "failed to set the search path";
            let path = with_control_tables(path, &self.inner.namespace);
            let sql = "select set_config('crossfade.search_path', current_setting('search_path'), \
                       true), set_config('search_path', $1, true)";
            session.fetch(sql, args![path]).await.doing(doing)?;
            let inspection = Inspection::new(session, self.engine(), definition).await?;
            let sql = "select set_config('search_path', \
                       current_setting('crossfade.search_path'), true)";
            session.fetch(sql, args![]).await.doing(doing)?;
            return Ok(inspection);
        }
        Inspection::new(session, self.engine(), definition).await
    }

    /// Forgets what was looked up, after a statement that may have changed tables.
    pub(crate) fn forget_shapes(&self) {
        self.shapes().clear();
        self.forget_key_texts();
    }

    fn cached_shape(&self, definition: &Definition) -> Option<Arc<Shape>> {
        let shapes = self.shapes();
        let (of, shape) = shapes.get(&definition.name)?;
        (of == definition).then(|| Arc::clone(shape))
    }

    fn shapes(&self) -> MutexGuard<'_, HashMap<MigrationName, (Definition, Arc<Shape>)>> {
        self.inner.shapes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
