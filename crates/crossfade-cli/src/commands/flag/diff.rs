//! `crossfade flag diff`.

use crossfade_rules::{FlagDiff, FractionalChange, diff};
use serde_json::{Value, json};

use super::place::{self, Place};
use crate::{
    app::App,
    failure::{Exit, Failure},
};

const EXAMPLES: &str = "\
The share counts users that get another value. It is exact where the rules alone tell, and two bounds
where they ask for attributes. Ends with exit code 0 whether or not the rule sets differ; with
--exit-code it is 4 when they do.

Examples:
  crossfade flag diff flags.json next.json
  crossfade flag diff @latest flags.json --exit-code
  crossfade flag diff @6 @7";

/// Say which flags change between two rule sets, and for what share of users.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The rule set before: a file, `-` for stdin, or `@7` or `@latest` of the database.
    #[arg(value_name = "A", value_parser = clap::value_parser!(Place))]
    before: Place,
    /// The rule set after, likewise.
    #[arg(value_name = "B", value_parser = clap::value_parser!(Place))]
    after: Place,
    /// End with exit code 4 when they differ.
    #[arg(long)]
    exit_code: bool,
}

pub(super) async fn run(app: &App, args: &Args) -> Result<Exit, Failure> {
    if [&args.before, &args.after] == [&Place::Stdin; 2] {
        return Err(Failure::usage("only one of the two rule sets can be `-`"));
    }
    let before = place::rules(app, &args.before).await?;
    let after = place::rules(app, &args.after).await?;
    let flags = diff(&before, &after);
    let fractional = before.fractional_change(&after);
    tell(app, &flags, fractional);
    app.output.result(&json!({
        "before": args.before.to_string(),
        "after": args.after.to_string(),
        "flags": flags_json(&flags),
        "fractional": fractional.map(fractional_json),
    }));
    let differ = args.exit_code && !(flags.is_empty() && fractional.is_none());
    Ok(if differ { Exit::Differ } else { Exit::Done })
}

/// Prints what changes, for people.
pub(super) fn tell(app: &App, flags: &[FlagDiff], fractional: Option<FractionalChange>) {
    if let Some(FractionalChange { from, to }) = fractional {
        app.output.line(format_args!(
            "WARNING: `fractional` goes from {from} to {to}; most users are assigned anew, \
             whatever the weights"
        ));
    }
    for FlagDiff { key, change, share } in flags {
        app.output.line(format_args!("{key}: {change}, for {share} of the users"));
    }
    if flags.is_empty() {
        app.output.line("no flag changes");
    }
}

pub(super) fn flags_json(flags: &[FlagDiff]) -> Vec<Value> {
    let flag = |FlagDiff { key, change, share }: &FlagDiff| {
        json!({
            "key": key,
            "change": change.to_string(),
            "share": share.to_string(),
            "least": share.least,
            "most": share.most,
        })
    };
    flags.iter().map(flag).collect()
}

pub(super) fn fractional_json(FractionalChange { from, to }: FractionalChange) -> Value {
    json!({ "from": from.name(), "to": to.name() })
}
