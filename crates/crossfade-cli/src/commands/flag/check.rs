//! `crossfade flag check`.

use crossfade_rules::{Limits, MAX_DOCUMENT_BYTES, Problem, Severity, check_within};
use serde_json::{Value, json};

use super::place::{Document, Place, located};
use crate::{
    app::App,
    commands::words::count,
    failure::{Exit, Failure},
};

const EXAMPLES: &str = "\
Prints FILE:LINE:COLUMN: error or warning, one problem a line. An error is what keeps a flag from
being evaluated, or the file from being read; a warning is what flagd's JSON schema does not allow,
or what hardly does what was meant. Ends with exit code 1 when there is an error.

Examples:
  crossfade flag check flags.json
  crossfade flag check flags.json --strict --json
  crossfade flag check - < flags.json
  crossfade flag check @latest";

/// List everything that is wrong with a rule set, with lines.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// A file in flagd's format, `-` for stdin, or `@7` or `@latest` of the database.
    #[arg(value_parser = clap::value_parser!(Place))]
    file: Place,
    /// End with exit code 1 for warnings too.
    #[arg(long, visible_alias = "deny-warnings")]
    strict: bool,
    /// The largest file that is read.
    #[arg(long, value_name = "BYTES", default_value_t = MAX_DOCUMENT_BYTES)]
    max_bytes: usize,
}

pub(super) async fn run(app: &App, args: &Args) -> Result<Exit, Failure> {
    let document = Document::read(app, &args.file, args.max_bytes).await?;
    let limits = Limits::default().with_document_bytes(args.max_bytes);
    let problems =
        document.text().map_or_else(|problem| vec![problem], |text| check_within(text, &limits));
    let (errors, warnings) = tell(app, &document.name, &problems);
    if let Some(advice) = document.advice().filter(|_| errors > 0) {
        app.output.line(format_args!("hint: {advice}"));
    }
    app.output.line(match problems.is_empty() {
        true => format!("{}: no problems", document.name),
        false => {
            format!("{}: {}, {}", document.name, count(errors, "error"), count(warnings, "warning"))
        }
    });
    app.output.result(&json!({
        "file": document.name,
        "errors": errors,
        "warnings": warnings,
        "problems": problems.iter().map(as_json).collect::<Vec<_>>(),
    }));
    let is_bad = errors > 0 || args.strict && warnings > 0;
    Ok(if is_bad { Exit::Failed } else { Exit::Done })
}

/// Prints each problem for people; returns how many are errors and how many warnings.
pub(super) fn tell(app: &App, name: &str, problems: &[Problem]) -> (u64, u64) {
    let (mut errors, mut warnings) = (0, 0);
    for problem in problems {
        app.output.line(located(name, problem));
        match problem.severity {
            Severity::Error => errors += 1,
            Severity::Warning => warnings += 1,
        }
    }
    (errors, warnings)
}

fn as_json(problem: &Problem) -> Value {
    json!({
        "severity": problem.severity.to_string(),
        "line": problem.line,
        "column": problem.column,
        "flag": problem.flag,
        "message": problem.message,
    })
}
