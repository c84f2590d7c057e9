//! The one place that prints.

use std::fmt::Display;
use std::io::{self, BufWriter, IsTerminal, StdoutLock, Write};
use std::process::ExitCode;

use serde::Serialize;
use serde_json::{Value, json};

use crate::{
    failure::{Exit, Failure},
    redact::{redact, redact_json},
};

/// For whom results are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    Person,
    Json,
}

/// Prints results to stdout and everything else to stderr.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Output {
    format: Format,
}

impl Output {
    /// For programs when `json`, else for people.
    pub(crate) fn new(json: bool) -> Self {
        Self { format: if json { Format::Json } else { Format::Person } }
    }

    /// Whether results are JSON.
    pub(crate) fn is_json(self) -> bool {
        self.format == Format::Json
    }

    /// Whether a person looks at stderr, so that a bar may move there.
    pub(crate) fn can_animate(self) -> bool {
        !self.is_json() && io::stderr().is_terminal()
    }

    /// Whether a person looks at stdout, so that the screen may be cleared.
    pub(crate) fn is_screen(self) -> bool {
        !self.is_json() && io::stdout().is_terminal()
    }

    /// A line for people; nothing for programs.
    pub(crate) fn line(self, text: impl Display) {
        if !self.is_json() {
            heard(print(&mut io::stdout().lock(), &redact(&text.to_string())));
        }
    }

    /// A line for people beside the result, on stderr; nothing for programs.
    pub(crate) fn note(self, text: impl Display) {
        if !self.is_json() {
            heard(print(&mut io::stderr().lock(), &redact(&text.to_string())));
        }
    }

    /// The result for programs, on one line; nothing for people.
    pub(crate) fn result(self, value: &impl Serialize) {
        if self.is_json() {
            heard(print(&mut io::stdout().lock(), &one_line(value)));
        }
    }

    /// One of many results: `text` for people, `value` for programs.
    ///
    /// # Errors
    ///
    /// When nobody reads them any more.
    pub(crate) fn one_of_many(self, text: impl Display, value: &impl Serialize) -> io::Result<()> {
        let text = match self.format {
            Format::Json => one_line(value),
            Format::Person => redact(&text.to_string()),
        };
        print(&mut io::stdout().lock(), &text)
    }

    /// Where the values of flags go, the same for people and for programs: to the letter, so not
    /// redacted.
    pub(crate) fn answers() -> BufWriter<StdoutLock<'static>> {
        BufWriter::with_capacity(1 << 16, io::stdout().lock())
    }

    /// Stdout for many lines, the same for people and for programs. The lock is taken again for each
    /// buffer, so that it may be held across an await.
    pub(crate) fn streamed() -> impl Write + Send {
        BufWriter::with_capacity(1 << 16, io::stdout())
    }

    /// What went wrong, on stderr.
    pub(crate) fn failure(self, failure: &Failure) -> ExitCode {
        let text = match self.format {
            Format::Json => one_line(&as_json(failure)),
            Format::Person => redact(&as_text(failure)),
        };
        heard(print(&mut io::stderr().lock(), &text));
        failure.exit.into()
    }
}

fn print(to: &mut dyn Write, line: &str) -> io::Result<()> {
    writeln!(to, "{line}")?;
    to.flush()
}

/// Whether a line was heard is no matter: a reader that went away is no reason to leave work half
/// done.
fn heard(_: io::Result<()>) {}

/// The outcome of writing, where a reader that went away has read enough.
pub(crate) fn broken_pipe_is_fine(written: io::Result<()>) -> io::Result<()> {
    match written {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => written,
    }
}

/// JSON on one line, redacted.
fn one_line(value: &impl Serialize) -> String {
    let value = serde_json::to_value(value);
    value.map_or_else(|error| json!({ "error": error.to_string() }), redact_json).to_string()
}

fn as_json(failure: &Failure) -> Value {
    let mut reasons: Vec<Value> = failure
        .refusals
        .iter()
        .map(|refusal| json!({ "reason": refusal.reason, "hint": refusal.hint }))
        .collect();
    // What is refused for a reason of its own, not by a gate.
    if reasons.is_empty() && failure.exit == Exit::Refused {
        reasons.push(json!({ "reason": failure.message, "hint": failure.hint }));
    }
    json!({ "error": {
        "message": failure.message,
        "hint": failure.hint,
        "causes": failure.causes,
        "reasons": reasons,
        "code": failure.exit as u8,
    }})
}

fn as_text(failure: &Failure) -> String {
    let mut lines = vec![format!("error: {}", failure.message)];
    for refusal in &failure.refusals {
        lines.push(format!("  - {}", refusal.reason));
        lines.push(format!("    hint: {}", refusal.hint));
    }
    lines.extend(failure.causes.iter().map(|cause| format!("  caused by: {cause}")));
    lines.extend(failure.hint.iter().map(|hint| format!("hint: {hint}")));
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use crossfade_core::Refusal;

    use super::*;

    #[test]
    fn a_failure_for_people_and_for_programs() {
        let mut failure = Failure::new(Exit::Refused, "the gate refuses").with_hint("wait");
        failure.causes.push("the database said no".to_owned());
        failure.refusals.push(Refusal {
            reason: "not done".to_owned(),
            hint: "backfill".to_owned(),
            passes_with_time: false,
        });
        let expected = "error: the gate refuses\n  - not done\n    hint: backfill\n  caused by: \
                        the database said no\nhint: wait";
        assert_eq!(as_text(&failure), expected);
        let value = as_json(&failure);
        assert_eq!(value["error"]["code"], 3);
        assert_eq!(value["error"]["reasons"][0]["reason"], "not done");
        assert_eq!(value["error"]["causes"][0], "the database said no");
        let never = Failure::new(Exit::Refused, "never").with_hint("rollback");
        let reasons = json!([{ "reason": "never", "hint": "rollback" }]);
        assert_eq!(as_json(&never)["error"]["reasons"], reasons);
    }
}
