//! Rule sets from a database, played by memory.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use crossfade_store::{
    Changes, NewRuleSet, RuleSetStore, StoreError, StoreErrorKind, StoredRuleSet,
};
use tokio::sync::watch;

use super::{BAD, FLAG, document, ended, until, within_deadline};
use crate::{Flags, FlagsError, Status};

/// A store whose newest rule set and whose trouble the test sets.
#[derive(Debug)]
struct Memory {
    newest: Mutex<Result<Option<(i64, String)>, StoreErrorKind>>,
    deaf: bool,
    counter: watch::Sender<u64>,
}

impl Memory {
    fn new(newest: Result<Option<(i64, String)>, StoreErrorKind>) -> Arc<Self> {
        Arc::new(Self { newest: Mutex::new(newest), deaf: false, counter: watch::Sender::new(1) })
    }

    fn set(&self, newest: Result<Option<(i64, String)>, StoreErrorKind>) {
        *self.newest.lock().unwrap() = newest;
        self.counter.send_modify(|counter| *counter += 1);
    }
}

#[async_trait]
impl Changes for Memory {
    async fn changed(&self, seen: u64) -> Result<u64, StoreError> {
        if self.deaf {
            return Err(StoreError::new(StoreErrorKind::Unavailable, "cannot listen"));
        }
        let mut counter = self.counter.subscribe();
        let now = counter.wait_for(|now| *now != seen).await;
        Ok(*now.expect("the store is alive"))
    }
}

#[async_trait]
impl RuleSetStore for Memory {
    async fn latest_rule_set(&self) -> Result<Option<StoredRuleSet>, StoreError> {
        match &*self.newest.lock().unwrap() {
            Ok(newest) => Ok(newest.clone().map(|(version, document)| StoredRuleSet {
                version,
                document,
                created_ms: 0,
                author: "operator".to_owned(),
                reason: "a test".to_owned(),
            })),
            Err(kind) => Err(StoreError::new(*kind, "cannot load")),
        }
    }

    async fn latest_rule_set_unless(
        &self,
        known: i64,
    ) -> Result<Option<StoredRuleSet>, StoreError> {
        Ok(self.latest_rule_set().await?.filter(|stored| stored.version != known))
    }

    async fn rule_set(&self, version: i64) -> Result<Option<StoredRuleSet>, StoreError> {
        let newest = self.latest_rule_set().await?;
        Ok(newest.filter(|stored| stored.version == version))
    }

    async fn rule_set_history(&self, _limit: u32) -> Result<Vec<StoredRuleSet>, StoreError> {
        Ok(Vec::new())
    }

    async fn append_rule_set(&self, _rule_set: NewRuleSet<'_>) -> Result<i64, StoreError> {
        Err(StoreError::new(StoreErrorKind::Invalid, "the test sets the rule sets"))
    }
}

#[tokio::test]
async fn newer_versions_are_followed_and_older_ones_are_not() {
    let store = Memory::new(Ok(Some((7, document(false)))));
    let flags = Flags::from_store(store.clone()).await;
    assert_eq!((flags.version(), flags.is_enabled(FLAG, "u1")), (7, false));

    store.set(Ok(Some((8, document(true)))));
    within_deadline(flags.wait_for(8)).await;
    assert!(flags.is_enabled(FLAG, "u1"));

    // The trouble in between makes visible when the older version was looked at.
    store.set(Err(StoreErrorKind::Unavailable));
    until(&flags, |status| status.last_error().is_some()).await;
    store.set(Ok(Some((3, document(false)))));
    let older = |status: &Status| matches!(status.last_error(), Some(FlagsError::Older { .. }));
    until(&flags, older).await;
    assert_eq!((flags.version(), flags.is_enabled(FLAG, "u1")), (8, true));

    store.set(Ok(Some((8, document(false)))));
    let altered = |status: &Status| matches!(status.last_error(), Some(FlagsError::Altered { .. }));
    until(&flags, altered).await;
    assert_eq!((flags.version(), flags.is_enabled(FLAG, "u1")), (8, true));
}

#[tokio::test(start_paused = true)]
async fn an_unreachable_store_is_tried_again() {
    let store = Memory::new(Err(StoreErrorKind::Unavailable));
    let flags = Flags::from_store(store.clone()).await;
    assert!(!flags.is_enabled(FLAG, "u1"));
    let status = flags.status();
    assert_eq!(status.version(), 0);
    assert!(matches!(status.last_error(), Some(FlagsError::Unreadable { .. })), "{status:?}");

    store.set(Ok(Some((1, document(true)))));
    let status = until(&flags, |status| status.version() == 1).await;
    assert!(status.last_error().is_none() && flags.is_enabled(FLAG, "u1"));
}

#[tokio::test]
async fn a_bad_rule_set_is_refused_and_the_last_good_one_stays() {
    let store = Memory::new(Ok(Some((1, document(true)))));
    let flags = Flags::from_store(store.clone()).await;
    store.set(Ok(Some((2, BAD.to_owned()))));
    let status = until(&flags, |status| status.last_error().is_some()).await;
    let Some(FlagsError::Refused { source, .. }) = status.last_error() else {
        panic!("{status:?}")
    };
    assert_eq!(source.flag(), Some("x"));
    assert_eq!((flags.version(), flags.is_enabled(FLAG, "u1")), (1, true));

    store.set(Ok(Some((3, document(false)))));
    let status = until(&flags, |status| status.version() == 3).await;
    assert!(status.last_error().is_none() && !flags.is_enabled(FLAG, "u1"));
}

#[tokio::test]
async fn an_empty_store_is_no_error() {
    let store = Memory::new(Ok(None));
    let flags = Flags::from_store(store.clone()).await;
    assert!(flags.status().last_error().is_none());
    store.set(Ok(Some((1, document(true)))));
    within_deadline(flags.wait_for(1)).await;
}

#[tokio::test(start_paused = true)]
async fn a_store_that_does_not_tell_of_changes_is_read_nevertheless() {
    let store = Memory {
        newest: Mutex::new(Ok(Some((1, document(false))))),
        deaf: true,
        counter: watch::Sender::new(1),
    };
    let store = Arc::new(store);
    let flags = Flags::from_store(store.clone()).await;
    assert_eq!(flags.version(), 1);
    store.set(Ok(Some((2, document(true)))));
    within_deadline(flags.wait_for(2)).await;
    assert!(flags.is_enabled(FLAG, "u1"));
}

#[tokio::test]
async fn the_task_ends_with_the_last_clone_and_lets_go_of_the_store() {
    let store = Memory::new(Ok(Some((1, document(true)))));
    let flags = Flags::from_store(store.clone()).await;
    let tasks = flags.shared.tasks();
    assert!(!tasks.is_empty());
    drop(flags.clone());
    store.set(Ok(Some((2, document(true)))));
    within_deadline(flags.wait_for(2)).await;
    drop(flags);
    ended(tasks).await;
    assert_eq!(Arc::strong_count(&store), 1);
}
