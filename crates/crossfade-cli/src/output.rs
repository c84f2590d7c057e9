//! The one place that prints.

use std::fmt::Display;
use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;

use serde::Serialize;
use serde_json::{Value, json};

use crate::{failure::Failure, redact::redact};

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
            print(&mut io::stdout().lock(), &text.to_string());
        }
    }

    /// A line for people beside the result, on stderr; nothing for programs.
    pub(crate) fn note(self, text: impl Display) {
        if !self.is_json() {
            print(&mut io::stderr().lock(), &text.to_string());
        }
    }

    /// The result for programs, on one line; nothing for people.
    pub(crate) fn result(self, value: &impl Serialize) {
        if self.is_json() {
            let text = serde_json::to_string(value)
                .unwrap_or_else(|error| json!({ "error": error.to_string() }).to_string());
            print(&mut io::stdout().lock(), &text);
        }
    }

    /// What went wrong, on stderr.
    pub(crate) fn failure(self, failure: &Failure) -> ExitCode {
        let text = match self.format {
            Format::Json => as_json(failure).to_string(),
            Format::Person => as_text(failure),
        };
        print(&mut io::stderr().lock(), &text);
        failure.exit.into()
    }
}

/// Writes a redacted line. A reader that went away is no reason to fail.
fn print(to: &mut dyn Write, text: &str) {
    let _ = writeln!(to, "{}", redact(text));
    let _ = to.flush();
}

fn as_json(failure: &Failure) -> Value {
    let reasons: Vec<Value> = failure
        .refusals
        .iter()
        .map(|refusal| json!({ "reason": refusal.reason, "hint": refusal.hint }))
        .collect();
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
    use crate::failure::Exit;

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
    }
}
