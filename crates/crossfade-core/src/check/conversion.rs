//! Values that New stores as other values, and keys of an unexpected storage class.

mod loss;

pub use loss::{Loss, loss, may_change};

use super::mapping::{Conversion, MappingText, OddKeys, Source};
use super::{Check, Finding, Severity, Survey};
use crate::{Definition, Stage};

/// The checks of this topic.
pub(super) const ALL: &[&Check] = &[&LOSSY_CONVERSION, &ZONE_CONVERSION, &ODD_STORAGE_CLASS];

/// A conversion that loses something.
static LOSSY_CONVERSION: Check = Check {
    id: "lossy-conversion",
    title: "columns whose value New's type changes when it is stored",
    severity: Severity::ToAccept,
    gate: Stage::Off,
    why: "New's type cannot hold every value that the mapping yields, and the database rounds, cuts \
          or respells it without an error. Verify compares what storing would make of the value, so \
          it calls the rows equal. Rows that change now are counted; with none, later ones would. A \
          type that refuses such values instead is a warning.",
    remedy: "widen New's column, or say in the mapping what is meant, by `cast(… as …)`, `round(…)` \
             or the like",
};

/// A conversion between with and without a time zone.
static ZONE_CONVERSION: Check = Check {
    id: "zone-conversion",
    title: "columns that go from a type without time zone to one with it, or back",
    severity: Severity::ToAccept,
    gate: Stage::Off,
    why: "The session's time zone decides which moment such a value becomes, or which day. An \
          application in another zone stores and reads others.",
    remedy: "name the zone in the mapping: `… at time zone '…'`, on MariaDB `convert_tz(…)`",
};

/// Key values of an unexpected storage class on SQLite.
static ODD_STORAGE_CLASS: Check = Check {
    id: "odd-storage-class",
    title: "key values on SQLite whose storage class is not that of the column's type",
    severity: Severity::Refused,
    gate: Stage::Off,
    why: "SQLite stores any value in any column, and a column declared `uuid` has numeric affinity: \
          a uuid of digits and one `e` becomes a number. A BLOB is not equal to a text of the same bytes, and a \
          real number has no exact text. Such keys cannot be named, so their rows would be lost or \
          differ for ever.",
    remedy: "rewrite the keys, as by `update … set key = cast(key as text)` where they hold text, \
             and declare the column `text` or `integer`",
};

/// Everything that is found about values.
pub(super) fn find(definition: &Definition, survey: &Survey, found: &mut Vec<Finding>) {
    let mapping = &survey.mapping;
    for conversion in &mapping.conversions {
        let source = match &mapping.text {
            Some(MappingText::Parsed(parsed)) => parsed.source(&conversion.column),
            _ => None,
        };
        found.extend(of_conversion(definition, survey.engine, conversion, source));
    }
    for OddKeys { side, column, declared, class, rows } in &mapping.odd_keys {
        let message = format!(
            "key column {column} of {side}, declared `{declared}`, holds {rows} {class} value(s) (typeof)"
        );
        let object = format!("{side}.{column}");
        found.push(ODD_STORAGE_CLASS.finds(object, message).with_count(*rows));
    }
}

fn of_conversion(
    definition: &Definition,
    engine: &str,
    conversion: &Conversion,
    source: Option<&Source>,
) -> Option<Finding> {
    let Conversion { column, from, to, changed, examined, whole } = conversion;
    let lost = from.as_deref().and_then(|from| loss(engine, from, to));
    let from_words = from.as_ref().map_or(String::new(), |from| format!(" from `{from}`"));
    // The author of an expression has chosen its values; only a plain column gets new ones.
    let plain = !matches!(source, Some(Source::Cast(_) | Source::AtTimeZone | Source::Expression));
    if lost == Some(Loss::Zone) {
        // MariaDB has no type for a moment but the column's own, so an expression is all it can say.
        if engine == "mysql" && !plain {
            return None;
        }
        let zone = match &definition.pinned.time_zone {
            Some(zone) => format!("time zone {zone}"),
            None => "the session's time zone".to_owned(),
        };
        let message = format!(
            "column {column} is converted{from_words} to `{to}` by {zone}, as the mapping does not \
             name one"
        );
        return Some(ZONE_CONVERSION.finds(column, message));
    }
    let what = match lost {
        Some(Loss::Silent(what) | Loss::Refused(what)) => format!(", which can lose {what}"),
        Some(Loss::Zone) | None => String::new(),
    };
    let beyond = if *whole { "" } else { "; further rows were not looked at" };
    if *changed > 0 {
        let message = format!(
            "{changed} of {examined} rows change in column {column} when they are stored{from_words} as \
             `{to}`{what}{beyond}"
        );
        return Some(LOSSY_CONVERSION.finds(column, message).with_count(*changed));
    }
    if !plain {
        return None;
    }
    let (severity, then) = match lost? {
        Loss::Silent(_) => (Severity::ToAccept, format!("none of {examined} rows changes yet")),
        Loss::Refused(_) => (Severity::Warning, "New refuses values that do not fit".to_owned()),
        Loss::Zone => return None,
    };
    let message = format!("column {column} is stored{from_words} as `{to}`{what}; {then}{beyond}");
    Some(LOSSY_CONVERSION.finds(column, message).with_severity(severity))
}

#[cfg(test)]
mod tests;
