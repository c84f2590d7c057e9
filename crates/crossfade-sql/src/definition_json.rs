//! The stored form of a definition.

use std::str::FromStr;
use std::time::Duration;

use crossfade_core::{BackfillOptions, Definition, GateOptions, NameError, SideTable};
use crossfade_store::{StoreError, StoreErrorKind};
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
struct Wire {
    name: String,
    read_flag: String,
    legacy: WireTable,
    legacy_columns: Vec<String>,
    new: WireTable,
    mapping: String,
    batch_size: Option<u32>,
    delay_ms: Option<u64>,
    bake_ms: u64,
    quiet_ms: u64,
    invertible: bool,
}

#[derive(Serialize, Deserialize)]
struct WireTable {
    table: String,
    key: Vec<String>,
}

impl WireTable {
    fn of(side: &SideTable) -> Self {
        Self { table: side.table.to_string(), key: names(&side.key) }
    }

    fn side(&self) -> Result<SideTable, NameError> {
        Ok(SideTable { table: self.table.parse()?, key: parse_all(&self.key)? })
    }
}

fn names<T: ToString>(names: &[T]) -> Vec<String> {
    names.iter().map(T::to_string).collect()
}

fn parse_all<T: FromStr>(names: &[String]) -> Result<Vec<T>, T::Err> {
    names.iter().map(|name| name.parse()).collect()
}

fn ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// The text that is stored.
pub(crate) fn to_json(definition: &Definition) -> String {
    let wire = Wire {
        name: definition.name.to_string(),
        read_flag: definition.read_flag.to_string(),
        legacy: WireTable::of(&definition.legacy),
        legacy_columns: names(&definition.legacy_columns),
        new: WireTable::of(&definition.new),
        mapping: definition.mapping.clone(),
        batch_size: definition.backfill.batch_size,
        delay_ms: definition.backfill.delay.map(ms),
        bake_ms: ms(definition.gates.bake_time),
        quiet_ms: ms(definition.gates.quiet_time),
        invertible: definition.gates.invertible,
    };
    serde_json::to_string(&wire).expect("plain strings and numbers always serialize")
}

/// The definition of a stored text.
pub(crate) fn from_json(text: &str) -> Result<Definition, StoreError> {
    let broken = |error: Box<dyn std::error::Error + Send + Sync>| {
        StoreError::new(StoreErrorKind::Invalid, "a stored definition cannot be read")
            .with_source(error)
            .with_hint("a newer version of Crossfade may have written it")
    };
    let wire: Wire = serde_json::from_str(text).map_err(|error| broken(error.into()))?;
    let build = || -> Result<Definition, NameError> {
        Ok(Definition {
            name: wire.name.parse()?,
            read_flag: wire.read_flag.parse()?,
            legacy: wire.legacy.side()?,
            legacy_columns: parse_all(&wire.legacy_columns)?,
            new: wire.new.side()?,
            mapping: wire.mapping.clone(),
            backfill: BackfillOptions {
                batch_size: wire.batch_size,
                delay: wire.delay_ms.map(Duration::from_millis),
            },
            gates: GateOptions {
                bake_time: Duration::from_millis(wire.bake_ms),
                quiet_time: Duration::from_millis(wire.quiet_ms),
                invertible: wire.invertible,
            },
        })
    };
    build().map_err(|error| broken(error.into()))
}
