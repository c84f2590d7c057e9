//! Arguments.

use std::path::PathBuf;

use clap::{Parser, Subcommand};

use crate::{commands, demo};

const AFTER_HELP: &str = "\
Exit codes:
  0  done
  1  failed, or interrupted
  2  wrong usage
  3  a gate refused; every reason is listed
  4  the sides differ, rows are refused, or the rule sets differ under `flag diff --exit-code`
  5  a lock was not had in time

The database: --database-url, else CROSSFADE_DATABASE_URL, else DATABASE_URL, else `database_url` in
crossfade.toml. Logs go to stderr; RUST_LOG picks them.

Examples:
  crossfade init                                 once per database
  crossfade new user_settings                    then fill in migrations/user_settings
  crossfade check user_settings                  everything that could lose or change rows
  crossfade validate user_settings               rows that would not fit
  crossfade expand user_settings
  crossfade stage user_settings delete_only
  crossfade stage user_settings dual_write
  crossfade backfill user_settings
  crossfade verify user_settings
  crossfade stage user_settings live
  crossfade flag set read_user_settings_v2 --percent 5
  crossfade rollback user_settings               reads are back on Legacy at once
  crossfade contract user_settings --dry-run";

/// Moves a live table to a new schema without downtime.
#[derive(Debug, Parser)]
#[command(name = "crossfade", version, after_help = AFTER_HELP, arg_required_else_help = true)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Options of every command.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Global options")]
pub(crate) struct Global {
    /// Configuration file [default: crossfade.toml, where it exists].
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Database with both sides and the control tables: postgres://…, mysql://… or sqlite://…
    #[arg(long, global = true, value_name = "URL")]
    pub(crate) database_url: Option<String>,
    /// Print one JSON value on stdout; errors as JSON on stderr.
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Who is asking, for the audit trail [default: $USER].
    #[arg(long, global = true, value_name = "NAME")]
    pub(crate) actor: Option<String>,
    /// Log more: once for stage changes, twice for each operation.
    #[arg(long, short, global = true, action = clap::ArgAction::Count)]
    pub(crate) verbose: u8,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Init(commands::init::Args),
    New(commands::new::Args),
    Check(commands::check::Args),
    Validate(commands::validate::Args),
    Expand(commands::expand::Args),
    Contract(commands::contract::Args),
    Stage(commands::stage::Args),
    Backfill(commands::backfill::Args),
    Verify(commands::verify::Args),
    Repair(commands::repair::Args),
    Quarantine(commands::quarantine::Args),
    Capture(commands::capture::Args),
    Flag(commands::flag::Args),
    Rollback(commands::rollback::Args),
    Status(commands::status::Args),
    Audit(commands::audit::Args),
    /// Run a whole migration under traffic and check every row.
    Demo(demo::Args),
}
