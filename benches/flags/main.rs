//! What one evaluation of a flag costs: by key and by handle, in small and large rule sets. With the
//! feature `peers` the same three flags in other libraries.

mod document;
#[cfg(feature = "peers")]
mod peers;

use std::hint::black_box;

use arc_swap::ArcSwap;
use criterion::{Criterion, criterion_group, criterion_main};
use crossfade_rules::{Context, FlagIndex, Limits, RuleSet};

use crate::document::{ROLLOUT, RULE, STATIC, flagd};

/// Users who take turns, so that no branch is predicted from the last answer alone.
fn users() -> Vec<String> {
    (0..1024).map(|n| format!("user-{n:08}")).collect()
}

/// Evaluations as an application makes them: the current rule set, looked up by key or by handle.
fn evaluations(criterion: &mut Criterion) {
    let users = users();
    let contexts: Vec<_> = users.iter().map(|user| context(user)).collect();
    for flags in [10, 10_000] {
        let rules = rule_set(flags);
        let mut group = criterion.benchmark_group(format!("{flags}_flags"));
        let indices =
            [STATIC, ROLLOUT, RULE].map(|key| rules.index(key).expect("the flag is there"));
        let current = ArcSwap::from_pointee(rules);
        for (name, key, index) in [
            ("static", STATIC, indices[0]),
            ("rollout", ROLLOUT, indices[1]),
            ("rule", RULE, indices[2]),
        ] {
            let mut next = contexts.iter().cycle();
            group.bench_function(format!("{name}_by_key"), |bencher| {
                bencher.iter(|| by_key(&current, black_box(key), next.next()));
            });
            group.bench_function(format!("{name}_by_handle"), |bencher| {
                bencher.iter(|| by_handle(&current, black_box(index), next.next()));
            });
        }
        let mut next = users.iter().cycle();
        group.bench_function("rule_by_handle_with_a_new_context", |bencher| {
            bencher.iter(|| {
                let context = next.next().map(|user| context(user));
                by_handle(&current, black_box(indices[2]), context.as_ref())
            });
        });
    }
}

fn rule_set(flags: usize) -> RuleSet {
    let limits = Limits::default().with_document_bytes(4 * 1024 * 1024);
    RuleSet::parse_within(&flagd(flags), &limits).expect("the document is good")
}

fn context(user: &str) -> Context<'_> {
    Context::user(user).with("country", black_box("CH")).with("plan", black_box("pro"))
}

#[inline(never)]
fn by_key(current: &ArcSwap<RuleSet>, key: &str, context: Option<&Context<'_>>) -> bool {
    context.is_some_and(|context| current.load().value_or(key, context, false))
}

#[inline(never)]
fn by_handle(current: &ArcSwap<RuleSet>, index: FlagIndex, context: Option<&Context<'_>>) -> bool {
    let (rules, Some(context)) = (current.load(), context) else { return false };
    let value = rules.flag_at(index).and_then(|flag| flag.value(context).ok().flatten());
    value.unwrap_or(false)
}

/// From the text of a document to a rule set that can be swapped in.
fn reloads(criterion: &mut Criterion) {
    let text = flagd(1000);
    criterion.bench_function("parse_1000_flags", |bencher| {
        bencher.iter(|| RuleSet::parse(black_box(&text)));
    });
}

#[cfg(not(feature = "peers"))]
criterion_group!(benches, evaluations, reloads);
#[cfg(feature = "peers")]
criterion_group!(benches, evaluations, reloads, peers::evaluations);
criterion_main!(benches);
