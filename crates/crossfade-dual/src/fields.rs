//! Comparing what serializes field by field.

use std::collections::BTreeSet;
use std::sync::Arc;

use crossfade_core::{Comparison, FieldDifference};
use serde::Serialize;
use serde_json::Value;

/// Compares values by their JSON, field by field.
///
/// A field is named by its path, with dots: `address.city`. Elements of lists go by their list's
/// name, so `items.price` is the price of each item. A name stands for everything beneath it too.
///
/// Of a value that differs only its kind is told, and the length of a text, list or object; one
/// that is `revealed` is told as it is.
#[derive(Clone, Debug, Default)]
#[must_use]
pub struct Fields {
    ignored: BTreeSet<String>,
    revealed: BTreeSet<String>,
}

impl Fields {
    /// Every field counts, and none is revealed.
    pub fn all() -> Self {
        Self::default()
    }

    /// All but these, such as those that the sides round differently.
    pub fn ignoring<N: Into<String>>(self, names: impl IntoIterator<Item = N>) -> Self {
        let mut ignored = self.ignored;
        ignored.extend(names.into_iter().map(Into::into));
        Self { ignored, ..self }
    }

    /// Tells the values of these fields where they differ. They are kept in memory and logged
    /// nowhere.
    pub fn revealing<N: Into<String>>(self, names: impl IntoIterator<Item = N>) -> Self {
        let mut revealed = self.revealed;
        revealed.extend(names.into_iter().map(Into::into));
        Self { revealed, ..self }
    }

    /// The function that `Migration::read_compared_by` takes.
    pub fn comparing<T: Serialize>(
        self,
    ) -> impl Fn(&T, &T) -> Comparison + Clone + Send + Sync + 'static {
        let fields = Arc::new(self);
        move |legacy, new| fields.compare(legacy, new)
    }

    /// Compares two values. What does not serialize cannot be compared.
    pub fn compare<T: Serialize + ?Sized>(&self, legacy: &T, new: &T) -> Comparison {
        match (serde_json::to_value(legacy), serde_json::to_value(new)) {
            (Ok(legacy), Ok(new)) => {
                let mut found = Found { fields: self, differences: Vec::new() };
                found.compare(&Path::default(), Some(&legacy), Some(&new));
                Comparison::of(found.differences)
            }
            // What serde says of a value may quote it.
            (Err(_), _) | (_, Err(_)) => Comparison::Impossible("not serializable".to_owned()),
        }
    }
}

/// Where a value is.
#[derive(Clone, Debug, Default)]
struct Path {
    /// As it is named in options.
    name: String,
    /// As it is shown, with indexes.
    shown: String,
}

impl Path {
    fn field(&self, field: &str) -> Self {
        let below = |path: &str| match path {
            "" => field.to_owned(),
            path => format!("{path}.{field}"),
        };
        Self { name: below(&self.name), shown: below(&self.shown) }
    }

    fn element(&self, index: usize) -> Self {
        Self { name: self.name.clone(), shown: format!("{}[{index}]", self.shown) }
    }

    /// Whether one of `names` is this or has it beneath.
    fn is_in(&self, names: &BTreeSet<String>) -> bool {
        let mut rest = Some(self.name.as_str()).filter(|name| !name.is_empty());
        while let Some(name) = rest {
            if names.contains(name) {
                return true;
            }
            rest = name.rsplit_once('.').map(|(above, _)| above);
        }
        false
    }
}

struct Found<'a> {
    fields: &'a Fields,
    differences: Vec<FieldDifference>,
}

impl Found<'_> {
    fn compare(&mut self, path: &Path, legacy: Option<&Value>, new: Option<&Value>) {
        if legacy == new || path.is_in(&self.fields.ignored) {
            return;
        }
        match (legacy, new) {
            (Some(Value::Object(legacy)), Some(Value::Object(new))) => {
                let names: BTreeSet<&String> = legacy.keys().chain(new.keys()).collect();
                for name in names {
                    self.compare(&path.field(name), legacy.get(name), new.get(name));
                }
            }
            (Some(Value::Array(legacy)), Some(Value::Array(new))) => {
                for index in 0..legacy.len().max(new.len()) {
                    self.compare(&path.element(index), legacy.get(index), new.get(index));
                }
            }
            (legacy, new) => {
                let name = if path.shown.is_empty() { "value" } else { &path.shown };
                let told = |value| match path.is_in(&self.fields.revealed) {
                    true => revealed(value),
                    false => redacted(value),
                };
                let difference = FieldDifference::described(name, told(legacy), told(new));
                self.differences.push(difference);
            }
        }
    }
}

fn redacted(value: Option<&Value>) -> String {
    match value {
        None => "absent".to_owned(),
        Some(Value::Null) => "null".to_owned(),
        Some(Value::Bool(_)) => "boolean".to_owned(),
        Some(Value::Number(_)) => "number".to_owned(),
        Some(Value::String(text)) => format!("text of {} characters", text.chars().count()),
        Some(Value::Array(list)) => format!("list of {}", list.len()),
        Some(Value::Object(fields)) => format!("object of {} fields", fields.len()),
    }
}

fn revealed(value: Option<&Value>) -> String {
    value.map_or_else(|| "absent".to_owned(), ToString::to_string)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn check(fields: &Fields, legacy: &Value, new: &Value, expected: &[(&str, &str, &str)]) {
        let expected = expected
            .iter()
            .map(|(field, legacy, new)| FieldDifference::described(*field, *legacy, *new));
        assert_eq!(fields.compare(legacy, new), Comparison::of(expected), "{legacy}, {new}");
    }

    #[test]
    fn names_what_differs_and_tells_no_values() {
        let all = Fields::all();
        check(&all, &json!({"a": 1}), &json!({"a": 1}), &[]);
        check(&all, &json!(1), &json!(2), &[("value", "number", "number")]);
        check(&all, &json!(null), &json!({"a": 1}), &[("value", "null", "object of 1 fields")]);
        check(
            &all,
            &json!({"name": "Zoë", "address": {"city": "Rome"}, "tags": ["x", "y"], "on": true}),
            &json!({"name": "Zoe!", "address": {"city": "Rom"}, "tags": ["x"], "more": []}),
            &[
                ("address.city", "text of 4 characters", "text of 3 characters"),
                ("more", "absent", "list of 0"),
                ("name", "text of 3 characters", "text of 4 characters"),
                ("on", "boolean", "absent"),
                ("tags[1]", "text of 1 characters", "absent"),
            ],
        );
    }

    #[test]
    fn ignores_and_reveals_by_name() {
        let legacy =
            json!({"at": 1, "items": [{"price": 1, "note": "a"}], "s": {"deep": {"x": 1}}});
        let new = json!({"at": 2, "items": [{"price": 2, "note": "b"}], "s": {"deep": {"x": 2}}});
        let fields =
            Fields::all().ignoring(["at", "s.deep", "not there"]).revealing(["items.price"]);
        let note = ("items[0].note", "text of 1 characters", "text of 1 characters");
        check(&fields, &legacy, &new, &[note, ("items[0].price", "1", "2")]);
        check(&fields.ignoring(["items"]), &legacy, &new, &[]);
    }

    #[test]
    fn what_does_not_serialize_cannot_be_compared() {
        let broken = std::collections::BTreeMap::from([((1, 2), 3)]);
        let compared = Fields::all().comparing()(&broken, &broken);
        assert!(matches!(compared, Comparison::Impossible(_)));
    }
}
