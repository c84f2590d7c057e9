//! Splitting a script into statements.

use std::ops::Range;

/// A quote or comment that is never closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what} that begins here is never closed")]
pub struct SplitError {
    /// What it is, such as "the string".
    pub what: &'static str,
    /// Where it begins, in bytes from the start of the script.
    pub offset: usize,
}

/// The statements of a script as ranges of bytes: from the first character that is neither space
/// nor comment up to, and without, the semicolon.
///
/// A semicolon inside a quote, a dollar quote, a comment or the body of `create trigger … begin …
/// end` does not end a statement. Block comments nest, as in PostgreSQL.
///
/// # Errors
///
/// [`SplitError`] when a quote or comment is never closed.
pub(crate) fn split(script: &str) -> Result<Vec<Range<usize>>, SplitError> {
    let mut out = Vec::new();
    let mut statement: Option<Statement> = None;
    for token in Tokens::of(script) {
        let (kind, range) = token?;
        match kind {
            Kind::Comment => {}
            Kind::Semicolon if statement.as_ref().is_none_or(|open| open.depth == 0) => {
                out.extend(statement.take().map(|done| done.start..done.end));
            }
            _ => {
                let text = &script[range.clone()];
                statement.get_or_insert_with(|| Statement::at(range.start)).take(kind, text, range);
            }
        }
    }
    out.extend(statement.map(|done| done.start..done.end));
    Ok(out)
}

/// A statement that is being read.
struct Statement {
    start: usize,
    end: usize,
    words: usize,
    /// Whether it begins with `create` and names something with a body.
    create: bool,
    body: bool,
    /// Open `begin` and `case` of such a body.
    depth: usize,
}

impl Statement {
    fn at(start: usize) -> Self {
        Self { start, end: start, words: 0, create: false, body: false, depth: 0 }
    }

    fn take(&mut self, kind: Kind, text: &str, range: Range<usize>) {
        self.end = range.end;
        if kind != Kind::Word {
            return;
        }
        self.words += 1;
        let is = |word: &str| text.eq_ignore_ascii_case(word);
        self.create |= self.words == 1 && is("create");
        // `create or replace temporary trigger` is the longest way to it.
        self.body |=
            self.create && self.words <= 5 && (is("trigger") || is("function") || is("procedure"));
        if self.body && (is("begin") || is("case")) {
            self.depth += 1;
        } else if self.body && is("end") {
            self.depth = self.depth.saturating_sub(1);
        }
    }
}

/// What a piece of a script is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Comment,
    Quoted,
    Word,
    Semicolon,
    Other,
}

/// The pieces of a script; space is passed over.
pub(crate) struct Tokens<'a> {
    script: &'a str,
    next: usize,
}

impl<'a> Tokens<'a> {
    pub(crate) fn of(script: &'a str) -> Self {
        Self { script, next: 0 }
    }

    fn token(&mut self) -> Option<Result<(Kind, Range<usize>), SplitError>> {
        let rest = &self.script[self.next..];
        let start = self.next + (rest.len() - rest.trim_start().len());
        let rest = &self.script[start..];
        let first = rest.chars().next()?;
        let closed = |what, length: Option<usize>| {
            length.ok_or(SplitError { what, offset: start }).map(|length| (Kind::Quoted, length))
        };
        let read = match first {
            '-' if rest.starts_with("--") => {
                Ok((Kind::Comment, rest.find('\n').unwrap_or(rest.len())))
            }
            '/' if rest.starts_with("/*") => closed("the comment", block_comment(rest))
                .map(|(_, length)| (Kind::Comment, length)),
            '\'' => closed("the string", quoted(rest, '\'', Escapes::Doubled)),
            '"' => closed("the quoted name", quoted(rest, '"', Escapes::Doubled)),
            '`' => closed("the quoted name", quoted(rest, '`', Escapes::Doubled)),
            'e' | 'E' if rest[1..].starts_with('\'') => {
                let length = quoted(&rest[1..], '\'', Escapes::Backslash);
                closed("the string", length.map(|length| length + 1))
            }
            '$' => match dollar_tag(rest) {
                Some(tag) => closed("the dollar-quoted text", dollar_quoted(rest, tag)),
                None => Ok((Kind::Other, 1)),
            },
            ';' => Ok((Kind::Semicolon, 1)),
            c if is_word_start(c) => Ok((Kind::Word, word(rest))),
            c => Ok((Kind::Other, c.len_utf8())),
        };
        Some(read.map(|(kind, length)| {
            self.next = start + length;
            (kind, start..start + length)
        }))
    }
}

impl Iterator for Tokens<'_> {
    type Item = Result<(Kind, Range<usize>), SplitError>;

    fn next(&mut self) -> Option<Self::Item> {
        let token = self.token();
        if let Some(Err(_)) = token {
            self.next = self.script.len();
        }
        token
    }
}

fn is_word_start(c: char) -> bool {
    c.is_alphabetic() || c == '_'
}

/// Length of the word at the start of `text`. A `$` belongs to it, so that it opens no quote.
fn word(text: &str) -> usize {
    text.find(|c: char| !(c.is_alphanumeric() || c == '_' || c == '$')).unwrap_or(text.len())
}

/// How a quote sign stands inside its own quotes.
#[derive(PartialEq)]
enum Escapes {
    Doubled,
    Backslash,
}

fn quoted(text: &str, quote: char, escapes: Escapes) -> Option<usize> {
    let mut chars = text.char_indices().skip(1).peekable();
    while let Some((index, c)) = chars.next() {
        if c == '\\' && escapes == Escapes::Backslash {
            chars.next();
        } else if c == quote && chars.next_if(|(_, next)| *next == quote).is_none() {
            return Some(index + c.len_utf8());
        }
    }
    None
}

fn block_comment(text: &str) -> Option<usize> {
    let (mut depth, mut index) = (0_usize, 0);
    while index < text.len() {
        let rest = &text.as_bytes()[index..];
        if rest.starts_with(b"/*") {
            (depth, index) = (depth + 1, index + 2);
        } else if rest.starts_with(b"*/") {
            (depth, index) = (depth - 1, index + 2);
            if depth == 0 {
                return Some(index);
            }
        } else {
            index += 1;
        }
    }
    None
}

/// The opening tag of a dollar quote, such as `$$` or `$body$`; `None` for a parameter like `$1`.
fn dollar_tag(text: &str) -> Option<&str> {
    let name = &text[1..];
    let length = name.find(|c: char| !(c.is_alphanumeric() || c == '_'))?;
    let digits_first = name.starts_with(|c: char| c.is_ascii_digit());
    (name[length..].starts_with('$') && !digits_first).then(|| &text[..length + 2])
}

fn dollar_quoted(text: &str, tag: &str) -> Option<usize> {
    text[tag.len()..].find(tag).map(|found| tag.len() + found + tag.len())
}
