//! From the text of a document to compiled flags.

use std::sync::Arc;

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::{
    Flag, FractionalVersion, Limits, ParseError,
    ParseErrorKind::{self, *},
    VariantIndex,
    compile::Compiler,
    flag::{Shared, Targeting, Variant},
    fractional::Seed,
    json::Json,
    source,
};

/// The member of a rule set's metadata that pins the version of `fractional`.
pub(crate) const FRACTIONAL: &str = "crossfade.fractional";

/// A document whose flags are compiled, in their order.
#[derive(Debug)]
pub(crate) struct Parsed {
    pub(crate) flags: Vec<Flag>,
    pub(crate) metadata: Option<Arc<Map<String, Value>>>,
    pub(crate) fractional: Option<FractionalVersion>,
}

/// Parses a document and compiles its flags.
pub(crate) fn rule_set(text: &str, limits: &Limits) -> Result<Parsed, ParseError> {
    let Json::Object(mut document) = json(text, limits)? else {
        return Err(ParseError::new(NotAnObject));
    };
    let flags = match document.take("flags") {
        Some(Json::Object(flags)) => flags,
        Some(_) => return Err(misplaced(text, "flags", FlagsNotAnObject)),
        None => return Err(ParseError::new(FlagsMissing)),
    };
    let metadata = match document.take("metadata") {
        Some(Json::Object(metadata)) if metadata.len() > 0 => Some(Arc::new(metadata.to_map())),
        _ => None,
    };
    let pinned = fractional_version(metadata.as_deref());
    let mut definitions = Vec::with_capacity(flags.len());
    for (key, value) in flags {
        let definition = Definition::read(value).map_err(|kind| {
            ParseError::new(kind).at(source::position_of(text, &["flags", &key])).in_flag(&key)
        })?;
        definitions.push((key, definition));
    }
    let evaluators = document.take("$evaluators");
    let evaluators = evaluators.as_ref().and_then(Json::as_object);
    let mut compiler = Compiler::new(evaluators, pinned.clone()).within(text.len());
    // The version has no say in a set whose metadata name one that does not exist.
    let version = pinned.clone().unwrap_or_default();
    let rules: Vec<_> =
        definitions.iter().map(|(_, definition)| definition.rule(&mut compiler)).collect();
    let flags =
        definitions.into_iter().zip(rules).map(|((key, definition), (targeting, time))| Flag {
            seed: Seed::new(&key, version, limits.steps),
            enabled: definition.enabled,
            variants: Shared(definition.variants.into()),
            default: definition.default,
            targeting,
            reads_time: time,
            metadata: merged(metadata.as_ref(), definition.metadata),
        });
    Ok(Parsed { flags: flags.collect(), metadata, fractional: pinned.ok() })
}

/// Reads the outermost object, within the limits on size and nesting.
pub(crate) fn document(text: &str, limits: &Limits) -> Result<Map<String, Value>, ParseError> {
    match json(text, limits)? {
        Value::Object(document) => Ok(document),
        _ => Err(ParseError::new(NotAnObject)),
    }
}

/// Reads a text within the limits on size and nesting.
fn json<'t, T: Deserialize<'t>>(text: &'t str, limits: &Limits) -> Result<T, ParseError> {
    let (bytes, limit) = (text.len(), limits.document_bytes);
    if bytes > limit {
        return Err(ParseError::new(TooLarge { bytes, limit }));
    }
    if text.starts_with('\u{feff}') {
        let start = source::Position { line: 1, column: 1 };
        return Err(ParseError::new(ByteOrderMark).at(start));
    }
    source::check_nesting(text)?;
    serde_json::from_str(text).map_err(|error| syntax(text, &error))
}

/// The version of `fractional` that the metadata pin. The error says what they pin instead.
fn fractional_version(metadata: Option<&Map<String, Value>>) -> Result<FractionalVersion, String> {
    match metadata.and_then(|metadata| metadata.get(FRACTIONAL)) {
        None => Ok(FractionalVersion::default()),
        Some(pinned) => pinned.as_str().and_then(FractionalVersion::named).ok_or_else(|| {
            format!("the metadata \"{FRACTIONAL}\" is {pinned}, neither \"v2\" nor \"v3\"")
        }),
    }
}

fn syntax(text: &str, error: &serde_json::Error) -> ParseError {
    // serde_json counts the bytes of a line.
    let line = text.split('\n').nth(error.line().saturating_sub(1)).unwrap_or_default();
    let before = line.bytes().take(error.column());
    let column = before.filter(|byte| !matches!(byte, 0x80..=0xbf)).count();
    let position = source::Position { line: error.line(), column: column.max(1) };
    // It also repeats the place in its text.
    let text = error.to_string();
    let reason = text.rsplit_once(" at line ").map_or(text.as_str(), |(reason, _)| reason);
    ParseError::new(Syntax(reason.to_owned())).at(position)
}

fn misplaced(text: &str, member: &str, kind: ParseErrorKind) -> ParseError {
    ParseError::new(kind).at(source::position_of(text, &[member]))
}

fn merged(
    set: Option<&Arc<Map<String, Value>>>,
    own: Map<String, Value>,
) -> Option<Shared<Map<String, Value>>> {
    if own.is_empty() {
        return set.cloned().map(Shared);
    }
    let mut merged = set.map(|set| Map::clone(set)).unwrap_or_default();
    merged.extend(own);
    Some(Shared(Arc::new(merged)))
}

/// What a flag's definition says, before its rule is compiled.
#[derive(Debug, Default)]
struct Definition<'t> {
    enabled: bool,
    variants: Vec<Variant>,
    default: Option<VariantIndex>,
    rule: Option<Json<'t>>,
    metadata: Map<String, Value>,
    /// Why the flag cannot be evaluated, whatever its rule.
    fault: Option<String>,
}

impl<'t> Definition<'t> {
    /// Reads a definition. Only a `defaultVariant` that names no variant is an error for the set.
    fn read(value: Json<'t>) -> Result<Self, ParseErrorKind> {
        let Json::Object(mut members) = value else {
            let fault = Some("the definition is not an object".to_owned());
            return Ok(Self { enabled: true, fault, ..Self::default() });
        };
        let mut read = Self { enabled: true, ..Self::default() };
        match members.take("state") {
            None => {}
            Some(Json::Text(state)) if state == "ENABLED" => {}
            Some(Json::Text(state)) if state == "DISABLED" => read.enabled = false,
            Some(other) => {
                let fault = format!("\"state\" is {other}, neither \"ENABLED\" nor \"DISABLED\"");
                read.fault = Some(fault);
            }
        }
        let variants = members.take("variants");
        let has_odd_variants = variants.as_ref().is_some_and(|it| it.as_object().is_none());
        match variants {
            None => {}
            Some(Json::Object(variants)) => {
                let named = variants.iter().map(|(name, value)| Variant {
                    name: name.to_owned(),
                    value: value.to_value(),
                });
                read.variants = named.collect();
            }
            Some(_) => read.fault = Some("\"variants\" is not an object".to_owned()),
        }
        // Of variants that cannot be read it is not known whether one has the name.
        if !has_odd_variants {
            let name = members.take("defaultVariant");
            read.default = default_variant(name, &read.variants)?;
        }
        if let Some(Json::Object(metadata)) = members.take("metadata") {
            read.metadata = metadata.to_map();
        }
        read.rule = members.take("targeting").filter(|rule| match rule {
            Json::Null => false,
            Json::Object(rule) => rule.len() > 0,
            _ => true,
        });
        Ok(read)
    }

    /// The flag's targeting, and whether it may read the time.
    fn rule<'a>(&'a self, compiler: &mut Compiler<'a>) -> (Targeting, bool) {
        match (&self.fault, &self.rule) {
            (Some(fault), _) => (broken(fault), false),
            (None, None) => (Targeting::None, false),
            (None, Some(rule)) => match compiler.targeting(rule) {
                Ok(rule) => (Targeting::Rule(Shared(Arc::new(rule.expr))), rule.reads_time),
                Err(fault) => (broken(&fault), false),
            },
        }
    }
}

fn broken(fault: &str) -> Targeting {
    Targeting::Broken(Shared(fault.into()))
}

fn default_variant(
    name: Option<Json<'_>>,
    variants: &[Variant],
) -> Result<Option<VariantIndex>, ParseErrorKind> {
    let name = match name {
        None | Some(Json::Null) => return Ok(None),
        Some(Json::Text(name)) => name,
        Some(_) => return Err(DefaultVariantNotAString),
    };
    let mut known = (0..).map(VariantIndex).zip(variants);
    match known.find(|(_, variant)| variant.name == *name) {
        Some((index, _)) => Ok(Some(index)),
        None => {
            let known: Vec<_> = variants.iter().map(|variant| variant.name.as_str()).collect();
            Err(UnknownDefaultVariant { name: name.into_owned(), known: known.join(", ") })
        }
    }
}
