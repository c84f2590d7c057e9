//! `crossfade flag`: the flags of the database's rule set.

mod change;
mod show;
mod sign;

mod check;
mod diff;
mod eval;

mod history;
mod replace;

mod batch;
mod place;

use clap::Subcommand;
use crossfade_core::FlagKey;
use crossfade_rules::RuleSet;
use crossfade_store::{RuleSetStore, StoredRuleSet};

use crate::{
    app::App,
    commands::options::Reason,
    failure::{Exit, Failure},
};

const EXAMPLES: &str = "\
Examples:
  crossfade flag list
  crossfade flag set read_user_settings_v2 --percent 5
  crossfade flag off read_user_settings_v2 --reason 'errors on New'
  crossfade flag eval read_user_settings_v2 --context '{\"targetingKey\":\"42\"}'
  crossfade flag check flags.json
  crossfade flag diff @latest flags.json
  crossfade flag apply flags.json
  crossfade flag revert 6 --dry-run

Where a rule set is read from: a file in flagd's format, `-` for stdin, `@7` for version 7 in the
database, or `@latest` for the newest there.";

/// Show, check and change flags of the database's rule set.
///
/// Shows, checks and changes flags of the database's rule set, or of a file in flagd's format.
/// Running applications follow the database within a second.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

impl Args {
    /// Whether Ctrl-C may end it anywhere, as it does a program that does not listen: it may wait
    /// for stdin then, and what it stores is stored whole or not at all.
    pub(crate) fn ends_anywhere(&self) -> bool {
        use Command::{Apply, Check, Diff, Eval};
        matches!(self.command, Apply(_) | Check(_) | Diff(_) | Eval(_))
    }
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
    Eval(eval::Args),
    Check(check::Args),
    Diff(diff::Args),
    History(history::Args),
    Apply(replace::Apply),
    Revert(replace::Revert),
    Sign(sign::Sign),
    Open(sign::Open),
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
        Command::Eval(args) => eval::run(app, args).await,
        Command::Check(args) => check::run(app, args).await,
        Command::Diff(args) => diff::run(app, args).await,
        Command::History(args) => history::run(app, args).await,
        Command::Apply(args) => replace::apply(app, args).await,
        Command::Revert(args) => replace::revert(app, args).await,
        Command::Sign(args) => sign::sign(app, args).await,
        Command::Open(args) => sign::open(app, args).await,
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
