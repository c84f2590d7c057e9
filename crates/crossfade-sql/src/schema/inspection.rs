//! Tables and mapping of a definition, looked up once and then judged.

use std::collections::HashSet;

use crossfade_core::{Definition, Identifier, Side};
use crossfade_store::{Problem, StoreError};

use super::mapping::{self, MappingFacts};
use super::table::{ColumnFacts, KeyKind, TableFacts};
use crate::Engine;
use crate::session::Session;
use crate::shape::{MappedColumn, Shape};

/// What the database knows of a definition.
#[derive(Debug)]
pub(crate) struct Inspection<'a> {
    definition: &'a Definition,
    engine: Engine,
    pub(super) legacy: Option<TableFacts>,
    pub(super) new: Option<TableFacts>,
    /// `None` while there is no Legacy to parse it over.
    pub(super) mapping: Option<Result<MappingFacts, Problem>>,
}

impl<'a> Inspection<'a> {
    /// Looks everything up. Takes no lock that a reader would not take.
    pub(crate) async fn new(
        session: &mut Session,
        engine: Engine,
        definition: &'a Definition,
    ) -> Result<Self, StoreError> {
        let legacy = TableFacts::find(session, engine, &definition.legacy.table).await?;
        let new = TableFacts::find(session, engine, &definition.new.table).await?;
        let mapping = match &legacy {
            Some(legacy) => Some(mapping::parse(session, engine, definition, legacy).await?),
            None => None,
        };
        Ok(Self { definition, engine, legacy, new, mapping })
    }

    /// Every reason why statements cannot be built from the definition.
    pub(crate) fn problems(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        let Definition { legacy, new, .. } = self.definition;
        self.judge_side(Side::Legacy, &mut problems);
        self.judge_side(Side::New, &mut problems);
        if legacy.key.len() != new.key.len() {
            problems.push(
                format!(
                    "the keys differ in length: {} column(s) on Legacy, {} on New",
                    legacy.key.len(),
                    new.key.len()
                )
                .into(),
            );
        }
        if let (Some(legacy), Some(new)) = (&self.legacy, &self.new) {
            if legacy.qualified() == new.qualified() {
                problems.push("Legacy and New are the same table".to_owned().into());
            }
            self.judge_key_pairs(legacy, new, &mut problems);
        }
        match (&self.mapping, &self.new) {
            (Some(Err(reason)), _) => problems.push(reason.clone()),
            (Some(Ok(mapping)), Some(new)) => self.judge_columns(mapping, new, &mut problems),
            _ => {}
        }
        problems
    }

    /// What statements are built from, or every reason why they cannot be.
    pub(crate) fn shape(&self) -> Result<Shape, Vec<String>> {
        let problems = self.problems();
        if problems.is_empty() {
            // Where nothing is wrong everything is there.
            self.assemble().ok_or_else(|| vec!["it could not be resolved".to_owned()])
        } else {
            Err(problems.iter().map(ToString::to_string).collect())
        }
    }

    fn assemble(&self) -> Option<Shape> {
        let (legacy, new) = (self.legacy.as_ref()?, self.new.as_ref()?);
        let mapping = self.mapping.as_ref()?.as_ref().ok()?;
        let key: Vec<&str> = self.key_names(new);
        let columns = mapping.columns.iter().map(|mapped| {
            let column = new.column(&mapped.name)?;
            Some(MappedColumn {
                name: new.quote(&column.name),
                cast: column.cast.clone(),
                compared: column.compared,
                collation: column.collation.clone(),
                in_key: key.contains(&column.name.as_str()),
                padded: column.key_kind == Some(KeyKind::PaddedText),
            })
        });
        Some(Shape {
            engine: self.engine,
            legacy: legacy.resolve(&self.definition.legacy.key)?,
            new: new.resolve(&self.definition.new.key)?,
            columns: columns.collect::<Option<_>>()?,
            mapping: mapping.text.clone(),
        })
    }

    /// New's key columns as the catalog spells them.
    fn key_names<'t>(&self, new: &'t TableFacts) -> Vec<&'t str> {
        let key = self.definition.new.key.iter();
        key.filter_map(|part| Some(new.column(part.as_str())?.name.as_str())).collect()
    }

    fn judge_side(&self, side: Side, problems: &mut Vec<Problem>) {
        let (title, named, facts) = match side {
            Side::Legacy => ("Legacy", &self.definition.legacy, &self.legacy),
            Side::New => ("New", &self.definition.new, &self.new),
        };
        let table = &named.table;
        let Some(facts) = facts else {
            let message = format!("{title} table `{table}` does not exist");
            problems.push(missing(side, message));
            return;
        };
        if let Some(instead) = facts.instead {
            problems.push(format!("{title} `{table}` is {instead}, not a table").into());
            return;
        }
        if named.key.is_empty() {
            problems.push(format!("{title} table `{table}` has no key in the manifest").into());
        }
        let before = problems.len();
        for part in &named.key {
            match facts.column(part.as_str()) {
                None => {
                    let message = format!("{title} table `{table}` has no column `{part}`");
                    problems.push(missing(side, message));
                }
                Some(column) if column.key_kind.is_none() => problems.push(format!(
                    "key column `{part}` of {title} table `{table}` has the type `{}`{}; keys are \
                     integers, uuids or text that is compared by its bytes",
                    column.declared,
                    collated(column)
                ).into()),
                // SQLite lets the columns of most primary keys be NULL, so its rows are asked.
                Some(column)
                    if side == Side::Legacy
                        && column.nullable
                        && self.engine.as_str() != "sqlite" =>
                {
                    problems.push(format!(
                        "key column `{part}` of Legacy table `{table}` may be NULL, and rows \
                         without a key cannot be moved"
                    ).into());
                }
                Some(_) => {}
            }
        }
        if before == problems.len() && !named.key.is_empty() && !facts.is_unique(&named.key) {
            problems.push(format!(
                "{title} table `{table}` has no primary key or unique index on exactly ({}) that \
                 holds for every row and at once",
                list(&named.key)
            ).into());
        }
    }

    /// Both sides must order keys alike: ranges of one are ranges of the other.
    fn judge_key_pairs(&self, legacy: &TableFacts, new: &TableFacts, problems: &mut Vec<Problem>) {
        for (of_legacy, of_new) in self.definition.legacy.key.iter().zip(&self.definition.new.key) {
            let columns = (legacy.column(of_legacy.as_str()), new.column(of_new.as_str()));
            let (Some(one), Some(other)) = columns else { continue };
            let (Some(kind), Some(other_kind)) = (one.key_kind, other.key_kind) else { continue };
            if kind != other_kind {
                problems.push(
                    format!(
                        "key columns `{of_legacy}` of Legacy and `{of_new}` of New have different \
                     types: `{}` and `{}`",
                        one.declared, other.declared
                    )
                    .into(),
                );
            } else if matches!(kind, KeyKind::Text | KeyKind::PaddedText)
                && collation(one) != collation(other)
            {
                problems.push(
                    format!(
                        "key columns `{of_legacy}` of Legacy and `{of_new}` of New have different \
                     collations: {} and {}",
                        collation(one),
                        collation(other)
                    )
                    .into(),
                );
            }
        }
    }

    fn judge_columns(&self, mapping: &MappingFacts, new: &TableFacts, problems: &mut Vec<Problem>) {
        let table = &self.definition.new.table;
        let mut seen = HashSet::new();
        for mapped in &mapping.columns {
            let Some(column) = new.column(&mapped.name) else {
                problems.push(Problem::in_mapping(format!(
                    "the mapping yields the column `{}`, which New table `{table}` does not have",
                    mapped.name
                ), None));
                continue;
            };
            if !seen.insert(column.name.as_str()) {
                problems.push(Problem::in_mapping(
                    format!("the mapping yields the column `{}` twice", column.name),
                    None,
                ));
            }
            if column.generated {
                problems.push(Problem::in_mapping(format!(
                    "the mapping yields the column `{}`, which New table `{table}` generates itself",
                    column.name
                ), None));
            }
        }
        let key = self.key_names(new);
        for column in &new.columns {
            let in_key = key.contains(&column.name.as_str());
            if seen.contains(column.name.as_str()) {
                continue;
            } else if in_key {
                problems.push(Problem::in_mapping(
                    format!(
                        "the mapping does not yield `{}`, a key column of New table `{table}`",
                        column.name
                    ),
                    None,
                ));
            } else if !column.nullable && !column.has_default {
                problems.push(Problem::in_mapping(
                    format!(
                        "the mapping does not yield `{}`, which New table `{table}` requires",
                        column.name
                    ),
                    None,
                ));
            }
        }
    }
}

/// Something that a side lacks. What New lacks, expanding may add.
fn missing(side: Side, message: String) -> Problem {
    match side {
        Side::Legacy => Problem::missing_on_legacy(message),
        Side::New => Problem::from(message),
    }
}

fn list(columns: &[Identifier]) -> String {
    columns.iter().map(Identifier::as_str).collect::<Vec<_>>().join(", ")
}

/// A collation that the type does not name.
fn collated(column: &ColumnFacts) -> String {
    match &column.collation {
        Some(collation) if !column.declared.contains(collation.as_str()) => {
            format!(" and the collation {collation}")
        }
        _ => String::new(),
    }
}

/// SQLite shows collations only where an index has them.
fn collation(column: &ColumnFacts) -> &str {
    column.collation.as_deref().unwrap_or("BINARY")
}
