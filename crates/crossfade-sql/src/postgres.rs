//! Which servers of PostgreSQL can be worked with.

use crossfade_store::{StoreError, StoreErrorKind};

/// The first that is tested, as `server_version_num` counts.
const OLDEST: i32 = 140_000;

/// Refuses a server that is too old.
pub(crate) fn accepted(number: i32) -> Result<(), StoreError> {
    if number >= OLDEST {
        return Ok(());
    }
    // Before 10 the major version had two parts.
    let (major, minor) = (number / 10_000, number / 100 % 100);
    let version = if major >= 10 { major.to_string() } else { format!("{major}.{minor}") };
    let error =
        StoreError::new(StoreErrorKind::Invalid, format!("the server is PostgreSQL {version}"));
    Err(error.with_hint("PostgreSQL 14 or later is needed"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_that_are_too_old_are_refused_by_name() {
        for number in [140_000, 140_019, 170_002] {
            assert!(accepted(number).is_ok(), "{number}");
        }
        for (number, name) in [(130_021, "PostgreSQL 13"), (90_624, "PostgreSQL 9.6")] {
            let error = accepted(number).expect_err(name);
            assert_eq!(error.kind, StoreErrorKind::Invalid);
            assert_eq!(error.to_string(), format!("the server is {name}"));
            assert!(error.hint.as_deref().is_some_and(|hint| hint.contains("14")), "{error:?}");
        }
    }
}
