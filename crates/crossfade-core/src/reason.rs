//! Reasons of refusals without the values in them.

/// The kind of a reason: its text, with what may be a value of a row left out, so that a million
/// rows refused for one cause are one line.
///
/// Numbers of rows go, and every number that stands alone. Names keep their digits.
#[must_use]
pub fn reason_kind(reason: &str) -> String {
    let reason = reason.split_whitespace().collect::<Vec<_>>().join(" ");
    let reason = match reason.rsplit_once(" at row ") {
        Some((before, row)) if row.bytes().all(|byte| byte.is_ascii_digit()) => before,
        _ => &reason,
    };
    let mut kind = String::with_capacity(reason.len());
    let mut word = String::new();
    for char in reason.chars().chain([' ']) {
        if char.is_alphanumeric() || matches!(char, '_' | '.' | '-' | ':' | '+') {
            word.push(char);
            continue;
        }
        // The length of a type stays, as in `varchar(3)`.
        let is_value = is_number(&word) && !kind.ends_with('(');
        kind.push_str(if is_value { "…" } else { &word });
        kind.push(char);
        word.clear();
    }
    kind.pop();
    kind
}

/// Whether a word is a number, a date or a time.
fn is_number(word: &str) -> bool {
    let digits = word.bytes().any(|byte| byte.is_ascii_digit());
    digits
        && word.chars().all(|char| char.is_ascii_digit() || matches!(char, '.' | '-' | ':' | '+'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_hold_no_values() {
        for (reason, kind) in [
            ("Data too long for column 'name' at row 17", "Data too long for column 'name'"),
            ("row 17 is bad: 2024-02-30 12:00:00", "row … is bad: … …"),
            (
                "value too long for type character varying(3)",
                "value too long for type character varying(3)",
            ),
            (
                "violates check constraint \"people_v2_name_check\"",
                "violates check constraint \"people_v2_name_check\"",
            ),
            ("CHECK constraint failed: name <> 'bad'", "CHECK constraint failed: name <> 'bad'"),
            ("a\nb  c", "a b c"),
            ("", ""),
        ] {
            assert_eq!(reason_kind(reason), kind);
        }
    }
}
