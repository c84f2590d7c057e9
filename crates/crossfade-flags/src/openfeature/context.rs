//! OpenFeature's evaluation context as ours.

use std::any::Any;

use crossfade_rules::Context;
use open_feature::{EvaluationContext, EvaluationContextFieldValue as Field, StructValue};
use serde_json::{Map, Value};
use time::format_description::well_known::Rfc3339;

use super::value;

/// The fields of a context that have no counterpart of their own, rendered as JSON.
#[derive(Debug)]
pub(super) struct Rendered<'a>(Vec<(&'a str, Value)>);

impl<'a> Rendered<'a> {
    /// Renders date-times as RFC 3339 text and structs as objects.
    pub(super) fn of(context: &'a EvaluationContext) -> Self {
        let fields = context.custom_fields.iter();
        Self(fields.filter_map(|(name, field)| Some((name.as_str(), render(field)?))).collect())
    }

    /// The context that rules see. Nothing of it is copied.
    pub(super) fn context<'c>(&'c self, context: &'c EvaluationContext) -> Context<'c> {
        let user = context.targeting_key.as_deref();
        let mut ours = user.map_or_else(Context::anonymous, Context::user);
        for (name, field) in &context.custom_fields {
            ours = match field {
                Field::Bool(value) => ours.with(name, *value),
                Field::Int(value) => ours.with(name, *value),
                Field::Float(value) => ours.with(name, *value),
                Field::String(value) => ours.with(name, value),
                Field::DateTime(_) | Field::Struct(_) => ours,
            };
        }
        self.0.iter().fold(ours, |ours, (name, value)| ours.with(name, value))
    }
}

fn render(field: &Field) -> Option<Value> {
    match field {
        Field::Bool(_) | Field::Int(_) | Field::Float(_) | Field::String(_) => None,
        // RFC 3339 knows the years 0 to 9999, and offsets of whole minutes.
        Field::DateTime(time) => time.format(&Rfc3339).ok().map(Value::String),
        Field::Struct(any) => structure(any.as_ref()),
    }
}

/// A struct field can be anything; only these types tell what is in them.
fn structure(any: &(dyn Any + Send + Sync)) -> Option<Value> {
    if let Some(value) = any.downcast_ref::<Value>() {
        Some(value.clone())
    } else if let Some(object) = any.downcast_ref::<Map<String, Value>>() {
        Some(Value::Object(object.clone()))
    } else if let Some(fields) = any.downcast_ref::<StructValue>() {
        Some(value::object_to_json(fields))
    } else {
        any.downcast_ref::<open_feature::Value>().map(value::to_json)
    }
}
