//! The demo's domain: the files of the example `user_settings`, compiled in as they are.
//!
//! Only the New side is wrapped once more, to see which side answers a read and to let reads of
//! New fail.

#[path = "../../../../examples/user_settings/dual.rs"]
pub(super) mod dual;
#[path = "../../../../examples/user_settings/engine.rs"]
pub(super) mod engine;
#[path = "../../../../examples/user_settings/repository.rs"]
pub(super) mod repository;
#[path = "../../../../examples/user_settings/settings.rs"]
pub(super) mod settings;

pub(super) mod new;
pub(super) mod plain;

pub(super) use self::plain::legacy;
