//! A status in words and as JSON.

use crossfade_control::Status;
use crossfade_core::{FlagFacts, Stage};
use crossfade_store::RunProgress;
use serde_json::{Value, json};

use crate::commands::check::{as_json as finding_json, brief};
use crate::commands::words::{count, date, reasons, share, short, warnings_json};

/// One line for each migration.
pub(super) fn table(found: &[Status]) -> String {
    if found.is_empty() {
        return "no migrations yet; `crossfade new NAME` begins one".to_owned();
    }
    let mut lines = vec![format!(
        "{:<30} {:<12} {:>6}  {:<8} {}",
        "MIGRATION", "STAGE", "EPOCH", "ON NEW", "BACKFILL"
    )];
    for status in found {
        let state = &status.state;
        lines.push(format!(
            "{:<30} {:<12} {:>6}  {:<8} {}",
            state.definition.name,
            state.stage,
            state.epoch.get(),
            flag_share(status.facts.flag.as_ref()),
            status.run.as_ref().map_or("none".to_owned(), |run| run.run.state.as_str().to_owned()),
        ));
    }
    lines.join("\n")
}

fn flag_share(flag: Option<&FlagFacts>) -> String {
    flag.map_or("no flag".to_owned(), |flag| share(flag.percent))
}

/// Everything about one migration.
pub(super) fn page(status: &Status) -> String {
    let (state, facts) = (&status.state, &status.facts);
    let definition = &state.definition;
    let mut lines = vec![
        format!("{}: {} → {}", definition.name, definition.legacy.table, definition.new.table),
        format!(
            "  stage        {} for {}, epoch {}",
            state.stage,
            short(facts.stage_for),
            state.epoch
        ),
    ];
    if state.previous_open {
        lines.push(format!(
            "               the epoch before is open; `crossfade stage {} {}` closes it",
            definition.name, state.stage
        ));
    }
    let full = facts.flag.as_ref().and_then(|flag| flag.full_for);
    let full = full.map_or(String::new(), |full| format!(", at 100 % for {}", short(full)));
    let no_say = if state.stage == Stage::Live { "" } else { " (has its say in `live` alone)" };
    lines.push(format!(
        "  read flag    {}: {}{full}{no_say}",
        definition.read_flag,
        flag_share(facts.flag.as_ref())
    ));
    lines.push(format!("  backfill     {}", status.run.as_ref().map_or("none".to_owned(), run)));
    lines.push(match &facts.parity {
        None => "  verified     never".to_owned(),
        Some(parity) => format!(
            "  verified     {}: {}, {}",
            date(parity.started_ms),
            count(parity.differences, "difference"),
            count(parity.repaired, "repair")
        ),
    });
    lines.push(format!("  quarantine   {}", count(facts.quarantined, "key")));
    lines.extend(status.quarantine.iter().map(|(key, reason)| format!("    {key}: {reason}")));
    if facts.quarantined > 0 {
        lines.push(format!("    all of it, by reason: `crossfade quarantine {}`", definition.name));
    }
    lines.push(format!("  journal      {}", count(facts.journaled, "key")));
    lines.push(match &facts.capture {
        None => "  capture      none".to_owned(),
        Some(capture) if !capture.in_place => format!(
            "  capture      {0} since {1}, but its triggers are missing, disabled or changed; \
             `crossfade capture install {2} --mode {0}`",
            capture.mode,
            date(capture.since_ms),
            definition.name
        ),
        Some(capture) => format!(
            "  capture      {} since {}; `crossfade capture status {}` shows what it saw",
            capture.mode,
            date(capture.since_ms),
            definition.name
        ),
    });
    lines.push(format!("  instances    {}", status.instances.len()));
    for instance in &status.instances {
        let lease = match u64::try_from(instance.lease_left_ms) {
            Ok(left) => format!("lease for {}", short(std::time::Duration::from_millis(left))),
            Err(_) => "gone".to_owned(),
        };
        lines.push(format!(
            "    {} {}: acknowledged epoch {}, {lease}",
            instance.id, instance.version, instance.acknowledged
        ));
    }
    for finding in &facts.findings {
        lines.push(format!("  finding      {}", brief(finding)));
    }
    match &status.next {
        None => lines.push("  next         nothing; it is finished".to_owned()),
        Some((next, refusals)) if refusals.is_empty() => {
            lines.push(format!("  next         {next}: the gate is open"));
        }
        Some((next, refusals)) => {
            lines.push(format!("  next         {next}, once"));
            for refusal in refusals {
                lines.push(format!("    - {} ({})", refusal.reason, refusal.hint));
            }
        }
    }
    for warning in &status.warnings {
        lines.push(format!("    warning: {} ({})", warning.message, warning.hint));
    }
    lines.join("\n")
}

fn run(progress: &RunProgress) -> String {
    let of = progress.estimated_rows.map_or(String::new(), |rows| format!(" of about {rows}"));
    format!(
        "run {} is {}: {}{of} looked at, {} inserted",
        progress.run.id,
        progress.run.state.as_str(),
        count(progress.read, "row"),
        progress.inserted
    )
}

/// Everything about one migration for programs.
pub(super) fn as_json(status: &Status) -> Value {
    let (state, facts) = (&status.state, &status.facts);
    let definition = &state.definition;
    json!({
        "migration": definition.name.as_str(),
        "legacy": definition.legacy.table.to_string(),
        "new": definition.new.table.to_string(),
        "stage": state.stage.as_str(),
        "stage_for_s": facts.stage_for.as_secs(),
        "epoch": state.epoch.get(),
        "previous_open": state.previous_open,
        "read_flag": {
            "key": definition.read_flag.as_str(),
            "exists": facts.flag.is_some(),
            "percent": facts.flag.as_ref().and_then(|flag| flag.percent),
        },
        "backfill": status.run.as_ref().map(|progress| json!({
            "run": progress.run.id.get(),
            "state": progress.run.state.as_str(),
            "read": progress.read,
            "inserted": progress.inserted,
            "estimated_rows": progress.estimated_rows,
            "elapsed_ms": progress.elapsed_ms,
        })),
        "verification": facts.parity.as_ref().map(|parity| json!({
            "at": date(parity.started_ms),
            "differences": parity.differences,
            "repaired": parity.repaired,
        })),
        "findings": facts.findings.iter().map(finding_json).collect::<Vec<_>>(),
        "quarantined": facts.quarantined,
        "quarantine": status.quarantine.iter().map(|(key, reason)| {
            json!({ "key": key, "reason": reason })
        }).collect::<Vec<_>>(),
        "journaled": facts.journaled,
        "capture": facts.capture.map(|capture| json!({
            "mode": capture.mode.as_str(),
            "since": date(capture.since_ms),
            "in_place": capture.in_place,
        })),
        "instances": status.instances.iter().map(|instance| json!({
            "id": instance.id,
            "version": instance.version,
            "acknowledged": instance.acknowledged.get(),
            "lease_left_ms": instance.lease_left_ms,
        })).collect::<Vec<_>>(),
        "next": status.next.as_ref().map(|(next, refusals)| json!({
            "stage": next.as_str(),
            "refusals": reasons(refusals),
            "warnings": warnings_json(&status.warnings),
        })),
    })
}
