//! Comparing short texts in place. Names and values in rules are a few bytes long, and the call of the
//! system's comparison takes longer than to compare them.

/// Whether two texts are the same.
#[inline(always)]
pub(crate) fn same(left: &str, right: &str) -> bool {
    let (left, right) = (left.as_bytes(), right.as_bytes());
    if left.len() != right.len() {
        return false;
    }
    match left.len() {
        0 => true,
        // The first, the middle and the last byte are all there are, some of them twice.
        1..=3 => [0, left.len() / 2, left.len() - 1].iter().all(|&at| left[at] == right[at]),
        4..=7 => ends::<4>(left) == ends::<4>(right),
        8..=16 => ends::<8>(left) == ends::<8>(right),
        _ => left == right,
    }
}

/// The first and the last `N` bytes, which overlap in the middle where there are fewer than twice as
/// many.
#[inline]
fn ends<const N: usize>(bytes: &[u8]) -> Option<(&[u8; N], &[u8; N])> {
    bytes.first_chunk().zip(bytes.last_chunk())
}

/// A text that others are compared with again and again.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Word {
    text: Box<str>,
    outline: Outline,
}

/// The length of a text and its first and last bytes, which is all there is of a short one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Outline {
    length: usize,
    bytes: u64,
}

impl Outline {
    #[inline(always)]
    pub(crate) fn of(text: &str) -> Self {
        let bytes = text.as_bytes();
        let length = bytes.len();
        let bytes = match (bytes.first_chunk::<4>(), bytes.last_chunk::<4>()) {
            (Some(first), Some(last)) => {
                u64::from(u32::from_le_bytes(*first)) | u64::from(u32::from_le_bytes(*last)) << 32
            }
            _ => bytes.iter().fold(0, |all, byte| all << 8 | u64::from(*byte)),
        };
        Self { length, bytes }
    }
}

impl Word {
    pub(crate) fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether this is the word with the text's outline.
    #[inline(always)]
    pub(crate) fn is(&self, text: &str, outline: Outline) -> bool {
        self.outline == outline && (outline.length <= 8 || *self.text == *text)
    }
}

impl From<&str> for Word {
    fn from(text: &str) -> Self {
        Self { text: text.into(), outline: Outline::of(text) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_in_any_place_is_seen() {
        for length in 0..40 {
            let text = "abcdefghijklmnopqrstuvwxyzabcdefghijklmnop"[..length].to_owned();
            assert!(same(&text, &text.clone()), "{text}");
            for at in 0..length {
                let mut other = text.clone().into_bytes();
                other[at] = b'_';
                let other = String::from_utf8(other).unwrap();
                assert!(!same(&text, &other), "{text} {other}");
                assert!(!same(&text, &text[..at]), "{text}");
                let word = Word::from(&*text);
                assert!(word.is(&text, Outline::of(&text)), "{text}");
                for other in [&other, &text[..at]] {
                    assert!(!word.is(other, Outline::of(other)), "{text} {other}");
                }
            }
        }
    }
}
