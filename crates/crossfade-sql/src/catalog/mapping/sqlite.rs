//! Affinities and storage classes on SQLite.

use crossfade_core::check::OddKeys;
use crossfade_core::{Identifier, MAPPED_ALIAS};
use sqlx::Error;

use super::convert::Converted;
use super::{Tried, attempt};
use crate::schema::{KeyKind, TableFacts};
use crate::session::Session;
use crate::shape::Args;

/// The affinities of the mapping's output columns; empty for an expression.
pub(super) const TYPES: &str =
    "select name, type from pragma_table_info('crossfade_mapping_types', 'temp') order by cid";

/// The condition that the value `m.NAME` is another once a column of New's type has stored it, which
/// is in `m.NAME stored`. A text that became a number is the same when it is spelled alike again.
pub(super) fn changes(column: &Converted) -> String {
    let value = format!("m.{}", column.name);
    let stored = format!("m.{}", stored_name(&column.name));
    format!(
        "case typeof({value}) when 'text' then cast({stored} as text) is not {value} \
         when 'blob' then {stored} is not {value} \
         when 'null' then false \
         else case typeof({stored}) when 'text' then cast({stored} as numeric) else {stored} end \
         is not {value} end"
    )
}

/// Has columns of New's types store what the mapping makes of the rows, beside the values as they
/// are. Whether nothing failed.
pub(super) async fn store(
    session: &mut Session,
    tried: &Tried<'_>,
    choose: &str,
    args: Args,
    columns: &[&Converted],
) -> Result<bool, Error> {
    let declared = columns
        .iter()
        .map(|column| format!("{}, {} {}", column.name, stored_name(&column.name), column.to));
    let create = format!(
        "create temp table if not exists crossfade_stored ({})",
        declared.collect::<Vec<_>>().join(", ")
    );
    session.execute(&create, Vec::new()).await?;
    session.execute("delete from temp.crossfade_stored", Vec::new()).await?;
    let values = columns.iter().map(|column| format!("m.{0}, m.{0}", column.name));
    let tail = format!("select {} from {MAPPED_ALIAS} as m", values.collect::<Vec<_>>().join(", "));
    let mut sql = tried.over(choose, args, &tail);
    sql.text = format!("insert into temp.crossfade_stored {}", sql.text);
    Ok(attempt(session, sql).await?.is_some())
}

/// The name of the column that stores, beside that of the value as it is. Both are quoted.
fn stored_name(quoted: &str) -> String {
    format!("{} stored\"", quoted.trim_end_matches('"'))
}

/// Key values of other storage classes than the column's type promises, by class.
pub(super) async fn odd_keys(
    session: &mut Session,
    side: &'static str,
    facts: &TableFacts,
    key: &[Identifier],
) -> Result<Vec<OddKeys>, Error> {
    let mut found = Vec::new();
    for part in key {
        let Some(column) = facts.column(part.as_str()) else { continue };
        let expected = match column.key_kind {
            Some(KeyKind::Integer) => "integer",
            Some(KeyKind::Text | KeyKind::PaddedText | KeyKind::Uuid) => "text",
            None => continue,
        };
        // NULL is reported by itself.
        let sql = format!(
            "select typeof(t.{name}), count(*) from {} as t \
             where typeof(t.{name}) not in ('{expected}', 'null') group by 1 order by 1",
            facts.qualified(),
            name = facts.quote(&column.name),
        );
        for row in session.fetch(&sql, Vec::new()).await? {
            found.push(OddKeys {
                side,
                column: column.name.clone(),
                declared: column.declared.clone(),
                class: row.text(0),
                rows: row.int(1).unsigned_abs(),
            });
        }
    }
    Ok(found)
}
