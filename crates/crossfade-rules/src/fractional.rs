//! flagd's `fractional`: assigns each user to a weighted bucket, the same one every time.

use std::borrow::Cow;

use serde_json::Value;

use crate::{
    expr::{Env, Expr, VarPath},
    murmur::murmur3_x86_32,
    val::Val,
};

/// The largest sum of weights.
const MAX_TOTAL: u64 = i32::MAX as u64;

/// A compiled `fractional`.
///
/// A user's hash picks a point on a line as long as the sum of the weights; the buckets lie on that
/// line one behind the other. While the sum stays the same, growing the first bucket therefore only
/// adds users to it, and shrinking it back leaves exactly those who were there before.
#[derive(Clone, Debug)]
pub(crate) struct Fractional {
    key: BucketKey,
    buckets: Vec<Bucket>,
}

/// What is hashed.
#[derive(Clone, Debug)]
pub(crate) enum BucketKey {
    /// The short form: the flag's key directly followed by the targeting key.
    FlagAndTargetingKey,
    /// The first argument, which must come out as a string.
    Computed(Box<Expr>),
}

/// One bucket of a [`Fractional`].
#[derive(Clone, Debug)]
pub(crate) struct Bucket {
    pub(crate) variant: Expr,
    /// A whole number. Default: 1; below zero counts as zero.
    pub(crate) weight: Option<Expr>,
}

impl Fractional {
    pub(crate) fn new(key: BucketKey, buckets: Vec<Bucket>) -> Self {
        Self { key, buckets }
    }

    /// What the user's bucket holds; `null` when there is no key to hash or a weight is unusable.
    pub(crate) fn pick<'a>(&'a self, env: Env<'a>) -> Val<'a> {
        self.bucket(env).map_or(Val::Null, |bucket| bucket.variant.eval(env))
    }

    fn bucket<'a>(&'a self, env: Env<'a>) -> Option<&'a Bucket> {
        let key = self.key.text(env)?;
        let mut total = 0;
        for bucket in &self.buckets {
            total += bucket.weight(env)?;
        }
        if total > MAX_TOTAL {
            return None;
        }
        let hash = u64::from(murmur3_x86_32(key.as_bytes(), 0));
        let point = (hash * total) >> 32;
        let mut end = 0;
        self.buckets.iter().find(|bucket| {
            end += bucket.weight(env).unwrap_or(0);
            point < end
        })
    }

    /// The buckets' variants and weights when both stand in the rule as they are, and every user with
    /// a targeting key is assigned to one of them.
    pub(crate) fn fixed_buckets(&self) -> Option<Vec<(&Value, u64)>> {
        let covers_every_user = match &self.key {
            BucketKey::FlagAndTargetingKey => true,
            BucketKey::Computed(key) => match &**key {
                Expr::Cat(_) => true,
                Expr::Var { path, .. } => *path == VarPath::TargetingKey,
                _ => false,
            },
        };
        let buckets = self.buckets.iter().map(Bucket::fixed).collect::<Option<Vec<_>>>()?;
        let total: u64 = buckets.iter().map(|(_, weight)| weight).sum();
        (covers_every_user && (1..=MAX_TOTAL).contains(&total)).then_some(buckets)
    }
}

impl BucketKey {
    fn text<'a>(&'a self, env: Env<'a>) -> Option<Cow<'a, str>> {
        match self {
            Self::FlagAndTargetingKey => {
                Some([env.flag_key, env.context.targeting_key()?].concat().into())
            }
            Self::Computed(expr) => match expr.eval(env) {
                Val::Text(text) => Some(text),
                _ => None,
            },
        }
    }
}

impl Bucket {
    fn fixed(&self) -> Option<(&Value, u64)> {
        let weight = match &self.weight {
            None => 1,
            Some(weight) => whole(&weight.as_literal()?.into())?,
        };
        Some((self.variant.as_literal()?, weight))
    }

    fn weight(&self, env: Env<'_>) -> Option<u64> {
        self.weight.as_ref().map_or(Some(1), |weight| whole(&weight.eval(env)))
    }
}

/// A weight as a whole number; `None` when it is none, or larger than any sum may be.
fn whole(value: &Val<'_>) -> Option<u64> {
    match value {
        Val::Number(number) if number.fract() == 0.0 && *number <= MAX_TOTAL as f64 => {
            Some(number.max(0.0) as u64)
        }
        _ => None,
    }
}
