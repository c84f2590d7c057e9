//! `cargo xtask soak`: the chaos run beside servers that may be crashed.

use std::process::ExitCode;

use anyhow::Result;

use crate::{
    server::{Fate, Kind, MARIADB, POSTGRES, Servers},
    workspace,
};

/// Runs `crossfade-soak` with `arguments`, beside the servers that they ask for.
pub(crate) fn run(arguments: &[String]) -> Result<ExitCode> {
    let mut program = workspace::cargo();
    program.current_dir(workspace::root()?);
    program.args(["run", "--quiet", "--package", "crossfade-soak"]);
    if weakens(arguments) {
        program.args(["--features", "mutants"]);
    }
    program.args(["--", "soak"]).args(arguments);

    let mut servers = Servers::start_for(Fate::Crashes, kinds(arguments))?;
    Ok(workspace::exit_code(servers.run(&mut program)?))
}

/// Whether some mechanism is to be taken out, which needs a build of its own.
fn weakens(arguments: &[String]) -> bool {
    let named = |name| arguments.iter().any(|it| it == name || it.starts_with(&format!("{name}=")));
    named("--without") || named("--self-test")
}

/// The servers of the engine that is asked for; all where none is, which the program then tells of.
fn kinds(arguments: &[String]) -> &'static [&'static Kind] {
    let engine = arguments.iter().enumerate().find_map(|(place, it)| match it.as_str() {
        "--engine" => arguments.get(place + 1).map(String::as_str),
        it => it.strip_prefix("--engine="),
    });
    match engine {
        Some("postgres") => &[&POSTGRES],
        Some("mariadb") => &[&MARIADB],
        Some("sqlite") => &[],
        _ if weakens(arguments) => &[&POSTGRES],
        _ => &[&POSTGRES, &MARIADB],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(arguments: &str, expect: &[&str]) {
        let arguments: Vec<String> = arguments.split_whitespace().map(str::to_owned).collect();
        let names: Vec<&str> = kinds(&arguments).iter().map(|kind| kind.name()).collect();
        assert_eq!(names, expect, "{arguments:?}");
    }

    #[test]
    fn only_the_servers_of_the_engine_are_started() {
        check("", &["PostgreSQL", "MariaDB"]);
        check("--engine all", &["PostgreSQL", "MariaDB"]);
        check("--writes 9 --engine postgres", &["PostgreSQL"]);
        check("--engine=mariadb --kills 1", &["MariaDB"]);
        check("--engine sqlite", &[]);
        check("--self-test", &["PostgreSQL"]);
        check("--without=fence", &["PostgreSQL"]);
    }
}
