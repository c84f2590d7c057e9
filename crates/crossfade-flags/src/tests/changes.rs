//! Change events.

use super::{BAD, within_deadline};
use crate::{Change, Flags, MemorySource};

fn document(flags: &[(&str, &str)]) -> String {
    let flags = flags.iter().map(|(key, default)| {
        format!(
            r#""{key}": {{"variants": {{"on": true, "off": false}}, "defaultVariant": "{default}"}}"#
        )
    });
    format!("{{\"flags\": {{{}}}}}", flags.collect::<Vec<_>>().join(","))
}

#[tokio::test]
async fn a_change_names_the_flags_that_changed() {
    let source = MemorySource::new();
    let flags = Flags::builder().memory(&source).start().await;
    let mut changes = flags.changes();
    for (set, from, to, changed) in [
        (vec![("a", "on"), ("b", "on")], 0, 1, vec!["a", "b"]),
        (vec![("a", "on"), ("b", "off")], 1, 2, vec!["b"]),
        (vec![("b", "off"), ("c", "on")], 2, 3, vec!["a", "c"]),
    ] {
        source.set(&document(&set)).unwrap();
        let change = within_deadline(changes.next()).await.expect("the client lives");
        let flags = changed.into_iter().map(str::to_owned).collect();
        assert_eq!(change, Change { from, to, flags });
    }
    // Another order says the same, and a refused document changes nothing.
    source.set(&document(&[("c", "on"), ("b", "off")])).unwrap();
    assert!(source.set(BAD).is_err());
    source.set(&document(&[("c", "off"), ("b", "off")])).unwrap();
    let change = within_deadline(changes.next()).await.expect("the client lives");
    assert_eq!((change.from, change.to, change.flags), (3, 5, vec!["c".to_owned()]));
}

#[tokio::test]
async fn who_is_slow_is_told_of_several_changes_in_one() {
    let source = MemorySource::new();
    source.set(&document(&[("a", "on"), ("b", "on")])).unwrap();
    let flags = Flags::builder().memory(&source).start().await;
    let mut changes = flags.changes();
    for set in [[("a", "off"), ("b", "on")], [("a", "on"), ("b", "off")]] {
        source.set(&document(&set)).unwrap();
    }
    let change = within_deadline(changes.next()).await.expect("the client lives");
    assert_eq!(change, Change { from: 1, to: 3, flags: vec!["b".to_owned()] });
}

#[tokio::test]
async fn changes_end_with_the_client() {
    let source = MemorySource::new();
    let flags = Flags::builder().memory(&source).start().await;
    let mut changes = flags.changes();
    let waiting = tokio::spawn(async move { changes.next().await });
    drop(flags);
    assert_eq!(within_deadline(waiting).await.unwrap(), None);
}

/// The condition is foreign code: it may wait for somebody who changes the status.
#[tokio::test]
async fn no_lock_is_held_while_a_condition_is_asked() {
    let source = MemorySource::new();
    source.set(&document(&[("a", "on")])).unwrap();
    let flags = Flags::builder().memory(&source).start().await;
    let mut news = Some(document(&[("a", "off")]));
    let (told, telling) = std::sync::mpsc::channel();
    let condition = |status: &crate::Status| {
        if let Some(news) = news.take() {
            let (source, told) = (source.clone(), told.clone());
            std::thread::spawn(move || told.send(source.set(&news)));
            let set = telling.recv_timeout(std::time::Duration::from_secs(20));
            assert!(set.is_ok_and(|set| set.is_ok()), "it waits for the condition");
        }
        status.version() == 2
    };
    assert_eq!(within_deadline(flags.wait_until(condition)).await.version(), 2);
}
