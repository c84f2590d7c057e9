//! `crossfade audit`: who changed what.

use crossfade_store::{AuditRecord, ControlStore};
use serde_json::{Value, json};

use crate::{
    app::App,
    commands::words::date,
    failure::{Exit, Failure},
};

/// Show who changed what, and whether the trail is intact.
///
/// Shows the newest lines of the audit trail and checks that none was changed since it was written.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  crossfade audit --limit 200")]
pub(crate) struct Args {
    /// How many lines.
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..))]
    limit: u32,
}

pub(crate) async fn run(app: &App, args: &Args) -> Result<Exit, Failure> {
    let trail = app.database().await?.audit_trail(args.limit).await?;
    for record in &trail {
        app.output.line(line(record));
    }
    app.output.result(&trail.iter().map(as_json).collect::<Vec<_>>());
    let broken: Vec<String> =
        trail.iter().filter(|record| !record.intact).map(|record| record.seq.to_string()).collect();
    if broken.is_empty() {
        return Ok(Exit::Done);
    }
    let message = format!("the audit trail was changed at line {}", broken.join(", "));
    let hint = "somebody wrote to the audit table by hand; compare it with a backup";
    Err(Failure::new(Exit::Failed, message).with_hint(hint))
}

fn line(record: &AuditRecord) -> String {
    let change = match (record.from.as_str(), record.to.as_str()) {
        ("", "") => String::new(),
        ("", to) => format!(" → {to}"),
        (from, "") => format!(" in {from}"),
        (from, to) => format!(" {from} → {to}"),
    };
    let reason =
        if record.reason.is_empty() { String::new() } else { format!(": {}", record.reason) };
    let mark = if record.intact { "" } else { "  (CHANGED)" };
    format!(
        "{:>5}  {}  {}  {} {}{change}{reason}{mark}",
        record.seq,
        date(record.at_ms),
        record.actor,
        record.action,
        record.subject
    )
}

fn as_json(record: &AuditRecord) -> Value {
    json!({
        "seq": record.seq,
        "at": date(record.at_ms),
        "action": record.action,
        "subject": record.subject,
        "from": record.from,
        "to": record.to,
        "actor": record.actor,
        "reason": record.reason,
        "intact": record.intact,
    })
}
