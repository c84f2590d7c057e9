//! Ports of Crossfade: what its engines ask of a database, and the errors they get back.
//!
//! Adapters implement these traits; engines are written against them and never name an adapter.
//! All ports are object safe except [`FencedStore`] and [`SnapshotStore`], whose types of a
//! transaction are the adapter's own, and [`DeclaredStore`] upon the first.

mod capture;
mod catalog;
mod changes;
mod control;
mod declared;
mod error;
mod fenced;
mod lend;
mod quarantine;
mod read_flag;
mod reconcile;
mod replica;
mod rule_set;
mod rule_source;
mod schema;
mod snapshot;
mod switch;
mod validate;
mod verify;

pub use capture::{Bypass, Capture, CaptureChange, CaptureStore, Cleaned, DirtyKey, Journal};
pub use catalog::{CatalogStore, Depth, SurveyRequest};
pub use changes::Changes;
pub use control::{
    AuditEntry, AuditRecord, ControlStore, EpochHolder, Heartbeat, InstanceRecord, Registration,
    StageChange,
};
pub use declared::{AtOnceError, Bind, DeclaredStore, Travels};
pub use error::{Failure, StoreError, StoreErrorKind};
pub use fenced::{Admission, CommitError, EnterError, Entry, FencedStore, Operation};
pub use lend::{Lent, Loan};
pub use quarantine::{QuarantineStore, Quarantined};
pub use read_flag::{FlagAnswer, ReadFlag};
pub use reconcile::{Batch, BatchRequest, ReconcileStore, Run, RunProgress, Segment};
pub use replica::{
    PrimaryStanding, Replica, ReplicaStanding, ReplicaStore, Route, current_route, routed,
};
pub use rule_set::{NewRuleSet, RuleSetStore, StoredRuleSet};
pub use rule_source::{Document, RuleSource, SourceError};
pub use schema::{
    About, Problem, SchemaStore, ScriptStep, Statement, StatementError, StepRun, Surroundings,
    Timeouts,
};
pub use snapshot::SnapshotStore;
pub use switch::{FlagOff, ReadFlagSwitch, SwitchedOff};
pub use validate::{Duplicates, Trial, Tried, ValidateStore};
pub use verify::{
    Chunk, ChunkRequest, Difference, DifferenceKind, KeyRange, PassProgress, ValuePair,
    Verification, VerifyStore,
};
