//! The attribute `#[crossfade::repository]`: it writes the wrapper around a pair of repositories.
//!
//! Applications name it through the crate `crossfade`, whose types the generated code uses.

mod expand;
mod mark;
mod method;
mod options;
mod repository;
mod route;
mod signature;

use proc_macro::TokenStream;

/// Generates the wrapper around the two sides of a repository from the application's own trait.
///
/// ```
/// # use crossfade::{Db, InTransaction, Migration, ReadError, Tx, WriteError};
/// # #[derive(Clone)] pub struct Settings;
/// # #[derive(Debug, thiserror::Error)] #[error("failed")] pub struct Error;
/// # impl From<ReadError<Error>> for Error { fn from(_: ReadError<Error>) -> Self { Self } }
/// # impl From<WriteError<Error>> for Error { fn from(_: WriteError<Error>) -> Self { Self } }
/// #[crossfade::repository(dual = DualSettings)]
/// pub trait UserSettings: Send + Sync {
///     #[read(key = user)]
///     async fn get(&self, user: i64) -> Result<Option<Settings>, Error>;
///     #[write(key = user)]
///     async fn put(&self, user: i64, settings: &Settings) -> Result<(), Error>;
///     #[delete(key = user)]
///     async fn delete(&self, user: i64) -> Result<(), Error>;
/// }
///
/// #[derive(Clone)]
/// struct LegacySettings {
///     db: Db,
/// }
///
/// impl InTransaction for LegacySettings {
///     fn within(&self, tx: Tx) -> Self {
///         Self { db: tx.into() }
///     }
/// }
/// # impl UserSettings for LegacySettings {
/// #     async fn get(&self, _: i64) -> Result<Option<Settings>, Error> { Ok(None) }
/// #     async fn put(&self, _: i64, _: &Settings) -> Result<(), Error> { Ok(()) }
/// #     async fn delete(&self, _: i64) -> Result<(), Error> { Ok(()) }
/// # }
/// # type NewSettings = LegacySettings;
///
/// fn wrap(migration: Migration, legacy: LegacySettings, new: NewSettings) -> impl UserSettings {
///     DualSettings::new(migration, legacy, new)
/// }
/// ```
///
/// The generated struct has the public fields `migration`, `legacy` and `new`, as visible as the
/// trait is, and the constructor `new` that takes them. It implements the trait, so it takes the
/// place of either side.
///
/// # Marks
///
/// - `#[read(key = …)]` goes through `Migration::read`: the user's read flag picks the side.
///   `user = …` says whom the flag is asked about; without it that is the key. With `compare` a
///   sample of calls is compared with the other side by `==`, which asks that both sides are
///   `Clone` and what is read `PartialEq`; `compare = path` compares by a function from two
///   references to what is read to a `Comparison`.
/// - `#[write(key = …)]` and `#[delete(key = …)]` go through `Migration::write`: both sides in one
///   transaction. A write stores the full row: one that changes part of a row would leave the
///   sides different where New has no row yet. With `operation = …` they go through
///   `Migration::write_once`.
/// - `#[custom(path)]` calls `path(&wrapper, arguments…)` instead, for what none of these can say,
///   such as a partial update by `Migration::modify`.
///
/// `key`, `user` and `operation` are expressions over the arguments. `key` names the row; a tuple
/// such as `(tenant, id)` one whose key has several columns. `operation` is an `OperationId` or a
/// reference to one.
///
/// # Operations with an id
///
/// A write or delete with `operation` returns `Result<Once<T>, E>`, or `Result<(), E>` where nobody
/// needs to know which call it was. The sides implement the same method: they ignore the id and
/// answer `Once::Applied`, and the wrapper answers `Once::AlreadyApplied` in their place where an
/// earlier call has carried the operation out. Any other type is refused: there is no answer left
/// to give then. The trait `AnswersOnce` is this rule, and open to types of the application's own.
///
/// ```
/// # use crossfade::{Once, OperationId, ReadError, WriteError};
/// # #[derive(Debug, thiserror::Error)] #[error("failed")] pub struct Error;
/// # impl From<ReadError<Error>> for Error { fn from(_: ReadError<Error>) -> Self { Self } }
/// # impl From<WriteError<Error>> for Error { fn from(_: WriteError<Error>) -> Self { Self } }
/// #[crossfade::repository]
/// pub trait Payments: Send + Sync {
///     /// Payments fade customer by customer.
///     #[read(key = id, user = customer)]
///     async fn amount(&self, customer: &str, id: i64) -> Result<Option<i64>, Error>;
///     /// Books it once, however often the request comes.
///     #[write(key = id, operation = request)]
///     async fn book(&self, request: &OperationId, id: i64, cents: i64) -> Result<Once<u64>, Error>;
/// }
/// ```
///
/// # How a comparison reads
///
/// Where both sides are `InTransaction`, as they are when a write of the trait hands them its
/// transaction that way, a comparison reads both in one snapshot of the database, by
/// `Migration::read_compared_in`. Otherwise it reads one after the other, by `read_compared_by`, and
/// Legacy twice.
///
/// A method without a mark keeps its default body, which runs on the wrapper; without a body
/// either, it is an error.
///
/// # Arguments and errors
///
/// A method is called on both sides, and again when a transaction is tried again. So what is taken
/// by value must be `Clone`, and all of it `Send + Sync`; what is taken by reference is handed on.
///
/// The method's error is a `std::error::Error` with `From<ReadError<Self>>` and
/// `From<WriteError<Self>>`. Where these cannot be implemented, as on an error of another crate,
/// the options `read_error` and `write_error` name functions that convert. With `opaque_error` it is
/// an `anyhow::Error`, a `Box<dyn Error + Send + Sync>` or their like, and needs neither.
///
/// # How a side gets the transaction
///
/// By `InTransaction`, which gives the same repository on the transaction of a write. Or by an
/// argument: where the trait's writes take a `&mut Tx`, the wrapper has methods of the same names
/// without that argument, and each side is handed the transaction. It then cannot implement the
/// trait, and the sides need no `InTransaction`.
///
/// # Async
///
/// The trait may be native, in which case each `async fn` becomes one whose future is `Send`
/// (implementations still write `async fn`), or carry `#[async_trait]`, above this attribute or
/// below it.
///
/// # Options
///
/// - `dual = Name`: the wrapper's name. Default: `Dual` and the trait's name.
/// - `read_error = path`, `write_error = path`: functions from `ReadError<E>` and `WriteError<E>`
///   to `E`. Default: `From::from`.
/// - `opaque_error`: the errors hold a `std::error::Error` and are none.
/// - `crate = path`: where the crate `crossfade` is. Default: `::crossfade`.
///
/// # Cancel safety
///
/// As `Migration::write`: a dropped call leaves both sides written or neither.
#[proc_macro_attribute]
pub fn repository(options: TokenStream, item: TokenStream) -> TokenStream {
    repository::generate(options.into(), item.into()).into()
}
