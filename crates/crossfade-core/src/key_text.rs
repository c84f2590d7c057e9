//! Which texts name the same key.

use std::borrow::Cow;

use crate::Key;

/// What the type of a key column makes of a text. Locks, marks and pins are found by a key's text,
/// so each key has one text, its canonical one: the text that the database itself gives the value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyText {
    /// Two texts are two keys.
    Exact,
    /// Blanks at the end do not count.
    Padded,
    /// An integer: neither blanks around it, nor a plus sign, nor zeros in front count.
    Integer,
    /// A uuid: neither case, nor hyphens, nor braces around it count.
    Uuid,
}

/// A text that no value of a key column has.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{part}` is no {expected}, as part {number} of the key has to be")]
pub struct KeyTextError {
    part: String,
    expected: &'static str,
    number: usize,
}

impl KeyText {
    /// The canonical text of a part; `None` for one that no value of the column has.
    #[must_use]
    pub fn canonical(self, part: &str) -> Option<Cow<'_, str>> {
        match self {
            Self::Exact => Some(Cow::Borrowed(part)),
            Self::Padded => Some(Cow::Borrowed(part.trim_end_matches(' '))),
            Self::Integer => integer(part),
            Self::Uuid => uuid(part),
        }
    }

    /// What it takes, for a message.
    const fn expected(self) -> &'static str {
        match self {
            Self::Exact | Self::Padded => "text",
            Self::Integer => "integer",
            Self::Uuid => "uuid",
        }
    }
}

/// The canonical text of a key, given what each of its columns makes of one.
///
/// # Errors
///
/// [`KeyTextError`] for a part that no value of its column has.
pub fn canonical_key<'k>(columns: &[KeyText], key: &'k Key) -> Result<Cow<'k, Key>, KeyTextError> {
    let mut canonical = Cow::Borrowed(key);
    for (index, (column, part)) in columns.iter().zip(key.parts()).enumerate() {
        let text = column.canonical(part).ok_or_else(|| KeyTextError {
            part: part.clone(),
            expected: column.expected(),
            number: index + 1,
        })?;
        if text != *part {
            let text = text.into_owned();
            canonical.to_mut().replace_part(index, text);
        }
    }
    Ok(canonical)
}

fn integer(part: &str) -> Option<Cow<'_, str>> {
    let text = part.trim_ascii();
    let (minus, digits) = match text.strip_prefix('-') {
        Some(digits) => ("-", digits),
        None => ("", text.strip_prefix('+').unwrap_or(text)),
    };
    if digits.is_empty() || !digits.bytes().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    let significant = digits.trim_start_matches('0');
    Some(match (minus, significant) {
        (_, "") => Cow::Borrowed("0"),
        ("", significant) => Cow::Borrowed(significant),
        (_, significant) if significant.len() == digits.len() => Cow::Borrowed(text),
        (minus, significant) => Cow::Owned(format!("{minus}{significant}")),
    })
}

fn uuid(part: &str) -> Option<Cow<'_, str>> {
    const HYPHENS: [usize; 4] = [8, 13, 18, 23];
    let lower = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    let canonical = |(place, byte): (usize, u8)| match HYPHENS.contains(&place) {
        true => byte == b'-',
        false => lower(byte),
    };
    if part.len() == 36 && part.bytes().enumerate().all(canonical) {
        return Some(Cow::Borrowed(part));
    }
    let text = part.trim_ascii();
    let text = text.strip_prefix('{').and_then(|text| text.strip_suffix('}')).unwrap_or(text);
    let mut digits = String::with_capacity(36);
    for c in text.chars().filter(|c| *c != '-') {
        if !c.is_ascii_hexdigit() {
            return None;
        }
        if HYPHENS.contains(&digits.len()) {
            digits.push('-');
        }
        digits.push(c.to_ascii_lowercase());
    }
    (digits.len() == 36).then_some(Cow::Owned(digits))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ToKey;

    #[track_caller]
    fn check(column: KeyText, part: &str, expect: Option<&str>) {
        assert_eq!(column.canonical(part).as_deref(), expect, "{part}");
    }

    #[test]
    fn an_integer_has_one_text() {
        for part in ["7", "07", "+7", " 7\n", "+007"] {
            check(KeyText::Integer, part, Some("7"));
        }
        for part in ["-7", "-07", " -007"] {
            check(KeyText::Integer, part, Some("-7"));
        }
        for part in ["0", "-0", "+00", "000"] {
            check(KeyText::Integer, part, Some("0"));
        }
        check(KeyText::Integer, "18446744073709551615", Some("18446744073709551615"));
        for part in ["", "-", "7.0", "7e0", "0x7", "1_000", "--7", "+-7", "- 7", "seven", "٧"] {
            check(KeyText::Integer, part, None);
        }
    }

    #[test]
    fn a_uuid_has_one_text() {
        let expect = "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11";
        for part in [
            expect,
            "A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11",
            "a0eebc999c0b4ef8bb6d6bb9bd380a11",
            "{a0eebc99-9c0b4ef8-bb6d6bb9-bd380a11}",
            "a0ee-bc99-9c0b-4ef8-bb6d-6bb9-bd38-0a11",
        ] {
            check(KeyText::Uuid, part, Some(expect));
        }
        for part in ["", "7", "g0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", &expect[1..], "{}"] {
            check(KeyText::Uuid, part, None);
        }
    }

    #[test]
    fn a_text_keeps_what_its_column_tells_apart() {
        check(KeyText::Exact, " a ", Some(" a "));
        check(KeyText::Padded, " a  ", Some(" a"));
        check(KeyText::Padded, "a\t", Some("a\t"));
        check(KeyText::Padded, "  ", Some(""));
    }

    #[test]
    fn each_part_has_a_text_of_its_own() {
        let columns = [KeyText::Integer, KeyText::Exact];
        let key = ("07", "07").to_key();
        assert_eq!(*canonical_key(&columns, &key).unwrap(), ("7", "07").to_key());
        let key = (7, "07").to_key();
        assert!(matches!(canonical_key(&columns, &key), Ok(Cow::Borrowed(_))), "nothing is copied");
        let key = ("x", "y").to_key();
        let error = canonical_key(&columns, &key).unwrap_err();
        assert_eq!(error.to_string(), "`x` is no integer, as part 1 of the key has to be");
    }
}
