//! Functions that the mapping's text may call, and what the catalog says of them.

use std::collections::BTreeSet;

use crossfade_core::check::FunctionFacts;
use sqlx::Error;

use crate::Engine;
use crate::schema::skip;
use crate::session::Session;

/// What the catalog says of the functions that `text` may call.
pub(super) async fn called(
    session: &mut Session,
    engine: Engine,
    text: &str,
) -> Result<Vec<FunctionFacts>, Error> {
    let names = names(text, engine);
    if names.is_empty() {
        return Ok(Vec::new());
    }
    match engine {
        #[cfg(feature = "mysql")]
        Engine::Mysql => super::mariadb::functions(session, &names, text).await,
        #[cfg(feature = "postgres")]
        Engine::Postgres => super::postgres::functions(session, &names, text).await,
        // SQLite's functions have no catalog of their properties.
        #[cfg(feature = "sqlite")]
        Engine::Sqlite => {
            let _ = session;
            Ok(Vec::new())
        }
    }
}

/// Names in front of an opening parenthesis, whatever else the text is: unquoted ones in lower case.
fn names(text: &str, engine: Engine) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut last: Option<String> = None;
    let mut at = 0;
    let in_word = |c: char| c.is_alphanumeric() || c == '_' || c == '$';
    while let Some(c) = text[at..].chars().next() {
        if let Some(past) = skip(text, at, engine) {
            let past = past.unwrap_or(text.len());
            let skipped = &text[at..past];
            if c == '"' || c == '`' {
                last = Some(skipped.trim_matches(c).to_owned());
            } else if !skipped.starts_with("--") && !skipped.starts_with("/*") {
                last = None;
            }
            at = past;
        } else if in_word(c) {
            let end = text[at..].find(|c| !in_word(c)).map_or(text.len(), |end| at + end);
            last = Some(text[at..end].to_lowercase());
            at = end;
        } else {
            if c == '(' {
                found.extend(last.take());
            } else if !c.is_whitespace() {
                last = None;
            }
            at += c.len_utf8();
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_in_front_of_parentheses_are_found() {
        for engine in Engine::ALL {
            let check = |text: &str, expected: &[&str]| {
                let found = names(text, *engine);
                assert_eq!(
                    found.iter().map(String::as_str).collect::<Vec<_>>(),
                    expected,
                    "{text}"
                );
            };
            check("select Lower(a), app.f (b), 'g(1)', c + (d) -- h(1)\n from t", &["f", "lower"]);
            check("select f /* why */ (a), 'x'(b)", &["f"]);
            check("select a, b from t", &[]);
        }
    }
}
