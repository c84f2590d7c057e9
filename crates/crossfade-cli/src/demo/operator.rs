//! The operator of the demo: does what the commands of `crossfade` do.

use std::path::Path;

use crossfade::Database;
use crossfade_control::{
    Advance, FlagChange, FlagEdit, NewRows, Patience, RolledBack, Stores, advance, change_flag,
    pass_gate, rollback,
};
use crossfade_core::{Approval, Definition, MigrationName, Stage};
use crossfade_reconcile::{
    BackfillHooks, BackfillOutcome, BackfillReport, BackfillSettings, Cancel, VerifyHooks,
    VerifyReport, VerifySettings, backfill, verify,
};
use crossfade_schema::{DEFAULT_TIMEOUTS, Manifest, Mode, expand, run_script};
use crossfade_store::{ControlStore as _, SchemaStore as _};

use super::Result;
use crate::failure::{Exit, Failure};

/// Who the audit trail names.
const ACTOR: &str = "crossfade demo";
const REASON: &str = "demo";

/// The text of one of the example's files.
macro_rules! example {
    ($file:literal) => {
        include_str!(concat!("../../../../examples/user_settings/migrations/user_settings/", $file))
    };
}

/// The migration's folder, as the example has it.
const FILES: [(&str, &str); 8] = [
    ("migration.toml", example!("migration.toml")),
    ("expand.mysql.sql", example!("expand.mysql.sql")),
    ("expand.postgres.sql", example!("expand.postgres.sql")),
    ("expand.sqlite.sql", example!("expand.sqlite.sql")),
    ("mapping.mysql.sql", example!("mapping.mysql.sql")),
    ("mapping.postgres.sql", example!("mapping.postgres.sql")),
    ("mapping.sqlite.sql", example!("mapping.sqlite.sql")),
    ("contract.sql", example!("contract.sql")),
];

/// Carries out one migration on a pool of its own.
pub(super) struct Operator {
    database: Database,
    manifest: Manifest,
}

impl Operator {
    /// Installs the control tables and makes the migration known, so that the application's
    /// wrapper can be in place before anything is expanded.
    pub(super) async fn prepare(database: Database, folder: &Path) -> Result<Self> {
        let folder = folder.join("migrations").join("user_settings");
        let written = std::fs::create_dir_all(&folder).and_then(|()| {
            FILES.iter().try_for_each(|(name, text)| std::fs::write(folder.join(name), text))
        });
        written
            .map_err(|error| Failure::failed("failed to write the migration's folder", &error))?;
        let manifest = Manifest::load(&folder, database.engine().as_str())?;
        database.install().await?;
        database.register(&manifest.definition, ACTOR).await?;
        Ok(Self { database, manifest })
    }

    /// The operator's pool.
    pub(super) fn database(&self) -> &Database {
        &self.database
    }

    /// What is migrated.
    pub(super) fn definition(&self) -> &Definition {
        &self.manifest.definition
    }

    fn name(&self) -> &MigrationName {
        &self.definition().name
    }

    fn stores(&self) -> Stores<'_> {
        Stores::of(&self.database)
    }

    /// `crossfade expand user_settings`
    pub(super) async fn expand(&self) -> Result<()> {
        let (store, manifest) = (&self.database, &self.manifest);
        expand(store, store, store, manifest, DEFAULT_TIMEOUTS, Mode::Run, ACTOR).await?;
        Ok(())
    }

    /// `crossfade stage user_settings STAGE`
    pub(super) async fn advance(&self, to: Stage) -> Result<()> {
        advance(self.stores(), &self.request(to)).await?;
        Ok(())
    }

    fn request(&self, to: Stage) -> Advance<'_> {
        Advance {
            migration: self.name(),
            to,
            actor: ACTOR,
            reason: REASON,
            approval: Approval {
                approved_by: Some(ACTOR.to_owned()),
                accepted_loss: Some(self.name().to_string()),
            },
            new_rows: NewRows::Keep,
            patience: Patience::default(),
        }
    }

    /// `crossfade backfill user_settings`
    pub(super) async fn backfill(&self) -> Result<BackfillReport> {
        let options = &self.definition().backfill;
        let settings = BackfillSettings {
            batch_size: options.batch_size,
            delay: options.delay,
            ..BackfillSettings::default()
        };
        let hooks = BackfillHooks { progress: &|_| {}, cancel: Cancel::never() };
        let store = &self.database;
        let report = backfill(store, store, self.name(), settings, hooks).await?;
        if report.outcome != BackfillOutcome::Done {
            return Err(Failure::new(Exit::Failed, "the backfill was not run to its end"));
        }
        Ok(report)
    }

    /// `crossfade verify user_settings`
    pub(super) async fn verify(&self) -> Result<VerifyReport> {
        let hooks = VerifyHooks { progress: &|_| {}, cancel: Cancel::never() };
        let store = &self.database;
        Ok(verify(store, store, self.name(), VerifySettings::default(), hooks).await?)
    }

    /// `crossfade flag set read_user_settings_v2 --percent P`
    pub(super) async fn read_new(&self, percent: f64) -> Result<()> {
        let flag = &self.definition().read_flag;
        let edit = FlagEdit::Percent(percent);
        let change = FlagChange { flag, edit, actor: ACTOR, reason: REASON };
        change_flag(self.stores(), change).await?;
        Ok(())
    }

    /// `crossfade rollback user_settings`
    pub(super) async fn rollback(&self) -> Result<RolledBack> {
        let patience = Patience::default();
        Ok(rollback(self.stores(), self.name(), ACTOR, REASON, patience).await?)
    }

    /// `crossfade contract user_settings`
    pub(super) async fn contract(&self) -> Result<()> {
        pass_gate(self.stores(), &self.request(Stage::Contracted)).await?;
        let registered = self.database.migration(self.name()).await?.definition;
        self.database.revoke_legacy(&registered).await?;
        let script = &self.manifest.contract;
        run_script(&self.database, &registered, script, DEFAULT_TIMEOUTS, Mode::Run).await?;
        self.advance(Stage::Contracted).await
    }
}
