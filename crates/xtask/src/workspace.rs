//! Where the workspace is, which files belong to it, and how cargo is called.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Command, ExitCode, ExitStatus, Stdio},
};

use anyhow::{Context, Result, ensure};

/// A command that runs the cargo which started this process, or the one in `PATH`.
pub(crate) fn cargo() -> Command {
    Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}

/// The folder of the workspace that the current folder belongs to.
pub(crate) fn root() -> Result<PathBuf> {
    let manifest =
        stdout(cargo().args(["locate-project", "--workspace", "--message-format", "plain"]))?;
    let folder = Path::new(manifest.trim()).parent().context("the manifest lies in no folder")?;
    Ok(folder.to_owned())
}

/// One text file of the workspace.
#[derive(Debug)]
pub(crate) struct TextFile {
    /// Path from the workspace's root, with `/` between its parts.
    pub(crate) path: String,
    /// Its whole content.
    pub(crate) text: String,
}

impl TextFile {
    /// The part of the file name behind its last dot; empty when there is none.
    pub(crate) fn extension(&self) -> &str {
        Path::new(&self.path).extension().and_then(|it| it.to_str()).unwrap_or_default()
    }
}

/// Every UTF-8 file that git tracks or would offer to add, in the order of their paths.
///
/// Files that were deleted without telling git are left out.
pub(crate) fn files(root: &Path) -> Result<Vec<TextFile>> {
    let listing = stdout(Command::new("git").current_dir(root).args([
        "ls-files",
        "-z",
        "--cached",
        "--others",
        "--exclude-standard",
    ]))?;
    let mut paths: Vec<&str> = listing.split_terminator('\0').collect();
    paths.sort_unstable();
    paths.dedup();
    Ok(paths
        .into_iter()
        .filter_map(|path| {
            let text = fs::read_to_string(root.join(path)).ok()?;
            Some(TextFile { path: path.to_owned(), text })
        })
        .collect())
}

/// Runs `command` to its end and returns what it printed; its failure is an error.
pub(crate) fn stdout(command: &mut Command) -> Result<String> {
    let output =
        command.stderr(Stdio::inherit()).output().with_context(|| format!("run {command:?}"))?;
    ensure!(output.status.success(), "{command:?} failed: {}", output.status);
    String::from_utf8(output.stdout).with_context(|| format!("read what {command:?} printed"))
}

/// What a shell would report for `status`: the exit code, or 128 and the signal's number.
pub(crate) fn exit_code(status: ExitStatus) -> ExitCode {
    use std::os::unix::process::ExitStatusExt;

    let code = status.code().or_else(|| status.signal().map(|signal| 128 + signal));
    ExitCode::from(code.and_then(|code| u8::try_from(code).ok()).unwrap_or(1))
}
