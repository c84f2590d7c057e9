//! The latest mismatches, in a bounded ring.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use crossfade_core::{FieldDifference, Key};

/// How many of the fields of one mismatch are kept.
const FIELDS: usize = 32;

/// A key whose sides differed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mismatch {
    /// The key that was read.
    pub key: Key,
    /// What differed, at most 32 fields.
    pub fields: Vec<FieldDifference>,
    /// How many more fields differed.
    pub more: usize,
    /// When it was found.
    pub found: SystemTime,
}

#[derive(Debug)]
pub(crate) struct Mismatches {
    ring: Mutex<VecDeque<Mismatch>>,
    most: usize,
}

impl Mismatches {
    pub(crate) fn new(most: usize) -> Self {
        Self { ring: Mutex::default(), most }
    }

    /// Remembers one, and forgets the oldest where there is no more room.
    pub(crate) fn add(&self, key: Key, mut fields: Vec<FieldDifference>) {
        let more = fields.len().saturating_sub(FIELDS);
        fields.truncate(FIELDS);
        let mismatch = Mismatch { key, fields, more, found: SystemTime::now() };
        let mut ring = self.ring.lock().unwrap_or_else(PoisonError::into_inner);
        ring.push_back(mismatch);
        while ring.len() > self.most {
            ring.pop_front();
        }
    }

    /// Those that are remembered, oldest first.
    pub(crate) fn all(&self) -> Vec<Mismatch> {
        self.ring.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_are_forgotten_and_long_ones_cut() {
        let mismatches = Mismatches::new(2);
        for number in 0..4usize {
            let fields = (0..=number * 11).map(|index| FieldDifference::named(index.to_string()));
            mismatches.add(Key::new(vec![number.to_string()]), fields.collect());
        }
        let kept = mismatches.all();
        let kept: Vec<_> =
            kept.iter().map(|it| (it.key.to_string(), it.fields.len(), it.more)).collect();
        assert_eq!(kept, [("2".to_owned(), 23, 0), ("3".to_owned(), 32, 2)]);
        let none = Mismatches::new(0);
        none.add(Key::new(vec!["1".to_owned()]), Vec::new());
        assert_eq!(none.all(), []);
    }
}
