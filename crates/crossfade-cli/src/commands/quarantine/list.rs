//! `crossfade quarantine NAME list`: counts and samples by reason.

use std::collections::HashMap;

use crossfade_core::{MigrationName, reason_kind};
use crossfade_sql::Database;
use serde_json::{Value, json};

use super::{Picks, for_each};
use crate::{
    app::App,
    commands::words::count,
    failure::{Exit, Failure},
};

/// Keys that are shown of each reason.
const SAMPLES: usize = 5;

/// Count the keys by reason, with some of each.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    picks: Picks,
    /// Keys that are shown of each reason.
    #[arg(long, value_name = "N", default_value_t = SAMPLES)]
    limit: usize,
}

impl Default for Args {
    fn default() -> Self {
        Self { picks: Picks::default(), limit: SAMPLES }
    }
}

pub(super) async fn run(
    app: &App,
    database: &Database,
    name: &MigrationName,
    args: &Args,
) -> Result<Exit, Failure> {
    let summary = gather(database, name, args).await?;
    for line in summary.lines() {
        app.output.line(line);
    }
    if summary.keys() > 0 {
        app.output.line(format_args!(
            "mend the rows on Legacy, New or the mapping, then: `crossfade quarantine {name} retry`"
        ));
    }
    app.output.result(&json!({
        "migration": name.as_str(),
        "keys": summary.keys(),
        "reasons": summary.as_json(),
    }));
    Ok(Exit::Done)
}

/// The quarantine of a migration by reason, with a few keys of each.
pub(in crate::commands) async fn summary(
    database: &Database,
    name: &MigrationName,
) -> Result<Summary, Failure> {
    gather(database, name, &Args::default()).await
}

async fn gather(
    database: &Database,
    name: &MigrationName,
    args: &Args,
) -> Result<Summary, Failure> {
    let mut kinds: HashMap<String, Kind> = HashMap::new();
    for_each(database, name, &args.picks, |entry| {
        let kind = kinds.entry(reason_kind(&entry.reason)).or_default();
        kind.keys += 1;
        if kind.samples.len() < args.limit {
            kind.samples.push(entry.key);
        }
        Ok(())
    })
    .await?;
    let mut kinds: Vec<_> = kinds.into_iter().collect();
    kinds.sort_by(|(a, one), (b, other)| other.keys.cmp(&one.keys).then_with(|| a.cmp(b)));
    Ok(Summary(kinds))
}

#[derive(Debug, Default)]
struct Kind {
    keys: u64,
    samples: Vec<String>,
}

/// Reasons with their numbers of keys, the most frequent first.
#[derive(Debug)]
pub(in crate::commands) struct Summary(Vec<(String, Kind)>);

impl Summary {
    pub(in crate::commands) fn keys(&self) -> u64 {
        self.0.iter().map(|(_, kind)| kind.keys).sum()
    }

    /// The same for people.
    pub(in crate::commands) fn lines(&self) -> Vec<String> {
        let mut lines = vec![format!("{} in quarantine", count(self.keys(), "key"))];
        for (reason, kind) in &self.0 {
            lines.push(format!("  {}: {reason}", count(kind.keys, "key")));
            let more = if kind.samples.len() as u64 == kind.keys { "" } else { ", …" };
            if !kind.samples.is_empty() {
                lines.push(format!("    {}{more}", kind.samples.join(", ")));
            }
        }
        lines
    }

    /// The same for programs.
    pub(in crate::commands) fn as_json(&self) -> Vec<Value> {
        let one = |(reason, kind): &(String, Kind)| json!({ "reason": reason, "keys": kind.keys, "samples": kind.samples });
        self.0.iter().map(one).collect()
    }
}
