//! A reader: reads any key and checks the answer against the log.

use std::sync::Arc;

use rand::RngExt as _;

use super::{Shared, rest};
use crate::demo::{
    chain,
    domain::{new::probed, repository::UserSettingsRepository as _},
    oracle::Verdict,
};

/// Reads until it is dropped.
pub(super) async fn work(shared: Arc<Shared>) {
    loop {
        let running = shared.running.read().await;
        read(&shared).await;
        drop(running);
        rest().await;
    }
}

async fn read(shared: &Shared) {
    let writer = rand::rng().random_range(0..shared.writers);
    let index = shared.key_of(writer);
    let id = shared.log.id(index);
    let mark = shared.log.history(index).mark();
    let (answer, side) = probed(shared.new_reads(), shared.instance().get(id)).await;
    let answer = match answer {
        Ok(answer) => answer,
        Err(error) => {
            shared.tally.failed();
            shared.log.find(|| format!("a read of user {id} failed: {}", chain(&error)));
            return;
        }
    };
    shared.tally.read(side);
    let verdict = shared.log.history(index).judge_read(mark, &answer);
    shared.tally.judged(verdict);
    if !matches!(verdict, Verdict::Right | Verdict::Unjudged) {
        shared.log.find(|| {
            let history = shared.log.history(index);
            let last = history.acknowledged();
            format!("a read of user {id} on {side}: {answer:?} after {last:?} is {verdict:?}")
        });
    }
}
