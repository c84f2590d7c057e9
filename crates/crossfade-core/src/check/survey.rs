//! What a database shows of a migration, as plain values.

use super::MappingSurvey;
use crate::Side;

/// Everything that the checks look at. An adapter fills it; a field that the engine has no notion of
/// stays empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Survey {
    /// The engine's name as in `expand.NAME.sql`.
    pub engine: &'static str,
    /// Legacy; `None` where the table does not exist.
    pub legacy: Option<SideSurvey>,
    /// New; `None` where the table does not exist, nor could be made for the look.
    pub new: Option<SideSurvey>,
    /// The mapping, and the values that it converts.
    pub mapping: MappingSurvey,
    /// What the look could not see, one fragment each.
    pub unseen: Vec<String>,
}

/// What is known of one side's table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SideSurvey {
    /// Schema and table as statements name them, quoted where needed.
    pub table: String,
    /// Its owner as grants name it; empty where tables have none.
    pub owner: String,
    /// What refers to it.
    pub dependents: Vec<Dependent>,
    /// Triggers on it, without Crossfade's own.
    pub triggers: Vec<Trigger>,
    /// Sequences and counters that give its columns values.
    pub sequences: Vec<SequenceUse>,
    /// Rights on it, without its owner's.
    pub grants: Vec<Grant>,
    /// Publications that it is part of.
    pub publications: Vec<Publication>,
    /// Whether updates and deletes on it are refused for lack of a replica identity.
    pub lacks_replica_identity: bool,
    /// Row-level policies on it, by name.
    pub policies: Vec<String>,
    /// Whether row-level security is enabled on it.
    pub row_security: bool,
    /// Whether a crash of the server empties it.
    pub unlogged: bool,
    /// Tables that inherit from it other than as partitions.
    pub heirs: Vec<String>,
    /// Tables that it inherits from other than as a partition.
    pub ancestors: Vec<String>,
    /// Rewrite rules on it, by name.
    pub rules: Vec<String>,
    /// Whether it is partitioned and has no default partition.
    pub partitions_without_default: bool,
}

/// What kind of object refers to a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DependentKind {
    /// A foreign key of another table.
    ForeignKey,
    /// A view.
    View,
    /// A materialized view.
    MaterializedView,
    /// A function, procedure or event whose body names it.
    Routine,
    /// A trigger on another table whose body names it.
    Trigger,
    /// A policy on another table.
    Policy,
    /// Something else that the catalog records, such as a column of the table's row type.
    Other,
}

impl DependentKind {
    /// The noun, as in `the view names`.
    #[must_use]
    pub const fn noun(self) -> &'static str {
        match self {
            Self::ForeignKey => "foreign key",
            Self::View => "view",
            Self::MaterializedView => "materialized view",
            Self::Routine => "routine",
            Self::Trigger => "trigger",
            Self::Policy => "policy",
            Self::Other => "object",
        }
    }
}

/// An object that refers to a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dependent {
    /// Its kind.
    pub kind: DependentKind,
    /// Its name; a foreign key's with the table that has it: `orders.orders_user_id_fkey`.
    pub name: String,
    /// The table that a foreign key, trigger or policy belongs to.
    pub on_table: Option<String>,
    /// What happens to the referring rows when a row of the table goes, as the engine words it:
    /// `cascade`, `set null`.
    pub on_delete: Option<String>,
    /// Whether the catalog records it. Otherwise its text was found to name the table.
    pub recorded: bool,
    /// Statements that lead it over to New, where they can be written.
    pub move_to_new: Vec<String>,
}

/// A trigger of the application's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trigger {
    /// Its name.
    pub name: String,
    /// When it fires, in lower case: `before insert or update`.
    pub when: String,
    /// Whether it can change the row that is written, or the table itself.
    pub may_change_row: bool,
    /// Whether it is enabled.
    pub enabled: bool,
}

/// A counter that gives a column its values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SequenceUse {
    /// The sequence, or the table's own counter.
    pub sequence: String,
    /// The column.
    pub column: String,
    /// The next value that it gives, as a number.
    pub next: i128,
    /// The greatest value in the column, or in the key column of Legacy that it is mapped from;
    /// `None` while both are empty.
    pub greatest: Option<i128>,
    /// Whether the counter counts downwards.
    pub descending: bool,
    /// The side whose table owns it, so that it is dropped with that table.
    pub owned_by: Option<Side>,
    /// Columns of further tables that use it.
    pub shared_with: Vec<String>,
    /// The statement that moves it beyond the greatest value of both sides.
    pub advance: String,
    /// The statement that makes New its owner, where Legacy is.
    pub take_over: Option<String>,
}

/// A right that a role has on a table.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Grant {
    /// The role or account as statements name it.
    pub grantee: String,
    /// The right in lower case: `select`.
    pub right: String,
}

/// A publication and what it publishes of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Publication {
    /// Its name, quoted where needed.
    pub name: String,
    /// Whether it publishes every table, so that New is part of it by itself.
    pub all_tables: bool,
    /// Whether it publishes updates or deletes.
    pub updates: bool,
}
