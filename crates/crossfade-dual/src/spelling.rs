//! One spelling for each key. Locks, quarantine marks and pins are found by a key's text, so two
//! texts of one key, such as `7` and `07`, would not exclude each other.

use std::borrow::Cow;

use arc_swap::ArcSwapOption;
use crossfade_core::{Definition, Key, KeyText, canonical_key};
use crossfade_store::{StoreError, StoreErrorKind};

use crate::instance::Core;
use crate::shared::Shared;
use crate::{Migration, RequestStore};

/// What the key columns of a migration make of a text, once that was looked up. A lease is only
/// taken behind it, so that reads need not ask.
#[derive(Debug, Default)]
pub(crate) struct Spelling(ArcSwapOption<Vec<KeyText>>);

impl Spelling {
    pub(crate) fn is_known(&self) -> bool {
        self.0.load().is_some()
    }

    /// The tables are others from now on.
    pub(crate) fn forget(&self) {
        self.0.store(None);
    }

    /// The text of a key as marks and pins know it. That of one that no row can have stays as it is.
    pub(crate) fn of_read<'k>(&self, text: &'k str) -> Cow<'k, str> {
        let columns = self.0.load();
        let Some(columns) = &*columns else { return Cow::Borrowed(text) };
        let spelled = match columns[..] {
            [single] => single.canonical(text),
            _ => Key::from_text(text, columns.len()).and_then(|key| {
                let spelled = canonical_key(columns, &key).ok()?;
                Some(Cow::Owned(spelled.text().into_owned()))
            }),
        };
        spelled.unwrap_or(Cow::Borrowed(text))
    }

    /// The key of a write, refused where a part is none of its column's. `Err` gives it back where the
    /// columns are not known, or are others than the key's.
    fn of_write(&self, key: Key) -> Result<Result<Key, StoreError>, Key> {
        let columns = self.0.load();
        let Some(columns) = columns.as_ref().filter(|it| it.len() == key.parts().len()) else {
            return Err(key);
        };
        Ok(match canonical_key(columns, &key) {
            Ok(Cow::Borrowed(_)) => Ok(key),
            Ok(Cow::Owned(canonical)) => Ok(canonical),
            Err(error) => Err(StoreError::new(StoreErrorKind::Invalid, error.to_string())
                .with_hint("return the text of each key column from `to_key`, in their order")),
        })
    }
}

impl<S: RequestStore> Core<S> {
    /// Looks up what the key columns make of a text, unless that is known.
    pub(crate) async fn look_up_spelling(&self, shared: &Shared) -> Result<(), StoreError> {
        if shared.spelling.is_known() {
            return Ok(());
        }
        let asked = shared.snapshot();
        let columns = self.store.key_texts(&asked.definition).await?;
        shared.spelling.0.store(columns.map(Into::into));
        // Whoever replaced the definition meanwhile may have forgotten an answer that came later.
        if !same_keys(&shared.snapshot().definition, &asked.definition) {
            shared.spelling.forget();
        }
        Ok(())
    }
}

impl<S: RequestStore> Migration<S> {
    /// The key of a write as locks, marks and pins know it.
    pub(crate) async fn spelled(&self, key: Key) -> Result<Key, StoreError> {
        match self.shared.spelling.of_write(key) {
            Ok(spelled) => spelled,
            Err(key) => Box::pin(self.spelled_anew(key)).await,
        }
    }

    async fn spelled_anew(&self, key: Key) -> Result<Key, StoreError> {
        let columns = self.shared.snapshot().definition.legacy.key.len();
        // A key of another width would reach other rows on New than on Legacy, or none.
        if key.parts().len() != columns {
            let message = format!("the key has {} parts, not {columns}", key.parts().len());
            let hint = "name each column of `[legacy] key`, in its order, as in (tenant, id)";
            return Err(StoreError::new(StoreErrorKind::Invalid, message).with_hint(hint));
        }
        self.core.look_up_spelling(&self.shared).await?;
        self.shared.spelling.of_write(key).unwrap_or_else(Ok)
    }
}

/// Whether two definitions have the same tables and keys.
pub(crate) fn same_keys(one: &Definition, other: &Definition) -> bool {
    one.legacy == other.legacy && one.new == other.new
}
