//! What comparing a row of Legacy with its row of New can find.

/// What a comparison of two answers found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Comparison {
    /// They say the same.
    Equal,
    /// They do not, in these fields.
    Different(Vec<FieldDifference>),
    /// They could not be compared, for this reason. Nothing is counted against New.
    Impossible(String),
}

impl Comparison {
    /// A comparison that found these differences; none of them means equal.
    #[must_use]
    pub fn of(differences: impl IntoIterator<Item = FieldDifference>) -> Self {
        let differences: Vec<_> = differences.into_iter().collect();
        if differences.is_empty() { Self::Equal } else { Self::Different(differences) }
    }
}

/// A field that differs, with what may be told of its values. They are kept in memory, and shown by
/// whatever asks for mismatches, so they are redacted unless the application reveals them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldDifference {
    /// The field, with dots and indexes where it lies deeper: `address.city`, `tags[2]`.
    pub field: String,
    /// What may be told of Legacy's value, such as `text of 12 characters`.
    pub legacy: String,
    /// What may be told of New's value.
    pub new: String,
}

impl FieldDifference {
    /// A difference of which the name alone is told.
    #[must_use]
    pub fn named(field: impl Into<String>) -> Self {
        Self::described(field, "redacted", "redacted")
    }

    /// A difference with words about both values. What they tell is the caller's decision.
    #[must_use]
    pub fn described(
        field: impl Into<String>,
        legacy: impl Into<String>,
        new: impl Into<String>,
    ) -> Self {
        Self { field: field.into(), legacy: legacy.into(), new: new.into() }
    }
}

/// Compares as `==` does; a difference is one of the whole `value`.
#[must_use]
pub fn by_equality<T: PartialEq + ?Sized>(legacy: &T, new: &T) -> Comparison {
    Comparison::of((legacy != new).then(|| FieldDifference::named("value")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equality_names_no_values() {
        assert_eq!(by_equality("a", "a"), Comparison::Equal);
        let found = by_equality("secret", "other");
        assert_eq!(found, Comparison::Different(vec![FieldDifference::named("value")]));
        assert!(!format!("{found:?}").contains("secret"));
    }
}
