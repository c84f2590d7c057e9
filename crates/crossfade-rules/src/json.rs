//! JSON as a tree that borrows from its text. A document is read into one and compiled from it, which
//! takes half the time of reading it into `serde_json`'s own tree: nothing is copied or hashed.

use std::{borrow::Cow, collections::HashMap, fmt};

use foldhash::fast::FixedState;
use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

/// Objects with more members find the names that occur again by hashing them.
const MANY: usize = 16;

/// A JSON value.
#[derive(Clone, Debug)]
pub(crate) enum Json<'t> {
    Null,
    Bool(bool),
    Number(Number),
    Text(Cow<'t, str>),
    Array(Vec<Json<'t>>),
    Object(Members<'t>),
}

/// The members of an object in their order. Of several with one name the first gives the place and the
/// last the value.
#[derive(Clone, Debug, Default)]
pub(crate) struct Members<'t>(Vec<(Cow<'t, str>, Json<'t>)>);

impl<'t> Json<'t> {
    pub(crate) fn as_str(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    pub(crate) fn as_array(&self) -> Option<&[Self]> {
        match self {
            Self::Array(items) => Some(items),
            _ => None,
        }
    }

    pub(crate) fn as_object(&self) -> Option<&Members<'t>> {
        match self {
            Self::Object(members) => Some(members),
            _ => None,
        }
    }

    /// The same value in a tree of its own.
    pub(crate) fn to_value(&self) -> Value {
        match self {
            Self::Null => Value::Null,
            Self::Bool(value) => Value::Bool(*value),
            Self::Number(number) => Value::Number(number.clone()),
            Self::Text(text) => Value::String(text.as_ref().into()),
            Self::Array(items) => items.iter().map(Self::to_value).collect(),
            Self::Object(members) => Value::Object(members.to_map()),
        }
    }
}

/// Prints what `serde_json` prints.
impl fmt::Display for Json<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.to_value().fmt(out)
    }
}

impl<'t> Members<'t> {
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &Json<'t>)> {
        self.0.iter().map(|(name, value)| (name.as_ref(), value))
    }

    /// Takes a member out. Those that are left change places.
    pub(crate) fn take(&mut self, name: &str) -> Option<Json<'t>> {
        let at = self.0.iter().position(|(known, _)| known == name)?;
        Some(self.0.swap_remove(at).1)
    }

    pub(crate) fn to_map(&self) -> Map<String, Value> {
        self.iter().map(|(name, value)| (name.to_owned(), value.to_value())).collect()
    }

    /// Members as they stand in a text, any of them perhaps several times.
    fn of(mut members: Vec<(Cow<'t, str>, Json<'t>)>) -> Self {
        let repeats = match members.len() {
            0..=MANY => (1..members.len()).any(|at| {
                let (before, rest) = members.split_at(at);
                rest.first().is_some_and(|(name, _)| before.iter().any(|(known, _)| known == name))
            }),
            _ => {
                let mut names = std::collections::HashSet::with_hasher(FixedState::default());
                !members.iter().all(|(name, _)| names.insert(name))
            }
        };
        if repeats {
            let mut places = HashMap::<_, usize, FixedState>::default();
            let mut kept: Vec<(Cow<'t, str>, Json<'t>)> = Vec::new();
            for (name, value) in members {
                let place = *places.entry(name.clone()).or_insert(kept.len());
                match kept.get_mut(place) {
                    Some((_, known)) => *known = value,
                    None => kept.push((name, value)),
                }
            }
            members = kept;
        }
        Self(members)
    }
}

impl<'t> IntoIterator for Members<'t> {
    type Item = (Cow<'t, str>, Json<'t>);
    type IntoIter = std::vec::IntoIter<Self::Item>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl<'t> Deserialize<'t> for Json<'t> {
    fn deserialize<D: Deserializer<'t>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(Reader)
    }
}

struct Reader;

impl<'t> Visitor<'t> for Reader {
    type Value = Json<'t>;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("any JSON")
    }

    fn visit_unit<E>(self) -> Result<Json<'t>, E> {
        Ok(Json::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Json<'t>, E> {
        Ok(Json::Bool(value))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Json<'t>, E> {
        Ok(Json::Number(number.into()))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Json<'t>, E> {
        Ok(Json::Number(number.into()))
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<Json<'t>, E> {
        Number::from_f64(number).map(Json::Number).ok_or_else(|| E::custom("number out of range"))
    }

    fn visit_str<E>(self, text: &str) -> Result<Json<'t>, E> {
        Ok(Json::Text(text.to_owned().into()))
    }

    fn visit_borrowed_str<E>(self, text: &'t str) -> Result<Json<'t>, E> {
        Ok(Json::Text(text.into()))
    }

    fn visit_seq<A: SeqAccess<'t>>(self, mut from: A) -> Result<Json<'t>, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = from.next_element()? {
            items.push(item);
        }
        Ok(Json::Array(items))
    }

    fn visit_map<A: MapAccess<'t>>(self, mut from: A) -> Result<Json<'t>, A::Error> {
        let mut members = Vec::new();
        while let Some(Name(name)) = from.next_key()? {
            members.push((name, from.next_value()?));
        }
        Ok(Json::Object(Members::of(members)))
    }
}

/// A member's name, borrowed where it holds no escapes. `Cow` by itself is always read as a copy.
struct Name<'t>(Cow<'t, str>);

impl<'t> Deserialize<'t> for Name<'t> {
    fn deserialize<D: Deserializer<'t>>(from: D) -> Result<Self, D::Error> {
        struct NameReader;

        impl<'t> Visitor<'t> for NameReader {
            type Value = Name<'t>;

            fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str("a name")
            }

            fn visit_str<E>(self, name: &str) -> Result<Name<'t>, E> {
                Ok(Name(name.to_owned().into()))
            }

            fn visit_borrowed_str<E>(self, name: &'t str) -> Result<Name<'t>, E> {
                Ok(Name(name.into()))
            }
        }

        from.deserialize_str(NameReader)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(text: &str) -> Json<'_> {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn texts_without_escapes_are_borrowed() {
        let json = read(r#"{"a": ["b", "\n"], "\u0063": 1}"#);
        let names: Vec<_> = json.as_object().unwrap().0.iter().map(|(name, _)| name).collect();
        assert!(matches!(names[..], [Cow::Borrowed("a"), Cow::Owned(_)]), "{names:?}");
        let items = json.as_object().unwrap().clone().take("a").unwrap();
        let items = items.as_array().unwrap();
        assert!(matches!(items, [Json::Text(Cow::Borrowed("b")), Json::Text(Cow::Owned(_))]));
    }

    #[test]
    fn the_last_of_several_members_takes_the_place_of_the_first() {
        for (before, expect) in [(0, "a b"), (100, "n0 n1")] {
            let many: String = (0..before).map(|n| format!("\"n{n}\": {n}, ")).collect();
            let text = format!("{{{many}\"a\": 1, \"b\": 2, \"a\": 3, \"n1\": 4}}");
            let json = read(&text);
            assert_eq!(json.to_value(), serde_json::from_str::<Value>(&text).unwrap());
            let names: Vec<_> = json.as_object().unwrap().iter().map(|(name, _)| name).collect();
            assert_eq!(names[..2].join(" "), expect);
        }
    }

    proptest! {
        /// What the two trees hold is the same, and so is what they refuse.
        #[test]
        fn agrees_with_the_tree_of_serde_json(
            text in r#"([\[\]{},: ]|"[ab\\n]{0,2}"|-?[0-9]{1,2}(\.[0-9]e?)?[0-9]*|null|true){0,12}"#,
        ) {
            let ours = serde_json::from_str::<Json<'_>>(&text).map(|json| json.to_string());
            let theirs = serde_json::from_str::<Value>(&text).map(|value| value.to_string());
            let [ours, theirs] = [ours, theirs].map(|read| read.map_err(|error| error.to_string()));
            prop_assert_eq!(ours, theirs, "{}", text);
        }
    }
}
