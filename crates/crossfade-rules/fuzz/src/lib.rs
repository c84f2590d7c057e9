//! What the fuzz targets share: rules and contexts made from the fuzzer's bytes, and what must hold of
//! every rule set.

use arbitrary::{Arbitrary, Result, Unstructured};
use crossfade_rules::{Context, RuleSet, Severity, check, diff, edit};
use serde_json::{Map, Value, json};

/// The deepest nesting of generated values, below which rules are cut off by the limit on nesting.
const DEPTH: usize = 12;

/// Every operator, `?:` for its alias, and two that do not exist.
const OPERATORS: [&str; 41] = [
    "!",
    "!!",
    "!=",
    "!==",
    "$ref",
    "%",
    "*",
    "+",
    "-",
    "/",
    "<",
    "<=",
    "==",
    "===",
    ">",
    ">=",
    "?:",
    "all",
    "and",
    "cat",
    "ends_with",
    "filter",
    "fractional",
    "if",
    "in",
    "map",
    "max",
    "merge",
    "min",
    "missing",
    "missing_some",
    "none",
    "or",
    "reduce",
    "sem_ver",
    "some",
    "starts_with",
    "substr",
    "var",
    "xyzzy",
    "",
];

/// Texts that mean something to an operator or stand in the contexts and documents below.
const TEXTS: [&str; 32] = [
    "",
    "a",
    "b",
    "c",
    "x",
    "on",
    "true",
    "false",
    "list",
    "list.0",
    "current",
    "accumulator",
    "targetingKey",
    "$flagd",
    "$flagd.flagKey",
    "$flagd.timestamp",
    "deep.er",
    "1.2.3",
    "v1.2",
    "^",
    "~",
    ">=",
    "=",
    "e",
    "f",
    "0x1F",
    "-Infinity",
    "9e99",
    " 7 ",
    "é😀",
    "Z",
    "[object Object]",
];

/// A rule, or any other JSON: operators and known texts come up more often than chance has it.
#[derive(Clone, Debug)]
pub struct Rule(pub Value);

impl<'a> Arbitrary<'a> for Rule {
    fn arbitrary(from: &mut Unstructured<'a>) -> Result<Self> {
        value(from, DEPTH, true).map(Self)
    }
}

/// Attributes of a user, the targeting key among them more often than not.
#[derive(Clone, Debug)]
pub struct Attributes(pub Map<String, Value>);

impl<'a> Arbitrary<'a> for Attributes {
    fn arbitrary(from: &mut Unstructured<'a>) -> Result<Self> {
        let mut attributes = Map::new();
        for name in ["targetingKey", "a", "b", "x", "list", "deep", "$flagd", "7", ""] {
            if from.ratio(2, 3)? {
                attributes.insert(name.to_owned(), value(from, 4, false)?);
            }
        }
        Ok(Self(attributes))
    }
}

fn value(from: &mut Unstructured<'_>, depth: usize, rules: bool) -> Result<Value> {
    let leaf = depth == 0 || from.is_empty();
    Ok(match from.int_in_range(0..=if leaf { 5 } else { 11 })? {
        0 => Value::Null,
        1 => from.arbitrary::<bool>()?.into(),
        2 => from.int_in_range(-3..=20)?.into(),
        3 => match from.arbitrary()? {
            true => from.arbitrary::<i64>()?.into(),
            false => json!(from.arbitrary::<f64>()?),
        },
        4 => (*from.choose(&TEXTS)?).into(),
        5 => from.arbitrary::<String>()?.into(),
        6 | 7 => values(from, depth, rules)?,
        8 => {
            let mut members = Map::new();
            for _ in 0..from.int_in_range(0..=3)? {
                members.insert((*from.choose(&TEXTS)?).to_owned(), value(from, depth - 1, rules)?);
            }
            members.into()
        }
        _ if !rules => values(from, depth, rules)?,
        _ => {
            let name = *from.choose(&OPERATORS)?;
            let args = match from.ratio(7, 8)? {
                true => values(from, depth, rules)?,
                false => value(from, depth - 1, rules)?,
            };
            Value::Object(Map::from_iter([(name.to_owned(), args)]))
        }
    })
}

fn values(from: &mut Unstructured<'_>, depth: usize, rules: bool) -> Result<Value> {
    (0..from.int_in_range(0..=4)?).map(|_| value(from, depth - 1, rules)).collect()
}

/// A document with a flag `f` of this targeting, which may refer to the evaluator `e`.
pub fn document(version: &str, targeting: &Value, evaluator: &Value) -> String {
    json!({
        "metadata": { "crossfade.fractional": version },
        "$evaluators": { "e": evaluator, "a": { "!": [{ "$ref": "e" }] } },
        "flags": { "f": {
            "variants": { "a": 1, "b": "x", "on": true, "true": true, "false": false, "7": [7] },
            "defaultVariant": "a",
            "targeting": targeting,
        }},
    })
    .to_string()
}

/// What holds of every text: reading it does not panic, says the same each time, and agrees with what
/// checking it finds.
pub fn assert_sound(text: &str) -> Option<RuleSet> {
    let parsed = RuleSet::parse(text);
    let problems = check(text);
    let errors = || problems.iter().filter(|problem| problem.severity == Severity::Error);
    for problem in &problems {
        let _ = problem.to_string();
    }
    let set = match parsed {
        Ok(set) => set,
        Err(error) => {
            assert!(errors().next().is_some(), "refused without an error: {error}");
            let line = error.line().unwrap_or(1);
            assert!(line >= 1 && line <= text.split('\n').count(), "{error}");
            let longest = text.split('\n').nth(line - 1).map_or(0, |line| line.chars().count());
            assert!(error.column().unwrap_or(1) <= longest + 1, "{error}");
            return None;
        }
    };
    assert!(serde_json::from_str::<Value>(text).is_ok(), "read what is no JSON");
    assert_eq!(RuleSet::parse(text).as_ref(), Ok(&set), "read differently the second time");
    assert_eq!(diff(&set, &set), []);
    assert_eq!(set.changed_keys(&set), [""; 0]);
    assert_eq!(set.clone().over(&set), set);
    for flag in set.flags() {
        let is_told = errors().any(|problem| problem.flag.as_deref() == Some(flag.key()));
        assert!(flag.fault().is_none() || is_told, "a fault that the check does not find");
        assert_eq!(set.index(flag.key()).and_then(|index| set.flag_at(index)), Some(flag));
    }
    if let Ok(edited) = edit::ensure_boolean(text, "a new flag") {
        let edited = RuleSet::parse(&edited).expect("an edited document is read");
        let changed = set.changed_keys(&edited);
        assert!(changed.is_empty() || changed == ["a new flag"], "{changed:?}");
    }
    Some(set)
}

/// What holds of every flag and every context: all ways of asking give one answer.
pub fn assert_answers(set: &RuleSet, context: &Context<'_>) {
    for flag in set.flags() {
        let answer = flag.evaluate(context);
        assert_eq!(answer, set.evaluate(flag.key(), context), "asked twice");
        assert_eq!(answer.error.is_some(), answer.reason == crossfade_rules::Reason::Error);
        assert_eq!(answer.value.is_some(), answer.variant.is_some());
        let resolution = flag.resolve(context);
        assert_eq!((resolution.reason, resolution.error), (answer.reason, answer.error));
        let variant = resolution.variant.and_then(|index| flag.variant_at(index));
        assert_eq!(variant.map(|(name, _)| name), answer.variant.as_deref());
        let typed = flag.value::<bool>(context);
        let details = flag.details(context, false);
        match typed {
            Ok(value) => {
                assert_eq!(value, answer.as_bool());
                assert_eq!((details.value, details.error), (value.unwrap_or(false), None));
            }
            Err(error) => assert_eq!((details.value, details.error), (false, Some(error))),
        }
        if let Some(constant) = flag.constant::<bool>() {
            assert_eq!(constant, typed);
        }
    }
}
