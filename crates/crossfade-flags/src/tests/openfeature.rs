//! Both ways, through the API of `open-feature` itself.

mod flag;
mod provider;
