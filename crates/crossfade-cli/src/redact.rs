//! Taking secrets out of text before it is shown.

use serde_json::Value;

/// What sqlx says of a parameter of a URL that it does not know; the value follows.
const UNKNOWN_PARAMETER: &str = "ignoring unrecognized connect parameter";

/// `text` with the user and password of every URL, and every `password=` value, replaced by `***`.
pub(crate) fn redact(text: &str) -> String {
    without_passwords(&without_user_info(text))
}

/// A log record, redacted, and without the value of a parameter that nobody knows: it may be a
/// secret by any name.
pub(crate) fn redact_record(record: &str) -> String {
    let value = " value=";
    let unknown = record.find(UNKNOWN_PARAMETER);
    match unknown.and_then(|start| Some(start + record[start..].find(value)? + value.len())) {
        Some(end) => redact(&format!("{}***\n", &record[..end])),
        None => redact(record),
    }
}

/// `value` with each of its strings redacted, so that it stays the JSON it is.
pub(crate) fn redact_json(value: Value) -> Value {
    match value {
        Value::String(text) => Value::String(redact(&text)),
        Value::Array(values) => Value::Array(values.into_iter().map(redact_json).collect()),
        Value::Object(fields) => Value::Object(
            fields.into_iter().map(|(key, value)| (key, redact_json(value))).collect(),
        ),
        other => other,
    }
}

fn without_user_info(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(found) = rest.find("://") {
        let (before, after) = rest.split_at(found + 3);
        out.push_str(before);
        let url = &after[..after.find(char::is_whitespace).unwrap_or(after.len())];
        // A password may hold anything unescaped; everything up to the last `@` goes.
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
        rest = &after[password(after)..];
    }
    out.push_str(rest);
    out
}

/// Where the password at the begin of `text` ends.
fn password(text: &str) -> usize {
    // As in `password='two words'`.
    if let Some(inner) = text.strip_prefix('\'')
        && let Some(end) = inner.find('\'')
    {
        return end + 2;
    }
    let ends = |c: char| c.is_whitespace() || matches!(c, '&' | '"' | '`');
    text.find(ends).unwrap_or(text.len())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn secrets_never_remain() {
        for (text, expected) in [
            ("nothing to hide", "nothing to hide"),
            ("sqlite://a.db, sqlite://b.db", "sqlite://a.db, sqlite://b.db"),
            ("at postgres://u:s3cret@host:5432/db now", "at postgres://***@host:5432/db now"),
            ("postgres://u:p@ss/w@host/db", "postgres://***@host/db"),
            ("'postgres://u:a,b'c)d\"e<f@host/db' found", "'postgres://***@host/db' found"),
            ("\"postgres://u@host\" `mysql://u:s@h`", "\"postgres://***@host\" `mysql://***@h`"),
            ("postgres://h/d?user=u&password=s3cret&x=1", "postgres://h/d?user=u&password=***&x=1"),
            ("postgres://h/d?sslpassword=a,b)c'd", "postgres://h/d?sslpassword=***"),
            ("host=h PassWord=s3cret dbname=d", "host=h PassWord=*** dbname=d"),
            ("password='two words' dbname=d", "password=*** dbname=d"),
            ("a@b.c", "a@b.c"),
        ] {
            assert_eq!(redact(text), expected);
        }
    }

    #[test]
    fn the_value_of_an_unknown_parameter_is_not_logged() {
        let record = " WARN ignoring unrecognized connect parameter key=pass value=s3cr 3t\n";
        let expected = " WARN ignoring unrecognized connect parameter key=pass value=***\n";
        assert_eq!(redact_record(record), expected);
        assert_eq!(redact_record(" WARN slow value=7\n"), " WARN slow value=7\n");
    }

    #[test]
    fn json_stays_json() {
        let value = json!({ "url": "postgres://u:p@h", "by": ["ann@b.c", 1] });
        assert_eq!(redact_json(value), json!({ "url": "postgres://***@h", "by": ["ann@b.c", 1] }));
    }
}
