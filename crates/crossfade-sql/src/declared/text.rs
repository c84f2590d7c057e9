//! A declared statement as text: its parameters, its table, and that it is one statement.

use std::collections::BTreeSet;

use crate::Engine;
use crate::schema::skip;

/// What can be read off a statement's text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Text {
    /// Without semicolon and blanks at its end.
    pub(super) sql: String,
    /// The numbers of its parameters.
    pub(super) parameters: BTreeSet<usize>,
    /// What is called as a function, in lower case; some of it is something else.
    pub(super) calls: BTreeSet<String>,
    /// The table that it writes, as far as the text tells.
    pub(super) target: Option<Target>,
}

/// A table's name as a statement spells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Target {
    pub(super) schema: Option<String>,
    pub(super) name: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Token<'a> {
    Word(&'a str),
    Quoted(&'a str),
    Parameter(usize),
    Sign(char),
}

/// Words between the verb and the table's name.
const FILLERS: [&str; 9] =
    ["into", "from", "only", "ignore", "low_priority", "high_priority", "delayed", "quick", "or"];
/// What may follow `or` in SQLite's `insert or replace`.
const ORS: [&str; 5] = ["abort", "fail", "ignore", "replace", "rollback"];

impl Text {
    /// Reads a statement; the reason why it cannot be one of a declared pair, and what to do.
    pub(super) fn read(sql: &str, engine: Engine) -> Result<Self, (&'static str, &'static str)> {
        let tokens = tokens(sql, engine);
        let end = tokens.iter().find(|(_, token)| *token == Token::Sign(';')).map(|(at, _)| *at);
        if tokens.last().map(|(at, _)| *at) > end && end.is_some() {
            let hint = "declare one statement for each side";
            return Err(("holds more than one statement", hint));
        }
        let question = tokens.iter().any(|(_, token)| *token == Token::Sign('?'));
        if question && engine.as_str() != "postgres" {
            return Err(("has a parameter without a number", "write `$1`, `$2` and so on"));
        }
        let tokens: Vec<Token<'_>> = tokens.into_iter().map(|(_, token)| token).collect();
        let verb = match tokens.first() {
            Some(Token::Word(word)) => word.to_ascii_lowercase(),
            _ => String::new(),
        };
        if !["insert", "update", "delete", "replace", "with"].contains(&verb.as_str()) {
            let hint = "declare an `insert`, `update` or `delete`";
            return Err(("writes nothing", hint));
        }
        let number = |token: &Token<'_>| match token {
            Token::Parameter(number) => Some(*number),
            _ => None,
        };
        let call = |pair: &[Token<'_>]| match pair {
            [Token::Word(name) | Token::Quoted(name), Token::Sign('(')] => {
                Some(name.to_lowercase())
            }
            _ => None,
        };
        Ok(Self {
            sql: sql[..end.unwrap_or(sql.len())].trim().to_owned(),
            parameters: tokens.iter().filter_map(number).collect(),
            calls: tokens.windows(2).filter_map(call).collect(),
            target: (verb != "with").then(|| target(&tokens[1..])).flatten(),
        })
    }
}

impl Target {
    /// Whether it may be the table of that name and schema.
    #[cfg(any(feature = "mysql", feature = "sqlite", test))]
    pub(super) fn may_be(&self, schema: &str, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name)
            && self.schema.as_ref().is_none_or(|own| own.eq_ignore_ascii_case(schema))
    }
}

fn target(tokens: &[Token<'_>]) -> Option<Target> {
    let filler = |token: &&Token<'_>| match token {
        Token::Word(word) => {
            let word = word.to_ascii_lowercase();
            FILLERS.contains(&word.as_str()) || ORS.contains(&word.as_str())
        }
        _ => false,
    };
    let fillers = tokens.iter().take_while(filler).count();
    let name = |token: &Token<'_>| match token {
        Token::Word(name) | Token::Quoted(name) => Some((*name).to_owned()),
        _ => None,
    };
    match &tokens[fillers..] {
        [schema, Token::Sign('.'), table, ..] => {
            Some(Target { schema: Some(name(schema)?), name: name(table)? })
        }
        [table, ..] => Some(Target { schema: None, name: name(table)? }),
        [] => None,
    }
}

/// The parts of a text with their places, without blanks, comments and strings.
fn tokens(sql: &str, engine: Engine) -> Vec<(usize, Token<'_>)> {
    let mut tokens = Vec::new();
    let mut at = 0;
    while let Some(c) = sql[at..].chars().next() {
        if let Some(end) = skip(sql, at, engine) {
            let end = end.unwrap_or(sql.len());
            let inside = sql.get(at + 1..end.saturating_sub(1)).unwrap_or_default();
            match c {
                '"' | '`' | '[' => tokens.push((at, Token::Quoted(inside))),
                '-' | '/' | '#' => {}
                _ => tokens.push((at, Token::Sign('\''))),
            }
            at = end;
            continue;
        }
        let rest = &sql[at..];
        let word = rest.find(|c: char| !(c.is_alphanumeric() || c == '_' || c == '$'));
        let word = &rest[..word.unwrap_or(rest.len())];
        let number = word.strip_prefix('$').and_then(|number| number.parse().ok());
        if let Some(number) = number {
            tokens.push((at, Token::Parameter(number)));
        } else if word.is_empty() && !c.is_whitespace() {
            tokens.push((at, Token::Sign(c)));
        } else if !word.is_empty() {
            tokens.push((at, Token::Word(word)));
        }
        at += word.len().max(c.len_utf8());
    }
    tokens
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(sql: &str) -> Result<Text, (&'static str, &'static str)> {
        Text::read(sql, Engine::ALL[0])
    }

    #[track_caller]
    fn writes(sql: &str, schema: Option<&str>, name: &str, parameters: &[usize]) {
        let text = read(sql).expect("a statement");
        let target = Target { schema: schema.map(str::to_owned), name: name.to_owned() };
        assert_eq!(text.target, Some(target), "{sql}");
        assert!(text.parameters.iter().eq(parameters), "{sql}: {:?}", text.parameters);
    }

    #[test]
    fn tables_and_parameters_are_read() {
        writes("insert into people (id) values ($1)", None, "people", &[1]);
        writes(
            " INSERT OR REPLACE INTO app.people VALUES ($2, $1);\n",
            Some("app"),
            "people",
            &[1, 2],
        );
        writes("/* $9 */ update people set name = '$8' where id = $3 -- $7", None, "people", &[3]);
        writes("delete from app . people where id=$1", Some("app"), "people", &[1]);
        writes("replace into people values ($1,$1)", None, "people", &[1]);
        assert_eq!(read("with x as (select 1) delete from people").expect("one").target, None);
    }

    #[test]
    fn the_end_is_cut_off() {
        let text = read(" delete from people where id = $1 ; \n").expect("a statement");
        assert_eq!(text.sql, "delete from people where id = $1");
    }

    #[test]
    fn calls_are_listed() {
        let text = read("insert into t (a) values (Lower($1), ')', now())").expect("a statement");
        let calls: Vec<&str> = text.calls.iter().map(String::as_str).collect();
        assert_eq!(calls, ["lower", "now", "t", "values"]);
    }

    #[test]
    fn what_is_no_single_write_is_refused() {
        for (sql, reason) in [
            ("select 1", "writes nothing"),
            ("", "writes nothing"),
            ("delete from a; delete from b", "holds more than one statement"),
            ("delete from a where id = $1;; ;", "holds more than one statement"),
        ] {
            assert_eq!(read(sql).expect_err(sql).0, reason, "{sql}");
        }
    }

    #[test]
    fn a_table_may_be_spelled_in_several_ways() {
        let target = Target { schema: Some("App".into()), name: "People".into() };
        assert!(target.may_be("app", "people"));
        assert!(!target.may_be("other", "people") && !target.may_be("app", "peoples"));
        assert!(Target { schema: None, ..target }.may_be("other", "people"));
    }
}
