//! OpenFeature both ways: this client as a provider of the crate `open-feature`, and any client of
//! that crate as the router's read flag.

mod context;
mod provider;
mod value;

mod flag;
mod options;

mod breaker;
mod decision;

pub use flag::OpenFeatureFlag;
pub use options::OpenFeatureOptions;
pub use provider::FlagsProvider;
