//! Deterministic CBOR (RFC 8949, section 4.2.1), written piece by piece into a hash.

use crate::{murmur::Murmur3, val::Val};

const UNSIGNED: u8 = 0;
const NEGATIVE: u8 = 1;
const TEXT: u8 = 3;
const ARRAY: u8 = 4;
const MAP: u8 = 5;

/// The deepest nesting of arrays and objects that is hashed.
const MAX_DEPTH: usize = 128;

/// Writes an array's head; its items are to follow.
pub(crate) fn array(out: &mut Murmur3, items: usize) {
    head(out, ARRAY, items as u64);
}

pub(crate) fn text(out: &mut Murmur3, text: &str) {
    text_head(out, text.len());
    out.write(text.as_bytes());
}

/// Writes a text's head; so many bytes are to follow.
pub(crate) fn text_head(out: &mut Murmur3, bytes: usize) {
    head(out, TEXT, bytes as u64);
}

/// Writes an integer of at most 64 bits.
pub(crate) fn integer(out: &mut Murmur3, number: i128) {
    match u64::try_from(number) {
        Ok(number) => head(out, UNSIGNED, number),
        Err(_) => head(out, NEGATIVE, (-1 - number) as u64),
    }
}

/// Writes any value. `None` when it holds a number that is neither finite nor `null`, or is nested
/// too deeply.
pub(crate) fn value(out: &mut Murmur3, value: &Val<'_>) -> Option<()> {
    nested(out, value, 0)
}

fn nested(out: &mut Murmur3, value: &Val<'_>, depth: usize) -> Option<()> {
    if depth > MAX_DEPTH {
        return None;
    }
    match value {
        Val::Null => out.write(&[0xf6]),
        Val::Bool(false) => out.write(&[0xf4]),
        Val::Bool(true) => out.write(&[0xf5]),
        Val::Number(number) => float(out, *number)?,
        Val::Text(content) => text(out, content),
        Val::Json(_) | Val::List(_) | Val::Object(_) => {
            if let Some(items) = value.items() {
                array(out, value.len());
                for item in items {
                    nested(out, &item, depth + 1)?;
                }
            }
            if let Some(members) = value.members() {
                let mut members: Vec<_> = members.collect();
                // By the encoded name: shorter ones have the smaller head.
                members.sort_by(|(a, _), (b, _)| (a.len(), a).cmp(&(b.len(), b)));
                head(out, MAP, members.len() as u64);
                for (name, member) in &members {
                    text(out, name);
                    nested(out, member, depth + 1)?;
                }
            }
        }
    }
    Some(())
}

/// Writes a number: as an integer when it is one, else as the shortest float that holds it.
fn float(out: &mut Murmur3, number: f64) -> Option<()> {
    if let Some(number) = crate::val::integral(number) {
        integer(out, number);
        return Some(());
    }
    if !number.is_finite() {
        return None;
    }
    let single = number as f32;
    match half(single) {
        Some(half) if f64::from(single) == number => {
            out.write(&[0xf9]);
            out.write(&half.to_be_bytes());
        }
        _ if f64::from(single) == number => {
            out.write(&[0xfa]);
            out.write(&single.to_be_bytes());
        }
        _ => {
            out.write(&[0xfb]);
            out.write(&number.to_be_bytes());
        }
    }
    Some(())
}

/// The bits of the half-precision float that equals a finite number; `None` when none does.
fn half(number: f32) -> Option<u16> {
    let bits = number.to_bits();
    let sign = (bits >> 16) as u16 & 0x8000;
    let exponent = ((bits >> 23) & 0xff) as i32 - 127;
    let fraction = bits & 0x7f_ffff;
    match exponent {
        -14..=15 if fraction.trailing_zeros() >= 13 => {
            Some(sign | (((exponent + 15) as u16) << 10) | (fraction >> 13) as u16)
        }
        // A half is subnormal below 2^-14: the fraction with its leading one, in units of 2^-24.
        -24..=-15 => {
            let (units, shift) = (fraction | 0x80_0000, (-1 - exponent) as u32);
            (units.trailing_zeros() >= shift).then(|| sign | (units >> shift) as u16)
        }
        _ => None,
    }
}

/// The first byte of an item with its argument in the fewest bytes.
fn head(out: &mut Murmur3, major: u8, argument: u64) {
    let major = major << 5;
    match argument {
        0..24 => out.write(&[major | argument as u8]),
        24..0x100 => out.write(&[major | 24, argument as u8]),
        0x100..0x1_0000 => {
            out.write(&[major | 25]);
            out.write(&(argument as u16).to_be_bytes());
        }
        0x1_0000..0x1_0000_0000 => {
            out.write(&[major | 26]);
            out.write(&(argument as u32).to_be_bytes());
        }
        _ => {
            out.write(&[major | 27]);
            out.write(&argument.to_be_bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    /// Compares the hash with that of the bytes that RFC 8949 gives in its appendix A.
    #[track_caller]
    fn check(input: Value, bytes: &[u8]) {
        let (mut found, mut expect) = (Murmur3::default(), Murmur3::default());
        value(&mut found, &Val::from(&input)).unwrap();
        expect.write(bytes);
        assert_eq!(found.finish(), expect.finish(), "{input}");
    }

    #[test]
    fn examples_of_the_rfc() {
        check(json!(0), &[0x00]);
        check(json!(23), &[0x17]);
        check(json!(24), &[0x18, 0x18]);
        check(json!(1000), &[0x19, 0x03, 0xe8]);
        check(json!(1_000_000), &[0x1a, 0x00, 0x0f, 0x42, 0x40]);
        check(json!(1_000_000_000_000_u64), &[0x1b, 0, 0, 0, 0xe8, 0xd4, 0xa5, 0x10, 0]);
        check(json!(-1), &[0x20]);
        check(json!(-1000), &[0x39, 0x03, 0xe7]);
        check(json!(1.1), &[0xfb, 0x3f, 0xf1, 0x99, 0x99, 0x99, 0x99, 0x99, 0x9a]);
        check(json!(1.5), &[0xf9, 0x3e, 0x00]);
        check(json!(5.960_464_477_539_063e-8), &[0xf9, 0x00, 0x01]);
        check(json!(0.000_061_035_156_25), &[0xf9, 0x04, 0x00]);
        check(json!(100_000.5), &[0xfa, 0x47, 0xc3, 0x50, 0x40]);
        check(json!(1.0e300), &[0xfb, 0x7e, 0x37, 0xe4, 0x3c, 0x88, 0x00, 0x75, 0x9c]);
        check(json!(-4.1), &[0xfb, 0xc0, 0x10, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66]);
        check(json!(false), &[0xf4]);
        check(json!(true), &[0xf5]);
        check(json!(null), &[0xf6]);
        check(json!(""), &[0x60]);
        check(json!("IETF"), &[0x64, 0x49, 0x45, 0x54, 0x46]);
        check(json!("水"), &[0x63, 0xe6, 0xb0, 0xb4]);
        check(json!([]), &[0x80]);
        check(json!([1, [2, 3]]), &[0x82, 0x01, 0x82, 0x02, 0x03]);
        let map = [0xa2, 0x61, 0x61, 0x01, 0x62, 0x61, 0x61, 0x82, 0x02, 0x03];
        check(json!({"aa": [2, 3], "a": 1}), &map);
    }

    #[test]
    fn numbers_that_are_equal_hash_alike() {
        check(json!(1.0), &[0x01]);
        check(json!(-0.0), &[0x00]);
        check(json!(1e19), &[0x1b, 0x8a, 0xc7, 0x23, 0x04, 0x89, 0xe8, 0, 0]);
    }

    #[test]
    fn what_has_no_encoding_is_refused() {
        let mut out = Murmur3::default();
        assert_eq!(value(&mut out, &Val::Number(f64::NAN)), None);
        assert_eq!(value(&mut out, &Val::list(vec![Val::Number(f64::INFINITY)])), None);
    }
}
