//! Names of operations.

use std::fmt;
use std::str::FromStr;

/// The longest id, in bytes.
const LONGEST: usize = 128;

/// The id of an operation that is carried out once: 1 to 128 bytes of text without control
/// characters, unique in its migration.
///
/// It is not the row's key: two changes of one row are two operations. Who makes it decides what
/// "the same operation" is, so it is best made where the operation begins, such as the client that
/// may send its request again.
///
/// ```
/// use crossfade_dual::OperationId;
///
/// let random = OperationId::random();
/// assert_eq!(random.as_str().len(), 32);
/// let from_request: OperationId = "order-17/payment".parse()?;
/// let uuid: u128 = 0x67e5_5044_10b1_426f_9247_bb68_0e5f_e0c8; // as `Uuid::as_u128` returns it
/// assert_eq!(OperationId::from(uuid).as_str(), "67e5504410b1426f9247bb680e5fe0c8");
/// # Ok::<(), crossfade_dual::InvalidOperationId>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct OperationId(String);

/// A text that is no operation id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an operation id has 1 to {LONGEST} bytes and no control characters")]
pub struct InvalidOperationId;

impl OperationId {
    /// A new id of 128 random bits.
    #[must_use]
    pub fn random() -> Self {
        Self::from(rand::random::<u128>())
    }

    /// Its text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// As 32 hexadecimal digits.
impl From<u128> for OperationId {
    fn from(bits: u128) -> Self {
        Self(format!("{bits:032x}"))
    }
}

impl TryFrom<&str> for OperationId {
    type Error = InvalidOperationId;

    fn try_from(text: &str) -> Result<Self, InvalidOperationId> {
        let fits = (1..=LONGEST).contains(&text.len()) && !text.contains(char::is_control);
        if fits { Ok(Self(text.to_owned())) } else { Err(InvalidOperationId) }
    }
}

impl FromStr for OperationId {
    type Err = InvalidOperationId;

    fn from_str(text: &str) -> Result<Self, InvalidOperationId> {
        Self::try_from(text)
    }
}

impl fmt::Display for OperationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_bounded() {
        let longest = "x".repeat(LONGEST);
        for text in ["a", "Ünïcode '\"\\ %$1", &longest] {
            assert_eq!(text.parse::<OperationId>().unwrap().to_string(), text);
        }
        for text in ["", "a\nb", "a\0b", &format!("{longest}x")] {
            assert_eq!(text.parse::<OperationId>(), Err(InvalidOperationId), "{text:?}");
        }
        assert_ne!(OperationId::random(), OperationId::random());
    }
}
