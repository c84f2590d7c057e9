//! What a parser makes of a mapping, as plain values.

/// A mapping as the parser read it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MappingText {
    /// It was read.
    Parsed(ParsedMapping),
    /// The parser could not read it, which says nothing about the database.
    Unparsed {
        /// What the parser answers.
        reason: String,
        /// Words in front of parentheses, which may be calls.
        calls: Vec<Call>,
    },
}

/// What a mapping is made of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ParsedMapping {
    /// Constructs whose result a row of Legacy alone does not decide, or that have no place in a
    /// mapping.
    pub constructs: Vec<Construct>,
    /// Function calls, in the order of the text.
    pub calls: Vec<Call>,
    /// Tables other than the batch of Legacy rows: Legacy itself with its schema too.
    pub other_tables: Vec<OtherTable>,
    /// Names that may be columns of Legacy, in lower case.
    pub reads: Vec<String>,
    /// Whether it reads every column, as `select *` does.
    pub reads_all: bool,
    /// Its output columns that have a name.
    pub outputs: Vec<Output>,
}

/// A place in the mapping: line and column, both from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The line.
    pub line: u64,
    /// The column, in characters.
    pub column: u64,
}

/// A construct and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Construct {
    /// Which.
    pub kind: ConstructKind,
    /// Where, as far as the parser knows.
    pub place: Option<Place>,
}

/// Constructs that need more than one row, or that no mapping may have. Those that need several rows
/// are listed only where the rows are those of the batch: in a subquery over another table alone
/// they depend on the row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ConstructKind {
    /// `group by` or `having`.
    GroupBy,
    /// An aggregate function.
    Aggregate,
    /// A window function, or a `window` clause.
    Window,
    /// `limit`, `offset` or `fetch`.
    Limit,
    /// `distinct` or `distinct on`.
    Distinct,
    /// `union`, `intersect` or `except`, other than `union all`.
    SetOperation,
    /// A second mention of Legacy by its bare name, in the same `from` or in a subquery.
    SecondMention,
    /// An outer join that yields rows for which Legacy has none in the batch.
    OuterJoin,
    /// A recursive query over the batch.
    Recursion,
    /// `tablesample`.
    TableSample,
    /// `for update`, `for share`.
    Locking,
    /// `into`.
    Into,
    /// A variable of the session, such as `@a` or `@@sql_mode`.
    Variable,
    /// A date that names the present: `'now'`, `'today'`.
    Present,
    /// `||` where the engine's settings decide what it means.
    Pipes,
}

/// A function call.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Call {
    /// The schema it is qualified with.
    pub schema: Option<String>,
    /// Its name in lower case.
    pub name: String,
    /// Number of arguments.
    pub arguments: usize,
    /// Texts among its arguments, in lower case.
    pub texts: Vec<String>,
    /// Whether it stands in the select list of a query over the batch.
    pub in_select_list: bool,
    /// Whether it stands in a query over the batch, so that an aggregate would see the batch.
    pub over_batch: bool,
    /// Where, as far as the parser knows.
    pub place: Option<Place>,
}

/// A table that the mapping reads besides the batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OtherTable {
    /// Its name as written.
    pub name: String,
    /// Whether it is Legacy, qualified with a schema.
    pub is_legacy: bool,
    /// Where, as far as the parser knows.
    pub place: Option<Place>,
}

/// An output column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Output {
    /// Its name in lower case.
    pub name: String,
    /// Where its value comes from.
    pub source: Source,
}

/// Where the value of an output column comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// A column of Legacy as it is, by its name in lower case.
    Column(String),
    /// An explicit cast, to this type.
    Cast(String),
    /// `at time zone`, which names the zone.
    AtTimeZone,
    /// Any other expression.
    Expression,
}

impl ParsedMapping {
    /// Where the output column of this name comes from.
    #[must_use]
    pub fn source(&self, output: &str) -> Option<&Source> {
        let named = self.outputs.iter().find(|found| found.name.eq_ignore_ascii_case(output));
        named.map(|found| &found.source)
    }
}

impl ConstructKind {
    /// The words by which a finding names it.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::GroupBy => "`group by`",
            Self::Aggregate => "an aggregate",
            Self::Window => "a window function",
            Self::Limit => "`limit`",
            Self::Distinct => "`distinct`",
            Self::SetOperation => "a set operation other than `union all`",
            Self::SecondMention => "a second mention of Legacy",
            Self::OuterJoin => "an outer join",
            Self::Recursion => "a recursive query",
            Self::TableSample => "`tablesample`",
            Self::Locking => "a locking clause",
            Self::Into => "`into`",
            Self::Variable => "a variable of the session",
            Self::Present => "a date that names the present",
            Self::Pipes => "`||`",
        }
    }

    /// What to write instead.
    #[must_use]
    pub const fn instead(self) -> &'static str {
        match self {
            Self::GroupBy | Self::Aggregate => {
                "compute it in a subquery over the table that is aggregated, correlated by the row; \
                 over Legacy itself, name Legacy with its schema there"
            }
            Self::Window => {
                "store the number in a column of Legacy first, or compute it in a subquery over \
                 Legacy named with its schema"
            }
            Self::Limit => "choose the rows with `where`",
            Self::Distinct | Self::SetOperation => {
                "choose the rows with `where`, and join several selects with `union all`"
            }
            Self::SecondMention => {
                "name Legacy with its schema there: it then sees the whole table, not the batch"
            }
            Self::OuterJoin => "let Legacy be the side whose rows are all kept",
            Self::Recursion => "recurse in a subquery over Legacy named with its schema",
            Self::TableSample | Self::Locking | Self::Into => "leave it out",
            Self::Variable => "write the value itself",
            Self::Present => "write the date itself, or a column of Legacy",
            Self::Pipes => "write `concat(…)`",
        }
    }
}
