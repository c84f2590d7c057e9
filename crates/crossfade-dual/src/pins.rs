//! When this process last wrote each key.

use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use crate::clock;

/// Keys share slots by their hashes. A slot that is shared only keeps more keys on the primary, and
/// nothing is ever thrown out of a full table.
const SLOTS: usize = 1 << 15;

/// For each key a moment that none of its writes' commits comes after. There is no time to live: a
/// pin ends for a replica once that covers the moment, however long this takes.
#[derive(Debug)]
pub(crate) struct Pins {
    slots: Box<[AtomicI64]>,
    hasher: RandomState,
    margin_ms: i64,
}

/// Pins its key when dropped, and so whichever way the write ends.
#[derive(Debug)]
pub(crate) struct Pin<'a> {
    slot: Option<&'a AtomicI64>,
    margin_ms: i64,
}

impl Pins {
    /// For a database with replicas.
    pub(crate) fn new(margin: Duration) -> Self {
        let slots = (0..SLOTS).map(|_| AtomicI64::new(i64::MIN)).collect();
        Self { slots, hasher: RandomState::new(), margin_ms: clock::ms(margin) }
    }

    /// For a database without.
    pub(crate) fn none() -> Self {
        Self { slots: Box::default(), hasher: RandomState::new(), margin_ms: 0 }
    }

    /// To be held until a write of the key has ended.
    pub(crate) fn write(&self, key: &str) -> Pin<'_> {
        Pin { slot: self.slot(key), margin_ms: self.margin_ms }
    }

    /// Up to when the key's last write may have been committed.
    pub(crate) fn written_ms(&self, key: &str) -> i64 {
        self.slot(key).map_or(i64::MIN, |slot| slot.load(Ordering::Acquire))
    }

    fn slot(&self, key: &str) -> Option<&AtomicI64> {
        let hash = self.hasher.hash_one(key);
        let index = usize::try_from(hash % SLOTS as u64).unwrap_or_default();
        self.slots.get(index)
    }
}

impl Drop for Pin<'_> {
    fn drop(&mut self) {
        if let Some(slot) = self.slot {
            slot.fetch_max(clock::now_ms().saturating_add(self.margin_ms), Ordering::AcqRel);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_write_pins_its_key_when_it_ends() {
        let pins = Pins::new(Duration::from_millis(500));
        assert_eq!(pins.written_ms("7"), i64::MIN);
        let write = pins.write("7");
        assert_eq!(pins.written_ms("7"), i64::MIN);
        let before = clock::now_ms();
        drop(write);
        assert!(pins.written_ms("7") >= before + 500);
        let free = (0..100).filter(|n| pins.written_ms(&format!("other {n}")) == i64::MIN);
        assert!(free.count() > 90, "few keys share a slot");
    }

    #[test]
    fn without_replicas_nothing_is_kept() {
        let pins = Pins::none();
        drop(pins.write("7"));
        assert_eq!(pins.written_ms("7"), i64::MIN);
    }
}
