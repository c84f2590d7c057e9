//! The rule sets of all sources, and the one that results.

use std::sync::Arc;

use crossfade_rules::{Limits, RuleSet};
use crossfade_store::Document;
use serde_json::Value;

use crate::{FlagsError, TrustedKeys, shared::Snapshot};

/// Where a document in a rule set's metadata says which version it is.
const VERSION: &str = "crossfade.version";

/// The last good rule set of each source, the one that wins first.
#[derive(Debug)]
pub(crate) struct Layers {
    layers: Vec<Layer>,
    rules: Acceptance,
    merged: Option<Arc<Snapshot>>,
    retired: Option<Arc<Snapshot>>,
    generation: u32,
    version: i64,
}

/// What is accepted as the next rule set of a source.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Acceptance {
    pub(crate) limits: Limits,
    /// Whether the version of `fractional` may change.
    pub(crate) fractional_change: bool,
}

/// What is known of one source.
#[derive(Debug)]
pub(crate) struct Layer {
    origin: Arc<str>,
    /// Who has to have signed; `None` when nobody needs to.
    keys: Option<TrustedKeys>,
    /// The text of the rule set in use, as it was handed out.
    text: Option<Arc<str>>,
    /// What was refused last, and why.
    refused: Option<(Document, FlagsError)>,
    current: Option<Arc<Snapshot>>,
}

/// What became of a document.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Offer {
    Installed,
    /// It is in use already.
    Unchanged,
    /// It was refused when it was offered first.
    RefusedBefore,
}

/// By what a source is known again after a restart.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Name {
    pub(crate) origin: Arc<str>,
    /// Its place among the sources with the same origin, as two databases have.
    pub(crate) place: usize,
}

/// One source's document in use, for keeping.
#[derive(Clone, Debug)]
pub(crate) struct Kept {
    pub(crate) name: Name,
    pub(crate) version: i64,
    pub(crate) text: Arc<str>,
}

impl Layer {
    pub(crate) fn new(origin: Arc<str>, keys: Option<TrustedKeys>) -> Self {
        Self { origin, keys, text: None, refused: None, current: None }
    }

    fn version(&self) -> i64 {
        self.current.as_ref().map_or(0, |snapshot| snapshot.version)
    }

    /// Whether this is the document in use, in another envelope, as when a key is replaced.
    fn is_resigned(&self, document: &str, rules: &Acceptance) -> bool {
        let (Some(keys), Some(envelope)) = (&self.keys, &self.text) else { return false };
        let current = keys.open(envelope, rules.limits.document_bytes());
        current.is_ok_and(|current| current == document)
    }

    /// The rule set and its version, when it may follow the current one.
    fn admit(&self, document: &Document, rules: &Acceptance) -> Result<(RuleSet, i64), FlagsError> {
        let origin = || Arc::clone(&self.origin);
        let opened = match &self.keys {
            None => None,
            Some(keys) => Some(keys.open(&document.text, rules.limits.document_bytes()).map_err(
                |source| FlagsError::Untrusted { origin: origin(), source: Arc::new(source) },
            )?),
        };
        let text = opened.as_deref().unwrap_or(&document.text);
        let next = RuleSet::parse_within(text, &rules.limits)
            .map_err(|source| FlagsError::Refused { origin: origin(), source: Arc::new(source) })?;
        let current = self.version();
        let version = match document.version.or_else(|| version(&next)) {
            // A source may have named the highest number there is.
            None => current.saturating_add(1),
            Some(offered) if offered < current => {
                return Err(FlagsError::Older { origin: origin(), offered, current });
            }
            Some(version)
                if version == current && self.text.is_some() && !self.is_resigned(text, rules) =>
            {
                return Err(FlagsError::Altered { origin: origin(), version });
            }
            Some(version) => version,
        };
        let change = self.current.as_ref().and_then(|now| now.rules.fractional_change(&next));
        match change {
            Some(change) if !(rules.fractional_change || document.may_reassign) => {
                Err(FlagsError::FractionalChange { origin: origin(), change })
            }
            _ => Ok((next, version)),
        }
    }
}

impl Layers {
    pub(crate) fn new(layers: Vec<Layer>, rules: Acceptance) -> Self {
        Self { layers, rules, merged: None, retired: None, generation: 0, version: 0 }
    }

    /// Takes the document of one source, unless there is something wrong with it.
    pub(crate) fn offer(&mut self, layer: usize, document: &Document) -> Result<Offer, FlagsError> {
        let several = self.layers.len() > 1;
        let rules = self.rules;
        let Some(layer) = self.layers.get_mut(layer) else { return Ok(Offer::Unchanged) };
        if layer.text.as_deref() == Some(&*document.text) && !is_newer(document, layer.version()) {
            layer.refused = None;
            return Ok(Offer::Unchanged);
        }
        if layer.refused.as_ref().is_some_and(|(refused, _)| refused == document) {
            return Ok(Offer::RefusedBefore);
        }
        let (rule_set, version) = layer
            .admit(document, &rules)
            .inspect_err(|error| layer.refused = Some((document.clone(), error.clone())))?;
        layer.refused = None;
        layer.text = Some(document.text.as_str().into());
        self.generation = self.generation.wrapping_add(1);
        let generation = self.generation;
        let snapshot = Arc::new(Snapshot { rules: rule_set, version, generation });
        layer.current = Some(Arc::clone(&snapshot));
        self.version = if several { self.version.saturating_add(1) } else { version };
        self.merged = Some(if several { self.merge() } else { snapshot });
        Ok(Offer::Installed)
    }

    /// The rule set that results from all sources.
    pub(crate) fn merged(&self) -> Option<Arc<Snapshot>> {
        self.merged.clone()
    }

    /// The version of the rule set that results: that of the only source, else a count of changes.
    pub(crate) fn merged_version(&self) -> i64 {
        self.version
    }

    /// Goes on counting changes from those of an earlier process.
    pub(crate) fn count_from(&mut self, version: i64) {
        self.version = self.version.max(version);
    }

    /// The version of one source's rule set.
    pub(crate) fn version(&self, layer: usize) -> i64 {
        self.layers.get(layer).map_or(0, Layer::version)
    }

    /// How each source is known on disk.
    pub(crate) fn names(&self) -> Vec<Name> {
        let named = |(index, layer): (usize, &Layer)| {
            let same = |other: &&Layer| other.origin == layer.origin;
            let place = self.layers.iter().take(index).filter(same).count();
            Name { origin: Arc::clone(&layer.origin), place }
        };
        self.layers.iter().enumerate().map(named).collect()
    }

    /// Why the newest document of a source is not in use; `None` when it is.
    pub(crate) fn refusal(&self, layer: usize) -> Option<FlagsError> {
        let (_, error) = self.layers.get(layer)?.refused.as_ref()?;
        Some(error.clone())
    }

    /// Forgets what was refused, which the source itself did not hand out.
    pub(crate) fn forget_refusal(&mut self, layer: usize) {
        if let Some(layer) = self.layers.get_mut(layer) {
            layer.refused = None;
        }
    }

    /// Holds the snapshot that was in use until the next one comes, so that it is freed here rather
    /// than by the reader who lets go of it last.
    pub(crate) fn retire(&mut self, snapshot: Option<Arc<Snapshot>>) {
        self.retired = snapshot;
    }

    /// The documents in use, and the version that results.
    pub(crate) fn documents(&self) -> (i64, Vec<Kept>) {
        let kept = self.layers.iter().zip(self.names()).filter_map(|(layer, name)| {
            let text = Arc::clone(layer.text.as_ref()?);
            Some(Kept { name, version: layer.version(), text })
        });
        (self.version, kept.collect())
    }

    fn merge(&self) -> Arc<Snapshot> {
        let current = self.layers.iter().filter_map(|layer| layer.current.as_deref());
        let rules = current.fold(None, |above: Option<RuleSet>, layer| {
            Some(match above {
                None => layer.rules.clone(),
                Some(above) => above.over(&layer.rules),
            })
        });
        Arc::new(Snapshot {
            rules: rules.unwrap_or_default(),
            version: self.version,
            generation: self.generation,
        })
    }
}

/// Whether the source counts the same text as a later version.
fn is_newer(document: &Document, current: i64) -> bool {
    document.version.is_some_and(|version| version > current)
}

/// The version that a document gives itself.
fn version(rules: &RuleSet) -> Option<i64> {
    rules.metadata()?.get(VERSION).and_then(Value::as_i64).filter(|version| *version > 0)
}
