//! The mapping as text: one `select`, complete in itself.
//!
//! A mapping is put between parentheses inside larger statements. What closes a parenthesis that
//! it has not opened, or ends the statement, would leave its place.

use crossfade_store::Problem;

use crate::Engine;

/// The mapping without comments and semicolons at its end, or the reason why it is refused.
pub(super) fn single_select(text: &str, engine: Engine) -> Result<&str, Problem> {
    let mut depth = 0_usize;
    let mut end = None;
    let mut first_word = None;
    let mut at = 0;
    while let Some(c) = text[at..].chars().next() {
        if let Some(skipped) = skip(text, at, engine) {
            let past = skipped.ok_or_else(|| {
                problem(text, at, "the mapping is unfinished: nothing closes what opens")
            })?;
            if end.is_some() && !is_comment(text, at) {
                return Err(several(text, at));
            }
            at = past;
            continue;
        }
        match c {
            ';' => {
                end.get_or_insert(at);
            }
            c if c.is_whitespace() => {}
            _ if end.is_some() => return Err(several(text, at)),
            '(' => depth += 1,
            ')' => {
                depth = depth.checked_sub(1).ok_or_else(|| {
                    problem(text, at, "the mapping closes a parenthesis that it has not opened")
                })?;
            }
            '/' if text[at..].starts_with("/*") => {
                let message = "the mapping has a comment that MariaDB would run";
                return Err(problem(text, at, message));
            }
            c if is_parameter(text, at, engine) => {
                let message = format!("the mapping has nothing to put into the parameter `{c}`");
                return Err(problem(text, at, &message));
            }
            c if first_word.is_none() && c.is_alphabetic() => first_word = Some(at),
            _ => {}
        }
        at += c.len_utf8();
    }
    if depth > 0 {
        let message = "the mapping opens a parenthesis that it does not close";
        return Err(Problem::in_mapping(message, None));
    }
    let word = first_word.map_or("", |at| word(&text[at..]));
    if !["select", "with"].iter().any(|allowed| word.eq_ignore_ascii_case(allowed)) {
        return Err(Problem::in_mapping("the mapping is not a select", None));
    }
    Ok(text[..end.unwrap_or(text.len())].trim_end())
}

/// Line and column of a byte offset, both from 1.
pub(super) fn place(text: &str, at: usize) -> (usize, usize) {
    let before = &text[..at];
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    (line, column)
}

fn problem(text: &str, at: usize, message: &str) -> Problem {
    Problem::in_mapping(message, Some(place(text, at)))
}

fn several(text: &str, at: usize) -> Problem {
    problem(text, at, "the mapping is more than one statement: the second begins")
}

fn word(text: &str) -> &str {
    let end = text.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(text.len());
    &text[..end]
}

fn is_comment(text: &str, at: usize) -> bool {
    text[at..].starts_with("--") || text[at..].starts_with("/*") || text[at..].starts_with('#')
}

/// Where the comment or quoted text that begins at `at` ends: `None` when none begins there,
/// `Some(None)` when it has no end.
pub(crate) fn skip(text: &str, at: usize, engine: Engine) -> Option<Option<usize>> {
    let rest = &text[at..];
    let until = |opening: usize, closing: &str| {
        rest[opening..].find(closing).map(|found| at + opening + found + closing.len())
    };
    if rest.starts_with("--") && begins_comment(&rest[2..], engine)
        || mariadb_syntax(engine) && rest.starts_with('#')
    {
        return Some(Some(until(1, "\n").unwrap_or(text.len())));
    }
    if rest.starts_with("/*") {
        // What MariaDB runs of a comment is none.
        if mariadb_syntax(engine) && (rest.starts_with("/*!") || rest.starts_with("/*M!")) {
            return None;
        }
        return Some(block_comment(text, at, engine));
    }
    // A doubled quote reads as the end of one string and the begin of the next.
    match rest.chars().next()? {
        quote @ ('"' | '\'') if mariadb_syntax(engine) => Some(escaped_string(text, at, quote)),
        '"' => Some(until(1, "\"")),
        '\'' if escapes(&text[..at], engine) => Some(escaped_string(text, at, '\'')),
        '\'' => Some(until(1, "'")),
        '`' if !postgres_syntax(engine) => Some(until(1, "`")),
        '[' if !postgres_syntax(engine) && !mariadb_syntax(engine) => Some(until(1, "]")),
        '$' if postgres_syntax(engine) => {
            let dollar = dollar_quote(&text[..at], rest)?;
            Some(until(dollar.len(), dollar))
        }
        _ => None,
    }
}

/// Whether backslashes escape in every string, and comments begin with `#` too.
fn mariadb_syntax(engine: Engine) -> bool {
    engine.as_str() == "mysql"
}

/// Whether two dashes in front of `rest` begin a comment: on MariaDB only in front of a blank.
fn begins_comment(rest: &str, engine: Engine) -> bool {
    !mariadb_syntax(engine) || !rest.starts_with(|c: char| !c.is_whitespace() && !c.is_control())
}

/// Whether comments nest and dollars quote. Where they do not, names may stand in backquotes and
/// brackets instead.
fn postgres_syntax(engine: Engine) -> bool {
    engine.as_str() == "postgres"
}

/// Whether a parameter stands at `at`: `$1` on PostgreSQL; `?`, `:name`, `@name` and `$name` on
/// SQLite, which would read NULL in its place. On MariaDB `@name` is a variable of the session's.
fn is_parameter(text: &str, at: usize, engine: Engine) -> bool {
    let in_name = |c: char| c.is_alphanumeric() || c == '_' || c == '$';
    let mut rest = text[at..].chars();
    let (first, second) = (rest.next(), rest.next());
    match first {
        // Part of a name such as `a$1`.
        Some('$') if text[..at].ends_with(in_name) => false,
        Some('$') if postgres_syntax(engine) => second.is_some_and(|c| c.is_ascii_digit()),
        Some('?') => !postgres_syntax(engine),
        Some('$' | ':' | '@') => {
            !postgres_syntax(engine) && second.is_some_and(|c| c.is_alphanumeric() || c == '_')
        }
        _ => false,
    }
}

fn block_comment(text: &str, at: usize, engine: Engine) -> Option<usize> {
    let mut depth = 1;
    let mut at = at + 2;
    while depth > 0 {
        let close = text[at..].find("*/")?;
        let inner = &text[at..at + close];
        let open = inner.find("/*").filter(|_| postgres_syntax(engine));
        match open {
            Some(open) => {
                depth += 1;
                at += open + 2;
            }
            None => {
                depth -= 1;
                at += close + 2;
            }
        }
    }
    Some(at)
}

/// Whether the quote behind `before` opens a string with backslash escapes, as `E'…'`.
fn escapes(before: &str, engine: Engine) -> bool {
    let mut last = before.chars().rev();
    postgres_syntax(engine)
        && matches!(last.next(), Some('e' | 'E'))
        && !last.next().is_some_and(|c| c.is_alphanumeric() || c == '_' || c == '$')
}

fn escaped_string(text: &str, at: usize, quote: char) -> Option<usize> {
    let mut chars = text[at + 1..].char_indices();
    while let Some((index, c)) = chars.next() {
        match c {
            '\\' => drop(chars.next()),
            c if c == quote => return Some(at + 1 + index + 1),
            _ => {}
        }
    }
    None
}

/// The `$tag$` at the begin of `rest`, unless it continues a name.
fn dollar_quote<'a>(before: &str, rest: &'a str) -> Option<&'a str> {
    if before.ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == '$') {
        return None;
    }
    let tag = word(&rest[1..]);
    let closed = rest[1 + tag.len()..].starts_with('$');
    let named = !tag.starts_with(|c: char| c.is_ascii_digit());
    (closed && named).then(|| &rest[..tag.len() + 2])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Result<&str, &str>) {
        for engine in Engine::ALL {
            match (single_select(text, *engine), expected) {
                (Ok(found), Ok(expected)) => assert_eq!(found, expected),
                (Err(found), Err(expected)) => {
                    let found = found.to_string();
                    assert!(found.contains(expected), "{found}");
                }
                (found, expected) => panic!("{engine}: {found:?}, not {expected:?}"),
            }
        }
    }

    #[test]
    fn one_select_is_trimmed() {
        check("select 1", Ok("select 1"));
        check("select 1;\n", Ok("select 1"));
        check("select 1; -- the end\n;", Ok("select 1"));
        check("select ';' -- ;\n", Ok("select ';' -- ;"));
        check("-- ( first\nwith a as (select 1) select * from a ;", {
            Ok("-- ( first\nwith a as (select 1) select * from a")
        });
        check("select ')', \"a)\", 'it''s' /* ) */ from t", {
            Ok("select ')', \"a)\", 'it''s' /* ) */ from t")
        });
    }

    #[test]
    fn anything_else_is_refused_with_its_place() {
        check("", Err("not a select"));
        check("delete from users", Err("not a select"));
        check("select 1;\nselect 2", Err("line 2, column 1"));
        check("select 1; 'x'", Err("more than one"));
        check("select 1) ; drop table x; select (2", Err("line 1, column 9"));
        check("select (1", Err("does not close"));
        check("select 'abc", Err("nothing closes"));
        check("select 1 /* abc", Err("nothing closes"));
    }

    #[cfg(feature = "postgres")]
    #[test]
    fn postgres_parameters() {
        for text in ["select $1", "select a from t where id > $2::bigint"] {
            let found = single_select(text, Engine::Postgres);
            assert!(
                found.is_err_and(|found| found.to_string().contains("parameter `$` at line 1")),
                "{text}"
            );
        }
        for text in ["select a$1 from t", "select '$1', a::text, b[1:2], c ? 'd' from t"] {
            assert_eq!(single_select(text, Engine::Postgres), Ok(text));
        }
    }

    #[cfg(feature = "sqlite")]
    #[test]
    fn sqlite_parameters() {
        for text in ["select ?", "select ?1", "select :a", "select @a", "select $a"] {
            let found = single_select(text, Engine::Sqlite);
            assert!(found.is_err_and(|found| found.message.contains("parameter")), "{text}");
        }
        let text = "select '?1', a$b, \":c\" from t -- ?";
        assert_eq!(single_select(text, Engine::Sqlite), Ok(text));
    }

    #[cfg(feature = "postgres")]
    #[test]
    fn postgres_quotes() {
        let check = |text: &str| assert_eq!(single_select(text, Engine::Postgres), Ok(text));
        check(r"select E'\'); drop table x; --'");
        check("select $$ ); $$, $a$ $$ ); $a$, a$b from t");
        check("select 1 /* /* ) */ ; */");
        check("select (array[1, 2])[1]");
    }

    #[cfg(feature = "mysql")]
    #[test]
    fn mariadb_quotes_and_parameters() {
        for text in [
            r#"select 'it\'s ); --' as a, `b)`, "c\" )" from t"#,
            "select 1 # )\n, 2--1, 3 /* ) */ -- )\n from t",
            "select '?', '@a', a$1 from t",
        ] {
            assert_eq!(single_select(text, Engine::Mysql), Ok(text));
        }
        for (text, words) in [
            ("select ?", "parameter"),
            ("select @a", "parameter"),
            ("select $1", "parameter"),
            ("select 1 /*! ) ; drop table x */", "MariaDB would run"),
            ("select 1 /*M! , 2 */", "MariaDB would run"),
            ("select 1 --)", "has not opened"),
        ] {
            let found = single_select(text, Engine::Mysql);
            assert!(
                found.as_ref().is_err_and(|it| it.message.contains(words)),
                "{text}: {found:?}"
            );
        }
    }

    #[cfg(feature = "sqlite")]
    #[test]
    fn sqlite_quotes() {
        let check = |text: &str| assert_eq!(single_select(text, Engine::Sqlite), Ok(text));
        check("select [a)], `b)` from t");
        check(r"select 'C:\'");
    }
}
