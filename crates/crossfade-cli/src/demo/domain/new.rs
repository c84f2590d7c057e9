//! The New side with a probe on its reads.

use std::cell::Cell;

use async_trait::async_trait;
use crossfade::{Db, InTransaction, Side, Tx};

use super::{
    plain,
    repository::{RepositoryError, UserSettingsRepository},
    settings::{Changes, Settings},
};

/// Whether reads of New work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::demo) enum NewReads {
    /// They do.
    Work,
    /// They fail, as if the table could not be reached.
    Fail,
}

/// What is known of the read that the current task carries out.
struct Probe {
    new_reads: NewReads,
    answered_by: Cell<Side>,
}

tokio::task_local! {
    /// Only there inside [`probed`]. Comparisons of both sides run in tasks of their own and are
    /// neither counted nor disturbed.
    static PROBE: Probe;
}

/// Carries out a read and tells which side answered it.
pub(in crate::demo) async fn probed<F: Future>(new_reads: NewReads, read: F) -> (F::Output, Side) {
    let probe = Probe { new_reads, answered_by: Cell::new(Side::Legacy) };
    let told = async {
        let answer = read.await;
        (answer, PROBE.with(|probe| probe.answered_by.get()))
    };
    PROBE.scope(probe, told).await
}

/// The example's New side, watched.
#[derive(Clone, Debug)]
pub(in crate::demo) struct NewSettings {
    plain: plain::new::NewSettings,
}

impl NewSettings {
    pub(in crate::demo) fn on(db: impl Into<Db>) -> Self {
        Self { plain: plain::new::NewSettings::on(db) }
    }
}

impl InTransaction for NewSettings {
    fn within(&self, tx: Tx) -> Self {
        Self::on(tx)
    }
}

#[async_trait]
impl UserSettingsRepository for NewSettings {
    async fn get(&self, user: i64) -> Result<Option<Settings>, RepositoryError> {
        if PROBE.try_with(|probe| probe.new_reads) == Ok(NewReads::Fail) {
            let fault = std::io::Error::other("the demo lets reads of New fail");
            return Err(sqlx::Error::Io(fault).into());
        }
        let answer = self.plain.get(user).await?;
        // Without a probe nobody wants to know.
        let _ = PROBE.try_with(|probe| probe.answered_by.set(Side::New));
        Ok(answer)
    }

    async fn put(&self, user: i64, settings: &Settings) -> Result<(), RepositoryError> {
        self.plain.put(user, settings).await
    }

    async fn update(&self, user: i64, changes: &Changes) -> Result<Settings, RepositoryError> {
        self.plain.update(user, changes).await
    }

    async fn delete(&self, user: i64) -> Result<(), RepositoryError> {
        self.plain.delete(user).await
    }
}
