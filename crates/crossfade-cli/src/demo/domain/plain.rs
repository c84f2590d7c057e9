//! The two sides as the example has them.

pub(super) use super::{engine, repository, settings};

#[path = "../../../../../examples/user_settings/legacy.rs"]
pub(in crate::demo) mod legacy;
#[path = "../../../../../examples/user_settings/new.rs"]
pub(in crate::demo) mod new;
