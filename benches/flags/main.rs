//! What one evaluation of a flag costs: by key and by handle, in small and large rule sets, on one
//! thread and on two; and what a reload costs. With the feature `peers` the same three flags in other
//! libraries, with `openfeature` a remote read flag.

mod document;
#[cfg(feature = "peers")]
mod peers;
mod read_flag;

use std::{
    hint::black_box,
    time::{Duration, Instant},
};

use criterion::{Criterion, criterion_group, criterion_main};
use crossfade::flags::{Context, Flags, Handle, Limits, MemorySource};
use crossfade_rules::RuleSet;

use crate::document::{ROLLOUT, RULE, STATIC, flagd};

const FLAGS: [(&str, &str); 3] = [("static", STATIC), ("rollout", ROLLOUT), ("rule", RULE)];

/// Users who take turns, so that no branch is predicted from the last answer alone.
fn users() -> Vec<String> {
    (0..1024).map(|n| format!("user-{n:08}")).collect()
}

pub(crate) fn context(user: &str) -> Context<'_> {
    Context::user(user).with("country", black_box("CH")).with("plan", black_box("pro"))
}

fn limits() -> Limits {
    Limits::default().with_document_bytes(4 * 1024 * 1024)
}

/// A client, and the source by which its rule set is replaced.
pub(crate) fn client(flags: usize) -> (Flags, MemorySource) {
    let source = MemorySource::new();
    let builder = Flags::builder().limits(limits()).memory(&source);
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let client = runtime.block_on(builder.start());
    source.set(&flagd(flags)).expect("the document is good");
    (client, source)
}

/// Evaluations as an application makes them.
fn evaluations(criterion: &mut Criterion) {
    let users = users();
    let contexts: Vec<_> = users.iter().map(|user| context(user)).collect();
    for count in [10, 10_000] {
        let (flags, _source) = client(count);
        let mut group = criterion.benchmark_group(format!("{count}_flags"));
        for (name, key) in FLAGS {
            let mut next = contexts.iter().cycle();
            group.bench_function(format!("{name}_by_key"), |bencher| {
                bencher.iter(|| by_key(&flags, black_box(key), next.next()));
            });
            let handle = flags.handle(key);
            group.bench_function(format!("{name}_by_handle"), |bencher| {
                bencher.iter(|| by_handle(black_box(&handle), next.next()));
            });
        }
        let handle = flags.handle(RULE);
        let mut next = users.iter().cycle();
        group.bench_function("rule_by_handle_with_a_new_context", |bencher| {
            bencher.iter(|| {
                let context = next.next().map(|user| context(user));
                by_handle(&handle, context.as_ref())
            });
        });
        let mut next = contexts.iter().cycle();
        group.bench_function("rule_with_details", |bencher| {
            bencher
                .iter(|| next.next().map(|context| flags.details(black_box(RULE), context, false)));
        });
    }
}

#[inline(never)]
fn by_key(flags: &Flags, key: &str, context: Option<&Context<'_>>) -> bool {
    context.is_some_and(|context| flags.boolean(key, context, false))
}

#[inline(never)]
fn by_handle(handle: &Handle, context: Option<&Context<'_>>) -> bool {
    context.is_some_and(|context| handle.boolean(context, false))
}

/// The same number of evaluations by one thread and shared between two.
fn threads(criterion: &mut Criterion) {
    let (flags, _source) = client(10);
    let mut group = criterion.benchmark_group("threads");
    for (name, key) in FLAGS {
        for threads in [1, 2] {
            group.bench_function(format!("{name}_by_key_on_{threads}"), |bencher| {
                bencher.iter_custom(|count| shared(&flags, key, threads, count));
            });
        }
    }
}

fn shared(flags: &Flags, key: &str, threads: u64, count: u64) -> Duration {
    let users = users();
    let begun = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                for user in users.iter().cycle().take((count / threads) as usize) {
                    black_box(by_key(flags, black_box(key), Some(&context(user))));
                }
            });
        }
    });
    begun.elapsed()
}

/// From the text of a document to a rule set, and to one that is swapped in.
fn reloads(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("1000_flags");
    let documents = [flagd(1000), flagd(1001)];
    group.bench_function("parse", |bencher| {
        bencher.iter(|| RuleSet::parse(black_box(&documents[0])));
    });
    let (_flags, source) = client(10);
    let mut next = documents.iter().cycle();
    group.bench_function("reload_to_swapped", |bencher| {
        bencher.iter(|| next.next().map(|document| source.set(black_box(document))));
    });
}

#[cfg(not(feature = "peers"))]
criterion_group!(benches, evaluations, read_flag::answers, threads, reloads);
#[cfg(feature = "peers")]
criterion_group!(benches, evaluations, read_flag::answers, threads, reloads, peers::evaluations);
criterion_main!(benches);
