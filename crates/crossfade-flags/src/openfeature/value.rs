//! JSON values as OpenFeature's, and back.

use open_feature::{FlagMetadata, FlagMetadataValue, StructValue, Value as Theirs};
use serde_json::{Map, Number, Value};

/// An object as a struct; `None` where a member cannot be held without loss: OpenFeature knows no
/// null, and no whole number beyond 64 signed bits.
pub(super) fn to_struct(object: &Map<String, Value>) -> Option<StructValue> {
    let fields = object.iter().map(|(name, value)| Some((name.clone(), from_json(value)?)));
    Some(StructValue { fields: fields.collect::<Option<_>>()? })
}

fn from_json(value: &Value) -> Option<Theirs> {
    match value {
        Value::Null => None,
        Value::Bool(value) => Some(Theirs::Bool(*value)),
        Value::Number(number) => from_number(number),
        Value::String(text) => Some(Theirs::String(text.clone())),
        Value::Array(values) => {
            values.iter().map(from_json).collect::<Option<_>>().map(Theirs::Array)
        }
        Value::Object(object) => to_struct(object).map(Theirs::Struct),
    }
}

fn from_number(number: &Number) -> Option<Theirs> {
    match number.as_i64() {
        Some(number) => Some(Theirs::Int(number)),
        None if number.is_u64() => None,
        None => number.as_f64().map(Theirs::Float),
    }
}

pub(super) fn object_to_json(fields: &StructValue) -> Value {
    let members = fields.fields.iter().map(|(name, value)| (name.clone(), to_json(value)));
    Value::Object(members.collect())
}

/// A number that JSON cannot write, such as infinity, becomes null.
pub(super) fn to_json(value: &Theirs) -> Value {
    match value {
        Theirs::Bool(value) => (*value).into(),
        Theirs::Int(number) => (*number).into(),
        Theirs::Float(number) => (*number).into(),
        Theirs::String(text) => text.as_str().into(),
        Theirs::Array(values) => values.iter().map(to_json).collect(),
        Theirs::Struct(fields) => object_to_json(fields),
    }
}

/// Metadata of booleans, numbers and text; OpenFeature's holds nothing else, so the rest is left out.
pub(super) fn to_metadata(metadata: &Map<String, Value>) -> Option<FlagMetadata> {
    let values = metadata.iter().filter_map(|(name, value)| {
        let value = match value {
            Value::Bool(value) => FlagMetadataValue::Bool(*value),
            Value::String(text) => FlagMetadataValue::String(text.clone()),
            Value::Number(number) => match from_number(number)? {
                Theirs::Int(number) => FlagMetadataValue::Int(number),
                Theirs::Float(number) => FlagMetadataValue::Float(number),
                _ => return None,
            },
            Value::Null | Value::Array(_) | Value::Object(_) => return None,
        };
        Some((name.clone(), value))
    });
    let values: std::collections::HashMap<_, _> = values.collect();
    (!values.is_empty()).then_some(FlagMetadata { values })
}
