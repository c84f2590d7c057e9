//! What a look at the mapping shows, as plain values.

use super::MappingText;

/// What is known of the mapping and of the values that it converts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MappingSurvey {
    /// What the parser makes of it; `None` where it was not parsed.
    pub text: Option<MappingText>,
    /// Columns of Legacy by name, the generated and the invisible ones too.
    pub legacy_columns: Vec<String>,
    /// What the catalog says of functions whose names the mapping uses.
    pub functions: Vec<FunctionFacts>,
    /// What trying it on rows showed; `None` where it was not tried.
    pub trial: Option<Trial>,
    /// Columns whose value may change when New stores it.
    pub conversions: Vec<Conversion>,
    /// Key values of an unexpected storage class.
    pub odd_keys: Vec<OddKeys>,
}

/// How a function's result depends on more than its arguments.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Volatility {
    /// It does not.
    Immutable,
    /// It may differ between statements: it reads tables or settings.
    Stable,
    /// It may differ between two calls.
    Volatile,
}

/// A function, as the catalog shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FunctionFacts {
    /// Its name in lower case.
    pub name: String,
    /// Its schema, where the function is not the engine's own.
    pub schema: Option<String>,
    /// Its volatility; of several of the same name the most volatile.
    pub volatility: Volatility,
    /// Whether it is an aggregate.
    pub aggregate: bool,
    /// Whether it returns several rows.
    pub returns_set: bool,
}

/// What the mapping made of a sample of rows: each alone, in small batches, and all at once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trial {
    /// Number of rows that were tried.
    pub rows: u64,
    /// Of these, rows that the mapping fails on.
    pub failing: u64,
    /// Keys whose mapped row differs from one statement to the next.
    pub unstable: Sample,
    /// Keys whose mapped row depends on which other rows are mapped with it.
    pub dependent: Sample,
    /// Legacy keys whose mapped row has another key.
    pub rekeyed: Sample,
    /// Keys for which the mapping yields several rows.
    pub several: Sample,
}

/// Keys that show something: their number, some of them, and the columns that differ.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sample {
    /// How many.
    pub count: u64,
    /// The first few, as texts.
    pub keys: Vec<String>,
    /// Output columns that differ, where columns are compared.
    pub columns: Vec<String>,
}

impl Sample {
    /// How many keys are kept as examples.
    const EXAMPLES: usize = 5;

    /// Adds a key.
    pub fn add(&mut self, key: impl Into<String>) {
        self.count += 1;
        if self.keys.len() < Self::EXAMPLES {
            self.keys.push(key.into());
        }
    }

    /// Adds a column that differs.
    pub fn add_column(&mut self, column: &str) {
        if !self.columns.iter().any(|known| known == column) {
            self.columns.push(column.to_owned());
        }
    }
}

/// A mapped column whose type is not New's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conversion {
    /// New's column.
    pub column: String,
    /// The type that the mapping yields, on SQLite its affinity; `None` where it could not be found
    /// out.
    pub from: Option<String>,
    /// New's type.
    pub to: String,
    /// Rows whose value changes when New stores it.
    pub changed: u64,
    /// Rows that were looked at.
    pub examined: u64,
    /// Whether these are all of Legacy's rows that could be converted.
    pub whole: bool,
}

/// Key values that are not of the storage class that the column's type promises.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OddKeys {
    /// `Legacy` or `New`.
    pub side: &'static str,
    /// The key column.
    pub column: String,
    /// Its declared type.
    pub declared: String,
    /// The storage class, as `typeof` names it.
    pub class: String,
    /// Number of rows.
    pub rows: u64,
}
