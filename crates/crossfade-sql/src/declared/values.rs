//! Values of any type that sqlx can encode, kept until the engine and the statement are known.

use std::fmt;

use crossfade_store::Bind;
use sqlx::error::BoxDynError;
#[cfg(feature = "mysql")]
use sqlx::mysql::{MySql, MySqlArguments};
#[cfg(feature = "postgres")]
use sqlx::postgres::{PgArguments, Postgres};
#[cfg(feature = "sqlite")]
use sqlx::sqlite::{Sqlite, SqliteArguments};
use sqlx::{Arguments, Encode, Error, Type};

use super::Declared;

/// A declared pair and the values of one write.
pub struct Bound<'q> {
    pub(super) declared: Declared,
    pub(super) values: Vec<Box<dyn Value<'q> + 'q>>,
}

impl fmt::Debug for Bound<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // No values: they are the application's rows.
        f.debug_struct("Bound").field("values", &self.values.len()).finish_non_exhaustive()
    }
}

impl<'q, T: Bindable<'q> + 'q> Bind<T> for Bound<'q> {
    fn bind(&mut self, value: T) {
        self.values.push(Box::new(Everywhere(value)));
    }
}

/// A value that can be bound on each engine of this build: sqlx knows how to encode it for all of
/// them. What one engine alone knows is bound as something that all do, such as a text that the
/// statement casts, or in a build with the feature of that engine only.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be bound on every engine of this build",
    label = "sqlx must encode it for each engine whose feature is enabled",
    note = "bind a text and cast it in the statement, or leave out the features of other engines"
)]
pub trait Bindable<'q>: ForMysql<'q> + ForPostgres<'q> + ForSqlite<'q> + Send + Sync {}

impl<'q, T> Bindable<'q> for T where T: ForMysql<'q> + ForPostgres<'q> + ForSqlite<'q> + Send + Sync {}

macro_rules! engine {
    ($feature:literal, $trait:ident, $database:ident) => {
        #[doc = concat!("What sqlx can encode for the engine of feature `", $feature, "`.")]
        #[cfg(feature = $feature)]
        pub trait $trait<'q>: Encode<'q, $database> + Type<$database> {}

        #[cfg(feature = $feature)]
        impl<'q, T: Encode<'q, $database> + Type<$database>> $trait<'q> for T {}

        #[doc = concat!("Anything, since feature `", $feature, "` is not enabled.")]
        #[cfg(not(feature = $feature))]
        pub trait $trait<'q> {}

        #[cfg(not(feature = $feature))]
        impl<T> $trait<'_> for T {}
    };
}

engine!("mysql", ForMysql, MySql);
engine!("postgres", ForPostgres, Postgres);
engine!("sqlite", ForSqlite, Sqlite);

/// A bound value.
pub(super) trait Value<'q>: Send + Sync {
    #[cfg(feature = "mysql")]
    fn mysql(&self, args: &mut MySqlArguments) -> Result<(), BoxDynError>;
    #[cfg(feature = "postgres")]
    fn postgres(&self, args: &mut PgArguments) -> Result<(), BoxDynError>;
    #[cfg(feature = "sqlite")]
    fn sqlite(&self, args: &mut SqliteArguments) -> Result<(), BoxDynError>;
}

struct Everywhere<T>(T);

impl<'q, T: Bindable<'q>> Value<'q> for Everywhere<T> {
    #[cfg(feature = "mysql")]
    fn mysql(&self, args: &mut MySqlArguments) -> Result<(), BoxDynError> {
        add::<_, T>(args, &self.0)
    }

    #[cfg(feature = "postgres")]
    fn postgres(&self, args: &mut PgArguments) -> Result<(), BoxDynError> {
        add::<_, T>(args, &self.0)
    }

    #[cfg(feature = "sqlite")]
    fn sqlite(&self, args: &mut SqliteArguments) -> Result<(), BoxDynError> {
        add::<_, T>(args, &self.0)
    }
}

/// Adds a value that may be added again.
fn add<'q, A: Arguments, T>(args: &mut A, value: &T) -> Result<(), BoxDynError>
where
    T: Encode<'q, A::Database> + Type<A::Database>,
{
    args.add(value)
}

impl Bound<'_> {
    /// The values at the places of a statement.
    #[cfg(feature = "mysql")]
    pub(super) fn mysql(&self, places: &[usize]) -> Result<MySqlArguments, Error> {
        let mut args = MySqlArguments::default();
        for value in places.iter().filter_map(|place| self.values.get(*place)) {
            value.mysql(&mut args).map_err(Error::Encode)?;
        }
        Ok(args)
    }

    /// The values in their order.
    #[cfg(feature = "postgres")]
    pub(super) fn postgres(&self) -> Result<PgArguments, Error> {
        let mut args = PgArguments::default();
        for value in &self.values {
            value.postgres(&mut args).map_err(Error::Encode)?;
        }
        Ok(args)
    }

    /// The values in their order.
    #[cfg(feature = "sqlite")]
    pub(super) fn sqlite(&self) -> Result<SqliteArguments, Error> {
        let mut args = SqliteArguments::default();
        for value in &self.values {
            value.sqlite(&mut args).map_err(Error::Encode)?;
        }
        Ok(args)
    }
}
