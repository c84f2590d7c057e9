//! `crossfade verify`: compares both sides, and repairs New when asked to.

mod file;
mod show;

use std::path::PathBuf;

use crossfade_core::{Key, MigrationName};
use crossfade_reconcile::{
    Reach, Recorded, Sample, Start, VerifyHooks, VerifyMode, VerifyProgress, VerifyReport,
    VerifySettings, verify_with,
};
use crossfade_sql::Database;
use crossfade_store::{ControlStore, Difference};

use crate::{
    app::App,
    commands::words::count,
    failure::{Exit, Failure},
    interrupt::Interrupt,
    progress::Progress,
};
use file::DifferenceFile;
pub(super) use show::{Values, lines, report_json};

/// Compare both sides; with --repair, make New equal.
///
/// Compares the mapped Legacy rows with New over the whole key range and names the keys and columns
/// that differ. Exits with 4 when keys differ, or are in quarantine, at the end of the pass. A pass
/// that was interrupted before it found a difference goes on where it stopped.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  crossfade verify user_settings\n  crossfade verify user_settings --repair && crossfade verify user_settings\n  crossfade verify user_settings --workers 2 --output differences.jsonl\n  crossfade verify user_settings --sample 1%"
)]
pub(crate) struct Args {
    /// Name of the migration.
    name: MigrationName,
    /// Make New equal to the mapped Legacy row of every key that differs or is in quarantine. The
    /// gates ask for a pass without repairs after it.
    #[arg(long)]
    repair: bool,
    /// Legacy rows in a chunk [default: as many as take 250 ms].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    chunk_rows: Option<u32>,
    /// Workers that compare ranges of keys at the same time.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=64))]
    workers: u32,
    /// Begin at the first key, even where an interrupted pass could go on.
    #[arg(long)]
    restart: bool,
    /// First key to compare; several columns as a JSON array of texts. Such a pass is not a proof.
    #[arg(long, value_name = "KEY")]
    from: Option<String>,
    /// Last key to compare. Such a pass is not a proof.
    #[arg(long, value_name = "KEY")]
    to: Option<String>,
    /// Compare a part of the keys, at random places: a share such as 5%, or a number of keys. Such a
    /// pass is not a proof.
    #[arg(long, value_name = "PERCENT|N", value_parser = sample)]
    sample: Option<Sample>,
    /// Write every key that differs to a file of JSON lines with key, kind and columns. Until the
    /// pass ends the file is called FILE.partial.
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Show the values that differ, of the first 20 keys. Without it their lengths are shown.
    #[arg(long)]
    show_values: bool,
}

pub(crate) async fn run(app: &App, args: &Args) -> Result<Exit, Failure> {
    let database = app.database().await?;
    let settings = VerifySettings {
        chunk_rows: args.chunk_rows,
        mode: if args.repair { VerifyMode::Repair } else { VerifyMode::Compare },
        workers: args.workers,
        reach: reach(&database, args).await?,
        start: if args.restart { Start::Fresh } else { Start::Resume },
    };
    let file = args.output.as_deref().map(DifferenceFile::create).transpose()?;
    let interrupt = Interrupt::listen(app.output);
    let progress = Progress::start(app.output, "verify");
    let show = |now: VerifyProgress| {
        let message = match now.found.total() {
            0 => String::new(),
            found => format!("{found} differ"),
        };
        progress.show(now.compared, now.estimated_rows, message);
    };
    let hooks = VerifyHooks { progress: &show, cancel: interrupt.cancel.clone() };
    let write = |difference: &Difference| {
        if let Some(file) = &file {
            file.add(difference);
        }
    };
    let verified = verify_with(&database, &database, &args.name, settings, hooks, &write).await;
    drop(progress);
    let whole = verified.as_ref().is_ok_and(|report| !report.interrupted);
    let written = file.map(|file| file.finish(whole));
    let report = verified?;
    let values = if args.show_values { Values::Shown } else { Values::Redacted };
    lines(app.output, &args.name, &report, values);
    app.output.result(&report_json(&args.name, &report, values));
    if let Some(written) = written {
        app.output.note(format_args!("differences written to {}", written?.display()));
    }
    if report.interrupted {
        let message = format!("interrupted after {}", count(report.compared, "key"));
        let hint = match report.found.total() {
            0 => "run it again; it goes on where it stopped",
            _ => "a verification counts as a whole only; run it again",
        };
        return Err(Failure::new(Exit::Failed, message).with_hint(hint));
    }
    exit(&report)
}

/// 4 where keys differ; as a failure with a hint where repairing them again would not help.
pub(super) fn exit(report: &VerifyReport) -> Result<Exit, Failure> {
    if report.stuck > 0 {
        return Err(show::stuck(report));
    }
    Ok(match (&report.recorded, report.remaining) {
        // A pass over a part of the keys judges that part.
        (Recorded::Partial, _) if report.found.total() == report.repaired => Exit::Done,
        (_, 0) => Exit::Done,
        _ => Exit::Differ,
    })
}

async fn reach(database: &Database, args: &Args) -> Result<Reach, Failure> {
    if args.from.is_none() && args.to.is_none() {
        return Ok(Reach { sample: args.sample, ..Reach::default() });
    }
    let columns = database.migration(&args.name).await?.definition.legacy.key.len();
    let key = |text: &Option<String>| {
        let key = text.as_ref().map(|text| {
            Key::from_text(text, columns).ok_or_else(|| {
                Failure::usage(format!("`{text}` is not a key of {columns} columns"))
                    .with_hint("write a JSON array of texts, such as '[\"1\",\"a\"]'")
            })
        });
        key.transpose()
    };
    Ok(Reach { from: key(&args.from)?, to: key(&args.to)?, sample: args.sample })
}

/// A share such as `5%` or `0.1%`, or a number of keys.
fn sample(text: &str) -> Result<Sample, String> {
    let wrong = || format!("expected a share such as 5%, or a number of keys, found `{text}`");
    match text.strip_suffix('%') {
        Some(share) => {
            let share: f64 = share.trim().parse().map_err(|_| wrong())?;
            if !(share > 0.0 && share <= 100.0) {
                return Err("a share is more than 0% and at most 100%".to_owned());
            }
            // At most a million.
            Ok(Sample::PartsPerMillion((share * 10_000.0).ceil() as u32))
        }
        None => match text.parse() {
            Ok(0) | Err(_) => Err(wrong()),
            Ok(rows) => Ok(Sample::Rows(rows)),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_is_a_share_or_a_number() {
        assert_eq!(sample("5%"), Ok(Sample::PartsPerMillion(50_000)));
        assert_eq!(sample("0.1%"), Ok(Sample::PartsPerMillion(1_000)));
        assert_eq!(sample("100%"), Ok(Sample::PartsPerMillion(1_000_000)));
        assert_eq!(sample("5000"), Ok(Sample::Rows(5000)));
        for wrong in ["0", "0%", "101%", "-1%", "many", "%", "NaN%"] {
            assert!(sample(wrong).is_err(), "{wrong}");
        }
    }
}
