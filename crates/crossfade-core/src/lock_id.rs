//! Numbers for advisory locks, derived from names.
//!
//! Two names that share a number only wait for each other needlessly. On MariaDB an epoch is also
//! found by its number, of 64 bits: two with the same cannot both be opened.

use crate::{Epoch, Key, MigrationName};

const OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
const PRIME: u64 = 0x0000_0100_0000_01b3;

/// FNV-1a over the parts, each closed by a byte that UTF-8 text never contains.
fn hash<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> i64 {
    let mut hash = OFFSET;
    for part in parts {
        for byte in part.iter().chain(&[0xff]) {
            hash = (hash ^ u64::from(*byte)).wrapping_mul(PRIME);
        }
    }
    hash.cast_signed()
}

/// The lock that a writer shares and a closer takes alone.
#[must_use]
pub fn epoch_lock_id(namespace: &str, migration: &MigrationName, epoch: Epoch) -> i64 {
    let epoch = epoch.get().to_be_bytes();
    hash([b"epoch", namespace.as_bytes(), migration.as_str().as_bytes(), &epoch])
}

/// The lock that orders everything which touches one key, whether or not its row exists.
#[must_use]
pub fn key_lock_id(namespace: &str, migration: &MigrationName, key: &Key) -> i64 {
    let head = [&b"key"[..], namespace.as_bytes(), migration.as_str().as_bytes()];
    hash(head.into_iter().chain(key.parts().iter().map(String::as_bytes)))
}

/// The lock of whoever runs a statement of a migration's scripts outside a transaction.
#[must_use]
pub fn script_lock_id(namespace: &str, migration: &MigrationName) -> i64 {
    hash([&b"script"[..], namespace.as_bytes(), migration.as_str().as_bytes()])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ToKey;

    #[test]
    fn every_part_counts() {
        let name: MigrationName = "m".parse().unwrap();
        let mut seen = std::collections::HashSet::new();
        for namespace in ["public", "other"] {
            for epoch in 0..50 {
                assert!(seen.insert(epoch_lock_id(namespace, &name, Epoch::new(epoch))));
            }
            assert!(seen.insert(script_lock_id(namespace, &name)));
            for key in [("a", "bc").to_key(), ("ab", "c").to_key(), "abc".to_key()] {
                assert!(seen.insert(key_lock_id(namespace, &name, &key)));
            }
        }
    }
}
