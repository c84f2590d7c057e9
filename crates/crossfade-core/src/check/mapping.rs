//! Whether the mapping is a function of its row: by its text, by the catalog, and by trying.

mod calls;
mod survey;
mod text;

pub use survey::{Conversion, FunctionFacts, MappingSurvey, OddKeys, Sample, Trial, Volatility};
pub use text::{
    Call, Construct, ConstructKind, MappingText, OtherTable, Output, ParsedMapping, Place, Source,
};

use super::{Check, Finding, Severity, Survey};
use crate::{Definition, Stage};

/// The checks of this topic.
pub(super) const ALL: &[&Check] = &[
    &NOT_ROW_BY_ROW,
    &NOT_A_MAPPING,
    &SESSION_BOUND,
    &VOLATILE_FUNCTION,
    &STABLE_FUNCTION,
    &SEVERAL_ROWS,
    &UNSTABLE_MAPPING,
    &BATCH_DEPENDENT,
    &CHANGED_KEY,
    &READS_OTHER_ROWS,
    &UNREAD_COLUMN,
    &MAPPING_NOT_PARSED,
];

/// A construct whose result depends on the other rows of the batch.
static NOT_ROW_BY_ROW: Check = Check {
    id: "not-row-by-row",
    title: "parts of the mapping whose result depends on other rows of Legacy",
    severity: Severity::Refused,
    gate: Stage::Off,
    why: "The mapping is run over one row at a time by writes and repairs, and over batches of \
          changing size by backfill and verify. Aggregates, windows, `limit`, `distinct` and a \
          second look at Legacy then give another result each time, so New never becomes what the \
          mapping yields over the whole table.",
    remedy: "write a mapping whose every row depends on one row of Legacy alone",
};

/// A construct that has no place in a mapping.
static NOT_A_MAPPING: Check = Check {
    id: "not-a-mapping",
    title: "clauses that a mapping must not have",
    severity: Severity::Refused,
    gate: Stage::Off,
    why: "The mapping stands inside larger statements, which lock rows and write them. A clause \
          that locks, stores or samples rows, or whose meaning a setting decides, does something \
          else there.",
    remedy: "leave the clause out",
};

/// A function of the moment or the session.
static SESSION_BOUND: Check = Check {
    id: "session-bound-function",
    title: "functions of the moment, the session or chance in the mapping",
    severity: Severity::Refused,
    gate: Stage::Off,
    why: "The write, backfill and verify each call it again and get another result, so verify finds \
          every row different and each repair gives it another value.",
    remedy: "let the application write the value to a column of Legacy, or let New's default make \
             it and leave the column out of the mapping",
};

/// A volatile function of the application's.
static VOLATILE_FUNCTION: Check = Check {
    id: "volatile-function",
    title: "functions in the mapping that the catalog holds for volatile",
    severity: Severity::Refused,
    gate: Stage::Off,
    why: "A volatile function may return another result on each call, and may write. Verify then \
          finds differences that no repair ends.",
    remedy: "declare it `immutable` or `stable` on PostgreSQL, `deterministic` on MariaDB, where \
             that is true; otherwise leave it out of the mapping",
};

/// A stable function of the application's.
static STABLE_FUNCTION: Check = Check {
    id: "stable-function",
    title: "functions in the mapping that read tables or settings",
    severity: Severity::ToAccept,
    gate: Stage::Off,
    why: "Its result may change without a change of the row, and nothing then brings New up to \
          date. Verify finds such rows only once it runs again.",
    remedy: "declare it `immutable` where that is true, or replace it by an expression",
};

/// Several rows for a key.
static SEVERAL_ROWS: Check = Check {
    id: "several-rows",
    title: "keys for which the mapping yields several rows",
    severity: Severity::Refused,
    gate: Stage::Off,
    why: "New holds one row for each key. Which of several is stored would depend on their order.",
    remedy: "choose one row, or give New a key that distinguishes the rows and Legacy the same one",
};

/// A result that changes by itself.
static UNSTABLE_MAPPING: Check = Check {
    id: "unstable-mapping",
    title: "rows that the mapping maps differently each time",
    severity: Severity::Refused,
    gate: Stage::Off,
    why: "The same rows of Legacy were mapped twice in one snapshot, with different results. Verify \
          would find them different for ever.",
    remedy: "find what the columns are computed from: a volatile function, a sequence, the clock",
};

/// A result that depends on the batch.
static BATCH_DEPENDENT: Check = Check {
    id: "batch-dependent-mapping",
    title: "rows that the mapping maps differently alone and among others",
    severity: Severity::Refused,
    gate: Stage::Off,
    why: "Rows of Legacy were mapped alone, in small batches and all at once, with different \
          results. What New holds would depend on the size of backfill's batches.",
    remedy: "find what looks at other rows: an aggregate, a window, `limit`, a function or view that \
             counts",
};

/// A key that the mapping changes.
static CHANGED_KEY: Check = Check {
    id: "changed-key",
    title: "rows whose key the mapping changes",
    severity: Severity::Refused,
    gate: Stage::Off,
    why: "Locks, quarantine entries, repairs and reads find New's row by Legacy's key. Where the \
          keys differ they find another row, or none.",
    remedy: "map Legacy's key columns to New's as they are",
};

/// Rows of other tables.
static READS_OTHER_ROWS: Check = Check {
    id: "reads-other-rows",
    title: "tables besides the row itself that the mapping reads",
    severity: Severity::Warning,
    gate: Stage::Off,
    why: "When those rows change, nothing writes New. Verify finds the difference once it runs, and \
          a repair mends it.",
    remedy: "write the Legacy rows that depend on them too, or run `crossfade verify NAME --repair` \
             after such changes",
};

/// A column of Legacy that is lost.
static UNREAD_COLUMN: Check = Check {
    id: "unread-column",
    title: "columns of Legacy that the mapping never reads",
    severity: Severity::Warning,
    gate: Stage::Off,
    why: "Their values do not reach New, and `contract` takes them away.",
    remedy: "add them to the mapping, or accept the loss of each by name",
};

/// A mapping that only the database could read.
static MAPPING_NOT_PARSED: Check = Check {
    id: "mapping-not-parsed",
    title: "mappings that Crossfade's parser cannot read",
    severity: Severity::Warning,
    gate: Stage::Off,
    why: "The database accepts the mapping. What it is made of could not be looked at, so only the \
          trial on rows and the catalog judge it.",
    remedy: "write the part in plainer SQL, or rely on the trial",
};

/// Everything that is found about the mapping.
pub(super) fn find(definition: &Definition, survey: &Survey, found: &mut Vec<Finding>) {
    let mapping = &survey.mapping;
    match &mapping.text {
        Some(MappingText::Parsed(parsed)) => {
            of_text(parsed, survey.engine, mapping, found);
            unread(definition, parsed, mapping, found);
        }
        Some(MappingText::Unparsed { reason, calls }) => {
            let message =
                format!("the mapping was not parsed ({reason}); only the trial judges it");
            found.push(MAPPING_NOT_PARSED.finds("mapping", message));
            session_bound(calls, survey.engine, found);
        }
        None => {}
    }
    of_catalog(mapping, found);
    if let Some(trial) = &mapping.trial {
        of_trial(trial, found);
    }
}

fn of_text(
    parsed: &ParsedMapping,
    engine: &str,
    mapping: &MappingSurvey,
    found: &mut Vec<Finding>,
) {
    let by_catalog = |call: &Call, is: &dyn Fn(&FunctionFacts) -> bool| {
        mapping.functions.iter().any(|facts| facts.name == call.name && is(facts))
    };
    let mut constructs = parsed.constructs.clone();
    for call in &parsed.calls {
        let aggregates = call.aggregates(engine) || by_catalog(call, &|facts| facts.aggregate);
        if call.over_batch && aggregates {
            let kind = ConstructKind::Aggregate;
            constructs.push(Construct { kind, place: call.place });
        }
    }
    for Construct { kind, place } in constructs {
        let check = match kind {
            ConstructKind::TableSample
            | ConstructKind::Locking
            | ConstructKind::Into
            | ConstructKind::Variable
            | ConstructKind::Present
            | ConstructKind::Pipes => &NOT_A_MAPPING,
            _ => &NOT_ROW_BY_ROW,
        };
        let words = kind.words();
        let why = match kind {
            ConstructKind::Pipes => "; its meaning depends on sql_mode",
            ConstructKind::SecondMention => ", which would see the rows of the batch alone",
            _ => "",
        };
        let message = format!("the mapping has {words}{}{why}", at(place));
        found.push(check.finds(words.trim_matches('`'), message).with_hint(kind.instead()));
    }
    session_bound(&parsed.calls, engine, found);
    for call in &parsed.calls {
        let name = &call.name;
        let several = call.returns_set(engine) || by_catalog(call, &|facts| facts.returns_set);
        if call.in_select_list && several {
            let message =
                format!("the mapping calls {name}, which returns several rows{}", at(call.place));
            found.push(SEVERAL_ROWS.finds(name, message));
        }
    }
    for OtherTable { name, is_legacy, place } in &parsed.other_tables {
        let what = if *is_legacy { "the whole of Legacy" } else { "the table" };
        let message = format!("the mapping reads {what} {name}{}", at(*place));
        let known = found.iter().any(|old| old.check == &READS_OTHER_ROWS && old.object == *name);
        if !known {
            found.push(READS_OTHER_ROWS.finds(name, message));
        }
    }
}

fn session_bound(calls: &[Call], engine: &str, found: &mut Vec<Finding>) {
    for call in calls.iter().filter(|call| call.is_session_bound(engine)) {
        let message = format!("the mapping calls {}{}", call.name, at(call.place));
        found.push(SESSION_BOUND.finds(&call.name, message));
    }
}

fn at(place: Option<Place>) -> String {
    match place {
        Some(Place { line, column }) => {
            format!(" at line {line}, column {column} of the mapping")
        }
        None => String::new(),
    }
}

/// One finding for each column, so that each is accepted by its name.
fn unread(
    definition: &Definition,
    parsed: &ParsedMapping,
    mapping: &MappingSurvey,
    found: &mut Vec<Finding>,
) {
    if parsed.reads_all {
        return;
    }
    let goes = |column: &str| {
        let columns = &definition.legacy_columns;
        columns.is_empty() || columns.iter().any(|goes| goes.as_str().eq_ignore_ascii_case(column))
    };
    for column in &mapping.legacy_columns {
        let read = parsed.reads.iter().any(|read| read.eq_ignore_ascii_case(column));
        if !read && goes(column) {
            let table = &definition.legacy.table;
            let message = format!("the mapping never reads column {column} of Legacy {table}");
            found.push(UNREAD_COLUMN.finds(column, message));
        }
    }
}

/// Functions of the application's, whether or not the mapping could be parsed.
fn of_catalog(mapping: &MappingSurvey, found: &mut Vec<Finding>) {
    for facts in &mapping.functions {
        let known = |id: &str| {
            found.iter().any(|old| old.check.id == id && old.object.ends_with(&facts.name))
        };
        let (name, own) = match &facts.schema {
            Some(schema) => (format!("{schema}.{}", facts.name), true),
            None => (facts.name.clone(), false),
        };
        match facts.volatility {
            Volatility::Volatile if !known(SESSION_BOUND.id) => {
                let message = format!("the mapping calls {name}, which is volatile");
                found.push(VOLATILE_FUNCTION.finds(&name, message));
            }
            Volatility::Stable if own => {
                let message = format!("the mapping calls {name}, which reads tables or settings");
                found.push(STABLE_FUNCTION.finds(&name, message));
            }
            Volatility::Volatile | Volatility::Stable | Volatility::Immutable => {}
        }
    }
}

fn of_trial(trial: &Trial, found: &mut Vec<Finding>) {
    let rows = trial.rows;
    let of = [
        (&UNSTABLE_MAPPING, &trial.unstable, "are mapped differently each time"),
        (&BATCH_DEPENDENT, &trial.dependent, "are mapped differently alone and among others"),
        (&CHANGED_KEY, &trial.rekeyed, "are mapped to another key"),
        (&SEVERAL_ROWS, &trial.several, "are mapped to several rows"),
    ];
    for (check, sample, what) in of {
        if sample.count == 0 {
            continue;
        }
        let columns = match &sample.columns[..] {
            [] => String::new(),
            columns => format!("; differing columns: {}", columns.join(", ")),
        };
        let message = format!(
            "{} of {rows} rows tried {what}: keys {}{}{columns}",
            sample.count,
            sample.keys.join(", "),
            if sample.count > sample.keys.len() as u64 { ", …" } else { "" },
        );
        found.push(check.finds("mapping", message).with_count(sample.count));
    }
}

#[cfg(test)]
mod tests;
