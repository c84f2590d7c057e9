//! JavaScript's conversions between text and numbers, which JsonLogic prescribes.

use std::fmt::{self, Write};

/// A number as JavaScript prints it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Printed(pub(crate) f64);

impl fmt::Display for Printed {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let number = self.0;
        let size = number.abs();
        if number == 0.0 {
            return out.write_str("0");
        }
        if !number.is_finite() {
            return out.write_str(match number {
                f64::INFINITY => "Infinity",
                f64::NEG_INFINITY => "-Infinity",
                _ => "NaN",
            });
        }
        if (1e-6..1e21).contains(&size) {
            return write!(out, "{number}");
        }
        let mut text = Digits::default();
        write!(text, "{number:e}")?;
        match text.as_str().split_once('e') {
            Some((digits, power)) if !power.starts_with('-') => write!(out, "{digits}e+{power}"),
            _ => out.write_str(text.as_str()),
        }
    }
}

/// The text of one printed number, on the stack.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Digits {
    bytes: [u8; 32],
    length: usize,
}

impl Digits {
    /// A number as JavaScript prints it, which takes 25 characters at most.
    pub(crate) fn of(number: f64) -> Self {
        let mut digits = Self::default();
        // Never too long, so it cannot fail.
        let _ = write!(digits, "{}", Printed(number));
        digits
    }

    pub(crate) fn as_str(&self) -> &str {
        std::str::from_utf8(&self.bytes[..self.length]).unwrap_or_default()
    }
}

impl Write for Digits {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let end = self.length + text.len();
        let place = self.bytes.get_mut(self.length..end).ok_or(fmt::Error)?;
        place.copy_from_slice(text.as_bytes());
        self.length = end;
        Ok(())
    }
}

/// JavaScript's `Number(text)`. Rust's parser alone would take "inf" and "nan".
pub(crate) fn number(text: &str) -> f64 {
    let text = text.trim();
    if text.is_empty() {
        return 0.0;
    }
    match text {
        "Infinity" | "+Infinity" => return f64::INFINITY,
        "-Infinity" => return f64::NEG_INFINITY,
        _ => {}
    }
    for (prefixes, radix) in [(["0x", "0X"], 16), (["0o", "0O"], 8), (["0b", "0B"], 2)] {
        if let Some(digits) = prefixes.iter().find_map(|prefix| text.strip_prefix(prefix)) {
            return in_radix(digits, radix);
        }
    }
    if text.bytes().any(|byte| !matches!(byte, b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E')) {
        return f64::NAN;
    }
    text.parse().unwrap_or(f64::NAN)
}

fn in_radix(digits: &str, radix: u32) -> f64 {
    if digits.is_empty() {
        return f64::NAN;
    }
    digits
        .chars()
        .try_fold(0.0, |number, digit| {
            Some(number * f64::from(radix) + f64::from(digit.to_digit(radix)?))
        })
        .unwrap_or(f64::NAN)
}

/// JavaScript's `parseFloat(text)`: the number that the text begins with.
pub(crate) fn leading_number(text: &str) -> f64 {
    let text = text.trim_start();
    let bytes = text.as_bytes();
    let sign = usize::from(bytes.first().is_some_and(|byte| matches!(byte, b'+' | b'-')));
    if text[sign..].starts_with("Infinity") {
        return if bytes[0] == b'-' { f64::NEG_INFINITY } else { f64::INFINITY };
    }
    let digits_from =
        |at: usize| bytes[at..].iter().take_while(|byte| byte.is_ascii_digit()).count();
    let whole = digits_from(sign);
    let mut end = sign + whole;
    let mut fraction = 0;
    if bytes.get(end) == Some(&b'.') {
        fraction = digits_from(end + 1);
        if whole + fraction > 0 {
            end += 1 + fraction;
        }
    }
    if whole + fraction == 0 {
        return f64::NAN;
    }
    if bytes.get(end).is_some_and(|byte| matches!(byte, b'e' | b'E')) {
        let sign = usize::from(bytes.get(end + 1).is_some_and(|byte| matches!(byte, b'+' | b'-')));
        let power = digits_from((end + 1 + sign).min(bytes.len()));
        if power > 0 {
            end += 1 + sign + power;
        }
    }
    text[..end].parse().unwrap_or(f64::NAN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_printed_as_javascript_does() {
        for (number, expect) in [
            (0.0, "0"),
            (-0.0, "0"),
            (1.0, "1"),
            (-2.5, "-2.5"),
            (0.1, "0.1"),
            (0.000_001, "0.000001"),
            (0.000_000_1, "1e-7"),
            (1e20, "100000000000000000000"),
            (1e21, "1e+21"),
            (1.5e300, "1.5e+300"),
            (f64::INFINITY, "Infinity"),
            (f64::NEG_INFINITY, "-Infinity"),
            (f64::NAN, "NaN"),
            (-f64::MAX, "-1.7976931348623157e+308"),
            (-2.225_073_858_507_201_4e-308, "-2.2250738585072014e-308"),
            (-123_456_789_012_345_680_000.0, "-123456789012345680000"),
            (-0.000_001_234_567_890_123_456_7, "-0.0000012345678901234567"),
        ] {
            assert_eq!(Printed(number).to_string(), expect);
            assert_eq!(Digits::of(number).as_str(), expect);
        }
    }

    #[test]
    fn text_is_a_number_as_a_whole() {
        for (text, expect) in [
            (" 42 ", 42.0),
            ("-1e2", -100.0),
            ("", 0.0),
            ("0x1F", 31.0),
            ("0b101", 5.0),
            ("0o17", 15.0),
            (".5", 0.5),
            ("5.", 5.0),
            ("-Infinity", f64::NEG_INFINITY),
        ] {
            assert_eq!(number(text), expect, "{text:?}");
        }
        for text in ["inf", "nan", "12px", "1 2", "e", "0x", "0xg", "-", "infinity"] {
            assert!(number(text).is_nan(), "{text:?}");
        }
    }

    #[test]
    fn text_begins_with_a_number() {
        for (text, expect) in [
            (" 3.25abc", 3.25),
            ("-2", -2.0),
            ("+.5.5", 0.5),
            ("1e3", 1000.0),
            ("1e", 1.0),
            ("1e+", 1.0),
            ("7.", 7.0),
            ("1e-2x", 0.01),
            ("-Infinityx", f64::NEG_INFINITY),
        ] {
            assert_eq!(leading_number(text), expect, "{text:?}");
        }
        for text in ["", ".", "-", "abc", "+.e1", "é1"] {
            assert!(leading_number(text).is_nan(), "{text:?}");
        }
    }
}
