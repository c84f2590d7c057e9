//! Vocabulary and decisions of Crossfade.
//!
//! Everything here decides from values alone: no async, no I/O, no clock, no randomness. Engines
//! gather facts, ask this crate, and carry out the answer.

mod backoff;
mod batch;
mod breaker;
mod capture;
pub mod check;
mod comparison;
mod definition;
mod gate;
mod key;
mod key_text;
mod lock_id;
mod name;
mod plan;
mod reason;
mod replica;
mod run;
mod server;
mod sieve;
mod stage;
mod state;
mod transition;

pub use backoff::Backoff;
pub use batch::{BatchSize, pause_after};
pub use breaker::{
    Admission, Breaker, BreakerChange, BreakerCounts, BreakerOptions, BreakerState, BreakerTrip,
    Observation, Offer, Probe, past_breaker,
};
pub use capture::{CaptureFacts, CaptureMode, UnknownCaptureMode, capture_refusal};
pub use comparison::{Comparison, FieldDifference, by_equality};
pub use definition::{
    BackfillOptions, Definition, GateOptions, InvalidMaxRefusals, MAPPED_ALIAS, MaxRefusals, Part,
    Pinned, SideTable,
};
pub use gate::{
    Approval, Facts, FlagFacts, InstanceFacts, Leases, Parity, Refusal, RunFacts, Warning, Witness,
    refusals, warnings,
};
pub use key::{Key, ToKey};
pub use key_text::{KeyText, KeyTextError, canonical_key};
pub use lock_id::{epoch_lock_id, key_lock_id, script_lock_id};
pub use name::{FlagKey, Identifier, MigrationName, NameError, TableName};
pub use plan::{
    AtOnce, NewWrite, ReadFacts, ReadPlan, WritePlan, answer_counts, read_plan, write_plan,
};
pub use reason::reason_kind;
pub use replica::{
    Continuity, LogPosition, PrimaryLog, PrimaryMoment, ReplicaFacts, ReplicaRefusal,
    replica_refusal,
};
pub use run::{
    BatchFacts, BatchPermit, Opening, OpeningFacts, after_segments, batch_permit, opening,
};
pub use server::{ServerSettings, UnfitSetting, unfit_settings};
pub use sieve::{Sieve, refusal_limit};
pub use stage::{Side, Stage, UnknownStage};
pub use state::{Epoch, MigrationState, RunId, RunState};
pub use transition::{
    Direction, IllegalTransition, StageEffects, direction, rollback_stage, stage_effects,
};
