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
            }
        }
    }
}
