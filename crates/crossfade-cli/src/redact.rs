//! Taking secrets out of text before it is shown.

/// `text` with the user and password of every URL, and every `password=` value, replaced by `***`.
pub(crate) fn redact(text: &str) -> String {
    without_passwords(&without_user_info(text))
}

/// What ends a URL in running text.
fn ends_url(c: char) -> bool {
    c.is_whitespace() || matches!(c, '"' | '\'' | '`' | '<' | '>' | ')' | ',')
}

fn without_user_info(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(found) = rest.find("://") {
        let (before, after) = rest.split_at(found + 3);
        out.push_str(before);
        let url = &after[..after.find(ends_url).unwrap_or(after.len())];
        // A password may hold an unescaped `@` or `/`; everything up to the last `@` goes.
        rest = match url.rfind('@') {
            Some(at) => {
                out.push_str("***");
                &after[at..]
            }
            None => after,
        };
    }
    out.push_str(rest);
    out
}

fn without_passwords(text: &str) -> String {
    const MARK: &str = "password=";
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(found) = rest.to_ascii_lowercase().find(MARK) {
        let (before, after) = rest.split_at(found + MARK.len());
        out.push_str(before);
        out.push_str("***");
        rest = &after[after.find(|c| c == '&' || ends_url(c)).unwrap_or(after.len())..];
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_never_remain() {
        for (text, expected) in [
            ("nothing to hide", "nothing to hide"),
            ("sqlite://a.db, sqlite://b.db", "sqlite://a.db, sqlite://b.db"),
            ("at postgres://u:s3cret@host:5432/db now", "at postgres://***@host:5432/db now"),
            ("postgres://u:p@ss/w@host/db", "postgres://***@host/db"),
            ("\"postgres://u@host\" `mysql://u:s@h`", "\"postgres://***@host\" `mysql://***@h`"),
            ("postgres://h/d?user=u&password=s3cret&x=1", "postgres://h/d?user=u&password=***&x=1"),
            ("host=h PassWord=s3cret dbname=d", "host=h PassWord=*** dbname=d"),
            ("a@b.c", "a@b.c"),
        ] {
            assert_eq!(redact(text), expected);
        }
    }
}
