//! flagd's `fractional`: assigns each user to a weighted bucket, the same one every time.

use std::{fmt, sync::Arc};

use crate::{
    cbor,
    expr::{Expr, VarPath},
    murmur::Murmur3,
    run::{Env, Scope},
    val::Val,
};

/// The largest sum of weights.
const MAX_TOTAL: u64 = i32::MAX as u64;

/// How many computed weights are added up without allocating.
const FEW: usize = 16;

/// What `fractional` hashes. Versions assign the same user to different buckets.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum FractionalVersion {
    /// The bytes of the text; in the short form the flag's key directly followed by the targeting
    /// key. The default.
    #[default]
    V2,
    /// The deterministic CBOR (RFC 8949, section 4.2.1) of the value; in the short form that of the
    /// array `[flagKey, targetingKey]`.
    V3,
}

impl FractionalVersion {
    /// The version's name in a rule set's metadata.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::V2 => "v2",
            Self::V3 => "v3",
        }
    }

    /// The version with this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        [Self::V2, Self::V3].into_iter().find(|version| version.name() == name)
    }
}

impl fmt::Display for FractionalVersion {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.name())
    }
}

/// A flag's key with what is computed from it once, at load.
#[derive(Clone, Debug)]
pub(crate) struct Seed {
    key: Arc<str>,
    version: FractionalVersion,
    /// The hash of all that stands in front of the targeting key in the short form.
    prefix: Murmur3,
    pub(crate) steps: u32,
}

impl Seed {
    pub(crate) fn new(key: &str, version: FractionalVersion, steps: u32) -> Self {
        let mut prefix = Murmur3::default();
        match version {
            FractionalVersion::V2 => prefix.write(key.as_bytes()),
            FractionalVersion::V3 => {
                cbor::array(&mut prefix, 2);
                cbor::text(&mut prefix, key);
            }
        }
        Self { key: key.into(), version, prefix, steps }
    }

    #[inline]
    pub(crate) fn key(&self) -> &str {
        &self.key
    }

    /// The key in a form that is cheap to keep.
    pub(crate) fn shared_key(&self) -> Arc<str> {
        Arc::clone(&self.key)
    }

    pub(crate) fn version(&self) -> FractionalVersion {
        self.version
    }
}

/// The rest is computed from these two, or is the reader's limit and no part of the definition.
impl PartialEq for Seed {
    fn eq(&self, other: &Self) -> bool {
        (&self.key, self.version) == (&other.key, other.version)
    }
}

/// A compiled `fractional`.
///
/// A key that turns out to be `null`, as that of a missing attribute does, assigns nobody: those users
/// get the flag's default variant. Some providers hash the flag's key and the targeting key instead.
///
/// A user's hash picks a point on a line as long as the sum of the weights; the buckets lie on that
/// line one behind the other. While the sum stays the same, growing the first bucket therefore only
/// adds users to it, and shrinking it back leaves exactly those who were there before.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Fractional {
    pub(crate) key: BucketKey,
    variants: Box<[Expr]>,
    weights: Weights,
}

/// What is hashed.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum BucketKey {
    /// The short form: the flag's key and the targeting key.
    FlagAndTargetingKey,
    /// Text that is hashed piece by piece, without being put together first.
    Cat(Box<[Expr]>),
    /// The first argument.
    Computed(Expr),
}

#[derive(Clone, Debug, PartialEq)]
enum Weights {
    /// Where each bucket ends on the line; the last end is its length.
    Fixed(Box<[u64]>),
    Computed(Box<[Expr]>),
}

impl Fractional {
    /// Buckets with the rules for their variants and weights. `None` when fixed weights are of no
    /// use: not whole, or adding up to nothing or too much.
    pub(crate) fn new(key: BucketKey, buckets: Vec<(Expr, Expr)>) -> Option<Self> {
        let (variants, weights): (Vec<_>, Vec<_>) = buckets.into_iter().unzip();
        let weights = match weights.iter().all(Expr::is_literal) {
            true => {
                let mut ends = vec![0; weights.len()];
                let fixed = weights.iter().map(|weight| match weight {
                    Expr::Number(number) => whole(*number),
                    _ => None,
                });
                add_up(fixed, &mut ends)?;
                Weights::Fixed(ends.into())
            }
            false => Weights::Computed(weights.into()),
        };
        Some(Self { key, variants: variants.into(), weights })
    }

    /// The rule for the variant of the user's bucket; `None` when there is no key to hash or a weight
    /// is unusable.
    #[inline]
    pub(crate) fn pick<'a>(&'a self, env: &Env<'a>, scope: Scope<'_, 'a>) -> Option<&'a Expr> {
        let bucket = match &self.weights {
            Weights::Fixed(ends) => find(self.key.hash(env, scope)?, ends),
            Weights::Computed(weights) => {
                let mut few = [0; FEW];
                let mut many = Vec::new();
                let ends = match few.get_mut(..weights.len()) {
                    Some(few) => few,
                    None => {
                        many.resize(weights.len(), 0);
                        &mut many
                    }
                };
                let weights = weights.iter().map(|weight| match weight.eval(env, scope) {
                    Val::Number(number) => whole(number),
                    _ => None,
                });
                add_up(weights, ends)?;
                find(self.key.hash(env, scope)?, ends)
            }
        };
        self.variants.get(bucket?)
    }

    /// The buckets' variants and weights, when the weights stand in the rule.
    pub(crate) fn fixed_buckets(&self) -> Option<impl Iterator<Item = (&Expr, u64)>> {
        let Weights::Fixed(ends) = &self.weights else { return None };
        let starts = std::iter::once(&0).chain(ends.iter());
        let weights = ends.iter().zip(starts).map(|(end, start)| end - start);
        Some(self.variants.iter().zip(weights))
    }

    /// Whether every user with a targeting key is assigned to a bucket.
    pub(crate) fn covers_every_user(&self) -> bool {
        match &self.key {
            BucketKey::FlagAndTargetingKey | BucketKey::Cat(_) => true,
            BucketKey::Computed(Expr::Var(var)) => matches!(var.path, VarPath::TargetingKey),
            BucketKey::Computed(_) => false,
        }
    }
}

impl BucketKey {
    #[inline]
    fn hash<'a>(&'a self, env: &Env<'a>, scope: Scope<'_, 'a>) -> Option<u32> {
        match (env.seed.version, self) {
            (FractionalVersion::V2, Self::FlagAndTargetingKey) => {
                let mut hash = env.seed.prefix;
                hash.write(env.context.targeting_key()?.as_bytes());
                Some(hash.finish())
            }
            (FractionalVersion::V3, Self::FlagAndTargetingKey) => {
                let mut hash = env.seed.prefix;
                cbor_targeting_key(&mut hash, env)?;
                Some(hash.finish())
            }
            (version, Self::Cat(parts)) => {
                let mut hash = Murmur3::default();
                if version == FractionalVersion::V3 {
                    let mut length = Length(0);
                    each_text(parts, env, scope, &mut length)?;
                    cbor::text_head(&mut hash, length.0);
                }
                each_text(parts, env, scope, &mut hash)?;
                Some(hash.finish())
            }
            (FractionalVersion::V2, Self::Computed(key)) => {
                let mut hash = Murmur3::default();
                hash.write(key.eval(env, scope).as_text()?.as_bytes());
                Some(hash.finish())
            }
            (FractionalVersion::V3, Self::Computed(key)) => {
                let mut hash = Murmur3::default();
                match exact_integer(key, env, scope) {
                    Some(number) => cbor::integer(&mut hash, number),
                    None => match key.eval(env, scope) {
                        Val::Null => return None,
                        list if list.is_array() => return None,
                        value => cbor::value(&mut hash, &value)?,
                    },
                }
                Some(hash.finish())
            }
        }
    }
}

/// Writes the targeting key of the short form's array; there is none to write when it is empty.
fn cbor_targeting_key(hash: &mut Murmur3, env: &Env<'_>) -> Option<()> {
    let key = env.context.targeting_key().filter(|key| !key.is_empty())?;
    cbor::text(hash, key);
    Some(())
}

/// An id of 64 bits as it is, not rounded to a double.
fn exact_integer(key: &Expr, env: &Env<'_>, scope: Scope<'_, '_>) -> Option<i128> {
    let (Expr::Var(var), Scope::Context) = (key, scope) else { return None };
    match &var.path {
        VarPath::Attribute { name, rest } if rest.is_empty() => {
            env.context.attribute(name)?.as_integer()
        }
        _ => None,
    }
}

fn each_text<'a>(
    parts: &'a [Expr],
    env: &Env<'a>,
    scope: Scope<'_, 'a>,
    out: &mut impl fmt::Write,
) -> Option<()> {
    parts.iter().try_for_each(|part| part.eval(env, scope).write_text(out).ok())
}

/// Counts the bytes that are written to it.
struct Length(usize);

impl fmt::Write for Length {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0 += text.len();
        Ok(())
    }
}

/// Writes the running sums of weights. `None` when one is unusable or the sum is nothing or too much.
fn add_up(weights: impl Iterator<Item = Option<u64>>, ends: &mut [u64]) -> Option<()> {
    let mut total = 0;
    for (weight, end) in weights.zip(ends) {
        total += weight?;
        if total > MAX_TOTAL {
            return None;
        }
        *end = total;
    }
    (total > 0).then_some(())
}

/// The bucket on which the hash's point lies.
#[inline]
fn find(hash: u32, ends: &[u64]) -> Option<usize> {
    let point = (u64::from(hash) * ends.last()?) >> 32;
    ends.iter().position(|end| point < *end)
}

/// A weight as a whole number; `None` when it is none, or larger than any sum may be.
fn whole(number: f64) -> Option<u64> {
    (number.fract() == 0.0 && number <= MAX_TOTAL as f64).then(|| number.max(0.0) as u64)
}
