//! What a verification found, for people and for programs.

use crossfade_core::{Key, MigrationName};
use crossfade_reconcile::{Recorded, VerifyReport};
use crossfade_store::{Difference, DifferenceKind, ValuePair};
use serde_json::{Value, json};

use crate::{
    commands::words::{count, short},
    failure::{Exit, Failure},
    output::Output,
};

/// Whether values of rows are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Values {
    /// To the letter.
    Shown,
    /// By their length.
    Redacted,
}

impl Values {
    fn of(self, value: Option<&str>) -> String {
        match (value, self) {
            (None, _) => "NULL".to_owned(),
            (Some(value), Self::Shown) => format!("{value:?}"),
            (Some(value), Self::Redacted) => count(value.chars().count() as u64, "character"),
        }
    }

    /// The columns of a difference, such as "theme (4 characters on Legacy, 5 characters on New)".
    fn columns(self, difference: &Difference) -> String {
        let columns = difference.columns.iter().enumerate().map(|(index, column)| match difference
            .values
            .get(index)
        {
            Some(ValuePair { mapped, new }) => format!(
                "{column} ({} mapped, {} on New)",
                self.of(mapped.as_deref()),
                self.of(new.as_deref())
            ),
            None => column.to_string(),
        });
        match difference.columns.is_empty() {
            true => "the mapping fails on it".to_owned(),
            false => columns.collect::<Vec<_>>().join(", "),
        }
    }

    fn json(self, difference: &Difference) -> Value {
        let columns = difference.columns.iter().enumerate().map(|(index, column)| {
            let pair = difference.values.get(index);
            let of = |value: fn(&ValuePair) -> &Option<String>| {
                pair.map(|pair| self.of(value(pair).as_deref()))
            };
            json!({
                "column": column.as_ref(),
                "mapped": of(|pair| &pair.mapped),
                "new": of(|pair| &pair.new),
            })
        });
        json!({
            "key": difference.key.text(),
            "kind": kind(difference.kind),
            "columns": columns.collect::<Vec<_>>(),
        })
    }
}

/// What a verification found, for people.
pub(crate) fn lines(output: Output, name: &MigrationName, report: &VerifyReport, values: Values) {
    let found = report.found;
    if let Some(resumed) = report.resumed {
        let compared = count(resumed.compared, "key");
        output.line(format_args!("went on after {compared} that an interrupted pass compared"));
    }
    output.line(format_args!(
        "{} compared in {}: {} differing, {} missing, {} orphaned, {} repaired, {} in quarantine",
        count(report.compared, "key"),
        short(report.elapsed),
        found.differing,
        found.missing,
        found.orphaned,
        report.repaired,
        report.quarantined
    ));
    let samples = &report.samples;
    for (what, keys) in [
        ("differing", &samples.differing),
        ("missing on New", &samples.missing),
        ("only on New", &samples.orphaned),
    ] {
        if !keys.is_empty() {
            output.line(format_args!("  {what}: {}", texts(keys).join(", ")));
        }
    }
    for difference in &samples.details {
        output.line(format_args!("    {}: {}", difference.key, values.columns(difference)));
    }
    if report.columns.len() > 1 || found.differing > samples.details.len() as u64 {
        let columns = report.columns.iter().map(|(column, rows)| format!("{column} {rows}"));
        let columns = columns.collect::<Vec<_>>().join(", ");
        output.line(format_args!("  differing rows by column: {columns}"));
    }
    if report.quarantined > 0 {
        output.line(format_args!("  `crossfade quarantine {name}` shows the quarantine"));
    }
    match &report.recorded {
        Recorded::Yes | Recorded::Interrupted => {}
        Recorded::Partial => output.line("not recorded: a part of the keys is not a proof"),
        Recorded::Look(reason) => {
            output.line(format_args!("not recorded, so no gate opens by it: {reason}"));
        }
    }
}

/// The same for programs.
pub(crate) fn report_json(name: &MigrationName, report: &VerifyReport, values: Values) -> Value {
    let found = report.found;
    let list = |of: &[Difference]| of.iter().map(|it| values.json(it)).collect::<Vec<_>>();
    let columns: serde_json::Map<String, Value> =
        report.columns.iter().map(|(name, rows)| (name.to_string(), json!(rows))).collect();
    json!({
        "migration": name.as_str(),
        "compared": report.compared,
        "differing": found.differing,
        "missing": found.missing,
        "orphaned": found.orphaned,
        "columns": columns,
        "repaired": report.repaired,
        "quarantined": report.quarantined,
        "remaining": report.remaining,
        "interrupted": report.interrupted,
        "elapsed_ms": report.elapsed.as_millis(),
        "resumed_after": report.resumed.map(|resumed| resumed.compared),
        "recorded": report.recorded == Recorded::Yes,
        "not_recorded_because": match &report.recorded {
            Recorded::Yes => None,
            Recorded::Interrupted => Some("it was interrupted"),
            Recorded::Partial => Some("a part of the keys is not a proof"),
            Recorded::Look(reason) => Some(reason.as_str()),
        },
        "samples": {
            "differing": texts(&report.samples.differing),
            "missing": texts(&report.samples.missing),
            "orphaned": texts(&report.samples.orphaned),
        },
        "details": list(&report.samples.details),
        "still_differing": report.stuck,
        "still_differing_details": list(&report.stuck_samples),
    })
}

/// Rows that another repair would not mend.
pub(super) fn stuck(report: &VerifyReport) -> Failure {
    let mut columns: Vec<&str> = report
        .stuck_samples
        .iter()
        .flat_map(|difference| difference.columns.iter().map(AsRef::as_ref))
        .collect();
    columns.sort_unstable();
    columns.dedup();
    let keys: Vec<Key> = report.stuck_samples.iter().map(|it| it.key.clone()).take(5).collect();
    let columns = match columns.is_empty() {
        true => String::new(),
        false => format!(" in `{}`", columns.join("`, `")),
    };
    let message = format!(
        "{} still differ{} right after the repair{columns}: {}",
        count(report.stuck, "row"),
        if report.stuck == 1 { "s" } else { "" },
        texts(&keys).join(", ")
    );
    let hint = format!(
        "New does not store what the mapping yields{columns}: cast it to New's type in the mapping, \
         or look for a trigger on New that changes it; repairing again does not help"
    );
    Failure::new(Exit::Differ, message).with_hint(hint)
}

pub(super) fn kind(kind: DifferenceKind) -> &'static str {
    match kind {
        DifferenceKind::Differing => "differing",
        DifferenceKind::Missing => "missing",
        DifferenceKind::Orphaned => "orphaned",
    }
}

fn texts(keys: &[Key]) -> Vec<String> {
    keys.iter().map(ToString::to_string).collect()
}
