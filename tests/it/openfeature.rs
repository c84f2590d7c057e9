//! The read flag behind OpenFeature: reads move with it, and no provider can hold them up.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};
use std::time::Duration;

use crossfade::{
    Crossfade, Flags, Migration, Side, Stage,
    flags::{FlagsProvider, OpenFeatureFlag, OpenFeatureOptions},
};
use open_feature::{
    EvaluationContext, EvaluationResult, OpenFeature, StructValue,
    provider::{FeatureProvider, ProviderMetadata, ResolutionDetails},
};

use crate::support::{Bench, WAIT, engines, eventually, read_side};

/// Our own provider, watched, which can be made to hang.
#[derive(Clone)]
struct Remote {
    ours: FlagsProvider,
    calls: Arc<AtomicUsize>,
    hangs: Arc<AtomicBool>,
}

impl Remote {
    fn new(flags: &Flags) -> Self {
        let ours = FlagsProvider::new(flags.clone());
        Self { ours, calls: Arc::default(), hangs: Arc::default() }
    }

    fn calls(&self) -> usize {
        self.calls.load(Ordering::SeqCst)
    }

    async fn flag(&self, options: OpenFeatureOptions) -> OpenFeatureFlag {
        let mut api = OpenFeature::default();
        api.set_provider(self.clone()).await;
        OpenFeatureFlag::with_options(api.create_client(), options)
    }
}

#[open_feature::async_trait]
impl FeatureProvider for Remote {
    fn metadata(&self) -> &ProviderMetadata {
        self.ours.metadata()
    }

    async fn resolve_bool_value(
        &self,
        key: &str,
        context: &EvaluationContext,
    ) -> EvaluationResult<ResolutionDetails<bool>> {
        self.calls.fetch_add(1, Ordering::SeqCst);
        if self.hangs.load(Ordering::SeqCst) {
            std::future::pending::<()>().await;
        }
        self.ours.resolve_bool_value(key, context).await
    }

    async fn resolve_int_value(
        &self,
        key: &str,
        context: &EvaluationContext,
    ) -> EvaluationResult<ResolutionDetails<i64>> {
        self.ours.resolve_int_value(key, context).await
    }

    async fn resolve_float_value(
        &self,
        key: &str,
        context: &EvaluationContext,
    ) -> EvaluationResult<ResolutionDetails<f64>> {
        self.ours.resolve_float_value(key, context).await
    }

    async fn resolve_string_value(
        &self,
        key: &str,
        context: &EvaluationContext,
    ) -> EvaluationResult<ResolutionDetails<String>> {
        self.ours.resolve_string_value(key, context).await
    }

    async fn resolve_struct_value(
        &self,
        key: &str,
        context: &EvaluationContext,
    ) -> EvaluationResult<ResolutionDetails<StructValue>> {
        self.ours.resolve_struct_value(key, context).await
    }
}

async fn migration(bench: &Bench, flag: &OpenFeatureFlag) -> (Crossfade, Migration) {
    let app = Crossfade::builder_on(bench.db.clone()).flags(flag.clone()).build().await;
    let app = app.expect("starts");
    let migration = app.migration("people").expect("registered");
    (app, migration)
}

async fn go(bench: &Bench, migration: &Migration, stage: Stage) {
    let state = bench.go(stage).await;
    eventually("the stage is known", async || *migration.state() == state).await;
}

/// The side that user reads, within the time that any read may take here.
async fn side(migration: &Migration, user: i64) -> Side {
    let read = tokio::time::timeout(WAIT, read_side(migration, user));
    read.await.expect("the read does not hang").expect("read")
}

#[tokio::test(flavor = "multi_thread")]
async fn reads_move_with_the_flag_of_the_provider() {
    engines("openfeature", async |db, _| {
        let bench = Bench::new(db).await;
        let flags = Flags::forced([("read_people_v2", true)]);
        let remote = Remote::new(&flags);
        let time_to_live = Duration::from_millis(20);
        let options = OpenFeatureOptions::default().time_to_live(time_to_live).timeout(WAIT);
        let (_app, migration) = migration(&bench, &remote.flag(options).await).await;
        for stage in [Stage::DeleteOnly, Stage::DualWrite] {
            go(&bench, &migration, stage).await;
            assert_eq!(side(&migration, 1).await, Side::Legacy, "{stage}");
        }
        assert_eq!(remote.calls(), 0, "the flag has no say yet");

        go(&bench, &migration, Stage::Live).await;
        flags.force_for("read_people_v2", "2", false);
        assert_eq!(side(&migration, 1).await, Side::New);
        assert_eq!(side(&migration, 2).await, Side::Legacy);
        flags.force("read_people_v2", false);
        eventually("reads are back", async || side(&migration, 1).await == Side::Legacy).await;

        let calls = remote.calls();
        go(&bench, &migration, Stage::RampDown).await;
        assert_eq!(side(&migration, 3).await, Side::New);
        assert_eq!(remote.calls(), calls, "the flag has no say any more");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn clearing_makes_a_flip_count_at_the_next_read() {
    engines("openfeature_clear", async |db, _| {
        let bench = Bench::new(db).await;
        let flags = Flags::forced([("read_people_v2", true)]);
        let remote = Remote::new(&flags);
        let options = OpenFeatureOptions::default().time_to_live(Duration::MAX).timeout(WAIT);
        let flag = remote.flag(options).await;
        let (_app, migration) = migration(&bench, &flag).await;
        go(&bench, &migration, Stage::Live).await;
        assert_eq!(side(&migration, 1).await, Side::New);
        flags.force("read_people_v2", false);
        assert_eq!(side(&migration, 1).await, Side::New);
        assert_eq!(remote.calls(), 1);
        flag.clear();
        assert_eq!(side(&migration, 1).await, Side::Legacy);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_that_hangs_reads_legacy() {
    engines("openfeature_hangs", async |db, _| {
        let bench = Bench::new(db).await;
        let remote = Remote::new(&Flags::forced([("read_people_v2", true)]));
        let timeout = Duration::from_millis(50);
        let options = OpenFeatureOptions::default().timeout(timeout).pause(Duration::MAX);
        let (_app, migration) = migration(&bench, &remote.flag(options).await).await;
        go(&bench, &migration, Stage::Live).await;
        remote.hangs.store(true, Ordering::SeqCst);
        for user in 0..20 {
            assert_eq!(side(&migration, user).await, Side::Legacy, "{user}");
        }
        assert_eq!(remote.calls(), 3, "a provider that hangs is left alone");
    })
    .await;
}
