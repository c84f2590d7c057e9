//! Validated names. Whatever ends up inside an SQL statement as an identifier passes through here.

use std::fmt;
use std::str::FromStr;

/// Longest identifier PostgreSQL keeps whole.
const MAX_LENGTH: usize = 63;

/// Longest migration name; `crossfade_fence_` stands before it.
const MAX_MIGRATION: usize = MAX_LENGTH - "crossfade_fence_".len();

/// A name that was refused, with the reason.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{name}` is not a valid {what}: {reason}")]
pub struct NameError {
    /// What the name was meant to be, such as "table name".
    pub what: &'static str,
    /// The offending text.
    pub name: String,
    /// Why it is refused.
    pub reason: &'static str,
}

fn check(what: &'static str, name: &str, lower_only: bool) -> Result<(), NameError> {
    let refuse = |reason| Err(NameError { what, name: name.to_owned(), reason });
    let Some(first) = name.chars().next() else { return refuse("it is empty") };
    if name.len() > MAX_LENGTH {
        return refuse("it is longer than 63 bytes");
    }
    let letter =
        |c: char| if lower_only { c.is_ascii_lowercase() } else { c.is_ascii_alphabetic() };
    if !(letter(first) || first == '_') {
        return refuse("it must begin with a letter or an underscore");
    }
    if !name.chars().all(|c| letter(c) || c.is_ascii_digit() || c == '_') {
        return refuse("only letters, digits and underscores are allowed");
    }
    Ok(())
}

macro_rules! text_newtype {
    ($(#[$doc:meta])* $name:ident, $check:expr) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(String);

        impl $name {
            /// The text of the name.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = NameError;

            fn from_str(text: &str) -> Result<Self, NameError> {
                let check: fn(&str) -> Result<(), NameError> = $check;
                check(text)?;
                Ok(Self(text.to_owned()))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }
    };
}

text_newtype! {
    /// Name of a migration: lower-case letters, digits and underscores, at most 47 bytes, so that
    /// the names of what belongs to it stay within an identifier's 63.
    ///
    /// It is not a table name, though the two are often alike.
    MigrationName, |text| {
        check("migration name", text, true)?;
        if text.len() > MAX_MIGRATION {
            let (name, reason) = (text.to_owned(), "it is longer than 47 bytes");
            return Err(NameError { what: "migration name", name, reason });
        }
        Ok(())
    }
}

text_newtype! {
    /// A single SQL identifier: ASCII letters, digits and underscores, at most 63 bytes.
    Identifier, |text| check("identifier", text, false)
}

text_newtype! {
    /// Key of a feature flag. Not an SQL identifier: dots and dashes are allowed.
    FlagKey, |text| {
        let reason = if text.is_empty() {
            "it is empty"
        } else if text.len() > 200 {
            "it is longer than 200 bytes"
        } else if !text.chars().all(|c| c.is_ascii_alphanumeric() || "_-.:/".contains(c)) {
            "only letters, digits and _ - . : / are allowed"
        } else {
            return Ok(());
        };
        Err(NameError { what: "flag key", name: text.to_owned(), reason })
    }
}

/// A table, optionally qualified by its schema.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TableName {
    /// The schema (in MariaDB: the database), where the manifest names one.
    pub schema: Option<Identifier>,
    /// The table itself.
    pub name: Identifier,
}

impl FromStr for TableName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let named = |part: &str| {
            part.parse::<Identifier>().map_err(|error| NameError {
                what: "table name",
                name: text.to_owned(),
                ..error
            })
        };
        Ok(match text.split_once('.') {
            Some((schema, name)) => Self { schema: Some(named(schema)?), name: named(name)? },
            None => Self { schema: None, name: named(text)? },
        })
    }
}

impl fmt::Display for TableName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(schema) = &self.schema {
            write!(f, "{schema}.")?;
        }
        write!(f, "{}", self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers() {
        for good in ["users", "_x", "Users2"] {
            assert!(good.parse::<Identifier>().is_ok(), "{good}");
        }
        for bad in ["", "users\"; drop table x;--", "1a", "a b", "é", &"a".repeat(64)] {
            assert!(bad.parse::<Identifier>().is_err(), "{bad}");
            assert!(bad.parse::<MigrationName>().is_err(), "{bad}");
        }
    }

    #[test]
    fn table_names() {
        let table: TableName = "app.users".parse().unwrap();
        assert_eq!(table.to_string(), "app.users");
        assert!("a.b.c".parse::<TableName>().is_err());
        assert!(".users".parse::<TableName>().is_err());
        let error = "users\"; drop table x;--".parse::<TableName>().unwrap_err();
        assert!(error.to_string().contains("table name"), "{error}");
    }
}
