//! Rust text as the checks read it: comments and literals blanked out, test code marked.
//!
//! Searching raw text would find a forbidden word in the comment that explains why it is
//! forbidden. This is no parser: it knows just enough to skip what is not code.

#[cfg(test)]
mod tests;

/// One line of a Rust file.
#[derive(Debug)]
pub(crate) struct Line {
    /// Counted from 1.
    pub(crate) number: usize,
    /// The line with spaces in place of comments and of the insides of literals.
    pub(crate) code: String,
    /// Whether it lies in an item under `#[cfg(test)]`.
    pub(crate) in_test: bool,
}

/// The lines of a Rust file without comments and literals.
pub(crate) fn lines(text: &str) -> Vec<Line> {
    let code = blank(text);
    let tests = test_regions(&code);
    let mut offset = 0;
    code.split_inclusive('\n')
        .enumerate()
        .map(|(index, line)| {
            let in_test = tests.iter().any(|&(start, end)| (start..end).contains(&offset));
            offset += line.len();
            Line { number: index + 1, code: line.trim_end().to_owned(), in_test }
        })
        .collect()
}

/// Whether `code` holds `needle` where no longer word contains it: `print!` is not in `eprint!`.
pub(crate) fn mentions(code: &str, needle: &str) -> bool {
    code.match_indices(needle).any(|(at, _)| !code[..at].ends_with(is_word))
}

/// Whether a file holds nothing but tests, going by its path from the workspace's root.
pub(crate) fn is_test_file(path: &str) -> bool {
    path.split('/').any(|part| part == "tests" || part == "tests.rs")
}

fn is_word(character: char) -> bool {
    character.is_alphanumeric() || character == '_'
}

/// Replaces comments and the insides of literals by spaces; keeps every line break.
fn blank(text: &str) -> String {
    let mut code = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let after_word = code.ends_with(is_word);
        let (kept, blanked) = if rest.starts_with("//") {
            (0, rest.find('\n').unwrap_or(rest.len()))
        } else if rest.starts_with("/*") {
            (0, block_comment(rest))
        } else if let Some(length) = raw_string(rest).filter(|_| !after_word) {
            (0, length)
        } else if first == '"' {
            (0, quoted(rest, '"'))
        } else if let Some(length) = character(rest) {
            (0, length)
        } else {
            (first.len_utf8(), 0)
        };
        let (code_part, tail) = rest.split_at(kept);
        let (blank_part, tail) = tail.split_at(blanked);
        code.push_str(code_part);
        code.extend(blank_part.chars().map(|it| if it == '\n' { '\n' } else { ' ' }));
        rest = tail;
    }
    code
}

/// Length of the comment that `text` starts with; block comments nest.
fn block_comment(text: &str) -> usize {
    let mut depth = 0_usize;
    let mut at = 0;
    while at < text.len() {
        if text[at..].starts_with("/*") {
            depth += 1;
            at += 2;
        } else if text[at..].starts_with("*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += text[at..].chars().next().map_or(1, char::len_utf8);
        }
    }
    text.len()
}

/// Length of the raw string (`r"…"`, `br#"…"#`, `cr"…"`) that `text` starts with, if it does.
fn raw_string(text: &str) -> Option<usize> {
    let body = text.strip_prefix(['b', 'c']).unwrap_or(text).strip_prefix('r')?;
    let quote = body.find(|it| it != '#')?;
    let inside = body[quote..].strip_prefix('"')?;
    let end = format!("\"{}", &body[..quote]);
    let length = inside.find(&end).map_or(inside.len(), |at| at + end.len());
    Some(text.len() - inside.len() + length)
}

/// Length of the literal between two `quote`s that `text` starts with.
fn quoted(text: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, it) in text.char_indices().skip(1) {
        match it {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            _ if it == quote => return at + it.len_utf8(),
            _ => {}
        }
    }
    text.len()
}

/// Length of the character literal that `text` starts with; a lifetime is none.
fn character(text: &str) -> Option<usize> {
    let mut inside = text.strip_prefix('\'')?.chars();
    match (inside.next()?, inside.next()?) {
        ('\\', _) => Some(quoted(text, '\'')),
        (only, '\'') => Some(2 + only.len_utf8()),
        _ => None,
    }
}

/// The byte ranges of the items under `#[cfg(test)]`, in blanked code.
fn test_regions(code: &str) -> Vec<(usize, usize)> {
    const MARK: &str = "#[cfg(test)]";
    code.match_indices(MARK)
        .map(|(start, _)| {
            let mut depth = 0_usize;
            let mut brackets = 0_usize;
            for (at, it) in code[start + MARK.len()..].char_indices() {
                match it {
                    '{' => depth += 1,
                    '}' => depth = depth.saturating_sub(1),
                    '(' | '[' => brackets += 1,
                    ')' | ']' => brackets = brackets.saturating_sub(1),
                    _ => {}
                }
                // An item ends at its closing brace, or at a semicolon outside of all brackets.
                if depth == 0 && (it == '}' || it == ';' && brackets == 0) {
                    return (start, start + MARK.len() + at + 1);
                }
            }
            (start, code.len())
        })
        .collect()
}
