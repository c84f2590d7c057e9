//! Turning a read flag off in the rule set in the database, where a breaker asks for it.

use async_trait::async_trait;
use crossfade_control::{FlagRollback, RollbackError, Stores, turn_read_flag_off};
use crossfade_sql::Database;
use crossfade_store::{FlagOff, ReadFlagSwitch, StoreError, StoreErrorKind, SwitchedOff};

/// The flags of the database's rule set.
#[derive(Debug)]
pub(crate) struct DatabaseFlags(pub(crate) Database);

#[async_trait]
impl ReadFlagSwitch for DatabaseFlags {
    async fn turn_off(&self, off: FlagOff<'_>) -> Result<SwitchedOff, StoreError> {
        let stores = Stores::of(&self.0);
        match turn_read_flag_off(stores, off.migration, off.actor, off.reason).await {
            Ok(FlagRollback::TurnedOff { .. }) => Ok(SwitchedOff::Now),
            Ok(FlagRollback::WasOff) => Ok(SwitchedOff::Already),
            Err(RollbackError::Store(error)) => Err(error),
            Err(error) => {
                let message = format!("failed to turn the flag `{}` off", off.flag);
                Err(StoreError::new(StoreErrorKind::Invalid, message).with_source(error))
            }
        }
    }
}
