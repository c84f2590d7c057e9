//! What a mapping is made of, as a parser sees it.
//!
//! Nothing is decided here: the checks of `crossfade-core` judge the values. What the parser cannot
//! read may still be a mapping that the database accepts, so a failure to parse is a value too.

mod expression;
mod query;
mod relation;

use crossfade_core::Definition;
use crossfade_core::check::{Call, MappingText, Place};
use sqlparser::ast::Statement;
use sqlparser::dialect::{Dialect, MySqlDialect, PostgreSqlDialect, SQLiteDialect};
use sqlparser::parser::Parser;
use sqlparser::tokenizer::{Location, Token, TokenWithSpan, Tokenizer, Word};

use query::Walk;

/// Reads the definition's mapping as `engine` writes SQL: `mysql`, `postgres` or `sqlite`.
#[must_use]
pub fn analyse(definition: &Definition, engine: &str) -> MappingText {
    let dialect = dialect(engine);
    let text = &definition.mapping;
    let reason = match Parser::parse_sql(&*dialect, text).as_deref() {
        Ok([Statement::Query(query)]) => {
            let mut walk = Walk::new(engine, definition.legacy.table.name.as_str());
            return MappingText::Parsed(walk.mapping(query));
        }
        Ok(_) => "it is not one query".to_owned(),
        Err(error) => error.to_string(),
    };
    MappingText::Unparsed { reason, calls: words_before_parentheses(&*dialect, text) }
}

fn dialect(engine: &str) -> Box<dyn Dialect> {
    match engine {
        "mysql" => Box::new(MySqlDialect {}),
        "sqlite" => Box::new(SQLiteDialect {}),
        _ => Box::new(PostgreSqlDialect {}),
    }
}

/// What may be function calls in a text that does not parse.
fn words_before_parentheses(dialect: &dyn Dialect, text: &str) -> Vec<Call> {
    let tokens = Tokenizer::new(dialect, text).tokenize_with_location().unwrap_or_default();
    let tokens: Vec<TokenWithSpan> =
        tokens.into_iter().filter(|token| !matches!(token.token, Token::Whitespace(_))).collect();
    let word = |index: usize| match &tokens.get(index)?.token {
        Token::Word(word) => Some(word),
        _ => None,
    };
    let is = |word: Option<&Word>, text: &str| {
        word.is_some_and(|word| word.value.eq_ignore_ascii_case(text))
    };
    let mut calls = Vec::new();
    for (index, token) in tokens.iter().enumerate() {
        let Token::Word(found) = &token.token else { continue };
        let opens = tokens.get(index + 1).is_some_and(|next| next.token == Token::LParen);
        let next_value =
            is(Some(found), "next") && is(word(index + 1), "value") && is(word(index + 2), "for");
        if !opens && !next_value {
            continue;
        }
        let name = if next_value { "nextval".to_owned() } else { found.value.to_lowercase() };
        // How many arguments it has is not known, and a call without any may mean the present.
        calls.push(Call { name, arguments: 9, place: at(token.span.start), ..Call::default() });
    }
    calls
}

/// A place of the parser's, which counts from 1 and knows 0 as nowhere.
fn at(location: Location) -> Option<Place> {
    (location.line > 0).then_some(Place { line: location.line, column: location.column })
}

#[cfg(test)]
mod tests;
