//! Automation for this workspace: test databases, checks, and the whole of CI.
//!
//! One file per verb; the verbs share [`server`] (throw-away servers), [`source`] (Rust text
//! without its comments and literals) and [`workspace`] (where things are). Unix only, because a
//! test server is kept by a shell and by process groups.
//!
//! Exit codes: 0 success, 1 a check or a step failed, 2 the command line was not understood.
//! `test`, `postgres`, `mariadb`, `soak` and `fuzz` pass on the exit code of the command they ran.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a command-line tool prints")]

mod beside;
mod ci;
mod fuzz;
mod layering;
mod model;
mod server;
mod soak;
mod source;
mod test;
mod tidy;
mod workspace;

use std::{env, process::ExitCode};

use crate::{
    model::Extent,
    server::{MARIADB, POSTGRES},
};

const HELP: &str = "\
Automation for this workspace.

Usage: cargo xtask <VERB> [ARGS..]

Verbs:
  test [ARGS..]            run every test against a throw-away PostgreSQL and a throw-away
                           MariaDB; ARGS go to `cargo test` and narrow down by name (the
                           documentation tests, which run last, get none)
  postgres [-- CMD..]      run CMD with CROSSFADE_TEST_POSTGRES_URL pointing at a throw-away
                           PostgreSQL, and CROSSFADE_TEST_POSTGRES_REPLICA_URL at its hot
                           standby; without CMD print the addresses and wait for Ctrl-C
  mariadb [-- CMD..]       the same with CROSSFADE_TEST_MYSQL_URL, a throw-away MariaDB,
                           CROSSFADE_TEST_MYSQL_REPLICA_URL and its replica
  model [--deep]           explore the model of the protocol and print states, depth and time;
                           `--deep` goes on to a hundred million states, in release
  soak [ARGS..]            the chaos run: kills, crashes, cuts and stage changes on each engine,
                           judged by the clients' logs; `soak --help` lists ARGS, `--self-test`
                           takes one mechanism after the other out and tells when it was missed
  fuzz [--seconds N] [TARGET..]
                           run the fuzz targets of crossfade-rules, 60 s each unless N says
                           otherwise; needs cargo-fuzz and the nightly compiler
  layering                 check which crate may depend on, print and read what
  tidy                     check the rules that neither the compiler nor clippy knows
  ci                       everything that must pass before a change is merged
  help                     print this

Examples:
  cargo xtask test
  cargo xtask test fence -- --nocapture
  cargo xtask postgres -- sh -c 'psql \"$CROSSFADE_TEST_POSTGRES_URL\"'
  cargo xtask postgres -- cargo test -p crossfade-sql
  CROSSFADE_PG_FSYNC=on cargo xtask postgres -- cargo bench -p crossfade-benches
  cargo xtask soak --engine mariadb --duration 3600
  cargo xtask fuzz --seconds 600 parse
  cargo xtask ci

Environment:
  CROSSFADE_PG_BIN         folder that holds initdb, postgres, pg_isready and
                           pg_basebackup; default: looked for in PATH and in the usual places
  CROSSFADE_PG_FSYNC       `on` makes commits durable, as in production, for figures that mean
                           something; default: off, which tests are faster with
  CROSSFADE_MARIADB_BIN    folder that holds mariadb-install-db and mariadbd; default: looked for
                           in PATH and in the usual places
  CROSSFADE_MARIADB_FSYNC  as CROSSFADE_PG_FSYNC
  CROSSFADE_REPLICAS       `off` leaves the servers' replicas out, for figures as well
";

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let Some((verb, rest)) = arguments.split_first() else {
        eprint!("{HELP}");
        return ExitCode::from(2);
    };

    let outcome = match (verb.as_str(), rest) {
        ("help" | "--help" | "-h", _) => {
            print!("{HELP}");
            Ok(ExitCode::SUCCESS)
        }
        ("soak", _) => soak::run(rest),
        (_, [only]) if only == "--help" || only == "-h" => {
            print!("{HELP}");
            Ok(ExitCode::SUCCESS)
        }
        ("test", _) => test::run(rest),
        ("postgres", []) => beside::run(&POSTGRES, &[]),
        ("postgres", [separator, command @ ..]) if separator == "--" => {
            beside::run(&POSTGRES, command)
        }
        ("mariadb", []) => beside::run(&MARIADB, &[]),
        ("mariadb", [separator, command @ ..]) if separator == "--" => {
            beside::run(&MARIADB, command)
        }
        ("model", []) => model::run(Extent::Usual),
        ("model", [only]) if only == "--deep" => model::run(Extent::Deep),
        ("fuzz", _) => match fuzz::Plan::from_arguments(rest) {
            Some(plan) => fuzz::run(&plan),
            None => return misused("`fuzz` takes `--seconds N` and then names of targets"),
        },
        ("layering", []) => layering::run(),
        ("tidy", []) => tidy::run(),
        ("ci", []) => ci::run(),
        ("postgres" | "mariadb", _) => {
            return misused(&format!("`{verb}` takes its command after `--`"));
        }
        ("model", _) => return misused("`model` takes `--deep` and nothing else"),
        ("layering" | "tidy" | "ci", _) => {
            return misused(&format!("`{verb}` takes no arguments"));
        }
        _ => return misused(&format!("there is no verb `{verb}`")),
    };

    outcome.unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        ExitCode::FAILURE
    })
}

fn misused(reason: &str) -> ExitCode {
    eprintln!("error: {reason}\n\n{HELP}");
    ExitCode::from(2)
}

/// Prints `problems`, one to a line, and turns them into the verb's exit code.
fn report(verb: &str, problems: &[String]) -> ExitCode {
    for problem in problems {
        eprintln!("{problem}");
    }
    match problems.len() {
        0 => {
            println!("{verb}: no problems");
            ExitCode::SUCCESS
        }
        count => {
            eprintln!("{verb}: {count} problem{}", if count == 1 { "" } else { "s" });
            ExitCode::FAILURE
        }
    }
}
