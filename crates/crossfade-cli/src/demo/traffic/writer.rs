//! A writer: puts, updates, inserts and deletes keys that nobody else writes.

use std::sync::Arc;

use rand::RngExt as _;

use super::{Shared, rest};
use crate::demo::{
    chain,
    domain::{
        repository::UserSettingsRepository as _,
        settings::{Changes, Settings},
    },
    oracle::{State, Verdict},
};

/// One operation on a key.
enum Operation {
    Put(Settings),
    Update(Changes),
    Delete,
}

/// Writes its own keys, one after the other, until it is dropped.
pub(super) async fn work(shared: Arc<Shared>, number: usize) {
    let mut count = 0;
    loop {
        count += 1;
        let index = shared.key_of(number);
        // No two operations write the same theme, so that each read tells which of them it saw.
        let theme = theme(number, count);
        let running = shared.running.read().await;
        write(&shared, index, theme).await;
        drop(running);
        rest().await;
    }
}

fn theme(writer: usize, count: u64) -> String {
    let theme = format!("t-{writer}-{count}");
    // Now and then as long as New takes.
    if count.is_multiple_of(16) { format!("{theme:ü<50}") } else { theme }
}

async fn write(shared: &Shared, index: usize, theme: String) {
    let id = shared.log.id(index);
    let (operation, outcome, number) = {
        let mut history = shared.log.history(index);
        let operation = operation(history.certain(), theme);
        let outcome = operation.outcome(history.certain());
        let number = history.begin(outcome.clone());
        (operation, outcome, number)
    };
    let instance = shared.instance();
    let done = match &operation {
        Operation::Put(settings) => instance.put(id, settings).await.map(|()| None),
        Operation::Update(changes) => instance.update(id, changes).await.map(Some),
        Operation::Delete => instance.delete(id).await.map(|()| None),
    };
    match done {
        Ok(answer) => {
            shared.log.history(index).acknowledge(number);
            shared.tally.wrote();
            if answer.is_some() && answer != outcome {
                shared.tally.judged(Verdict::Stale);
                shared.log.find(|| {
                    format!("an update of user {id} led to {answer:?} and not to {outcome:?}")
                });
            }
        }
        Err(error) => {
            shared.tally.failed();
            shared.log.find(|| format!("a write of user {id} failed: {}", chain(&error)));
        }
    }
}

/// What to do with a key in this state; `None` when the state is unknown, which a full write or a
/// delete ends.
fn operation(state: Option<&State>, theme: String) -> Operation {
    let mut rng = rand::rng();
    let dice = rng.random_range(0..100);
    let put = |theme| Operation::Put(Settings { theme: Some(theme), notifications_enabled: true });
    match state {
        None if dice < 80 => put(theme),
        None => Operation::Delete,
        // Mostly inserts.
        Some(None) => match dice {
            0..80 => put(theme),
            80..90 => Operation::Update(Changes { theme: Some(theme), ..Changes::default() }),
            _ => Operation::Delete,
        },
        Some(Some(settings)) => match dice {
            0..45 => put(theme),
            45..65 => Operation::Update(Changes { theme: Some(theme), ..Changes::default() }),
            65..80 => Operation::Update(Changes {
                notifications_enabled: Some(!settings.notifications_enabled),
                ..Changes::default()
            }),
            _ => Operation::Delete,
        },
    }
}

impl Operation {
    /// The state that it leads to from `before`.
    fn outcome(&self, before: Option<&State>) -> State {
        match self {
            Self::Put(settings) => Some(settings.clone()),
            Self::Update(changes) => Some(changes.apply(before.cloned().flatten())),
            Self::Delete => None,
        }
    }
}
