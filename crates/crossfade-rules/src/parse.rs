//! From the text of a document to compiled flags.

use serde_json::{Map, Value};

use crate::{
    Flag, MAX_DOCUMENT_BYTES, ParseError,
    ParseErrorKind::{self, *},
    compile,
    flag::{Targeting, Variant},
    source,
};

/// Parses a document and compiles its flags, in the document's order.
pub(crate) fn rule_set(text: &str) -> Result<Vec<Flag>, ParseError> {
    let document = document(text)?;
    let evaluators = match document.get("$evaluators") {
        None => None,
        Some(Value::Object(evaluators)) => Some(evaluators),
        Some(_) => return Err(misplaced(text, "$evaluators", EvaluatorsNotAnObject)),
    };
    let flags = match document.get("flags") {
        Some(Value::Object(flags)) => flags,
        Some(_) => return Err(misplaced(text, "flags", FlagsNotAnObject)),
        None => return Err(ParseError::new(FlagsMissing)),
    };
    let compiled = flags.iter().map(|(key, definition)| {
        flag(key, definition, evaluators).map_err(|kind| {
            ParseError::new(kind).at(source::position_of(text, &["flags", key])).in_flag(key)
        })
    });
    compiled.collect()
}

/// Reads the outermost object, within the limits on size and nesting.
pub(crate) fn document(text: &str) -> Result<Map<String, Value>, ParseError> {
    if text.len() > MAX_DOCUMENT_BYTES {
        return Err(ParseError::new(TooLarge { bytes: text.len() }));
    }
    source::check_nesting(text)?;
    match serde_json::from_str(text) {
        Ok(Value::Object(document)) => Ok(document),
        Ok(_) => Err(ParseError::new(NotAnObject)),
        Err(error) => Err(syntax(&error)),
    }
}

fn syntax(error: &serde_json::Error) -> ParseError {
    let position = source::Position { line: error.line(), column: error.column().max(1) };
    // serde_json repeats the place in its text.
    let text = error.to_string();
    let reason = text.rsplit_once(" at line ").map_or(text.as_str(), |(reason, _)| reason);
    ParseError::new(Syntax(reason.to_owned())).at(position)
}

fn misplaced(text: &str, member: &str, kind: ParseErrorKind) -> ParseError {
    ParseError::new(kind).at(source::position_of(text, &[member]))
}

fn flag(
    key: &str,
    definition: &Value,
    evaluators: Option<&Map<String, Value>>,
) -> Result<Flag, ParseErrorKind> {
    let definition = definition.as_object().ok_or(FlagNotAnObject)?;
    let variants = variants(definition)?;
    let default = default_variant(definition, &variants)?;
    let targeting = match definition.get("targeting") {
        None | Some(Value::Null) => Targeting::None,
        Some(Value::Object(rule)) if rule.is_empty() => Targeting::None,
        Some(rule) => {
            compile::targeting(rule, evaluators).map_or_else(Targeting::Broken, Targeting::Rule)
        }
    };
    Ok(Flag { key: key.to_owned(), enabled: is_enabled(definition)?, variants, default, targeting })
}

/// The state; a definition that leaves it out is enabled, as flagd has it.
fn is_enabled(definition: &Map<String, Value>) -> Result<bool, ParseErrorKind> {
    match definition.get("state") {
        None => Ok(true),
        Some(Value::String(state)) if state == "ENABLED" => Ok(true),
        Some(Value::String(state)) if state == "DISABLED" => Ok(false),
        Some(other) => Err(BadState(other.to_string())),
    }
}

fn variants(definition: &Map<String, Value>) -> Result<Vec<Variant>, ParseErrorKind> {
    let variants = definition.get("variants").and_then(Value::as_object).ok_or(VariantsMissing)?;
    let named =
        variants.iter().map(|(name, value)| Variant { name: name.clone(), value: value.clone() });
    Ok(named.collect())
}

fn default_variant(
    definition: &Map<String, Value>,
    variants: &[Variant],
) -> Result<Option<usize>, ParseErrorKind> {
    let name = match definition.get("defaultVariant") {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::String(name)) => name,
        Some(_) => return Err(DefaultVariantNotAString),
    };
    match variants.iter().position(|variant| variant.name == *name) {
        Some(index) => Ok(Some(index)),
        None => {
            let known: Vec<_> = variants.iter().map(|variant| variant.name.as_str()).collect();
            Err(UnknownDefaultVariant { name: name.clone(), known: known.join(", ") })
        }
    }
}
