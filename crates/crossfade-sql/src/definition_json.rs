//! The stored form of a definition.

use std::str::FromStr;
use std::time::Duration;

use crossfade_core::check::Acceptance;
use crossfade_core::{
    BackfillOptions, Definition, GateOptions, MaxRefusals, NameError, Pinned, SideTable,
};
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
    // Later than the first version, so a stored definition may lack them.
    #[serde(default)]
    max_refusals: WireRefusals,
    #[serde(default)]
    proof_age_ms: Option<u64>,
    #[serde(default)]
    require_capture: bool,
    #[serde(default)]
    accepted: Vec<WireAcceptance>,
    #[serde(default)]
    search_path: Option<String>,
    #[serde(default)]
    time_zone: Option<String>,
    #[serde(default)]
    contract: Option<String>,
}

#[derive(Clone, Copy, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum WireRefusals {
    #[default]
    Default,
    Rows(u64),
    PartsPerMillion(u32),
}

#[derive(Serialize, Deserialize)]
struct WireAcceptance {
    check: String,
    object: String,
    reason: String,
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

impl WireAcceptance {
    fn of(acceptance: &Acceptance) -> Self {
        let Acceptance { check, object, reason } = acceptance.clone();
        Self { check, object, reason }
    }

    fn acceptance(&self) -> Acceptance {
        let Self { check, object, reason } = self;
        Acceptance { check: check.clone(), object: object.clone(), reason: reason.clone() }
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
        max_refusals: match definition.backfill.max_refusals {
            MaxRefusals::Default => WireRefusals::Default,
            MaxRefusals::Rows(rows) => WireRefusals::Rows(rows),
            MaxRefusals::PartsPerMillion(parts) => WireRefusals::PartsPerMillion(parts),
        },
        proof_age_ms: Some(ms(definition.gates.proof_age)),
        require_capture: definition.gates.require_capture,
        accepted: definition.accepted.iter().map(WireAcceptance::of).collect(),
        search_path: definition.pinned.search_path.clone(),
        time_zone: definition.pinned.time_zone.clone(),
        contract: definition.pinned.contract.clone(),
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
                max_refusals: match wire.max_refusals {
                    WireRefusals::Default => MaxRefusals::Default,
                    WireRefusals::Rows(rows) => MaxRefusals::Rows(rows),
                    WireRefusals::PartsPerMillion(parts) => MaxRefusals::PartsPerMillion(parts),
                },
            },
            gates: GateOptions {
                bake_time: Duration::from_millis(wire.bake_ms),
                quiet_time: Duration::from_millis(wire.quiet_ms),
                invertible: wire.invertible,
                proof_age: wire
                    .proof_age_ms
                    .map_or(GateOptions::default().proof_age, Duration::from_millis),
                require_capture: wire.require_capture,
            },
            accepted: wire.accepted.iter().map(WireAcceptance::acceptance).collect(),
            pinned: Pinned {
                search_path: wire.search_path.clone(),
                time_zone: wire.time_zone.clone(),
                contract: wire.contract.clone(),
            },
        })
    };
    build().map_err(|error| broken(error.into()))
}
