//! What the router's question costs: of a rule set in memory, and with the feature `openfeature` of a
//! remote provider whose decision was kept. The first two must cost the same with that feature on.

use std::hint::black_box;

use criterion::{BenchmarkGroup, Criterion, measurement::WallTime};
use crossfade::{Context, Flags, ReadFlag};

use crate::{
    document::{ROLLOUT, flagd},
    users,
};

pub(crate) fn answers(criterion: &mut Criterion) {
    let users = users();
    let flags = Flags::from_document(&flagd(10)).expect("the document is good");
    let mut group = criterion.benchmark_group("read_flag");
    asked(&mut group, "local_by_key", &flags, &users);
    let handle = flags.handle(ROLLOUT);
    let mut next = users.iter().cycle();
    group.bench_function("local_by_handle", |bencher| {
        bencher.iter(|| {
            next.next().is_some_and(|user| handle.is_enabled(&Context::user(black_box(user))))
        });
    });
    #[cfg(feature = "openfeature")]
    remote::answers(&mut group, &flags, &users);
}

fn asked(
    group: &mut BenchmarkGroup<'_, WallTime>,
    name: &str,
    flag: &impl ReadFlag,
    users: &[String],
) {
    let mut next = users.iter().cycle();
    group.bench_function(name, |bencher| {
        bencher.iter(|| {
            next.next().map(|user| flag.reads_new(black_box(ROLLOUT), black_box(user)).at_once())
        });
    });
}

#[cfg(feature = "openfeature")]
mod remote {
    use std::{
        hint::black_box,
        time::{Duration, Instant},
    };

    use criterion::{BenchmarkGroup, measurement::WallTime};
    use crossfade::{
        Flags, ReadFlag,
        flags::{FlagsProvider, OpenFeatureFlag, OpenFeatureOptions},
    };
    use open_feature::OpenFeature;

    use crate::document::ROLLOUT;

    /// Our own provider stands for a remote one, which would cost a round trip more where no decision
    /// is kept.
    pub(super) fn answers(
        group: &mut BenchmarkGroup<'_, WallTime>,
        flags: &Flags,
        users: &[String],
    ) {
        let runtime = tokio::runtime::Runtime::new().expect("a runtime");
        let mut api = OpenFeature::default();
        runtime.block_on(api.set_provider(FlagsProvider::new(flags.clone())));
        let flag = |time_to_live| {
            let options = OpenFeatureOptions::default().time_to_live(time_to_live);
            OpenFeatureFlag::with_options(api.create_client(), options)
        };
        let kept = flag(Duration::MAX);
        for user in users {
            let answer = runtime.block_on(kept.reads_new(ROLLOUT, user).wait());
            assert!(answer.is_some(), "the flag has an answer for {user}");
        }
        super::asked(group, "remote_kept", &kept, users);
        let asked = flag(Duration::ZERO);
        let mut next = users.iter().cycle();
        group.bench_function("provider_in_memory_not_kept", |bencher| {
            bencher.iter_custom(|times| {
                runtime.block_on(async {
                    let begun = Instant::now();
                    for user in (0..times).zip(&mut next).map(|(_, user)| user) {
                        black_box(asked.reads_new(ROLLOUT, user).wait().await);
                    }
                    begun.elapsed()
                })
            });
        });
    }
}
