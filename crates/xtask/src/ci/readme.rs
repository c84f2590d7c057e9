//! The test command as the README promises it, so that what readers type is what CI runs.

use std::{fs, path::Path};

use anyhow::{Context, Result, bail};

const COMMAND: &str = "cargo xtask test";

/// Reads the command that README.md tells its readers to run the tests with.
pub(super) fn test_command(root: &Path) -> Result<String> {
    let text = fs::read_to_string(root.join("README.md")).context("read README.md")?;
    fenced_command(&text).context("read README.md's test command")
}

/// The line inside a fenced block that is exactly [`COMMAND`].
fn fenced_command(readme: &str) -> Result<String> {
    let mut fence: Option<&str> = None;
    let mut near_miss = None;
    for line in readme.lines() {
        let start = line.trim_start();
        let mark = ["```", "~~~"].into_iter().find(|mark| start.starts_with(mark));
        match (fence, mark) {
            (None, Some(mark)) => fence = Some(mark),
            (Some(open), Some(mark)) if open == mark => fence = None,
            (Some(_), _) if line == COMMAND => return Ok(line.to_owned()),
            (Some(_), _) if line.contains(COMMAND) => near_miss = near_miss.or(Some(line)),
            _ => {}
        }
    }
    match near_miss {
        Some(line) => bail!("a fenced block says `{line}` where `{COMMAND}` was expected"),
        None => bail!("no fenced block holds the line `{COMMAND}`"),
    }
}

#[cfg(test)]
mod tests {
    use super::fenced_command;

    #[track_caller]
    fn check(readme: &str, expect: Result<&str, &str>) {
        let found = fenced_command(readme).map_err(|error| error.to_string());
        assert_eq!(found.as_deref().map_err(String::as_str), expect);
    }

    #[test]
    fn command_stands_in_a_fence_exactly() {
        let command = Ok("cargo xtask test");
        check("# T\n```sh\ncargo build\ncargo xtask test\n```\n", command);
        check("~~~\n```\ncargo xtask test\n~~~\n", command);
        let missing = Err("no fenced block holds the line `cargo xtask test`");
        check("Run `cargo xtask test`.\n", missing);
        check("cargo xtask test\n", missing);
        check("```\na\n```\ncargo xtask test\n```\nb\n```\n", missing);
        check(
            "```\n$ cargo xtask test --all\n```\n",
            Err("a fenced block says `$ cargo xtask test --all` where `cargo xtask test` was \
                 expected"),
        );
    }
}
