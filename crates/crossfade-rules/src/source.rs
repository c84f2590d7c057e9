//! Reads the text of a document for what a parsed value no longer tells: how deep it is nested, and
//! on which line a key stands.

use crate::{MAX_NESTING, ParseError, ParseErrorKind};

/// A place in a text. Both numbers count from one; columns count characters.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Position {
    pub(crate) line: usize,
    pub(crate) column: usize,
}

impl Position {
    fn of(text: &str, offset: usize) -> Self {
        let before = &text[..offset];
        let start = before.rfind('\n').map_or(0, |newline| newline + 1);
        Self { line: before.matches('\n').count() + 1, column: before[start..].chars().count() + 1 }
    }
}

/// Refuses a text that nests deeper than [`MAX_NESTING`], before anything recursive reads it.
pub(crate) fn check_nesting(text: &str) -> Result<(), ParseError> {
    let mut depth = 0_usize;
    for (offset, token) in tokens(text) {
        match token {
            Token::Open => depth += 1,
            Token::Close => depth = depth.saturating_sub(1),
            Token::Text { .. } => {}
        }
        if depth > MAX_NESTING {
            return Err(ParseError::new(ParseErrorKind::TooDeep).at(Position::of(text, offset)));
        }
    }
    Ok(())
}

/// Where the member with this path of keys stands in a text that is valid JSON. Of several members
/// with one name the last is meant, as in the parsed value.
pub(crate) fn position_of(text: &str, path: &[&str]) -> Option<Position> {
    let mut open: Vec<String> = Vec::new();
    let mut found = None;
    for (offset, token) in tokens(text) {
        match token {
            Token::Open => open.push(String::new()),
            Token::Close => drop(open.pop()),
            Token::Text { raw, is_key: true } => {
                let (Some(last), Ok(key)) = (open.last_mut(), serde_json::from_str(raw)) else {
                    continue;
                };
                *last = key;
                if open == path {
                    found = Some(offset);
                }
            }
            Token::Text { is_key: false, .. } => {}
        }
    }
    found.map(|offset| Position::of(text, offset))
}

enum Token<'a> {
    Open,
    Close,
    Text { raw: &'a str, is_key: bool },
}

/// The brackets and strings of a JSON text with their offsets; everything else is passed over.
fn tokens(text: &str) -> impl Iterator<Item = (usize, Token<'_>)> {
    let bytes = text.as_bytes();
    let mut next = 0;
    std::iter::from_fn(move || {
        while next < bytes.len() {
            let offset = next;
            next += 1;
            match bytes[offset] {
                b'{' | b'[' => return Some((offset, Token::Open)),
                b'}' | b']' => return Some((offset, Token::Close)),
                b'"' => {
                    next = end_of_string(bytes, next);
                    let is_key = text[next..].trim_start().starts_with(':');
                    return Some((offset, Token::Text { raw: &text[offset..next], is_key }));
                }
                _ => {}
            }
        }
        None
    })
}

/// The offset behind the closing quote of the string whose content begins at `start`.
fn end_of_string(bytes: &[u8], start: usize) -> usize {
    let mut at = start;
    while at < bytes.len() {
        match bytes[at] {
            b'"' => return at + 1,
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
    bytes.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "{\n  \"flags\": {\n    \"a\": { \"x\": \"b\" },\n    \"ü\": 1, \"b\\n\": [\n      { \"b\": 2 } ]\n  },\n  \"b\": 3\n}";

    #[track_caller]
    fn check(path: &[&str], expect: Option<(usize, usize)>) {
        let found = position_of(TEXT, path).map(|position| (position.line, position.column));
        assert_eq!(found, expect, "{path:?}");
    }

    #[test]
    fn keys_are_found_where_they_stand() {
        check(&["flags"], Some((2, 3)));
        check(&["flags", "a"], Some((3, 5)));
        check(&["flags", "a", "x"], Some((3, 12)));
        check(&["flags", "b\n"], Some((4, 13)));
        check(&["b"], Some((7, 3)));
        check(&["flags", "b"], None);
    }

    #[test]
    fn broken_text_is_scanned_without_panic() {
        for text in ["\"", "\"\\", "{\"a", "]]]}", "\"ü\\", "[\"\\u"] {
            assert!(check_nesting(text).is_ok(), "{text}");
            position_of(text, &["a"]);
        }
    }

    #[test]
    fn nesting_is_limited_and_brackets_in_strings_do_not_count() {
        let nested = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
        assert!(check_nesting(&nested(MAX_NESTING)).is_ok());
        assert!(check_nesting(&format!("\"{}\"", nested(500))).is_ok());
        let error = check_nesting(&format!("\n {}", nested(MAX_NESTING + 1))).unwrap_err();
        assert_eq!((error.line(), error.column()), (Some(2), Some(2 + MAX_NESTING)));
        assert_eq!(error.reason(), &ParseErrorKind::TooDeep);
    }
}
