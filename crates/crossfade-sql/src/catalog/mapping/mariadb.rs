//! Functions and conversions on MariaDB.

use std::collections::BTreeSet;

use crossfade_core::check::{FunctionFacts, Loss, Volatility, loss};
use sqlx::Error;

use super::convert::Converted;
use crate::session::Session;
use crate::value::Row;

/// The types of the temporary table's columns, which no catalog lists.
pub(super) async fn temporary_types(session: &mut Session) -> Result<Vec<Row>, Error> {
    let rows = session.fetch("show columns from crossfade_mapping_types", Vec::new()).await?;
    session.execute("drop temporary table crossfade_mapping_types", Vec::new()).await?;
    Ok(rows)
}

/// Stored functions by these names, of the default database and of those that the text names.
pub(super) async fn functions(
    session: &mut Session,
    names: &BTreeSet<String>,
    text: &str,
) -> Result<Vec<FunctionFacts>, Error> {
    let numbers: Vec<String> = (1..=names.len()).map(|number| format!("${number}")).collect();
    let sql = format!(
        "select routine_schema, lower(routine_name), is_deterministic, sql_data_access, \
         cast(routine_schema <=> database() as signed) \
         from information_schema.routines where routine_type = 'FUNCTION' \
         and lower(routine_name) in ({})",
        numbers.join(", ")
    );
    let names = names.iter().map(|name| name.to_lowercase().into()).collect();
    let text = text.to_lowercase();
    let rows = session.fetch(&sql, names).await?;
    let meant = |row: &&Row| row.int(4) != 0 || text.contains(row.text(0).to_lowercase().as_str());
    let facts = |row: &Row| FunctionFacts {
        name: row.text(1),
        schema: Some(row.text(0)),
        volatility: match (row.text(2).as_str(), row.text(3).as_str()) {
            (_, "MODIFIES SQL DATA") | ("NO", _) => Volatility::Volatile,
            (_, "READS SQL DATA") => Volatility::Stable,
            _ => Volatility::Immutable,
        },
        aggregate: false,
        returns_set: false,
    };
    Ok(rows.iter().filter(meant).map(facts).collect())
}

/// Kinds of types that are compared alike.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Exact,
    Float,
    Text,
    Moment,
    Other,
}

fn kind(declared: &str) -> Kind {
    let lower = declared.to_lowercase();
    let end = lower.find(|c: char| !c.is_alphanumeric()).unwrap_or(lower.len());
    match &lower[..end] {
        "tinyint" | "smallint" | "mediumint" | "int" | "bigint" | "decimal" => Kind::Exact,
        "float" | "double" => Kind::Float,
        "char" | "varchar" | "tinytext" | "text" | "mediumtext" | "longtext" | "enum" => Kind::Text,
        "date" | "datetime" | "timestamp" | "time" => Kind::Moment,
        _ => Kind::Other,
    }
}

/// The condition that storing the value changes it: it is converted, converted back, and compared.
pub(super) fn changes(column: &Converted) -> Option<String> {
    let from = column.from.as_deref()?;
    if loss("mysql", from, &column.to) == Some(Loss::Refused("range")) {
        return None;
    }
    let (value, cast) = (format!("m.{}", column.name), &column.cast);
    let stored = format!("cast({value} as {cast})");
    let digits = |value: &str| format!("cast({value} as decimal(65, 30))");
    match (kind(from), kind(&column.to)) {
        // Compared with a float, both become floats.
        (Kind::Exact, Kind::Float) => {
            Some(format!("not ({} <=> {})", digits(&stored), digits(&value)))
        }
        (Kind::Exact | Kind::Float, Kind::Exact | Kind::Float) | (Kind::Moment, Kind::Moment) => {
            Some(format!("not ({stored} <=> {value})"))
        }
        (Kind::Text, Kind::Exact | Kind::Float | Kind::Moment) => {
            Some(format!("not (binary cast({stored} as char) <=> binary {value})"))
        }
        (Kind::Text, Kind::Text) => changed_text(&value, &column.to),
        _ => None,
    }
}

/// Blanks at the end, which `char` drops and a `varchar` cuts without an error, and texts that are
/// stored as an `enum` spells them.
fn changed_text(value: &str, to: &str) -> Option<String> {
    let inside = to.split_once('(').and_then(|(_, rest)| rest.split_once(')'));
    let (inside, lower) = (inside.map(|(inside, _)| inside), to.to_lowercase());
    if lower.starts_with("enum(") {
        let listed = inside?;
        return Some(format!("binary convert({value} using utf8mb4) not in ({listed})"));
    }
    if lower.starts_with("char") {
        return Some(format!("{value} like '% '"));
    }
    let length: u32 = inside?.parse().ok()?;
    Some(format!(
        "char_length({value}) > {length} and rtrim(substring({value}, {})) = ''",
        length + 1
    ))
}
