//! flagd's `sem_ver`: compares versions.

use std::cmp::Ordering;

use crate::{js::Digits, val::Val};

/// Answers `{"sem_ver": [version, operator, version]}`; `None` when a version or the operator makes
/// no sense.
pub(crate) fn compare(left: &Val<'_>, operator: &Val<'_>, right: &Val<'_>) -> Option<bool> {
    let operator = operator.as_text()?;
    let [mut first, mut second] = [Digits::default(); 2];
    let left = Version::parse(text(left, &mut first)?)?;
    let right = Version::parse(text(right, &mut second)?)?;
    let ordering = left.cmp(&right);
    Some(match operator {
        "=" => ordering.is_eq(),
        "!=" => ordering.is_ne(),
        "<" => ordering.is_lt(),
        "<=" => ordering.is_le(),
        ">" => ordering.is_gt(),
        ">=" => ordering.is_ge(),
        "^" => left.numbers[0] == right.numbers[0],
        "~" => left.numbers[..2] == right.numbers[..2],
        _ => return None,
    })
}

/// Whether this is an operator of `sem_ver`.
pub(crate) fn is_operator(text: &str) -> bool {
    let version = Val::Text("0".into());
    compare(&version, &Val::Text(text.into()), &version).is_some()
}

/// Whether this can be read as a version.
pub(crate) fn is_version(value: &Val<'_>) -> bool {
    compare(value, &Val::Text("=".into()), value).is_some()
}

/// The text of a version, which may be given as a number: 2 is 2.0.0, and 2.1 is 2.1.0.
fn text<'a>(value: &'a Val<'_>, printed: &'a mut Digits) -> Option<&'a str> {
    match value {
        Val::Text(text) => Some(text),
        Val::Number(number) => {
            *printed = Digits::of(*number);
            Some(printed.as_str())
        }
        _ => None,
    }
}

/// A version without its build metadata, which has no say in any comparison.
#[derive(Debug, Eq, PartialEq)]
struct Version<'a> {
    numbers: [Number<'a>; 3],
    pre_release: &'a str,
}

/// Digits without leading zeros, of any length.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Number<'a>(&'a str);

impl<'a> Version<'a> {
    /// Reads a version with or without a `v` in front; minor and patch may be left out.
    fn parse(text: &'a str) -> Option<Self> {
        let text = text.strip_prefix(['v', 'V']).unwrap_or(text);
        let (text, build) = text.split_once('+').map_or((text, None), |(a, b)| (a, Some(b)));
        let (core, pre) = text.split_once('-').map_or((text, None), |(a, b)| (a, Some(b)));
        let mut numbers = [Number("0"); 3];
        let mut parts = core.split('.');
        numbers[0] = Number::parse(parts.next()?)?;
        for number in &mut numbers[1..] {
            *number = parts.next().map_or(Some(*number), Number::parse)?;
        }
        let is_whole = parts.next().is_none()
            && build.is_none_or(|build| build.split('.').all(is_identifier))
            && pre.is_none_or(|pre| pre.split('.').all(is_pre_release));
        is_whole.then_some(Self { numbers, pre_release: pre.unwrap_or_default() })
    }

    fn cmp(&self, other: &Self) -> Ordering {
        for (left, right) in self.numbers.iter().zip(&other.numbers) {
            let ordering = left.cmp(right);
            if ordering.is_ne() {
                return ordering;
            }
        }
        match (self.pre_release, other.pre_release) {
            ("", "") => Ordering::Equal,
            ("", _) => Ordering::Greater,
            (_, "") => Ordering::Less,
            (left, right) => compare_pre_releases(left, right),
        }
    }
}

impl<'a> Number<'a> {
    fn parse(digits: &'a str) -> Option<Self> {
        let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
        (is_number && (digits == "0" || !digits.starts_with('0'))).then_some(Self(digits))
    }

    fn cmp(&self, other: &Self) -> Ordering {
        (self.0.len(), self.0).cmp(&(other.0.len(), other.0))
    }
}

fn is_identifier(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

/// Identifiers of digits alone are numbers and have no leading zeros.
fn is_pre_release(text: &str) -> bool {
    let is_digits = text.bytes().all(|byte| byte.is_ascii_digit());
    is_identifier(text) && (!is_digits || Number::parse(text).is_some())
}

/// Numbers before text, numbers by size, text by its bytes, and the shorter list first.
fn compare_pre_releases(left: &str, right: &str) -> Ordering {
    let (mut left, mut right) = (left.split('.'), right.split('.'));
    loop {
        let (a, b) = match (left.next(), right.next()) {
            (Some(a), Some(b)) => (a, b),
            (a, b) => return a.is_some().cmp(&b.is_some()),
        };
        let ordering = match (Number::parse(a), Number::parse(b)) {
            (Some(a), Some(b)) => a.cmp(&b),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (None, None) => a.cmp(b),
        };
        if ordering.is_ne() {
            return ordering;
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[track_caller]
    fn check(left: Value, operator: &str, right: Value, expect: Option<bool>) {
        let found = compare(&Val::from(&left), &Val::Text(operator.into()), &Val::from(&right));
        assert_eq!(found, expect, "{left} {operator} {right}");
    }

    #[test]
    fn operators() {
        for (left, operators, right) in [
            ("1.2.3", "= <= >= ^ ~", "1.2.3"),
            ("1.2.3", "!= < <= ^ ~", "1.2.4"),
            ("1.3.0", "!= > >= ^", "1.2.9"),
            ("2.0.0", "!= > >=", "1.9.9"),
            ("10.0.0", "!= > >=", "9.0.0"),
        ] {
            for operator in ["=", "!=", "<", "<=", ">", ">=", "^", "~"] {
                let expect = operators.split(' ').any(|holds| holds == operator);
                check(json!(left), operator, json!(right), Some(expect));
            }
        }
        check(json!("1.0.0"), "==", json!("1.0.0"), None);
        check(json!("1.0.0"), "", json!("1.0.0"), None);
    }

    #[test]
    fn spellings() {
        for (left, right) in [
            (json!("v1.0.0"), json!("1.0.0")),
            (json!("V1.0.0"), json!("v1.0.0")),
            (json!("1"), json!("1.0.0")),
            (json!("v1.2"), json!("1.2.0")),
            (json!(1), json!("1.0.0")),
            (json!(1.5), json!("1.5.0")),
            (json!("1.0.0+build.7"), json!("1.0.0+other")),
            (json!("1.0.0-rc.1+x"), json!("1.0.0-rc.1")),
            (json!("99999999999999999999999.0.0"), json!("99999999999999999999999")),
        ] {
            check(left, "=", right, Some(true));
        }
    }

    #[test]
    fn pre_releases_come_before_their_version_in_the_order_of_the_standard() {
        let ordered = [
            "1.0.0-1",
            "1.0.0-2",
            "1.0.0-10",
            "1.0.0-alpha",
            "1.0.0-alpha.1",
            "1.0.0-alpha.beta",
            "1.0.0-beta",
            "1.0.0-beta.2",
            "1.0.0-beta.11",
            "1.0.0-rc.1",
            "1.0.0",
            "1.0.1-a",
        ];
        for (n, left) in ordered.iter().enumerate() {
            for (m, right) in ordered.iter().enumerate() {
                check(json!(left), "<", json!(right), Some(n < m));
            }
        }
    }

    #[test]
    fn what_is_no_version_compares_with_nothing() {
        for wrong in [
            json!(""),
            json!("v"),
            json!("1.0.0.0"),
            json!("01.0.0"),
            json!("1.x"),
            json!("1."),
            json!("not-a-version"),
            json!("1.0.0-"),
            json!("1.0.0-01"),
            json!("1.0.0+"),
            json!("1.0.0-a..b"),
            json!(" 1.0.0"),
            json!(-1),
            json!(null),
            json!(true),
            json!([1]),
        ] {
            check(wrong.clone(), "=", json!("1.0.0"), None);
            check(json!("1.0.0"), "!=", wrong, None);
        }
    }
}
