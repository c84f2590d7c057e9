//! An OpenFeature client as the read flag. The cache of decisions goes by the real clock, the waits
//! by Tokio's.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use crossfade_store::{FlagAnswer, ReadFlag};
use futures_util::FutureExt;
use open_feature::{
    EvaluationContext, EvaluationError, EvaluationErrorCode as Code, EvaluationResult, OpenFeature,
    StructValue,
    provider::{FeatureProvider, ProviderMetadata, ResolutionDetails},
};
use tokio::{sync::Semaphore, time::Instant};

use crate::{
    Flags, FlagsProvider, OpenFeatureFlag, OpenFeatureOptions,
    tests::{FLAG, document, within_deadline},
};

/// Long enough that nothing expires while a test runs.
const LONG: Duration = Duration::from_hours(1);
const TIMEOUT: Duration = Duration::from_millis(100);
const PAUSE: Duration = Duration::from_secs(1);

/// A provider elsewhere, which the test holds by the other end.
#[derive(Clone, Debug)]
struct Remote {
    metadata: ProviderMetadata,
    answer: Arc<Mutex<Result<bool, Code>>>,
    calls: Arc<AtomicUsize>,
    /// How many calls may return.
    gate: Arc<Semaphore>,
}

impl Remote {
    fn new(answer: Result<bool, Code>) -> Self {
        Self {
            metadata: ProviderMetadata::new("remote"),
            answer: Arc::new(Mutex::new(answer)),
            calls: Arc::default(),
            gate: Arc::new(Semaphore::new(Semaphore::MAX_PERMITS)),
        }
    }

    /// One whose calls wait until they are released.
    fn hanging() -> Self {
        Self { gate: Arc::new(Semaphore::new(0)), ..Self::new(Ok(true)) }
    }

    fn answers(&self, answer: Result<bool, Code>) {
        *self.answer.lock().unwrap() = answer;
    }

    fn release(&self) {
        self.gate.add_permits(1000);
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
        &self.metadata
    }

    async fn resolve_bool_value(
        &self,
        _: &str,
        context: &EvaluationContext,
    ) -> EvaluationResult<ResolutionDetails<bool>> {
        assert!(context.targeting_key.is_some(), "the user is the targeting key");
        self.calls.fetch_add(1, Ordering::SeqCst);
        let answer = self.answer.lock().unwrap().clone();
        let permit = self.gate.acquire().await.unwrap();
        permit.forget();
        answer.map(ResolutionDetails::new).map_err(|code| EvaluationError { code, message: None })
    }

    async fn resolve_int_value(
        &self,
        _: &str,
        _: &EvaluationContext,
    ) -> EvaluationResult<ResolutionDetails<i64>> {
        unreachable!("the read flag is a boolean")
    }

    async fn resolve_float_value(
        &self,
        _: &str,
        _: &EvaluationContext,
    ) -> EvaluationResult<ResolutionDetails<f64>> {
        unreachable!("the read flag is a boolean")
    }

    async fn resolve_string_value(
        &self,
        _: &str,
        _: &EvaluationContext,
    ) -> EvaluationResult<ResolutionDetails<String>> {
        unreachable!("the read flag is a boolean")
    }

    async fn resolve_struct_value(
        &self,
        _: &str,
        _: &EvaluationContext,
    ) -> EvaluationResult<ResolutionDetails<StructValue>> {
        unreachable!("the read flag is a boolean")
    }
}

fn options() -> OpenFeatureOptions {
    OpenFeatureOptions::default().time_to_live(LONG).timeout(TIMEOUT).pause(PAUSE)
}

async fn ask(flag: &OpenFeatureFlag, user: &str) -> Option<bool> {
    within_deadline(flag.reads_new(FLAG, user).wait()).await
}

fn is_known(flag: &OpenFeatureFlag, user: &str) -> bool {
    matches!(flag.reads_new(FLAG, user), FlagAnswer::Now(_))
}

#[tokio::test]
async fn a_decision_is_asked_for_once_for_each_user_and_flag() {
    let remote = Remote::new(Ok(true));
    let flag = remote.flag(options()).await;
    assert!(!is_known(&flag, "u1"));
    assert_eq!(remote.calls(), 0, "nothing is asked before it is waited for");
    for (user, calls) in [("u1", 1), ("u1", 1), ("u2", 2), ("u1", 2)] {
        assert_eq!(ask(&flag, user).await, Some(true), "{user}");
        assert_eq!(remote.calls(), calls, "{user}");
    }
    assert!(is_known(&flag, "u1"));
    assert_eq!(flag.reads_new("another", "u1").wait().await, Some(true));
    assert_eq!(remote.calls(), 3);
}

#[tokio::test]
async fn the_decision_holds_while_the_provider_changes_its_mind() {
    let remote = Remote::new(Ok(true));
    let flag = remote.flag(options()).await;
    assert_eq!(ask(&flag, "u1").await, Some(true));
    remote.answers(Ok(false));
    assert_eq!(ask(&flag, "u1").await, Some(true));
    assert_eq!(ask(&flag, "u2").await, Some(false));
}

#[tokio::test]
async fn a_flip_is_seen_after_the_time_to_live() {
    let remote = Remote::new(Ok(true));
    let flag = remote.flag(options().time_to_live(Duration::from_millis(20))).await;
    assert_eq!(ask(&flag, "u1").await, Some(true));
    // Also a second time, when an expired decision is replaced.
    for answer in [false, true] {
        remote.answers(Ok(answer));
        within_deadline(async {
            while ask(&flag, "u1").await != Some(answer) {
                tokio::task::yield_now().await;
            }
        })
        .await;
    }
}

#[tokio::test]
async fn no_answer_is_asked_for_again_after_the_pause() {
    let remote = Remote::new(Err(Code::FlagNotFound));
    let flag = remote.flag(options().pause(Duration::from_millis(20))).await;
    assert_eq!(ask(&flag, "u1").await, None);
    remote.answers(Ok(true));
    within_deadline(async {
        while ask(&flag, "u1").await.is_none() {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

#[tokio::test]
async fn nothing_is_kept_where_the_time_to_live_is_zero() {
    let remote = Remote::new(Ok(true));
    let flag = remote.flag(options().time_to_live(Duration::ZERO)).await;
    assert_eq!(ask(&flag, "u1").await, Some(true));
    remote.answers(Ok(false));
    assert_eq!(ask(&flag, "u1").await, Some(false));
    remote.answers(Err(Code::FlagNotFound));
    assert_eq!(ask(&flag, "u1").await, None);
    assert_eq!(remote.calls(), 3);
}

#[tokio::test]
async fn the_longest_times_are_times() {
    let remote = Remote::new(Ok(true));
    let most = Duration::MAX;
    let flag = remote.flag(options().time_to_live(most).timeout(most).pause(most)).await;
    assert_eq!(ask(&flag, "u1").await, Some(true));
    assert!(is_known(&flag, "u1"));
}

#[tokio::test]
async fn reads_that_miss_at_once_ask_once() {
    let remote = Remote::hanging();
    let flag = remote.flag(options()).await;
    let mut reads: Vec<_> = (0..8).map(|_| Box::pin(ask(&flag, "u1"))).collect();
    for read in &mut reads {
        assert_eq!(read.now_or_never(), None, "the provider has not answered");
    }
    remote.release();
    for read in reads {
        assert_eq!(read.await, Some(true));
    }
    assert_eq!(remote.calls(), 1);
}

#[tokio::test]
async fn when_the_read_that_asks_is_dropped_another_asks() {
    let remote = Remote::hanging();
    let flag = remote.flag(options()).await;
    let mut first = Box::pin(ask(&flag, "u1"));
    let mut second = Box::pin(ask(&flag, "u1"));
    assert_eq!((&mut first).now_or_never(), None);
    assert_eq!((&mut second).now_or_never(), None);
    drop(first);
    remote.release();
    assert_eq!(second.await, Some(true));
    assert_eq!(remote.calls(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_read_that_is_not_driven_on_holds_up_no_other_for_long() {
    let remote = Remote::hanging();
    let flag = remote.flag(options()).await;
    let mut stuck = Box::pin(ask(&flag, "u1"));
    assert_eq!((&mut stuck).now_or_never(), None);
    let begun = Instant::now();
    assert_eq!(ask(&flag, "u1").await, None);
    assert_eq!(begun.elapsed(), TIMEOUT);
    drop(stuck);
}

#[tokio::test]
async fn what_was_cleared_is_asked_for_again_even_while_it_is_asked_for() {
    let remote = Remote::hanging();
    let flag = remote.flag(options()).await;
    let mut under_way = Box::pin(ask(&flag, "u1"));
    assert_eq!((&mut under_way).now_or_never(), None);
    remote.answers(Ok(false));
    flag.clear();
    remote.release();
    assert_eq!(under_way.await, Some(true), "that read began before");
    assert_eq!(ask(&flag, "u1").await, Some(false));
    remote.answers(Ok(true));
    assert_eq!(ask(&flag, "u1").await, Some(false));
    flag.clear();
    assert_eq!(ask(&flag, "u1").await, Some(true));
}

#[tokio::test(start_paused = true)]
async fn a_provider_that_hangs_costs_three_waits_and_then_one_each_pause() {
    let remote = Remote::hanging();
    let flag = remote.flag(options()).await;
    let begun = Instant::now();
    for user in ["u1", "u2", "u3"] {
        assert_eq!(ask(&flag, user).await, None);
        assert!(is_known(&flag, user), "not asked for again at once");
    }
    assert_eq!(begun.elapsed(), 3 * TIMEOUT);
    for user in ["u4", "u5"] {
        assert_eq!(ask(&flag, user).await, None);
    }
    assert_eq!((begun.elapsed(), remote.calls()), (3 * TIMEOUT, 3));

    tokio::time::advance(PAUSE).await;
    let mut probe = Box::pin(ask(&flag, "u4"));
    assert_eq!((&mut probe).now_or_never(), None, "it asks");
    assert_eq!(ask(&flag, "u5").await, None);
    assert_eq!(remote.calls(), 4);
    assert_eq!(probe.await, None);
    assert_eq!(ask(&flag, "u5").await, None);
    assert_eq!(remote.calls(), 4, "the failure of one is enough");

    tokio::time::advance(PAUSE).await;
    remote.release();
    assert_eq!(ask(&flag, "u5").await, Some(true));
    assert_eq!(ask(&flag, "u6").await, Some(true));
}

#[tokio::test(start_paused = true)]
async fn the_next_pause_has_another_try_when_one_was_dropped() {
    let remote = Remote::hanging();
    let flag = remote.flag(options()).await;
    for user in ["u1", "u2", "u3"] {
        assert_eq!(ask(&flag, user).await, None);
    }
    tokio::time::advance(PAUSE).await;
    let mut probe = Box::pin(ask(&flag, "u4"));
    assert_eq!((&mut probe).now_or_never(), None);
    drop(probe);
    remote.release();
    assert_eq!(ask(&flag, "u4").await, None);
    tokio::time::advance(PAUSE).await;
    assert_eq!(ask(&flag, "u4").await, Some(true));
}

#[tokio::test]
async fn which_errors_leave_the_provider_alone() {
    let general = || Code::General("it is down".to_owned());
    for (answers, alone) in [
        (vec![Err(general()), Err(Code::ProviderNotReady), Err(general())], true),
        (vec![Err(general()), Err(general()), Ok(true), Err(general())], false),
        (vec![Err(general()), Err(general()), Err(Code::ParseError), Err(general())], false),
        (vec![Err(Code::FlagNotFound), Err(Code::TypeMismatch), Err(Code::ParseError)], false),
        (vec![Err(Code::TargetingKeyMissing), Err(Code::InvalidContext), Err(general())], false),
    ] {
        let remote = Remote::new(Ok(true));
        let flag = remote.flag(options()).await;
        for (user, answer) in answers.iter().enumerate() {
            remote.answers(answer.clone());
            assert_eq!(ask(&flag, &user.to_string()).await, answer.clone().ok(), "{answer:?}");
        }
        remote.answers(Ok(true));
        let expect = (!alone).then_some(true);
        assert_eq!(ask(&flag, "last").await, expect, "{answers:?}");
    }
}

#[tokio::test]
async fn an_api_that_was_shut_down_reads_legacy() {
    let mut api = OpenFeature::default();
    api.set_provider(Remote::new(Ok(true))).await;
    let flag = OpenFeatureFlag::new(api.create_client());
    assert_eq!(ask(&flag, "u1").await, Some(true));
    api.shutdown().await;
    // The crate has no provider left to ask, and panics.
    assert_eq!(ask(&flag, "u2").await, None);
}

#[tokio::test]
async fn our_own_provider_behind_it() {
    let flags = Flags::from_document(&document(true)).unwrap();
    let mut api = OpenFeature::default();
    api.set_provider(FlagsProvider::new(flags)).await;
    let flag = OpenFeatureFlag::new(api.create_client());
    for (key, expect) in [(FLAG, Some(true)), ("asleep", None), ("colour", None), ("nowhere", None)]
    {
        assert_eq!(flag.reads_new(key, "u1").wait().await, expect, "{key}");
    }
}
