//! `migration.toml` as it is written, and its way into a definition.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;
use std::str::FromStr;
use std::time::Duration;

use crossfade_core::check::{Acceptance, Severity, check, checks};
use crossfade_core::{
    BackfillOptions, Definition, GateOptions, Identifier, MaxRefusals, NameError, Pinned,
    SideTable, TableName,
};
use serde::Deserialize;
use toml::Spanned;

use super::ManifestError;
use crate::script::Position;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wire {
    name: Spanned<String>,
    read_flag: Spanned<String>,
    legacy: Legacy,
    new: New,
    #[serde(default)]
    backfill: Backfill,
    #[serde(default)]
    gates: Gates,
    /// By check, then by object: the reason.
    #[serde(default)]
    accept: BTreeMap<Spanned<String>, BTreeMap<String, Spanned<String>>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Legacy {
    table: Spanned<String>,
    key: Spanned<Vec<Spanned<String>>>,
    #[serde(default)]
    columns: Vec<Spanned<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct New {
    table: Spanned<String>,
    key: Spanned<Vec<Spanned<String>>>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Backfill {
    batch_size: Option<Spanned<u32>>,
    delay: Option<Spanned<String>>,
    max_refusals: Option<Spanned<Refusals>>,
}

/// A number of rows, or a share such as `"1%"`.
#[derive(Deserialize)]
#[serde(untagged)]
enum Refusals {
    Rows(u64),
    Share(String),
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Gates {
    bake_time: Option<Spanned<String>>,
    quiet_time: Option<Spanned<String>>,
    invertible: Option<bool>,
    proof_age: Option<Spanned<String>>,
    require_capture: Option<bool>,
}

/// The definition in `text`, which was read from `path` in a folder of the name `folder`.
pub(super) fn definition(
    path: &Path,
    text: &str,
    folder: &str,
    mapping: String,
) -> Result<Definition, ManifestError> {
    let source = Source { path, text };
    let wire: Wire = toml::from_str(text).map_err(|error| {
        let message = error.message().trim_end().to_owned();
        match error.span() {
            Some(span) => source.error(span, message),
            None => ManifestError::new(path, message),
        }
    })?;
    if wire.name.get_ref() != folder {
        let message = format!("the name `{}` is not that of the folder", wire.name.get_ref());
        let hint = format!("write `name = \"{folder}\"` or rename the folder");
        return Err(source.error(wire.name.span(), message).with_hint(hint));
    }
    let definition = Definition {
        name: source.name(&wire.name)?,
        read_flag: source.name(&wire.read_flag)?,
        legacy: source.side(&wire.legacy.table, &wire.legacy.key)?,
        legacy_columns: source.names(&wire.legacy.columns)?,
        new: source.side(&wire.new.table, &wire.new.key)?,
        mapping,
        backfill: BackfillOptions {
            batch_size: source.batch_size(wire.backfill.batch_size.as_ref())?,
            delay: source.duration(wire.backfill.delay.as_ref())?,
            max_refusals: source.refusals(wire.backfill.max_refusals.as_ref())?,
        },
        gates: source.gates(&wire.gates)?,
        accepted: source.accepted(&wire.accept)?,
        pinned: Pinned::default(),
    };
    let (legacy, new) = (&definition.legacy, &definition.new);
    if legacy.key.len() != new.key.len() {
        let message = format!(
            "New's key has {} column(s) and Legacy's has {}",
            new.key.len(),
            legacy.key.len()
        );
        let hint = "list the key columns of both sides in the same order";
        return Err(source.error(wire.new.key.span(), message).with_hint(hint));
    }
    if legacy.table == new.table {
        let message = "Legacy and New are the same table";
        let hint = "move the columns into a table of their own";
        return Err(source.error(wire.new.table.span(), message).with_hint(hint));
    }
    Ok(definition)
}

struct Source<'a> {
    path: &'a Path,
    text: &'a str,
}

impl Source<'_> {
    fn error(&self, span: Range<usize>, message: impl Into<String>) -> ManifestError {
        ManifestError::at(self.path, Position::of(self.text, span.start), message)
    }

    fn name<T: FromStr<Err = NameError>>(
        &self,
        value: &Spanned<String>,
    ) -> Result<T, ManifestError> {
        value.get_ref().parse().map_err(|error: NameError| {
            self.error(value.span(), error.to_string())
                .with_hint("names stand in SQL statements, so only plain ones are taken")
        })
    }

    fn names(&self, values: &[Spanned<String>]) -> Result<Vec<Identifier>, ManifestError> {
        values.iter().map(|value| self.name(value)).collect()
    }

    fn side(
        &self,
        table: &Spanned<String>,
        key: &Spanned<Vec<Spanned<String>>>,
    ) -> Result<SideTable, ManifestError> {
        let table: TableName = self.name(table)?;
        let columns = self.names(key.get_ref())?;
        if columns.is_empty() {
            let error = self.error(key.span(), "the key has no columns");
            return Err(error.with_hint("name the columns of the table's primary key"));
        }
        Ok(SideTable { table, key: columns })
    }

    fn batch_size(&self, value: Option<&Spanned<u32>>) -> Result<Option<u32>, ManifestError> {
        match value {
            Some(value) if *value.get_ref() == 0 => {
                Err(self.error(value.span(), "a batch of 0 rows moves nothing"))
            }
            value => Ok(value.map(|value| *value.get_ref())),
        }
    }

    fn refusals(&self, value: Option<&Spanned<Refusals>>) -> Result<MaxRefusals, ManifestError> {
        let Some(value) = value else { return Ok(MaxRefusals::Default) };
        let text = match value.get_ref() {
            Refusals::Rows(rows) => return Ok(MaxRefusals::Rows(*rows)),
            Refusals::Share(text) => text,
        };
        match text.ends_with('%').then(|| text.parse().ok()).flatten() {
            Some(max) => Ok(max),
            None => {
                let error = self.error(value.span(), format!("`{text}` is not a share of rows"));
                Err(error.with_hint("write a number of rows, or a share such as \"1%\""))
            }
        }
    }

    fn accepted(
        &self,
        wire: &BTreeMap<Spanned<String>, BTreeMap<String, Spanned<String>>>,
    ) -> Result<Vec<Acceptance>, ManifestError> {
        let mut accepted = Vec::new();
        for (id, objects) in wire {
            let known = check(id.get_ref());
            if known.is_none_or(|check| check.severity == Severity::Refused) {
                let message = match known {
                    None => format!("`{}` is not a check", id.get_ref()),
                    Some(check) => {
                        format!("findings of `{}` are refused, and cannot be accepted", check.id)
                    }
                };
                let acceptable: Vec<&str> = checks()
                    .filter(|check| check.severity != Severity::Refused)
                    .map(|check| check.id)
                    .collect();
                let hint = format!("checks that can be accepted: {}", acceptable.join(", "));
                return Err(self.error(id.span(), message).with_hint(hint));
            }
            for (object, reason) in objects {
                if reason.get_ref().trim().is_empty() {
                    let message = format!("`{object}` is accepted without a reason");
                    let error = self.error(reason.span(), message);
                    return Err(error.with_hint("write why it is meant; the audit trail keeps it"));
                }
                accepted.push(Acceptance {
                    check: id.get_ref().clone(),
                    object: object.clone(),
                    reason: reason.get_ref().clone(),
                });
            }
        }
        Ok(accepted)
    }

    fn duration(&self, value: Option<&Spanned<String>>) -> Result<Option<Duration>, ManifestError> {
        let Some(value) = value else { return Ok(None) };
        humantime::parse_duration(value.get_ref()).map(Some).map_err(|error| {
            let message = format!("`{}` is not a duration: {error}", value.get_ref());
            self.error(value.span(), message)
                .with_hint("write it like \"100ms\", \"5s\" or \"24h\"")
        })
    }

    fn gates(&self, wire: &Gates) -> Result<GateOptions, ManifestError> {
        let default = GateOptions::default();
        Ok(GateOptions {
            bake_time: self.duration(wire.bake_time.as_ref())?.unwrap_or(default.bake_time),
            quiet_time: self.duration(wire.quiet_time.as_ref())?.unwrap_or(default.quiet_time),
            invertible: wire.invertible.unwrap_or(default.invertible),
            proof_age: self.duration(wire.proof_age.as_ref())?.unwrap_or(default.proof_age),
            require_capture: wire.require_capture.unwrap_or(default.require_capture),
        })
    }
}
