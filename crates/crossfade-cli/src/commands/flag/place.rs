//! Where a rule set is read from: a file, standard input, or the database.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::PathBuf;

use crossfade_rules::{Limits, MAX_DOCUMENT_BYTES, Problem, RuleSet, Severity};
use crossfade_store::{RuleSetStore, StoredRuleSet};
use serde_json::Value;

use crate::{
    app::App,
    failure::{Exit, Failure},
};

/// A place that holds a rule set, as it is written on the command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// Any other text.
    File(PathBuf),
    /// `-`
    Stdin,
    /// `@latest`
    Latest,
    /// `@7`
    Version(i64),
}

impl From<OsString> for Place {
    fn from(text: OsString) -> Self {
        match text.to_str().map(|text| (text, version(text))) {
            Some(("-", _)) => Self::Stdin,
            Some(("@latest", _)) => Self::Latest,
            Some((_, Some(version))) => Self::Version(version),
            _ => Self::File(text.into()),
        }
    }
}

impl From<&OsStr> for Place {
    fn from(text: &OsStr) -> Self {
        text.to_owned().into()
    }
}

impl fmt::Display for Place {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => path.display().fmt(out),
            Self::Stdin => out.write_str("-"),
            Self::Latest => out.write_str("@latest"),
            Self::Version(version) => write!(out, "@{version}"),
        }
    }
}

/// The version in `@7`.
fn version(text: &str) -> Option<i64> {
    let digits = text.strip_prefix('@')?;
    digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok())?
}

/// What a place holds, not yet looked at.
#[derive(Debug)]
pub(super) struct Document {
    /// What it is called in messages.
    pub(super) name: String,
    bytes: Vec<u8>,
    limit: usize,
}

impl Document {
    /// Reads at most one byte more than `limit`.
    pub(super) async fn read(app: &App, place: &Place, limit: usize) -> Result<Self, Failure> {
        let (name, bytes) = match place {
            Place::Stdin => ("stdin".to_owned(), bounded(&mut io::stdin().lock(), limit)),
            Place::File(path) => {
                let bytes = File::open(path).and_then(|mut file| bounded(&mut file, limit));
                (place.to_string(), bytes)
            }
            Place::Latest | Place::Version(_) => {
                let stored = stored(app, place).await?;
                (format!("@{}", stored.version), Ok(stored.document.into_bytes()))
            }
        };
        let bytes =
            bytes.map_err(|error| Failure::failed(format!("{name} cannot be read"), &error))?;
        Ok(Self { name, bytes, limit })
    }

    /// The text, or the problem that keeps it from being one.
    pub(super) fn text(&self) -> Result<&str, Problem> {
        if self.bytes.len() > self.limit {
            let message = format!("the document has more than {} bytes", self.limit);
            return Err(problem(None, message));
        }
        std::str::from_utf8(&self.bytes).map_err(|error| {
            let valid = String::from_utf8_lossy(&self.bytes[..error.valid_up_to()]);
            let line = valid.matches('\n').count() + 1;
            let column = valid.chars().rev().take_while(|char| *char != '\n').count() + 1;
            problem(Some((line, column)), "the document is not UTF-8 from here on".to_owned())
        })
    }

    /// The flags, or why the document is refused as a whole.
    pub(super) fn rules(&self) -> Result<RuleSet, Failure> {
        let rules = self.text().and_then(|text| self.parse(text));
        rules.map_err(|problem| self.refused(&problem))
    }

    /// The flags that can be read, and those that cannot, each with its reason. Applications refuse
    /// a document as a whole for a single bad flag.
    pub(super) fn readable(&self) -> Result<(RuleSet, BTreeMap<String, String>), Failure> {
        let mut bad = BTreeMap::new();
        let mut text = match self.text() {
            Ok(text) => Cow::Borrowed(text),
            Err(problem) => return Err(self.refused(&problem)),
        };
        loop {
            let problem = match self.parse(&text) {
                Ok(rules) => return Ok((rules, bad)),
                Err(problem) => problem,
            };
            let rest = problem.flag.as_deref().and_then(|flag| without(&text, flag));
            let (Some(flag), Some(rest)) = (&problem.flag, rest) else {
                return Err(self.refused(&problem));
            };
            bad.insert(flag.clone(), problem.message.clone());
            text = Cow::Owned(rest);
        }
    }

    fn parse(&self, text: &str) -> Result<RuleSet, Problem> {
        let limits = Limits::default().with_document_bytes(self.limit);
        RuleSet::parse_within(text, &limits).map_err(|error| Problem::from(&error))
    }

    /// What to do about a document that is not in the one format that is read.
    pub(super) fn advice(&self) -> Option<&'static str> {
        let text = self.text().ok()?.trim_start_matches('\u{feff}').trim_start();
        let is_json = text.starts_with(['{', '[']);
        (!is_json).then_some("rule sets are JSON in flagd's format; convert YAML to JSON first")
    }

    /// The failure of a command that cannot go on without a readable document.
    pub(super) fn refused(&self, problem: &Problem) -> Failure {
        let message = format!("{}: {}", place(&self.name, problem), words(problem));
        let failure = Failure::new(Exit::Failed, message);
        match self.advice() {
            Some(advice) => failure.with_hint(advice),
            None => failure,
        }
    }
}

/// The document without one of its flags; `None` where it has none of that key.
fn without(text: &str, flag: &str) -> Option<String> {
    let mut document: Value = serde_json::from_str(text).ok()?;
    document.get_mut("flags")?.as_object_mut()?.remove(flag)?;
    Some(document.to_string())
}

/// The flags that a place holds.
pub(super) async fn rules(app: &App, place: &Place) -> Result<RuleSet, Failure> {
    Document::read(app, place, MAX_DOCUMENT_BYTES).await?.rules()
}

/// A problem behind its place, as compilers print it: `FILE:LINE:COLUMN: error: …`.
pub(super) fn located(name: &str, problem: &Problem) -> String {
    format!("{}: {}: {}", place(name, problem), problem.severity, words(problem))
}

fn place(name: &str, problem: &Problem) -> String {
    match (problem.line, problem.column) {
        (Some(line), Some(column)) => format!("{name}:{line}:{column}"),
        (Some(line), None) => format!("{name}:{line}"),
        (None, _) => name.to_owned(),
    }
}

fn words(problem: &Problem) -> String {
    match &problem.flag {
        Some(flag) => format!("flag \"{flag}\": {}", problem.message),
        None => problem.message.clone(),
    }
}

fn problem(place: Option<(usize, usize)>, message: String) -> Problem {
    let (line, column) = place.unzip();
    Problem { severity: Severity::Error, line, column, flag: None, message }
}

fn bounded(from: &mut dyn Read, limit: usize) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    from.take((limit as u64).saturating_add(1)).read_to_end(&mut bytes)?;
    Ok(bytes)
}

async fn stored(app: &App, place: &Place) -> Result<StoredRuleSet, Failure> {
    let database = app.database().await?;
    let stored = match place {
        Place::Version(version) => database.rule_set(*version).await?,
        _ => database.latest_rule_set().await?,
    };
    stored.ok_or_else(|| {
        Failure::new(Exit::Failed, format!("the database has no rule set {place}"))
            .with_hint("`crossfade flag history` lists the versions")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places() {
        for (text, place) in [
            ("-", Place::Stdin),
            ("@latest", Place::Latest),
            ("@7", Place::Version(7)),
            ("@", Place::File("@".into())),
            ("@-7", Place::File("@-7".into())),
            ("@99999999999999999999", Place::File("@99999999999999999999".into())),
            ("./@7", Place::File("./@7".into())),
            ("flags.json", Place::File("flags.json".into())),
        ] {
            assert_eq!(Place::from(OsStr::new(text)), place, "{text}");
            assert_eq!(place.to_string(), text);
        }
    }

    #[test]
    fn what_is_no_text_says_where() {
        let document = |bytes: &[u8], limit| {
            let (name, bytes) = ("f.json".to_owned(), bytes.to_vec());
            Document { name, bytes, limit }
        };
        let failure = document(b"{\n  \"\xc3\xbc\xff\": 1}", 99).rules().unwrap_err();
        assert_eq!(failure.message, "f.json:2:5: the document is not UTF-8 from here on");
        let failure = document(b"{\"flags\": {}}", 12).rules().unwrap_err();
        assert_eq!(failure.message, "f.json: the document has more than 12 bytes");
        assert!(document(b"{\"flags\": {}}", 13).rules().is_ok());
    }

    #[test]
    fn one_bad_flag_leaves_the_others_readable() {
        let text = r#"{"flags": {
            "good": {"state": "DISABLED", "variants": {"on": true}, "defaultVariant": "on"},
            "bad": {"variants": {"a": 1}, "defaultVariant": "zzz"}
        }}"#;
        let document = Document { name: "f".to_owned(), bytes: text.into(), limit: 999 };
        let (rules, bad) = document.readable().unwrap();
        assert_eq!(rules.keys().collect::<Vec<_>>(), ["good"]);
        assert_eq!(bad.keys().collect::<Vec<_>>(), ["bad"]);
        let broken = Document { name: "f".to_owned(), bytes: b"flags: {}".into(), limit: 99 };
        let failure = broken.readable().unwrap_err();
        assert!(failure.hint.is_some_and(|hint| hint.contains("JSON")));
    }
}
