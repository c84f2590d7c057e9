//! `crossfade check`: every finding about a migration.

use crossfade_core::check::{Check, Finding, Severity, check as by_id, checks};
use crossfade_core::{MigrationName, Stage};
use crossfade_schema::{as_registered, check};
use crossfade_sql::Database;
use crossfade_store::{ControlStore, Depth, StoreErrorKind};
use serde_json::{Value, json};

use crate::{
    app::App,
    commands::words::count,
    failure::{Exit, Failure},
    output::Output,
};

/// Look for everything that could make the migration lose or change rows.
///
/// Looks at manifest, mapping, catalog, data and surroundings, and prints findings. A finding that
/// is refused must be mended; one to accept may be meant, and is accepted under [accept] in
/// migration.toml with a reason; a warning holds nothing up. Each names the stage whose gate it
/// holds up. Changes nothing. Ends with 3 when a finding holds up the stage that was asked about.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  crossfade check user_settings\n  crossfade check user_settings --stage complete\n  crossfade check --explain inbound-foreign-key\n  crossfade check --explain all"
)]
pub(crate) struct Args {
    /// Name of the migration.
    #[arg(required_unless_present = "explain")]
    name: Option<MigrationName>,
    /// The stage whose gate is asked about [default: the next one; before `expand`, `off`].
    #[arg(long)]
    stage: Option<Stage>,
    /// Look at the catalog alone, not at rows.
    #[arg(long)]
    catalog_only: bool,
    /// Print why a check is made and what to do about its findings; `all` prints every check.
    #[arg(long, value_name = "CHECK", conflicts_with_all = ["name", "stage", "catalog_only"])]
    explain: Option<String>,
}

pub(crate) async fn run(app: &App, args: &Args) -> Result<Exit, Failure> {
    if let Some(id) = &args.explain {
        return explain(app.output, id);
    }
    let Some(name) = &args.name else { return Err(Failure::usage("no migration was named")) };
    let database = app.database().await?;
    let manifest = app.manifest(name, &database)?;
    let manifest = as_registered(&database, &database, &manifest).await?;
    let stage = match args.stage {
        Some(stage) => stage,
        None => next(&database, name).await?,
    };
    let depth = if args.catalog_only { Depth::Catalog } else { Depth::Rows };
    let checked = check(&database, &database, &manifest, depth).await?;
    for finding in &checked.findings {
        show(app.output, finding);
    }
    for unseen in &checked.unseen {
        app.output.line(format_args!("not seen: {unseen}"));
    }
    if let Some(rows) = checked.rows_tried {
        app.output.line(tried(rows));
    }
    let blocking = checked.findings.iter().filter(|finding| finding.blocks(stage)).count();
    let all = count(checked.findings.len() as u64, "finding");
    app.output.line(match blocking {
        0 => format!("{name}: {all}, none holds up `{stage}`"),
        1 => format!("{name}: {all}, 1 holds up `{stage}`"),
        _ => format!("{name}: {all}, {blocking} hold up `{stage}`"),
    });
    app.output.result(&json!({
        "migration": name.as_str(),
        "stage": stage.as_str(),
        "findings": checked.findings.iter().map(as_json).collect::<Vec<_>>(),
        "not_seen": checked.unseen,
        "rows_tried": checked.rows_tried,
        "blocking": blocking,
    }));
    Ok(if blocking == 0 { Exit::Done } else { Exit::Refused })
}

/// The stage that comes next; `off` for a migration that is not registered.
async fn next(database: &Database, name: &MigrationName) -> Result<Stage, Failure> {
    match database.migration(name).await {
        Ok(state) => Ok(state.stage.next().unwrap_or(state.stage)),
        Err(error) => match error.kind {
            StoreErrorKind::NotFound | StoreErrorKind::NotInstalled => Ok(Stage::Off),
            _ => Err(error.into()),
        },
    }
}

/// How far the mapping was tried.
pub(super) fn tried(rows: u64) -> String {
    format!("the mapping was tried on {}, alone and among others", count(rows, "row"))
}

/// A finding for people.
pub(super) fn show(output: Output, finding: &Finding) {
    output.line(lines(finding));
}

/// The lines of a finding.
pub(super) fn lines(finding: &Finding) -> String {
    let state = match (&finding.accepted, finding.severity) {
        (Some(_), _) => "accepted",
        (None, severity) => severity.as_str(),
    };
    let rows = finding.count.map_or(String::new(), |rows| format!(" ({})", count(rows, "row")));
    let mut lines = vec![format!("{state}: {}: {}{rows}", finding.check.id, finding.message)];
    match &finding.accepted {
        Some(reason) => lines.push(format!("    accepted: {reason}")),
        None => {
            let holds = match (finding.severity, finding.gate) {
                (Severity::Warning, gate) => format!("concerns `{gate}`"),
                (_, Stage::Off) => "holds up `expand`".to_owned(),
                (_, gate) => format!("holds up `{gate}`"),
            };
            lines.push(format!("    {holds}: {}", finding.hint));
            lines
                .extend(finding.statements.iter().map(|statement| format!("        {statement};")));
            if finding.is_to_accept() {
                lines.push("    or accept it in migration.toml:".to_owned());
                lines.push(format!("        [accept.{}]", finding.check.id));
                lines.push(format!("        \"{}\" = \"REASON\"", finding.object));
            }
        }
    }
    lines.join("\n")
}

/// A finding on one line, without what to do about it.
pub(super) fn brief(finding: &Finding) -> String {
    let state = match &finding.accepted {
        Some(reason) => format!("accepted ({reason})"),
        None if finding.severity == Severity::Warning => "warning".to_owned(),
        None => format!("{} before `{}`", finding.severity, finding.gate),
    };
    format!("{state}: {finding}")
}

/// A finding for programs.
pub(super) fn as_json(finding: &Finding) -> Value {
    json!({
        "check": finding.check.id,
        "severity": finding.severity.as_str(),
        "gate": finding.gate.as_str(),
        "object": finding.object,
        "message": finding.message,
        "hint": finding.hint,
        "statements": finding.statements,
        "rows": finding.count,
        "accepted": finding.accepted,
    })
}

fn explain(output: Output, id: &str) -> Result<Exit, Failure> {
    let chosen: Vec<&Check> = match id {
        "all" => checks().collect(),
        id => by_id(id).into_iter().collect(),
    };
    if chosen.is_empty() {
        let known: Vec<&str> = checks().map(|check| check.id).collect();
        return Err(Failure::usage(format!("`{id}` is not a check"))
            .with_hint(format!("the checks are {}", known.join(", "))));
    }
    let text: Vec<String> = chosen.iter().map(|check| check.explanation()).collect();
    output.line(text.join("\n\n"));
    output.result(&chosen.iter().map(|check| described(check)).collect::<Vec<_>>());
    Ok(Exit::Done)
}

fn described(check: &Check) -> Value {
    json!({
        "check": check.id,
        "title": check.title,
        "severity": check.severity.as_str(),
        "gate": check.gate.as_str(),
        "why": check.why,
        "remedy": check.remedy,
    })
}
