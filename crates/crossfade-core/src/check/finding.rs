//! What a check is, and what it finds.

use std::fmt;

use crate::Stage;

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Severity {
    /// It cannot be right. Nothing but mending it opens the gate.
    Refused,
    /// It may be meant. `[accept]` in migration.toml opens the gate, with a reason.
    ToAccept,
    /// It is shown and holds nothing up.
    Warning,
}

impl Severity {
    /// The name used in output: `refused`, `to accept` or `warning`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Refused => "refused",
            Self::ToAccept => "to accept",
            Self::Warning => "warning",
        }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A look that is taken at every migration. `docs/checks.md` lists all of them.
#[derive(Debug, PartialEq, Eq)]
pub struct Check {
    /// Its stable id, such as `inbound-foreign-key`.
    pub id: &'static str,
    /// What it looks for, as a noun phrase.
    pub title: &'static str,
    /// How bad a finding of it is, unless the finding itself states another severity.
    pub severity: Severity,
    /// The stage whose gate it holds up; `off` is entered by `expand`.
    pub gate: Stage,
    /// What goes wrong where it is ignored.
    pub why: &'static str,
    /// What to do about it.
    pub remedy: &'static str,
}

impl Check {
    /// The check in Markdown: its id as a heading, what it finds, why, and what to do.
    #[must_use]
    pub fn explanation(&self) -> String {
        let gate = match (self.severity, self.gate) {
            (Severity::Warning, Stage::Off) => "A warning, shown by `expand`".to_owned(),
            (Severity::Warning, gate) => format!("A warning, shown on the way to `{gate}`"),
            (Severity::Refused, Stage::Off) => "Refused; holds up `expand`".to_owned(),
            (Severity::Refused, gate) => format!("Refused; holds up `{gate}`"),
            (Severity::ToAccept, Stage::Off) => "To accept; holds up `expand`".to_owned(),
            (Severity::ToAccept, gate) => format!("To accept; holds up `{gate}`"),
        };
        format!(
            "### `{}`\n\nFinds {}. {gate}.\n\n{}\n\nWhat to do: {}.",
            self.id, self.title, self.why, self.remedy
        )
    }

    /// A finding of this check about `object`, which `[accept]` names it by.
    #[must_use]
    pub fn finds(&'static self, object: impl Into<String>, message: impl Into<String>) -> Finding {
        Finding {
            check: self,
            severity: self.severity,
            gate: self.gate,
            object: object.into(),
            message: message.into(),
            hint: self.remedy.to_owned(),
            statements: Vec::new(),
            count: None,
            accepted: None,
        }
    }
}

/// Something that a check found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The check.
    pub check: &'static Check,
    /// How bad it is here.
    pub severity: Severity,
    /// The stage whose gate it holds up here; `off` is entered by `expand`.
    pub gate: Stage,
    /// The object by its name, as `[accept]` names it.
    pub object: String,
    /// What was found, as a fragment that names every object.
    pub message: String,
    /// What to do about it.
    pub hint: String,
    /// Statements that mend it.
    pub statements: Vec<String>,
    /// Number of rows that show it, where they were counted.
    pub count: Option<u64>,
    /// The reason by which the manifest accepts it.
    pub accepted: Option<String>,
}

impl Finding {
    /// Replaces the hint.
    #[must_use]
    pub fn with_hint(self, hint: impl Into<String>) -> Self {
        Self { hint: hint.into(), ..self }
    }

    /// Adds a statement that mends it.
    #[must_use]
    pub fn with_statement(mut self, statement: impl Into<String>) -> Self {
        self.statements.push(statement.into());
        self
    }

    /// Sets the number of rows that show it.
    #[must_use]
    pub fn with_count(self, count: u64) -> Self {
        Self { count: Some(count), ..self }
    }

    /// Sets another severity than the check's.
    #[must_use]
    pub fn with_severity(self, severity: Severity) -> Self {
        Self { severity, ..self }
    }

    /// Holds up another gate than the check's.
    #[must_use]
    pub fn with_gate(self, gate: Stage) -> Self {
        Self { gate, ..self }
    }

    /// Whether it keeps the gate to `to` shut. What holds up `expand` is about copying and comparing
    /// rows, which `contracted` no longer asks about.
    #[must_use]
    pub fn blocks(&self, to: Stage) -> bool {
        let open = match self.severity {
            Severity::Refused => false,
            Severity::ToAccept => self.accepted.is_some(),
            Severity::Warning => true,
        };
        let concerns = self.gate <= to && !(self.gate == Stage::Off && to == Stage::Contracted);
        !open && concerns
    }

    /// Whether the manifest could accept it and does not.
    #[must_use]
    pub fn is_to_accept(&self) -> bool {
        self.severity == Severity::ToAccept && self.accepted.is_none()
    }

    /// What to do about it on one line, with the words that accept it where it can be accepted.
    #[must_use]
    pub fn advice(&self) -> String {
        let mut advice = self.hint.clone();
        if !self.statements.is_empty() {
            advice = format!("{advice}: `{};`", self.statements.join("; "));
        }
        if self.is_to_accept() {
            advice = format!(
                "{advice}; or accept it in migration.toml: [accept.{}] \"{}\" = \"REASON\"",
                self.check.id, self.object
            );
        }
        advice
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.check.id, self.message)
    }
}

/// A finding that the manifest accepts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Acceptance {
    /// The check's id.
    pub check: String,
    /// The object that the finding is about.
    pub object: String,
    /// Why it is meant.
    pub reason: String,
}

/// Enters the acceptances into the findings that may be accepted, warnings too, and sorts the
/// findings: the worst first, then by gate.
pub fn settle(findings: &mut [Finding], accepted: &[Acceptance]) {
    for finding in findings.iter_mut().filter(|finding| finding.severity != Severity::Refused) {
        let meant = accepted.iter().find(|acceptance| {
            acceptance.check == finding.check.id && acceptance.object == finding.object
        });
        finding.accepted = meant.map(|acceptance| acceptance.reason.clone());
    }
    findings.sort_by_key(|finding| (finding.severity, finding.accepted.is_some(), finding.gate));
}
