//! Where a story takes place: a migration of its own over the user's tables, and three fresh keys.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::time::Duration;

use crossfade::{Crossfade, Database, Db, Flags, Migration, MigrationState, Side, Stage, ToKey};
use crossfade_core::{Definition, Key, canonical_key, direction};
use crossfade_reconcile::{
    BackfillHooks, BackfillSettings, Cancel, VerifyHooks, VerifyMode, VerifySettings, backfill,
    verify,
};
use crossfade_store::{
    ChunkRequest, ControlStore, DifferenceKind, EnterError, Entry, FencedStore, KeyRange,
    StageChange, VerifyStore,
};

use super::{ConformanceError, Pair, story::KEYS};

/// How long a stage change waits for the writers of the epoch before.
const PATIENCE: Duration = Duration::from_secs(20);

/// More rows than a throw-away database holds, so that one chunk compares them all.
const ALL_ROWS: u32 = 1_000_000;

/// The application, its migration, and the keys that the story plays with.
pub(super) struct Ground<'a, P: Pair> {
    pub(super) database: &'a Database,
    pub(super) pair: &'a P,
    pub(super) migration: Migration,
    pub(super) keys: Vec<P::Key>,
    /// The same keys as the database spells them.
    pub(super) names: Vec<Key>,
    definition: Definition,
    flags: Flags,
    app: Crossfade,
}

/// What both sides hold for one key.
#[derive(Clone, Debug)]
pub(super) struct Row<V> {
    pub(super) legacy: Option<V>,
    pub(super) new: Option<V>,
    /// Whether the key is in quarantine.
    pub(super) marked: bool,
    /// Whether the database finds New's row different from the mapped one.
    pub(super) differs: bool,
}

/// What both sides hold.
#[derive(Clone, Debug)]
pub(super) struct View<V> {
    pub(super) stage: Stage,
    /// By the number of the story's key.
    pub(super) rows: Vec<Row<V>>,
    /// Keys on New that the mapping does not yield.
    pub(super) strays: BTreeSet<String>,
}

impl<'a, P: Pair> Ground<'a, P> {
    /// Begins story `number`, in stage `off`.
    pub(super) async fn prepare(
        database: &'a Database,
        definition: &Definition,
        pair: &'a P,
        number: u32,
    ) -> Result<Self, ConformanceError> {
        let name = format!("conformance_{number}");
        let definition = Definition {
            name: name.parse().expect("letters, an underscore and digits"),
            ..definition.clone()
        };
        database.register(&definition, "conformance").await?;
        let flags = Flags::forced([(definition.read_flag.as_str(), false)]);
        let building = Crossfade::builder_on(database.clone()).flags(flags.clone()).build();
        let app = Box::pin(building).await?;
        let migration = app.migration(&name)?;
        let keys = (0..KEYS as u32).map(|key| pair.key(number * KEYS as u32 + key));
        let keys: Vec<P::Key> = keys.collect();
        let columns = database.key_texts(&definition).await?.unwrap_or_default();
        // What is no key at all is told by the first write.
        let spelled = |key: Key| canonical_key(&columns, &key).map_or(key.clone(), Cow::into_owned);
        let names = keys.iter().map(|key| spelled(key.to_key())).collect();
        Ok(Self { database, pair, migration, keys, names, definition, flags, app })
    }

    /// Ends the lease.
    pub(super) async fn leave(self) -> Result<(), ConformanceError> {
        Ok(self.app.sign_off().await?)
    }

    pub(super) fn flag(&self, on: bool) {
        self.flags.force(self.definition.read_flag.as_str(), on);
    }

    /// Goes towards a stage as far as steps are legal and gates open. The gates that ask for time
    /// and people are left out.
    pub(super) async fn go(&self, to: Stage) -> Result<(), ConformanceError> {
        loop {
            let state = self.state().await?;
            let next = match state.stage.cmp(&to) {
                std::cmp::Ordering::Less => state.stage.next(),
                std::cmp::Ordering::Equal => None,
                std::cmp::Ordering::Greater => state.stage.previous(),
            };
            let legal = |next: &Stage| direction(state.stage, *next).is_ok();
            let Some(next) = next.filter(legal) else { return Ok(()) };
            if !self.gate_opens(state.stage, next).await? {
                return Ok(());
            }
            let change = StageChange {
                migration: &self.definition.name,
                definition: &self.definition,
                from_epoch: state.epoch,
                from: state.stage,
                to: next,
                actor: "conformance",
                reason: "conformance",
            };
            self.database.append_epoch(change).await?;
            self.database.close_epoch(&self.definition.name, state.epoch, PATIENCE).await?;
        }
    }

    async fn gate_opens(&self, from: Stage, to: Stage) -> Result<bool, ConformanceError> {
        match (from, to) {
            // New must be empty, where the story is concerned.
            (Stage::Off, Stage::DeleteOnly) => {
                Ok(self.view().await?.rows.iter().all(|row| row.new.is_none()))
            }
            (Stage::DualWrite, Stage::Live) => {
                self.backfill().await?;
                self.repair().await?;
                let equal = |row: &Row<P::Value>| {
                    !row.marked && !row.differs && row.new == self.mapped(row.legacy.clone())
                };
                Ok(self.view().await?.rows.iter().all(equal))
            }
            _ => Ok(true),
        }
    }

    /// Copies what New lacks, in `dual_write`; elsewhere it does nothing.
    pub(super) async fn backfill(&self) -> Result<(), ConformanceError> {
        if self.state().await?.stage == Stage::DualWrite {
            let settings =
                BackfillSettings { delay: Some(Duration::ZERO), ..BackfillSettings::default() };
            let hooks = BackfillHooks { progress: &|_| {}, cancel: Cancel::never() };
            let (db, name) = (self.database, &self.definition.name);
            Box::pin(backfill(db, db, name, settings, hooks)).await?;
        }
        Ok(())
    }

    /// Repairs what differs, where Legacy is the source; elsewhere it does nothing.
    pub(super) async fn repair(&self) -> Result<(), ConformanceError> {
        if self.state().await?.stage.reconciles() {
            let settings = VerifySettings { mode: VerifyMode::Repair, ..VerifySettings::default() };
            let hooks = VerifyHooks { progress: &|_| {}, cancel: Cancel::never() };
            let (db, name) = (self.database, &self.definition.name);
            Box::pin(verify(db, db, name, settings, hooks)).await?;
        }
        Ok(())
    }

    /// Returns once no transaction holds the key any more: a dropped write leaves one behind for
    /// as long as its connection takes to close.
    pub(super) async fn settle(&self, key: usize) -> Result<(), ConformanceError> {
        let (state, key) = (self.state().await?, &self.names[key]);
        let entry = Entry { migration: &self.definition.name, epoch: state.epoch, key };
        match self.database.enter(entry, None).await {
            Ok(tx) => self.database.rollback(tx).await,
            Err(EnterError::Store(error)) => return Err(error.into()),
            Err(EnterError::Closed) => {}
        }
        Ok(())
    }

    /// What New is to hold for a row of Legacy.
    pub(super) fn mapped(&self, legacy: Option<P::Value>) -> Option<P::Value> {
        legacy.and_then(|legacy| self.pair.on_new(legacy))
    }

    /// Reads a row outside any write.
    pub(super) async fn get(
        &self,
        side: Side,
        key: usize,
    ) -> Result<Option<P::Value>, ConformanceError> {
        let got = self.pair.get(side, Db::from(self.database), &self.keys[key]).await;
        got.map_err(|error| ConformanceError::Get { side, error: error.into() })
    }

    pub(super) async fn state(&self) -> Result<MigrationState, ConformanceError> {
        Ok(self.database.migration(&self.definition.name).await?)
    }

    pub(super) async fn view(&self) -> Result<View<P::Value>, ConformanceError> {
        let state = self.state().await?;
        let chunk = match state.stage.compares() {
            true => {
                let (range, rows) = (KeyRange::ALL, ALL_ROWS);
                let request = ChunkRequest { state: &state, range, rows, values: 0 };
                self.database.verify_chunk(request).await?
            }
            false => Default::default(),
        };
        let differing = chunk.keys(DifferenceKind::Differing);
        let mut rows = Vec::with_capacity(KEYS);
        for (number, key) in self.names.iter().enumerate() {
            rows.push(Row {
                legacy: self.get(Side::Legacy, number).await?,
                new: self.get(Side::New, number).await?,
                marked: state.quarantined.contains(key.text().as_ref()),
                differs: differing.contains(key),
            });
        }
        let orphaned = chunk.keys(DifferenceKind::Orphaned);
        let strays = orphaned.iter().map(|key| key.text().into_owned()).collect();
        Ok(View { stage: state.stage, rows, strays })
    }
}
