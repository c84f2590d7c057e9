//! Lending a transaction to the application's code and getting it back.

use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Mutex, PoisonError};

type Slot<T> = Arc<Mutex<Option<T>>>;

/// The lender's half: where the value comes back to, to be lent again.
#[derive(Debug)]
pub struct Loan<T> {
    slot: Slot<T>,
}

/// The borrower's half: an owned handle, so that a closure's future needs no lifetime. Dropping
/// it gives the value back to the lender, or, where the lender is gone, drops the value.
#[derive(Debug)]
pub struct Lent<T> {
    value: Option<T>,
    slot: Slot<T>,
}

impl<T> Default for Loan<T> {
    fn default() -> Self {
        Self { slot: Slot::default() }
    }
}

impl<T> Loan<T> {
    /// Lends `value`. Nothing else may be out: of two values that come back, the later one is kept.
    #[must_use]
    pub fn lend(&self, value: T) -> Lent<T> {
        Lent { value: Some(value), slot: Arc::clone(&self.slot) }
    }

    /// Takes the value back; `None` when the borrower still holds it.
    #[must_use]
    pub fn take_back(&self) -> Option<T> {
        self.slot.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl<T> Drop for Lent<T> {
    fn drop(&mut self) {
        // With the lender gone the slot dies with this handle, and the value with the slot.
        *self.slot.lock().unwrap_or_else(PoisonError::into_inner) = self.value.take();
    }
}

impl<T> Deref for Lent<T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.value.as_ref().expect("the value leaves only on drop")
    }
}

impl<T> DerefMut for Lent<T> {
    fn deref_mut(&mut self) -> &mut T {
        self.value.as_mut().expect("the value leaves only on drop")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comes_back_when_dropped() {
        let loan = Loan::default();
        let lent = loan.lend(7);
        assert_eq!(*lent, 7);
        drop(lent);
        assert_eq!(loan.take_back(), Some(7));
        let lent = loan.lend(8);
        assert_eq!(loan.take_back(), None);
        drop(lent);
        assert_eq!(loan.take_back(), Some(8));
    }

    #[test]
    fn a_borrower_that_keeps_it_is_noticed() {
        let loan = Loan::default();
        let lent = loan.lend(7);
        assert_eq!(loan.take_back(), None);
        drop(lent);
    }

    #[test]
    fn dies_with_the_lender() {
        let value = Arc::new(());
        let loan = Loan::default();
        let lent = loan.lend(Arc::clone(&value));
        drop(loan);
        drop(lent);
        assert_eq!(Arc::strong_count(&value), 1);
    }
}
