//! Reads the text of a document for what a parsed value no longer tells: how deep it is nested, where
//! a member stands, and which members stand there twice.

use serde_json::Value;

use crate::{MAX_NESTING, ParseError, ParseErrorKind};

/// A place in a text. Both numbers count from one; columns count characters.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) struct Position {
    pub(crate) line: usize,
    pub(crate) column: usize,
}

/// Finds the line of an offset.
#[derive(Debug)]
pub(crate) struct Lines<'t> {
    text: &'t str,
    starts: Vec<usize>,
}

impl<'t> Lines<'t> {
    pub(crate) fn of(text: &'t str) -> Self {
        let newlines = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n');
        let starts = std::iter::once(0).chain(newlines.map(|(at, _)| at + 1)).collect();
        Self { text, starts }
    }

    pub(crate) fn position(&self, offset: usize) -> Position {
        let line = self.starts.partition_point(|start| *start <= offset);
        let start = self.starts.get(line - 1).copied().unwrap_or_default();
        let before = self.text.get(start..offset).unwrap_or_default();
        Position { line, column: before.chars().count() + 1 }
    }
}

/// Refuses a text that nests deeper than [`MAX_NESTING`], before anything recursive reads it.
pub(crate) fn check_nesting(text: &str) -> Result<(), ParseError> {
    let (bytes, mut at, mut depth) = (text.as_bytes(), 0, 0_usize);
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth = depth.saturating_sub(1),
            b'"' => at = end_of_string(bytes, at + 1) - 1,
            _ => {}
        }
        if depth > MAX_NESTING {
            let position = Lines::of(text).position(at);
            return Err(ParseError::new(ParseErrorKind::TooDeep).at(position));
        }
        at += 1;
    }
    Ok(())
}

/// The offset behind the closing quote of the string whose content begins at `start`.
fn end_of_string(bytes: &[u8], start: usize) -> usize {
    let mut at = start;
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'"' => return at + 1,
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
    bytes.len()
}

/// A value of a document, and where it stands.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) at: usize,
    pub(crate) form: Form,
}

#[derive(Debug)]
pub(crate) enum Form {
    Object(Vec<Member>),
    Array(Vec<Node>),
    Scalar(Value),
}

/// A member of an object. `at` is where its name stands.
#[derive(Debug)]
pub(crate) struct Member {
    pub(crate) name: String,
    pub(crate) at: usize,
    pub(crate) node: Node,
}

impl Node {
    /// Reads a text that is valid JSON within the limit on nesting; `None` for any other.
    pub(crate) fn of(text: &str) -> Option<Self> {
        Reader { text, at: 0 }.node()
    }

    /// The members, when this is an object.
    pub(crate) fn members(&self) -> Option<&[Member]> {
        match &self.form {
            Form::Object(members) => Some(members),
            _ => None,
        }
    }

    /// The items, when this is an array.
    pub(crate) fn items(&self) -> Option<&[Node]> {
        match &self.form {
            Form::Array(items) => Some(items),
            _ => None,
        }
    }

    /// The value, when this is neither an object nor an array.
    pub(crate) fn scalar(&self) -> Option<&Value> {
        match &self.form {
            Form::Scalar(value) => Some(value),
            _ => None,
        }
    }

    pub(crate) fn as_str(&self) -> Option<&str> {
        self.scalar()?.as_str()
    }

    /// The member with this name. Of several the last is meant, as in the parsed value.
    pub(crate) fn member(&self, name: &str) -> Option<&Member> {
        self.members()?.iter().rev().find(|member| member.name == name)
    }
}

/// Where the member with this path of names stands in a text that is valid JSON.
pub(crate) fn position_of(text: &str, path: &[&str]) -> Option<Position> {
    let root = Node::of(text)?;
    let (mut node, mut at) = (&root, None);
    for name in path {
        let member = node.member(name)?;
        (node, at) = (&member.node, Some(member.at));
    }
    Some(Lines::of(text).position(at?))
}

struct Reader<'t> {
    text: &'t str,
    at: usize,
}

impl Reader<'_> {
    fn node(&mut self) -> Option<Node> {
        let at = self.skip_space();
        let form = match self.peek()? {
            b'{' => Form::Object(self.list(b'}', |reader| {
                let at = reader.skip_space();
                let name = serde_json::from_str(reader.string()?).ok()?;
                reader.skip_space();
                reader.at += 1;
                Some(Member { name, at, node: reader.node()? })
            })?),
            b'[' => Form::Array(self.list(b']', Self::node)?),
            b'"' => Form::Scalar(serde_json::from_str(self.string()?).ok()?),
            _ => {
                let rest = &self.text[at..];
                let end = rest.find([',', '}', ']', ' ', '\n', '\r', '\t']).unwrap_or(rest.len());
                self.at += end;
                Form::Scalar(serde_json::from_str(&rest[..end]).ok()?)
            }
        };
        Some(Node { at, form })
    }

    fn list<T>(&mut self, close: u8, item: impl Fn(&mut Self) -> Option<T>) -> Option<Vec<T>> {
        let mut items = Vec::new();
        self.at += 1;
        self.skip_space();
        while self.peek()? != close {
            items.push(item(self)?);
            self.skip_space();
            if self.peek()? == b',' {
                self.at += 1;
                self.skip_space();
            }
        }
        self.at += 1;
        Some(items)
    }

    fn string(&mut self) -> Option<&str> {
        let start = self.at;
        self.at = end_of_string(self.text.as_bytes(), start + 1);
        self.text.get(start..self.at)
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    /// Moves on to the next character that is no white space, and answers where that is.
    fn skip_space(&mut self) -> usize {
        while self.peek().is_some_and(|byte| byte.is_ascii_whitespace()) {
            self.at += 1;
        }
        self.at
    }
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
        for text in ["\"", "\"\\", "{\"a", "]]]}", "\"ü\\", "[\"\\u", "{\"a\":", "[1,", "{1}", ""]
        {
            assert!(check_nesting(text).is_ok(), "{text}");
            assert!(Node::of(text).is_none_or(|node| node.members().is_none()), "{text}");
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
