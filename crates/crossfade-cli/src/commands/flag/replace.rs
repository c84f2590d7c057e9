//! `crossfade flag apply` and `crossfade flag revert`.

use crossfade_control::{
    Assignment, Replacement, RuleSetChange, RuleSetError, RuleSetPlan, Stores, plan_rule_set,
    replace_rule_set,
};
use crossfade_rules::MAX_DOCUMENT_BYTES;
use serde_json::json;

use super::{
    check, diff,
    place::{Document, Place, located},
};
use crate::{
    app::App,
    commands::{options::Reason, words::count},
    failure::{Exit, Failure},
};

const APPLY: &str = "\
Stores the file as the next version, after it was checked as by `crossfade flag check`, and says what
that changes. Refused with exit code 3 when the read flag of a migration would no longer be boolean,
or the version of `fractional` would change.

Examples:
  crossfade flag apply flags.json --dry-run
  crossfade flag apply flags.json --reason 'beta for everybody in DE'";

const REVERT: &str = "\
The rule set that is stored is a new version with what VERSION holds: no version is ever taken back.
Refused with exit code 3 as `crossfade flag apply` is.

Examples:
  crossfade flag history
  crossfade flag revert 6 --dry-run
  crossfade flag revert 6 --reason 'errors since version 7'";

#[derive(Debug, clap::Args)]
struct Options {
    #[command(flatten)]
    reason: Reason,
    /// Say what would change, and every reason against it, and change nothing.
    #[arg(long)]
    dry_run: bool,
    /// Let the version of `fractional` change, by which most users are assigned anew.
    #[arg(long)]
    accept_fractional_change: bool,
}

/// Store a file as the next rule set.
#[derive(Debug, clap::Args)]
#[command(after_help = APPLY)]
pub(crate) struct Apply {
    /// A file in flagd's format, or `-` for stdin.
    #[arg(value_parser = clap::value_parser!(Place))]
    file: Place,
    #[command(flatten)]
    options: Options,
}

/// Go back to the rule set of an earlier version.
#[derive(Debug, clap::Args)]
#[command(after_help = REVERT)]
pub(crate) struct Revert {
    /// The version, as `crossfade flag history` lists it.
    #[arg(value_parser = version)]
    version: i64,
    #[command(flatten)]
    options: Options,
}

/// `6`, or `@6` as other commands write it.
fn version(text: &str) -> Result<i64, &'static str> {
    let digits = text.strip_prefix('@').unwrap_or(text);
    digits.parse().ok().filter(|version| *version > 0).ok_or("not the number of a version")
}

pub(super) async fn apply(app: &App, args: &Apply) -> Result<Exit, Failure> {
    let document = Document::read(app, &args.file, MAX_DOCUMENT_BYTES).await?;
    let text = document.text().map_err(|problem| document.refused(&problem))?;
    replace(app, Replacement::Document(text), &document.name, &args.options).await
}

pub(super) async fn revert(app: &App, args: &Revert) -> Result<Exit, Failure> {
    let name = format!("@{}", args.version);
    replace(app, Replacement::Version(args.version), &name, &args.options).await
}

async fn replace(
    app: &App,
    to: Replacement<'_>,
    name: &str,
    options: &Options,
) -> Result<Exit, Failure> {
    let assignment = match options.accept_fractional_change {
        true => Assignment::MayChange,
        false => Assignment::Keeps,
    };
    let reason = &options.reason.reason;
    let change = RuleSetChange { to, assignment, actor: &app.actor, reason };
    let database = app.database().await?;
    let stores = Stores::of(&database);
    let done = match options.dry_run {
        true => plan_rule_set(stores, change).await.and_then(permitted),
        false => replace_rule_set(stores, change).await.map(|done| (done.version, done.plan)),
    };
    let (version, plan) = done.map_err(|error| refused(app, name, error))?;
    diff::tell(app, &plan.flags, plan.fractional);
    app.output.line(match (options.dry_run, plan.changed) {
        (_, false) => format!("rule set {version} is that of {name} already"),
        (true, true) => "nothing was changed".to_owned(),
        (false, true) => format!("rule set {version} is that of {name}"),
    });
    app.output.result(&json!({
        "dry_run": options.dry_run,
        "version": version,
        "changed": plan.changed,
        "flags": diff::flags_json(&plan.flags),
        "fractional": plan.fractional.map(diff::fractional_json),
    }));
    Ok(Exit::Done)
}

/// A plan that nothing stands against, with the version that stays.
fn permitted(plan: RuleSetPlan) -> Result<(i64, RuleSetPlan), RuleSetError> {
    match plan.refusals.is_empty() {
        true => Ok((plan.version, plan)),
        false => Err(RuleSetError::Refused { plan: Box::new(plan) }),
    }
}

/// What stands against it, behind what it would have changed or where it is wrong.
fn refused(app: &App, name: &str, error: RuleSetError) -> Failure {
    match &error {
        RuleSetError::Refused { plan } => diff::tell(app, &plan.flags, plan.fractional),
        RuleSetError::Faulty { problems } => {
            let (errors, _) = check::tell(app, name, problems);
            let message = format!("{name} has {}; nothing was changed", count(errors, "error"));
            let first = problems.first().map(|problem| located(name, problem));
            let mut failure = Failure::new(Exit::Failed, message);
            // People read them above.
            failure.causes.extend(first.filter(|_| app.output.is_json()));
            return failure.with_hint("`crossfade flag check` lists warnings as well");
        }
        _ => {}
    }
    error.into()
}
