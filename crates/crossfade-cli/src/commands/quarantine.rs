//! `crossfade quarantine`: the keys that New refuses, by reason.

mod export;
mod list;
mod retry;

use crossfade_core::{MigrationName, reason_kind};
use crossfade_sql::Database;
use crossfade_store::{ControlStore, QuarantineStore, Quarantined};

use crate::{
    app::App,
    failure::{Exit, Failure},
};

pub(super) use list::summary;

/// Entries that are read at a time.
const PAGE: u32 = 5000;

/// Show, export or retry the keys whose rows New refuses.
///
/// A key is in quarantine when New, or the mapping, refuses its row: in a write in `dual_write`, a
/// backfill or a repair. It is read from Legacy and holds up the gate to `live`. Without an action
/// its keys are counted by reason.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  crossfade quarantine user_settings\n  crossfade quarantine user_settings list --reason 'too long' --limit 100\n  crossfade quarantine user_settings export --output refused.csv\n  crossfade quarantine user_settings retry"
)]
pub(crate) struct Args {
    /// Name of the migration.
    name: MigrationName,
    #[command(subcommand)]
    action: Option<Action>,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    List(list::Args),
    Export(export::Args),
    Retry(retry::Args),
}

impl Args {
    /// Whether an interrupt is answered by the action itself.
    pub(crate) fn ends_by_itself(&self) -> bool {
        matches!(self.action, Some(Action::Retry(_)))
    }
}

pub(crate) async fn run(app: &App, args: &Args) -> Result<Exit, Failure> {
    let database = app.database().await?;
    // A name that is unknown is an error, not an empty quarantine.
    database.migration(&args.name).await?;
    match &args.action {
        None => list::run(app, &database, &args.name, &list::Args::default()).await,
        Some(Action::List(list)) => list::run(app, &database, &args.name, list).await,
        Some(Action::Export(export)) => export::run(app, &database, &args.name, export).await,
        Some(Action::Retry(retry)) => retry::run(app, &database, &args.name, retry).await,
    }
}

/// Which entries an action is about.
#[derive(Clone, Debug, Default, clap::Args)]
pub(super) struct Picks {
    /// Only keys whose reason contains TEXT, in upper or lower case.
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
}

impl Picks {
    fn picks(&self, entry: &Quarantined) -> bool {
        let Some(wanted) = &self.reason else { return true };
        let wanted = wanted.to_lowercase();
        let kind = reason_kind(&entry.reason).to_lowercase();
        kind.contains(&wanted) || entry.reason.to_lowercase().contains(&wanted)
    }
}

/// Calls `each` for every entry that is picked, in key order, one page in memory at a time.
async fn for_each(
    database: &Database,
    name: &MigrationName,
    picks: &Picks,
    mut each: impl FnMut(Quarantined) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let mut after: Option<String> = None;
    loop {
        let page = database.quarantine_page(name, after.as_deref(), PAGE).await?;
        let Some(last) = page.last() else { return Ok(()) };
        after = Some(last.key.clone());
        for entry in page.into_iter().filter(|entry| picks.picks(entry)) {
            each(entry)?;
        }
    }
}
