//! Keys of rows as values.

use std::borrow::Cow;
use std::fmt;

/// The key of one row: the text of each key column, in the order of the manifest.
///
/// Text is exact for the integer, uuid and text keys that Crossfade works with; the adapter casts
/// it back to the column's type, so that the database alone compares keys.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key(Vec<String>);

impl Key {
    /// A key of the given parts.
    #[must_use]
    pub fn new(parts: Vec<String>) -> Self {
        Self(parts)
    }

    /// The text of each key column.
    #[must_use]
    pub fn parts(&self) -> &[String] {
        &self.0
    }

    pub(crate) fn replace_part(&mut self, index: usize, text: String) {
        self.0[index] = text;
    }

    /// One line of text that tells any two keys apart: the part itself for a single column, a
    /// JSON array of strings for several.
    #[must_use]
    pub fn text(&self) -> Cow<'_, str> {
        match &self.0[..] {
            [single] => Cow::Borrowed(single),
            parts => {
                let quoted: Vec<String> = parts.iter().map(|part| quote(part)).collect();
                Cow::Owned(format!("[{}]", quoted.join(",")))
            }
        }
    }

    /// [`text`](Self::text), of a key that is not needed any more.
    #[must_use]
    pub fn into_text(mut self) -> String {
        match &mut self.0[..] {
            [single] => std::mem::take(single),
            _ => self.text().into_owned(),
        }
    }

    /// The key whose [`text`](Self::text) is `text`, for a key of `columns` columns. `None` when
    /// the text is no such key.
    #[must_use]
    pub fn from_text(text: &str, columns: usize) -> Option<Self> {
        if columns == 1 {
            return Some(Self(vec![text.to_owned()]));
        }
        let mut rest = text.strip_prefix('[')?.strip_suffix(']')?;
        let mut parts = Vec::with_capacity(columns);
        loop {
            let (part, after) = unquote(rest)?;
            parts.push(part);
            match after.strip_prefix(',') {
                Some(next) => rest = next,
                None if after.is_empty() => break,
                None => return None,
            }
        }
        (parts.len() == columns).then_some(Self(parts))
    }
}

fn quote(part: &str) -> String {
    let mut out = String::with_capacity(part.len() + 2);
    out.push('"');
    for c in part.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            c if c.is_control() => out.push_str(&format!("\\u{:04x}", c as u32)),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// Reads one quoted string and returns it with what follows.
fn unquote(text: &str) -> Option<(String, &str)> {
    let mut chars = text.strip_prefix('"')?.char_indices();
    let mut out = String::new();
    while let Some((index, c)) = chars.next() {
        match c {
            '"' => return Some((out, &text[index + 2..])),
            '\\' => match chars.next()?.1 {
                'u' => {
                    let code: String = chars.by_ref().take(4).map(|(_, digit)| digit).collect();
                    out.push(char::from_u32(u32::from_str_radix(&code, 16).ok()?)?);
                }
                // The databases' own JSON has short forms.
                'b' => out.push('\u{8}'),
                'f' => out.push('\u{c}'),
                'n' => out.push('\n'),
                'r' => out.push('\r'),
                't' => out.push('\t'),
                escaped => out.push(escaped),
            },
            c => out.push(c),
        }
    }
    None
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text())
    }
}

/// Anything that names a row: integers, text, uuids rendered as text, and tuples of them.
///
/// Implement it for an id type of your own by returning the text of each key column.
///
/// Any text of an integer or a uuid will do: `07` and `7` name the same row, as do a uuid in upper
/// and in lower case, and so do texts that differ in blanks at their end where the column does not
/// tell them apart. Crossfade makes one spelling of them, by the types that the key columns have,
/// before it locks, marks or pins the key. A text that is none of the column's, such as `seven` for
/// an integer, is refused by writes. The read flag is asked about the user's text as it was given.
#[diagnostic::on_unimplemented(
    message = "`{Self}` names no row",
    label = "neither a key nor a user",
    note = "`ToKey` is implemented for integers, text and tuples of them; implement it for an id type \
            of your own"
)]
pub trait ToKey {
    /// The key.
    fn to_key(&self) -> Key;

    /// The key's [`text`](Key::text), which is all that a read asks for. A type that holds its text
    /// can lend it.
    fn key_text(&self) -> Cow<'_, str> {
        Cow::Owned(self.to_key().into_text())
    }
}

impl ToKey for Key {
    fn to_key(&self) -> Key {
        self.clone()
    }

    fn key_text(&self) -> Cow<'_, str> {
        self.text()
    }
}

impl<T: ToKey + ?Sized> ToKey for &T {
    fn to_key(&self) -> Key {
        (**self).to_key()
    }

    fn key_text(&self) -> Cow<'_, str> {
        (**self).key_text()
    }
}

macro_rules! number {
    ($($type:ty),*) => {$(
        impl ToKey for $type {
            fn to_key(&self) -> Key {
                Key(vec![self.to_string()])
            }

            fn key_text(&self) -> Cow<'_, str> {
                Cow::Owned(self.to_string())
            }
        }
    )*};
}

number!(i16, i32, i64, u16, u32, u64);

impl ToKey for str {
    fn to_key(&self) -> Key {
        Key(vec![self.to_owned()])
    }

    fn key_text(&self) -> Cow<'_, str> {
        Cow::Borrowed(self)
    }
}

impl ToKey for String {
    fn to_key(&self) -> Key {
        self.as_str().to_key()
    }

    fn key_text(&self) -> Cow<'_, str> {
        Cow::Borrowed(self)
    }
}

macro_rules! tuple {
    ($($part:ident $index:tt),*) => {
        impl<$($part: ToKey),*> ToKey for ($($part,)*) {
            fn to_key(&self) -> Key {
                let mut parts = Vec::new();
                $(parts.extend(self.$index.to_key().0);)*
                Key(parts)
            }
        }
    };
}

tuple!(A 0, B 1);
tuple!(A 0, B 1, C 2);
tuple!(A 0, B 1, C 2, D 3);

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(key: impl ToKey, text: &str) {
        assert_eq!(key.key_text(), text, "what a read asks for");
        let key = key.to_key();
        assert_eq!(key.key_text(), text);
        assert_eq!(key.text(), text);
        assert_eq!(Key::from_text(text, key.parts().len()), Some(key));
    }

    struct Own(i16);

    impl ToKey for Own {
        fn to_key(&self) -> Key {
            Key::new(vec![self.0.to_string()])
        }
    }

    #[test]
    fn text_round_trips() {
        check(-7i64, "-7");
        check("[\"a\"]", "[\"a\"]");
        check((1i64, "b"), r#"["1","b"]"#);
        check(("a\",\"b", "c\\"), r#"["a\",\"b","c\\"]"#);
        check(("ü\n", ""), "[\"ü\\u000a\",\"\"]");
        check(u64::MAX, "18446744073709551615");
        check("Ada".to_owned(), "Ada");
        check(Own(7), "7");
    }

    #[test]
    fn text_that_a_database_wrote_is_read() {
        let parts = ["\u{8}\u{c}\n\r\t\u{1}/", "\"\\"].map(str::to_owned).to_vec();
        let text = r#"["\b\f\n\r\t\u0001/","\"\\"]"#;
        assert_eq!(Key::from_text(text, 2), Some(Key::new(parts)));
    }

    #[test]
    fn broken_text_is_no_key() {
        for text in ["", "[]", "[\"a\"]", "[\"a\",\"b\"", "[\"a\"\"b\"]", "[\"a\",\"b\",\"c\"]"] {
            assert_eq!(Key::from_text(text, 2), None, "{text}");
        }
    }
}
