//! Everything that is wrong with a document, and where.

mod definitions;
mod targeting;

use std::fmt;

use crate::{
    Limits, ParseError, parse,
    source::{Lines, Node, Position},
};

/// One thing that is wrong with a document.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Problem {
    /// How bad it is.
    pub severity: Severity,
    /// The line, counted from one; `None` when it concerns the document as a whole.
    pub line: Option<usize>,
    /// The column in characters, counted from one.
    pub column: Option<usize>,
    /// The key of the flag; `None` when it is outside of any flag.
    pub flag: Option<String>,
    /// What is wrong.
    pub message: String,
}

/// How bad a [`Problem`] is.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Severity {
    /// The document is refused, or the flag cannot be evaluated.
    Error,
    /// It is evaluated, but flagd's JSON schema does not allow it or it hardly does what was meant.
    Warning,
}

impl fmt::Display for Severity {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Error => "error",
            Self::Warning => "warning",
        })
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let (Some(line), Some(column)) = (self.line, self.column) {
            write!(out, "line {line}, column {column}: ")?;
        }
        write!(out, "{}: ", self.severity)?;
        if let Some(flag) = &self.flag {
            write!(out, "flag \"{flag}\": ")?;
        }
        out.write_str(&self.message)
    }
}

/// Lists every problem of a document, in the order of its lines. A document without errors is accepted
/// by [`RuleSet::parse`](crate::RuleSet::parse), and each of its flags can be evaluated.
#[must_use]
pub fn check(text: &str) -> Vec<Problem> {
    check_within(text, &Limits::default())
}

/// Lists every problem of a document as [`check`] does, within other limits.
#[must_use]
pub fn check_within(text: &str, limits: &Limits) -> Vec<Problem> {
    let root = match parse::document(text, limits) {
        Ok(_) => Node::of(text),
        Err(error) => return vec![Problem::from(&error)],
    };
    let Some(root) = root else { return Vec::new() };
    let mut report = Report { lines: Lines::of(text), flag: None, problems: Vec::new() };
    definitions::document(&root, &mut report);
    if let Ok(parsed) = parse::rule_set(text, limits) {
        definitions::faults(&root, &parsed.flags, &mut report);
    }
    let mut problems = report.problems;
    problems.sort_by_key(|problem| (problem.line, problem.column, problem.severity));
    problems.dedup();
    problems
}

impl From<&ParseError> for Problem {
    fn from(error: &ParseError) -> Self {
        Self {
            severity: Severity::Error,
            line: error.line(),
            column: error.column(),
            flag: error.flag().map(str::to_owned),
            message: error.reason().to_string(),
        }
    }
}

/// Gathers problems.
#[derive(Debug)]
struct Report<'t> {
    lines: Lines<'t>,
    /// The flag that is being looked at.
    flag: Option<String>,
    problems: Vec<Problem>,
}

impl Report<'_> {
    fn error(&mut self, at: usize, message: impl Into<String>) {
        self.add(Severity::Error, at, message.into());
    }

    fn warning(&mut self, at: usize, message: impl Into<String>) {
        self.add(Severity::Warning, at, message.into());
    }

    fn add(&mut self, severity: Severity, at: usize, message: String) {
        let Position { line, column } = self.lines.position(at);
        let flag = self.flag.clone();
        let (line, column) = (Some(line), Some(column));
        self.problems.push(Problem { severity, line, column, flag, message });
    }

    fn has_error(&self, flag: &str) -> bool {
        self.problems.iter().any(|problem| {
            problem.severity == Severity::Error && problem.flag.as_deref() == Some(flag)
        })
    }
}
