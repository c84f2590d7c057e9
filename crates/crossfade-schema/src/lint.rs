//! Rules that a script should keep. They look at words, so they see what is common, not all.

use std::collections::BTreeSet;
use std::fmt;
use std::path::PathBuf;

use crate::{Manifest, Purpose, Script, ScriptStatement, words::has};

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// The script runs; somebody may have to wait.
    Warning,
    /// The script is not run.
    Error,
}

/// What a rule found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// The file.
    pub path: PathBuf,
    /// The line of the statement, from 1.
    pub line: usize,
    /// What is wrong.
    pub message: String,
    /// What to write instead.
    pub hint: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.path.display(), self.line, self.message)
    }
}

/// What stands out in a script for `engine`.
#[must_use]
pub fn lint(script: &Script, engine: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut created = BTreeSet::new();
    for statement in &script.statements {
        let words = statement.words();
        let mut add = |severity, message: &str, hint: &str| {
            findings.push(finding(script, statement, severity, message, hint));
        };
        if let Some(what) = ends_transaction(&words) {
            let message = format!("a script must not contain `{what}`");
            add(
                Severity::Error,
                &message,
                "each statement and its record are one transaction, which Crossfade begins and ends",
            );
        }
        if script.purpose == Purpose::Expand
            && let Some(what) = destroys(&words)
        {
            let message = format!("expand.sql must not {what}");
            add(
                Severity::Error,
                &message,
                "instances that read Legacy are running; what takes away belongs into contract.sql",
            );
        }
        if engine == "postgres"
            && let Some(table) = blocks_writers(&words)
            && !created.contains(&table)
        {
            let message = format!("this index blocks every write to {table} while it is built");
            add(Severity::Warning, &message, "write `create index concurrently`");
        }
        created.extend(creates(&words));
    }
    findings
}

/// Statements of `contract.sql` that drop Legacy although only columns of it are to go.
pub(crate) fn drops_legacy(manifest: &Manifest) -> Vec<Finding> {
    let (definition, script) = (&manifest.definition, &manifest.contract);
    if definition.legacy_columns.is_empty() {
        return Vec::new();
    }
    let table = definition.legacy.table.name.as_str().to_lowercase();
    let drops = |statement: &&ScriptStatement| {
        let words = statement.words();
        words.starts_with(&["drop".to_owned(), "table".to_owned()])
            && words[2..].iter().any(|word| word.trim_matches('"') == table)
    };
    let found = |statement| {
        let message = format!("contract.sql must not drop {table}, of which only columns go");
        let hint = "write `alter table … drop column …`, or take `columns` out of `[legacy]` in \
                    migration.toml";
        finding(script, statement, Severity::Error, &message, hint)
    };
    script.statements.iter().filter(drops).map(found).collect()
}

fn finding(
    script: &Script,
    statement: &ScriptStatement,
    severity: Severity,
    message: &str,
    hint: &str,
) -> Finding {
    let (path, line) = (script.path.clone(), statement.line);
    Finding { severity, path, line, message: message.to_owned(), hint: hint.to_owned() }
}

/// What the statement takes away that instances may use.
fn destroys(words: &[String]) -> Option<&'static str> {
    let kept = ["constraint", "default", "not", "expression", "identity", "index"];
    let drops_column = words.first().is_some_and(|first| first == "alter")
        && words.windows(2).any(|pair| pair[0] == "drop" && !kept.contains(&pair[1].as_str()));
    match words.first()?.as_str() {
        "drop" => match words.get(1)?.as_str() {
            "table" => Some("drop a table"),
            "schema" => Some("drop a schema"),
            "view" | "materialized" => Some("drop a view"),
            _ => None,
        },
        "truncate" => Some("truncate a table"),
        "delete" => Some("delete rows"),
        "with" if has(words, &["delete", "from"]) => Some("delete rows"),
        "alter" if drops_column => Some("drop a column"),
        _ => None,
    }
}

/// The statement's first word, where it begins or ends a transaction.
fn ends_transaction(words: &[String]) -> Option<&str> {
    let first = words.first()?.as_str();
    let second = words.get(1).map_or("", String::as_str);
    let does = match first {
        "begin" | "commit" | "rollback" | "abort" | "end" | "savepoint" | "release" => true,
        "start" | "prepare" => second == "transaction",
        _ => false,
    };
    does.then_some(first)
}

/// The table that a `create index` without `concurrently` locks.
fn blocks_writers(words: &[String]) -> Option<String> {
    let creates = has(words, &["create", "index"]) || has(words, &["create", "unique", "index"]);
    if !creates || has(words, &["concurrently"]) {
        return None;
    }
    let on = words.iter().position(|word| word == "on")?;
    words.get(on + 1..)?.iter().find(|word| *word != "only").cloned()
}

/// The table that the statement creates.
fn creates(words: &[String]) -> Option<String> {
    let table = words.iter().position(|word| word == "table")?;
    let is_create = words.first().is_some_and(|first| first == "create");
    let skipped = ["if", "not", "exists"];
    let name = words.get(table + 1..)?.iter().find(|word| !skipped.contains(&word.as_str()))?;
    is_create.then(|| name.clone())
}
