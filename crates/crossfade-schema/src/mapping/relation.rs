//! What stands in a `from`, and what its columns are.

use crossfade_core::check::{Output, Source};
use sqlparser::ast::{Expr, TableAlias};

use super::query::lower;

/// What a query yields.
#[derive(Clone, Debug, Default)]
pub(super) struct Yield {
    /// Whether its rows come from the batch of Legacy rows.
    pub(super) over_batch: bool,
    /// Its output columns that have a name.
    pub(super) outputs: Vec<Output>,
}

/// Something in a `from`.
#[derive(Clone, Debug)]
pub(super) struct Relation {
    /// The name by which the query calls it, in lower case.
    pub(super) name: String,
    /// What it is.
    pub(super) kind: RelationKind,
}

/// What a relation is.
#[derive(Clone, Debug)]
pub(super) enum RelationKind {
    /// The batch of Legacy rows itself.
    Batch,
    /// A query of the mapping's own.
    Query(Yield),
    /// Another table, or a function's rows.
    Other,
}

impl Relation {
    /// Whether its rows come from the batch.
    pub(super) fn over_batch(&self) -> bool {
        match &self.kind {
            RelationKind::Batch => true,
            RelationKind::Query(query) => query.over_batch,
            RelationKind::Other => false,
        }
    }

    /// Where its column of this name, in lower case, comes from.
    pub(super) fn source(&self, column: &str) -> Source {
        match &self.kind {
            RelationKind::Batch => Source::Column(column.to_owned()),
            RelationKind::Query(query) => {
                let found = query.outputs.iter().find(|output| output.name == column);
                found.map_or(Source::Expression, |output| output.source.clone())
            }
            RelationKind::Other => Source::Expression,
        }
    }
}

/// The outputs of two branches of a `union all`, which are joined by position.
pub(super) fn joined(left: Vec<Output>, right: &[Output]) -> Vec<Output> {
    let same = left.len() == right.len();
    let pair = |(index, output): (usize, Output)| {
        let source = match right.get(index) {
            Some(other) if same && other.source == output.source => output.source,
            // What either branch leaves to the database's conversion is left to it.
            Some(Output { source: column @ Source::Column(_), .. }) if same => column.clone(),
            _ => output.source,
        };
        Output { name: output.name, source }
    };
    left.into_iter().enumerate().map(pair).collect()
}

/// Where the value of an expression in a select list comes from.
pub(super) fn source(expression: &Expr, relations: &[Relation]) -> Source {
    match expression {
        Expr::Nested(inner) => source(inner, relations),
        Expr::Identifier(name) if !name.value.starts_with('@') => {
            let mut over_batch = relations.iter().filter(|relation| relation.over_batch());
            over_batch.next().map_or(Source::Expression, |relation| relation.source(&lower(name)))
        }
        Expr::CompoundIdentifier(parts) => {
            let [.., table, column] = &parts[..] else { return Source::Expression };
            let named = relations.iter().find(|relation| relation.name == lower(table));
            named.map_or(Source::Expression, |relation| relation.source(&lower(column)))
        }
        Expr::Cast { data_type, .. } => Source::Cast(data_type.to_string()),
        Expr::Convert { data_type: Some(data_type), .. } => Source::Cast(data_type.to_string()),
        Expr::AtTimeZone { .. } => Source::AtTimeZone,
        _ => Source::Expression,
    }
}

/// The name that a column without an alias gets from its expression.
pub(super) fn own_name(expression: &Expr) -> Option<String> {
    match expression {
        Expr::Identifier(name) => Some(lower(name)),
        Expr::CompoundIdentifier(parts) => parts.last().map(lower),
        Expr::Nested(inner) | Expr::Cast { expr: inner, .. } => own_name(inner),
        _ => None,
    }
}

/// Gives outputs the names of an alias's column list.
pub(super) fn rename(outputs: &mut [Output], alias: &TableAlias) {
    for (output, column) in outputs.iter_mut().zip(&alias.columns) {
        output.name = lower(&column.name);
    }
}
