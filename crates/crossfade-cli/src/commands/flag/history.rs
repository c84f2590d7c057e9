//! `crossfade flag history`.

use crossfade_store::{RuleSetStore, StoredRuleSet};
use serde_json::{Value, json};

use crate::{
    app::App,
    commands::words::date,
    failure::{Exit, Failure},
};

/// List the versions of the database's rule set, newest first.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  crossfade flag history --limit 5\n  crossfade flag diff @6 @7       what version 7 changed"
)]
pub(crate) struct Args {
    /// How many versions.
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..))]
    limit: u32,
}

pub(super) async fn run(app: &App, args: &Args) -> Result<Exit, Failure> {
    let history = app.database().await?.rule_set_history(args.limit).await?;
    for stored in &history {
        let StoredRuleSet { version, author, reason, .. } = stored;
        let reason = if reason.is_empty() { String::new() } else { format!(": {reason}") };
        app.output
            .line(format_args!("{version:>5}  {}  {author}{reason}", date(stored.created_ms)));
    }
    if history.is_empty() {
        app.output.line("no rule sets yet; `crossfade expand NAME` makes the first");
    }
    app.output.result(&history.iter().map(as_json).collect::<Vec<_>>());
    Ok(Exit::Done)
}

fn as_json(stored: &StoredRuleSet) -> Value {
    json!({
        "version": stored.version,
        "at": date(stored.created_ms),
        "author": stored.author,
        "reason": stored.reason,
    })
}
