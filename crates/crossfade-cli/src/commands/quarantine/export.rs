//! `crossfade quarantine NAME export`: every key with its reason.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use crossfade_core::MigrationName;
use crossfade_sql::Database;
use crossfade_store::Quarantined;
use serde_json::json;

use super::{Picks, for_each};
use crate::{
    app::App,
    commands::words::{count, date},
    failure::{Exit, Failure},
    output::Output,
};

/// Write every key with its reason, as JSON Lines or CSV.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    picks: Picks,
    /// File to write [default: stdout].
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Format [default: csv for a file that ends in .csv, else jsonl].
    #[arg(long, value_enum)]
    format: Option<Format>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// One JSON object on each line: key, reason, since.
    Jsonl,
    /// A heading and one line for each key: key, reason, since.
    Csv,
}

pub(super) async fn run(
    app: &App,
    database: &Database,
    name: &MigrationName,
    args: &Args,
) -> Result<Exit, Failure> {
    let by_name = |path: &PathBuf| path.extension().is_some_and(|end| end == "csv");
    let format = args.format.unwrap_or(match args.output.as_ref().is_some_and(by_name) {
        true => Format::Csv,
        false => Format::Jsonl,
    });
    let mut to: Box<dyn Write + Send> = match &args.output {
        None => Box::new(Output::streamed()),
        Some(path) => Box::new(BufWriter::new(File::create(path).map_err(|e| failed(path, &e))?)),
    };
    let path = args.output.as_deref().unwrap_or(Path::new("stdout"));
    let mut keys = 0;
    let mut write = |text: &str| writeln!(to, "{text}").map_err(|error| failed(path, &error));
    if format == Format::Csv {
        write("key,reason,since")?;
    }
    for_each(database, name, &args.picks, |entry| {
        keys += 1;
        write(&line(format, &entry))
    })
    .await?;
    to.flush().map_err(|error| failed(path, &error))?;
    if args.output.is_some() {
        app.output.line(format_args!("{} written to {}", count(keys, "key"), path.display()));
        app.output.result(&json!({
            "migration": name.as_str(),
            "keys": keys,
            "file": path.display().to_string(),
        }));
    }
    Ok(Exit::Done)
}

fn failed(path: &Path, error: &io::Error) -> Failure {
    Failure::failed(format!("failed to write {}", path.display()), error)
}

fn line(format: Format, entry: &Quarantined) -> String {
    let since = date(entry.marked_ms);
    match format {
        Format::Jsonl => {
            json!({ "key": entry.key, "reason": entry.reason, "since": since }).to_string()
        }
        Format::Csv => format!("{},{},{since}", field(&entry.key), field(&entry.reason)),
    }
}

/// A field of CSV, quoted where it has to be.
fn field(text: &str) -> String {
    if text.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_both_formats() {
        let entry = Quarantined {
            key: "[\"a\",\"1\"]".into(),
            reason: "too \"long\"".into(),
            marked_ms: 0,
        };
        assert_eq!(
            line(Format::Csv, &entry),
            "\"[\"\"a\"\",\"\"1\"\"]\",\"too \"\"long\"\"\",1970-01-01T00:00:00Z"
        );
        let json: serde_json::Value = serde_json::from_str(&line(Format::Jsonl, &entry)).unwrap();
        assert_eq!(json["key"], "[\"a\",\"1\"]");
        assert_eq!(json["since"], "1970-01-01T00:00:00Z");
    }
}
