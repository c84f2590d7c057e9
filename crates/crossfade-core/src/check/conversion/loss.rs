//! What a conversion from one type to another can lose, by the types' names.

/// What a conversion can lose.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Loss {
    /// The moment that a value means: it goes from a type without a time zone to one with it, or
    /// back.
    Zone,
    /// Part of the value, without an error.
    Silent(&'static str),
    /// Nothing: New refuses the values that do not fit.
    Refused(&'static str),
}

/// A type by what it can hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// Bytes and whether it is unsigned.
    Integer(u32, bool),
    /// Precision and scale; `None` without bound.
    Decimal(Option<(u32, u32)>),
    Float4,
    Float8,
    /// The greatest length; `None` without bound.
    Text(Option<u32>),
    /// Padded with blanks.
    Char(u32),
    Bytes,
    Date,
    /// Digits of a second's fraction.
    Time(u32),
    TimeZoned(u32),
    Timestamp(u32),
    TimestampZoned(u32),
    Interval,
    Bool,
    Json,
    Jsonb,
    /// SQLite's numeric affinity.
    Numeric,
    Other,
}

/// What storing a value of type `from` in a column of type `to` can lose; `None` where it loses
/// nothing, or where that is not known from the names.
#[must_use]
pub fn loss(engine: &str, from: &str, to: &str) -> Option<Loss> {
    use Kind::*;
    let (from, to) = (kind(engine, from), kind(engine, to));
    let silent = |what| Some(Loss::Silent(what));
    let refused = |what| Some(Loss::Refused(what));
    match (from, to) {
        (Integer(a, u), Integer(b, v)) => {
            let fits = b >= a && u == v || u && !v && b > a;
            if fits || engine == "sqlite" { None } else { refused("range") }
        }
        (Integer(bytes, _), Float4) if bytes > 2 => silent("digits"),
        (Integer(bytes, _), Float8) if bytes > 4 && engine != "sqlite" => silent("digits"),
        (Integer(..), Bool) => silent("every value but 0 and 1"),
        (Integer(bytes, _), Decimal(Some((q, t)))) => {
            (q.saturating_sub(t) < digits(bytes)).then_some(Loss::Refused("range"))
        }
        (Decimal(Some((p, 0))), Integer(bytes, _)) => {
            (p >= digits(bytes)).then_some(Loss::Refused("range"))
        }
        (Decimal(_), Integer(..)) => silent("digits after the point"),
        (Decimal(None), Decimal(Some(_))) => silent("scale"),
        (Decimal(Some((p, s))), Decimal(Some((q, t)))) => {
            if t < s {
                silent("scale")
            } else if q.saturating_sub(t) < p.saturating_sub(s) {
                refused("range")
            } else {
                None
            }
        }
        (Decimal(_), Float4 | Float8) if engine != "sqlite" => silent("digits"),
        (Float8, Float4) if engine != "sqlite" => silent("digits"),
        (Float4 | Float8, Integer(..)) => silent("digits after the point"),
        (Float4 | Float8, Decimal(_)) if engine != "sqlite" => silent("digits"),
        (Float4, Text(_) | Char(_)) if engine == "mysql" => silent("digits"),
        (Timestamp(a), Timestamp(b)) | (TimestampZoned(a), TimestampZoned(b)) if b < a => {
            silent("fraction of a second")
        }
        (Time(a), Time(b)) | (TimeZoned(a), TimeZoned(b)) if b < a => {
            silent("fraction of a second")
        }
        (TimestampZoned(_), Timestamp(_) | Date | Time(_))
        | (Timestamp(_) | Date, TimestampZoned(_))
        | (Time(_), TimeZoned(_))
        | (TimeZoned(_), Time(_)) => Some(Loss::Zone),
        (Timestamp(_), Date) => silent("time of day"),
        (Timestamp(_) | TimestampZoned(_), Time(_) | TimeZoned(_)) => silent("date"),
        (Interval, Time(_)) => silent("days"),
        (Json, Jsonb) => silent("order and repetition of keys"),
        (Text(_), Char(_)) => silent("blanks at the end"),
        (Char(a), Char(b)) if b < a => refused("length"),
        (Char(a), Text(Some(b))) if b < a => refused("length"),
        (Text(None), Text(Some(_))) if engine != "sqlite" => refused("length"),
        (Text(Some(a)), Text(Some(b))) if b < a && engine != "sqlite" => refused("length"),
        (
            Text(_) | Char(_),
            Integer(..) | Decimal(_) | Float4 | Float8 | Date | Time(_) | Timestamp(_)
            | TimestampZoned(_),
        ) => silent("spelling"),
        (Text(_) | Char(_), Numeric) => refused("texts that look like numbers"),
        _ => None,
    }
}

/// Whether storing a value of type `from` in a column of type `to` may change it, or have it refused,
/// as far as the names show.
#[must_use]
pub fn may_change(engine: &str, from: &str, to: &str) -> bool {
    let unknown = [from, to].into_iter().any(|name| kind(engine, name) == Kind::Other);
    let same = from.eq_ignore_ascii_case(to) || engine == "sqlite" && same_affinity(from, to);
    !same && (unknown || engine == "sqlite" || loss(engine, from, to).is_some())
}

/// Whether both name one affinity. An expression has none, as the empty name says.
fn same_affinity(from: &str, to: &str) -> bool {
    !from.is_empty() && kind("sqlite", from) == kind("sqlite", to)
}

fn kind(engine: &str, declared: &str) -> Kind {
    let lower = declared.to_lowercase();
    let name = lower.split('(').next().unwrap_or_default().trim().to_owned();
    if engine == "sqlite" {
        return affinity(&lower);
    }
    let numbers = numbers(&lower);
    let first = numbers.first().copied();
    let unsigned = lower.contains("unsigned");
    let zoned = lower.contains("with time zone");
    let by_default = if engine == "postgres" { 6 } else { 0 };
    let fraction = first.unwrap_or(by_default);
    let word = name.split_whitespace().next().unwrap_or_default();
    match word {
        "tinyint" => Kind::Integer(1, unsigned),
        "smallint" | "int2" => Kind::Integer(2, unsigned),
        "mediumint" => Kind::Integer(3, unsigned),
        "int" | "integer" | "int4" => Kind::Integer(4, unsigned),
        "bigint" | "int8" => Kind::Integer(8, unsigned),
        "numeric" | "decimal" => {
            Kind::Decimal(first.map(|digits| (digits, numbers.get(1).copied().unwrap_or(0))))
        }
        "real" | "float4" => Kind::Float4,
        "float" if engine == "mysql" => Kind::Float4,
        "double" | "float8" | "float" => Kind::Float8,
        "character" if name.contains("varying") => Kind::Text(first),
        "varchar" => Kind::Text(first),
        "character" | "char" | "bpchar" => Kind::Char(first.unwrap_or(1)),
        "text" | "citext" | "name" | "tinytext" | "mediumtext" | "longtext" => Kind::Text(None),
        "bytea" | "binary" | "varbinary" | "tinyblob" | "blob" | "mediumblob" | "longblob" => {
            Kind::Bytes
        }
        "date" => Kind::Date,
        "time" if zoned => Kind::TimeZoned(fraction),
        "timetz" => Kind::TimeZoned(fraction),
        "time" => Kind::Time(fraction),
        "timestamptz" => Kind::TimestampZoned(fraction),
        // MariaDB keeps a `timestamp` as a moment and shows it in the session's zone.
        "timestamp" if zoned || engine == "mysql" => Kind::TimestampZoned(fraction),
        "timestamp" | "datetime" => Kind::Timestamp(fraction),
        "interval" => Kind::Interval,
        "boolean" | "bool" => Kind::Bool,
        "json" => Kind::Json,
        "jsonb" => Kind::Jsonb,
        _ => Kind::Other,
    }
}

/// By SQLite's rules.
fn affinity(declared: &str) -> Kind {
    let has = |words: &[&str]| words.iter().any(|word| declared.contains(word));
    if has(&["int"]) {
        Kind::Integer(8, false)
    } else if has(&["char", "clob", "text"]) {
        Kind::Text(None)
    } else if has(&["blob"]) || declared.is_empty() {
        Kind::Bytes
    } else if has(&["real", "floa", "doub"]) {
        Kind::Float8
    } else {
        Kind::Numeric
    }
}

/// The digits of the greatest integer of so many bytes.
const fn digits(bytes: u32) -> u32 {
    match bytes {
        1 => 3,
        2 => 5,
        3 => 8,
        4 => 10,
        _ => 20,
    }
}

/// The numbers between a type's parentheses.
fn numbers(declared: &str) -> Vec<u32> {
    let inside = declared.split_once('(').and_then(|(_, rest)| rest.split_once(')'));
    let inside = inside.map_or("", |(inside, _)| inside);
    inside.split(',').map_while(|number| number.trim().parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(engine: &str, pairs: &[(&str, &str, Option<Loss>)]) {
        for (from, to, expected) in pairs {
            assert_eq!(loss(engine, from, to), *expected, "{engine}: {from} to {to}");
        }
    }

    #[test]
    fn on_postgres() {
        use Loss::{Refused, Silent, Zone};
        check(
            "postgres",
            &[
                ("numeric(10,2)", "integer", Some(Silent("digits after the point"))),
                ("numeric(12,4)", "numeric(12,2)", Some(Silent("scale"))),
                ("numeric(12,2)", "numeric(12,4)", Some(Refused("range"))),
                ("numeric(12,2)", "numeric(14,4)", None),
                ("integer", "numeric(12,2)", None),
                ("integer", "numeric(10,2)", Some(Refused("range"))),
                ("numeric(9)", "integer", None),
                ("numeric(10)", "integer", Some(Refused("range"))),
                ("numeric", "numeric(12,2)", Some(Silent("scale"))),
                ("double precision", "real", Some(Silent("digits"))),
                ("numeric", "double precision", Some(Silent("digits"))),
                ("integer", "double precision", None),
                ("bigint", "integer", Some(Refused("range"))),
                ("integer", "bigint", None),
                ("timestamp without time zone", "date", Some(Silent("time of day"))),
                (
                    "timestamp without time zone",
                    "timestamp(0) without time zone",
                    Some(Silent("fraction of a second")),
                ),
                ("timestamp without time zone", "timestamp with time zone", Some(Zone)),
                ("timestamp with time zone", "date", Some(Zone)),
                ("text", "character(8)", Some(Silent("blanks at the end"))),
                ("character varying(20)", "character varying(10)", Some(Refused("length"))),
                ("character varying(10)", "text", None),
                ("json", "jsonb", Some(Silent("order and repetition of keys"))),
                ("jsonb", "json", None),
            ],
        );
    }

    #[test]
    fn on_mariadb() {
        use Loss::{Refused, Silent, Zone};
        check(
            "mysql",
            &[
                ("decimal(12,4)", "decimal(12,2)", Some(Silent("scale"))),
                ("datetime(6)", "datetime", Some(Silent("fraction of a second"))),
                ("datetime", "datetime(6)", None),
                ("datetime", "timestamp", Some(Zone)),
                ("varchar(20) collate utf8mb4_bin", "bigint(20)", Some(Silent("spelling"))),
                ("int(10) unsigned", "int(11)", Some(Refused("range"))),
                ("int(10) unsigned", "bigint(20)", None),
                ("double", "float", Some(Silent("digits"))),
            ],
        );
    }

    #[test]
    fn on_sqlite() {
        check(
            "sqlite",
            &[
                ("text", "integer", Some(Loss::Silent("spelling"))),
                ("varchar(20)", "text", None),
                ("text", "uuid", Some(Loss::Refused("texts that look like numbers"))),
                ("integer", "text", None),
                ("integer", "bigint", None),
            ],
        );
    }
}
