//! What the key columns make of a text, looked up once per definition.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::{MutexGuard, PoisonError};

use crossfade_core::{Definition, Key, KeyText, MigrationName, SideTable, canonical_key};
use crossfade_store::{StoreError, StoreErrorKind};

use crate::Database;
use crate::error::Doing;
use crate::schema::TableFacts;

type KeyTexts = HashMap<MigrationName, (Definition, Vec<KeyText>)>;

impl Database {
    /// By Legacy's key columns or, where Legacy is gone or not there yet, by New's: statements are
    /// only ever built where both are alike. A column that no key can have tells nothing.
    pub(crate) async fn texts_of_keys(
        &self,
        definition: &Definition,
    ) -> Result<Option<Vec<KeyText>>, StoreError> {
        if let Some((of, texts)) = self.key_texts().get(&definition.name)
            && of == definition
        {
            return Ok(Some(texts.clone()));
        }
        let doing = "failed to look the types of a key up";
        let engine = self.engine();
        let mut session = self.reserved_session().await.doing(doing)?;
        for SideTable { table, key } in [&definition.legacy, &definition.new] {
            let Some(facts) = TableFacts::find(&mut session, engine, table).await? else {
                continue;
            };
            let text = |kind: Option<_>| {
                kind.map_or(KeyText::Exact, |kind: crate::schema::KeyKind| kind.text(engine))
            };
            let texts = key.iter().map(|part| Some(text(facts.column(part.as_str())?.key_kind)));
            if let Some(texts) = texts.collect::<Option<Vec<_>>>() {
                let entry = (definition.clone(), texts.clone());
                self.key_texts().insert(definition.name.clone(), entry);
                return Ok(Some(texts));
            }
        }
        Ok(None)
    }

    /// The key in its canonical text.
    pub(crate) async fn canonical_key<'k>(
        &self,
        definition: &Definition,
        key: &'k Key,
    ) -> Result<Cow<'k, Key>, StoreError> {
        let Some(texts) = self.texts_of_keys(definition).await? else {
            return Ok(Cow::Borrowed(key));
        };
        canonical_key(&texts, key).map_err(|error| {
            let message = format!("`{key}` is not a key of `{}`", definition.name);
            StoreError::new(StoreErrorKind::Invalid, message).with_source(error)
        })
    }

    pub(crate) fn forget_key_texts(&self) {
        self.key_texts().clear();
    }

    fn key_texts(&self) -> MutexGuard<'_, KeyTexts> {
        self.inner.key_texts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
