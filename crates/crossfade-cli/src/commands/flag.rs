//! `crossfade flag`: the flags of the database's rule set.

mod change;
mod eval;
mod show;

use std::path::PathBuf;

use clap::Subcommand;
use crossfade_core::FlagKey;
use crossfade_rules::RuleSet;
use crossfade_store::{RuleSetStore, StoredRuleSet};

use crate::{
    app::App,
    commands::options::Reason,
    failure::{Exit, Failure},
};

/// Show and change flags of the database's rule set.
///
/// Shows and changes flags of the database's rule set. Running applications follow within a second.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  crossfade flag list\n  crossfade flag set read_user_settings_v2 --percent 5\n  crossfade flag off read_user_settings_v2 --reason 'errors on New'\n  crossfade flag eval read_user_settings_v2 --context '{\"targetingKey\":\"42\"}'"
)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// List every flag.
    List,
    /// Show one flag.
    Show {
        /// Key of the flag.
        key: FlagKey,
    },
    /// Give `true` to a share of the users. Turning it up takes no user back.
    Set {
        /// Key of the flag.
        key: FlagKey,
        /// Share of users, 0 to 100, with at most three decimals.
        #[arg(long, value_name = "P", allow_negative_numbers = true)]
        percent: f64,
        #[command(flatten)]
        reason: Reason,
    },
    /// Give `true` to everybody.
    On {
        /// Key of the flag.
        key: FlagKey,
        #[command(flatten)]
        reason: Reason,
    },
    /// Give `false` to everybody.
    Off {
        /// Key of the flag.
        key: FlagKey,
        #[command(flatten)]
        reason: Reason,
    },
    /// Say what a user gets, and why.
    Eval {
        /// Key of the flag.
        key: FlagKey,
        /// The user as a JSON object; `targetingKey` is the user's id.
        #[arg(long, value_name = "JSON", default_value = "{}")]
        context: String,
        /// Evaluate a file in flagd's format instead of the database's rule set.
        #[arg(long, value_name = "FILE")]
        rules: Option<PathBuf>,
    },
}

pub(crate) async fn run(app: &App, args: &Args) -> Result<Exit, Failure> {
    use crossfade_control::FlagEdit;
    match &args.command {
        Command::List => show::list(app).await,
        Command::Show { key } => show::one(app, key).await,
        Command::Set { key, percent, reason } => {
            change::run(app, key, FlagEdit::Percent(*percent), reason).await
        }
        Command::On { key, reason } => change::run(app, key, FlagEdit::On, reason).await,
        Command::Off { key, reason } => change::run(app, key, FlagEdit::Off, reason).await,
        Command::Eval { key, context, rules } => {
            eval::run(app, key, context, rules.as_deref()).await
        }
    }
}

/// The newest rule set with its flags; `None` before the first.
async fn newest(store: &dyn RuleSetStore) -> Result<Option<(StoredRuleSet, RuleSet)>, Failure> {
    let Some(stored) = store.latest_rule_set().await? else { return Ok(None) };
    let rules = parse(&stored.document, &format!("rule set {}", stored.version))?;
    Ok(Some((stored, rules)))
}

fn parse(document: &str, place: &str) -> Result<RuleSet, Failure> {
    RuleSet::parse(document)
        .map_err(|error| Failure::new(Exit::Failed, format!("{place}: {error}")))
}

fn unknown(key: &FlagKey, rules: Option<&RuleSet>) -> Failure {
    let known: Vec<&str> = rules.map(|rules| rules.keys().collect()).unwrap_or_default();
    let hint = match known.is_empty() {
        true => "there are no flags yet; `crossfade expand NAME` makes the first".to_owned(),
        false => format!("known flags: {}", known.join(", ")),
    };
    Failure::new(Exit::Failed, format!("unknown flag `{key}`")).with_hint(hint)
}
