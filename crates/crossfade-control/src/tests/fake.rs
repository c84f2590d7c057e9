//! Ports in memory, with the few knobs that the tests turn.

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use crossfade_core::check::Survey;
use crossfade_core::{
    Approval, BackfillOptions, Definition, Epoch, Facts, GateOptions, InstanceFacts, Leases,
    MigrationName, MigrationState, Parity, Pinned, RunFacts, RunId, RunState, SideTable, Stage,
    TableName, Witness, stage_effects,
};
use crossfade_rules::edit;
use crossfade_store::{
    AuditEntry, AuditRecord, CatalogStore, Changes, ControlStore, EpochHolder, Heartbeat,
    InstanceRecord, NewRuleSet, Problem, Registration, RuleSetStore, SchemaStore, ScriptStep,
    StageChange, Statement, StatementError, StepRun, StoreError, StoreErrorKind, StoredRuleSet,
    Surroundings, SurveyRequest, Timeouts,
};

/// An hour before the facts are asked for.
const VERIFIED_MS: i64 = 47 * 60 * 60 * 1000;

pub(super) const FLAG: &str = "read_user_settings_v2";

pub(super) fn name() -> MigrationName {
    "user_settings".parse().unwrap()
}

#[derive(Debug)]
pub(super) struct Inner {
    pub(super) state: MigrationState,
    pub(super) rule_sets: Vec<StoredRuleSet>,
    pub(super) now_ms: i64,
    pub(super) new_has_rows: bool,
    pub(super) quarantined: u64,
    pub(super) run_done: bool,
    pub(super) voided: bool,
    pub(super) audit: Vec<(String, String)>,
    /// Calls of `close_epoch` that still time out.
    pub(super) held_for: u32,
    /// Appends of rule sets that still meet another author.
    pub(super) conflicts: u32,
    /// Looks at the facts until the instance has acknowledged the newest epoch.
    pub(super) acknowledges_after: u32,
    /// Whether another operator appends an epoch while the gate is asked.
    pub(super) rival: bool,
    /// Whether another operator appends the very epoch that is asked for.
    pub(super) rollback_rival: bool,
}

#[derive(Debug)]
pub(super) struct Fake(Mutex<Inner>);

impl Fake {
    /// A migration in `stage`, with every gate open except for the flag's.
    pub(super) fn at(stage: Stage) -> Self {
        let side = |table: &str, key: &str| SideTable {
            table: table.parse().unwrap(),
            key: vec![key.parse().unwrap()],
        };
        let definition = Definition {
            name: name(),
            read_flag: FLAG.parse().unwrap(),
            legacy: side("users", "id"),
            legacy_columns: Vec::new(),
            new: side("user_settings", "user_id"),
            mapping: "select id as user_id from users".to_owned(),
            backfill: BackfillOptions::default(),
            gates: GateOptions::default(),
            accepted: Vec::new(),
            pinned: crossfade_core::Pinned::default(),
        };
        Self(Mutex::new(Inner {
            state: MigrationState {
                definition,
                stage,
                epoch: Epoch::new(7),
                previous_open: false,
                quarantined: BTreeSet::new(),
            },
            rule_sets: Vec::new(),
            now_ms: 1_000_000_000,
            new_has_rows: stage >= Stage::DualWrite,
            quarantined: 0,
            run_done: true,
            voided: false,
            audit: Vec::new(),
            held_for: 0,
            conflicts: 0,
            acknowledges_after: 0,
            rival: false,
            rollback_rival: false,
        }))
    }

    pub(super) fn get(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Stores a version that gives `percent` of the users the New side.
    pub(super) fn store_percent(&self, percent: f64, created_ms: i64) {
        let mut inner = self.get();
        let document = inner.rule_sets.last().map_or(edit::EMPTY, |last| &last.document);
        let document = edit::ensure_boolean(document, FLAG).unwrap();
        let document = edit::set_percent(&document, FLAG, percent).unwrap();
        inner.push_rule_set(document, created_ms);
    }

    pub(super) fn actions(&self) -> Vec<String> {
        self.get().audit.iter().map(|(action, _)| action.clone()).collect()
    }
}

impl Inner {
    pub(super) fn push_rule_set(&mut self, document: String, created_ms: i64) -> i64 {
        let version = i64::try_from(self.rule_sets.len()).unwrap() + 1;
        let (author, reason) = ("a".to_owned(), String::new());
        self.rule_sets.push(StoredRuleSet { version, document, created_ms, author, reason });
        version
    }

    fn append(&mut self, to: Stage) -> Epoch {
        self.state.stage = to;
        self.state.epoch = self.state.epoch.next();
        self.state.previous_open = true;
        self.state.epoch
    }
}

fn error<T>(kind: StoreErrorKind) -> Result<T, StoreError> {
    Err(StoreError::new(kind, "the fake says so"))
}

#[async_trait]
impl Changes for Fake {
    async fn changed(&self, seen: u64) -> Result<u64, StoreError> {
        Ok(seen + 1)
    }
}

#[async_trait]
impl ControlStore for Fake {
    async fn install(&self) -> Result<Vec<String>, StoreError> {
        Ok(Vec::new())
    }

    async fn register(&self, _: &Definition, _: &str) -> Result<Registration, StoreError> {
        Ok(Registration::Unchanged)
    }

    async fn migrations(&self) -> Result<Vec<MigrationState>, StoreError> {
        Ok(vec![self.get().state.clone()])
    }

    async fn migration(&self, name: &MigrationName) -> Result<MigrationState, StoreError> {
        let state = self.get().state.clone();
        if state.definition.name == *name { Ok(state) } else { error(StoreErrorKind::NotFound) }
    }

    async fn facts(&self, state: &MigrationState) -> Result<Facts, StoreError> {
        let mut inner = self.get();
        let behind = inner.acknowledges_after > 0;
        inner.acknowledges_after = inner.acknowledges_after.saturating_sub(1);
        if std::mem::take(&mut inner.rival) {
            let to = inner.state.stage.next().unwrap();
            inner.append(to);
        }
        let run = RunId::new(1);
        let run_state = if inner.run_done { RunState::Done } else { RunState::Running };
        Ok(Facts {
            epoch: state.epoch,
            previous_open: state.previous_open,
            stage_opened_ms: 6,
            stage_for: Duration::from_secs(48 * 60 * 60),
            new_has_rows: None,
            findings: Vec::new(),
            mapping_problems: Vec::new(),
            run: Some(RunFacts { id: run, state: run_state, finished_ms: Some(5) }),
            parity: Some(Parity {
                run: Some(run),
                started_ms: VERIFIED_MS,
                differences: 0,
                repaired: 0,
                witness: None,
            }),
            quarantined: inner.quarantined,
            journaled: 0,
            capture: None,
            can_capture: false,
            witness: Witness::default(),
            leases: Leases::default(),
            flag: None,
            instances: vec![InstanceFacts {
                id: "i-1".to_owned(),
                acknowledged: Epoch::new(state.epoch.get() - i64::from(behind)),
                capable_of: Stage::Contracted,
                read_legacy: false,
            }],
            legacy_quiet_for: None,
            approval: Approval::default(),
        })
    }

    async fn append_epoch(&self, change: StageChange<'_>) -> Result<Epoch, StoreError> {
        let mut inner = self.get();
        if std::mem::take(&mut inner.rollback_rival) {
            inner.append(change.to);
        }
        if inner.state.epoch != change.from_epoch || inner.state.previous_open {
            return error(StoreErrorKind::Conflict);
        }
        inner.voided |= stage_effects(change.from, change.to).voids_run;
        inner.audit.push(("stage".to_owned(), change.reason.to_owned()));
        Ok(inner.append(change.to))
    }

    async fn close_epoch(
        &self,
        _: &MigrationName,
        epoch: Epoch,
        _: Duration,
    ) -> Result<(), StoreError> {
        let mut inner = self.get();
        if inner.held_for > 0 {
            inner.held_for -= 1;
            return error(StoreErrorKind::LockTimeout);
        }
        if epoch.next() == inner.state.epoch {
            inner.state.previous_open = false;
        }
        Ok(())
    }

    async fn epoch_holders(
        &self,
        _: &MigrationName,
        _: Epoch,
    ) -> Result<Vec<EpochHolder>, StoreError> {
        let holder = EpochHolder { pid: 42, description: "batch job, idle".to_owned() };
        Ok(if self.get().held_for > 0 { vec![holder] } else { Vec::new() })
    }

    async fn terminate(
        &self,
        _: &MigrationName,
        _: Epoch,
        _: &EpochHolder,
    ) -> Result<bool, StoreError> {
        self.get().held_for = 0;
        Ok(true)
    }

    async fn heartbeat(&self, _: Heartbeat<'_>) -> Result<(), StoreError> {
        Ok(())
    }

    async fn sign_off(&self, _: &str) -> Result<(), StoreError> {
        Ok(())
    }

    async fn instances(&self, _: &MigrationName) -> Result<Vec<InstanceRecord>, StoreError> {
        Ok(Vec::new())
    }

    async fn quarantine(
        &self,
        _: &MigrationName,
        _: u32,
    ) -> Result<Vec<(String, String)>, StoreError> {
        Ok(Vec::new())
    }

    async fn audit(&self, entry: AuditEntry<'_>) -> Result<(), StoreError> {
        self.get().audit.push((entry.action.to_owned(), entry.reason.to_owned()));
        Ok(())
    }

    async fn audit_trail(&self, _: u32) -> Result<Vec<AuditRecord>, StoreError> {
        Ok(Vec::new())
    }

    async fn now_ms(&self) -> Result<i64, StoreError> {
        Ok(self.get().now_ms)
    }
}

#[async_trait]
impl CatalogStore for Fake {
    async fn survey(&self, _: SurveyRequest<'_>) -> Result<Survey, StoreError> {
        Ok(Survey::default())
    }
}

#[async_trait]
impl SchemaStore for Fake {
    async fn advance_sequences(&self, _: &Definition) -> Result<Vec<String>, StoreError> {
        Ok(Vec::new())
    }

    fn engine(&self) -> &'static str {
        "fake"
    }

    async fn surroundings(&self) -> Result<Surroundings, StoreError> {
        Ok(Surroundings::default())
    }

    async fn resolve(
        &self,
        table: &TableName,
        _: &Pinned,
    ) -> Result<Option<TableName>, StoreError> {
        Ok(Some(table.clone()))
    }

    async fn new_has_rows(&self, _: &Definition) -> Result<Option<bool>, StoreError> {
        Ok(Some(self.get().new_has_rows))
    }

    async fn definition_problems(&self, _: &Definition) -> Result<Vec<Problem>, StoreError> {
        Ok(Vec::new())
    }

    async fn step_done(&self, _: ScriptStep<'_>) -> Result<Option<String>, StoreError> {
        Ok(None)
    }

    async fn run_step(
        &self,
        _: ScriptStep<'_>,
        _: &Statement,
        _: Timeouts,
    ) -> Result<StepRun, StatementError> {
        Ok(StepRun::Ran)
    }

    async fn legacy_grants(&self, _: &Definition) -> Result<Vec<String>, StoreError> {
        Ok(Vec::new())
    }

    async fn revoke_legacy(&self, _: &Definition) -> Result<Vec<String>, StoreError> {
        Ok(Vec::new())
    }

    async fn truncate_new(&self, _: &Definition, _: Timeouts) -> Result<(), StoreError> {
        self.get().new_has_rows = false;
        Ok(())
    }
}

#[async_trait]
impl RuleSetStore for Fake {
    async fn latest_rule_set(&self) -> Result<Option<StoredRuleSet>, StoreError> {
        Ok(self.get().rule_sets.last().cloned())
    }

    async fn latest_rule_set_unless(
        &self,
        known: i64,
    ) -> Result<Option<StoredRuleSet>, StoreError> {
        Ok(self.latest_rule_set().await?.filter(|stored| stored.version != known))
    }

    async fn rule_set(&self, version: i64) -> Result<Option<StoredRuleSet>, StoreError> {
        Ok(self.get().rule_sets.iter().find(|stored| stored.version == version).cloned())
    }

    async fn rule_set_history(&self, limit: u32) -> Result<Vec<StoredRuleSet>, StoreError> {
        Ok(self.get().rule_sets.iter().rev().take(limit as usize).cloned().collect())
    }

    async fn append_rule_set(&self, rule_set: NewRuleSet<'_>) -> Result<i64, StoreError> {
        let mut inner = self.get();
        let newest = inner.rule_sets.last().map_or(0, |last| last.version);
        if inner.conflicts > 0 {
            inner.conflicts -= 1;
            let theirs = format!("of_another_author_{newest}");
            let before = inner.rule_sets.last().map_or(edit::EMPTY, |last| &last.document);
            let document = edit::ensure_boolean(before, &theirs).unwrap();
            let now_ms = inner.now_ms;
            inner.push_rule_set(document, now_ms);
            return error(StoreErrorKind::Conflict);
        }
        if newest != rule_set.based_on {
            return error(StoreErrorKind::Conflict);
        }
        inner.audit.push((rule_set.action.to_owned(), rule_set.reason.to_owned()));
        let now_ms = inner.now_ms;
        Ok(inner.push_rule_set(rule_set.document.to_owned(), now_ms))
    }
}
