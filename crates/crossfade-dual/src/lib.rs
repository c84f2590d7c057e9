//! The request path of Crossfade: the dual writer, the read router and the instance behind them.
//!
//! An [`Instance`] follows the control tables and holds this process's lease. It hands out
//! [`Migration`] handles, which route each read and each write by one snapshot of the state. The
//! crate knows no SQL and no flag format; it is written against the ports of `crossfade-store`.

mod bounded;
mod breaker;
mod clock;
mod compared;
mod current;
mod declared;
mod error;
mod fields;
mod follow;
mod forget;
mod instance;
mod meter;
mod migration;
mod mismatches;
mod once;
mod operation;
mod options;
mod pins;
mod reader;
mod replica;
mod replica_reads;
mod rollback;
mod routes;
mod seldom;
mod shadow;
mod shared;
mod spans;
mod spelling;
mod tally;
mod transaction;
mod work;
mod writer;

pub use breaker::BreakerStatus;
pub use declared::{Bound, Statement};
pub use error::{Known, ReadError, TransactionError, WriteError};
pub use fields::Fields;
pub use instance::{Instance, RequestStore};
pub use migration::Migration;
pub use mismatches::Mismatch;
pub use once::Once;
pub use operation::{InvalidOperationId, OperationId};
#[cfg(feature = "mutants")]
pub use options::Omission;
pub use options::Options;
pub use replica::ReplicaStatus;
pub use replica_reads::ReplicaReads;
pub use routes::{RouteStats, on_primary};
pub use shadow::ShadowStats;
pub use transaction::Transaction;
