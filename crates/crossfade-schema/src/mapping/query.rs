//! The walk through a query's structure: which rows each part sees.

use crossfade_core::check::{Construct, ConstructKind, OtherTable, Output, ParsedMapping, Place};
use sqlparser::ast::{
    Distinct, Expr, GroupByExpr, Ident, JoinConstraint, JoinOperator, ObjectName, OrderByKind,
    Query, Select, SelectItem, SelectItemQualifiedWildcardKind, SetExpr, SetOperator,
    SetQuantifier, Spanned, TableAlias, TableFactor, TableWithJoins,
};

use super::at;
use super::relation::{Relation, RelationKind, Yield, joined, own_name, rename, source};

/// Queries that `with` gives names to, the innermost last.
pub(super) type Named = Vec<(String, Yield)>;

/// The walk through a mapping.
pub(super) struct Walk<'a> {
    pub(super) engine: &'a str,
    /// Legacy's bare name, in lower case.
    legacy: String,
    pub(super) parsed: ParsedMapping,
    /// Relations of the queries around an expression, the innermost last.
    pub(super) around: Vec<Vec<Relation>>,
}

impl<'a> Walk<'a> {
    pub(super) fn new(engine: &'a str, legacy: &str) -> Self {
        let legacy = legacy.to_lowercase();
        Self { engine, legacy, parsed: ParsedMapping::default(), around: Vec::new() }
    }

    /// What the whole mapping is made of.
    pub(super) fn mapping(&mut self, query: &Query) -> ParsedMapping {
        let whole = self.query(query, &Named::new());
        self.parsed.outputs = whole.outputs;
        std::mem::take(&mut self.parsed)
    }

    pub(super) fn note(&mut self, kind: ConstructKind, place: Option<Place>) {
        if !self.parsed.constructs.iter().any(|known| known.kind == kind && known.place == place) {
            self.parsed.constructs.push(Construct { kind, place });
        }
    }

    pub(super) fn query(&mut self, query: &Query, named: &Named) -> Yield {
        let mut named = named.clone();
        if let Some(with) = &query.with {
            for cte in &with.cte_tables {
                let mut inner = named.clone();
                if with.recursive {
                    inner.push((lower(&cte.alias.name), Yield::default()));
                }
                let mut found = self.query(&cte.query, &inner);
                if with.recursive && found.over_batch && names(&cte.query, &cte.alias.name) {
                    self.note(ConstructKind::Recursion, at(cte.alias.name.span.start));
                }
                rename(&mut found.outputs, &cte.alias);
                named.push((lower(&cte.alias.name), found));
            }
        }
        let body = self.body(&query.body, query, &named);
        let place = at(query.body.span().start);
        if body.over_batch && (query.limit_clause.is_some() || query.fetch.is_some()) {
            let end = query.limit_clause.as_ref().map(Spanned::span);
            self.note(ConstructKind::Limit, end.and_then(|end| at(end.start)).or(place));
        }
        if !query.locks.is_empty() {
            self.note(ConstructKind::Locking, place);
        }
        body
    }

    fn body(&mut self, body: &SetExpr, query: &Query, named: &Named) -> Yield {
        match body {
            SetExpr::Select(select) => self.select(select, query, named),
            SetExpr::Query(query) => self.query(query, named),
            SetExpr::SetOperation { op, set_quantifier, left, right } => {
                let left = self.body(left, query, named);
                let right = self.body(right, query, named);
                let over_batch = left.over_batch || right.over_batch;
                let all = *op == SetOperator::Union && *set_quantifier == SetQuantifier::All;
                if over_batch && !all {
                    self.note(ConstructKind::SetOperation, at(body.span().start));
                }
                Yield { over_batch, outputs: joined(left.outputs, &right.outputs) }
            }
            SetExpr::Table(table) => {
                let Some(name) = &table.table_name else { return Yield::default() };
                let relation = self.table(name, table.schema_name.is_some(), name, named);
                self.parsed.reads_all |= matches!(relation.kind, RelationKind::Batch);
                Yield { over_batch: relation.over_batch(), outputs: Vec::new() }
            }
            SetExpr::Values(values) => {
                let rows = values.rows.iter().flat_map(|row| &row.content);
                rows.for_each(|value| self.expression(value, named, false, false));
                Yield::default()
            }
            SetExpr::Insert(_) | SetExpr::Update(_) | SetExpr::Delete(_) | SetExpr::Merge(_) => {
                Yield::default()
            }
        }
    }

    fn select(&mut self, select: &Select, query: &Query, named: &Named) -> Yield {
        self.around.push(Vec::new());
        let place = at(select.span().start);
        for tables in &select.from {
            self.tables(tables, named);
        }
        let relations = self.around.last().cloned().unwrap_or_default();
        let mentions = relations.iter().filter(|relation| relation.over_batch()).count();
        let over_batch = mentions > 0;
        if mentions > 1 {
            self.note(ConstructKind::SecondMention, place);
        }
        if over_batch {
            match &select.distinct {
                Some(Distinct::Distinct | Distinct::On(_)) => {
                    self.note(ConstructKind::Distinct, place);
                }
                Some(Distinct::All) | None => {}
            }
            let grouped = match &select.group_by {
                GroupByExpr::All(_) => true,
                GroupByExpr::Expressions(columns, modifiers) => {
                    !columns.is_empty() || !modifiers.is_empty()
                }
            };
            if grouped || select.having.is_some() {
                self.note(ConstructKind::GroupBy, place);
            }
            if !select.named_window.is_empty() || select.qualify.is_some() {
                self.note(ConstructKind::Window, place);
            }
            if select.top.is_some() {
                self.note(ConstructKind::Limit, place);
            }
        }
        if select.into.is_some() {
            self.note(ConstructKind::Into, place);
        }
        let outputs = self.projection(select, &relations, named);
        let mut others: Vec<&Expr> = Vec::new();
        others.extend(&select.selection);
        others.extend(&select.having);
        others.extend(&select.prewhere);
        if let GroupByExpr::Expressions(columns, _) = &select.group_by {
            others.extend(columns);
        }
        if let Some(Distinct::On(columns)) = &select.distinct {
            others.extend(columns);
        }
        if let Some(order) = &query.order_by
            && let OrderByKind::Expressions(columns) = &order.kind
        {
            others.extend(columns.iter().map(|column| &column.expr));
        }
        for expression in others {
            self.expression(expression, named, over_batch, false);
        }
        self.around.pop();
        Yield { over_batch, outputs }
    }

    fn projection(
        &mut self,
        select: &Select,
        relations: &[Relation],
        named: &Named,
    ) -> Vec<Output> {
        let over_batch = relations.iter().any(Relation::over_batch);
        let mut outputs = Vec::new();
        for item in &select.projection {
            match item {
                SelectItem::UnnamedExpr(expression) => {
                    self.expression(expression, named, over_batch, true);
                    if let Some(name) = own_name(expression) {
                        outputs.push(Output { name, source: source(expression, relations) });
                    }
                }
                SelectItem::ExprWithAlias { expr, alias } => {
                    self.expression(expr, named, over_batch, true);
                    outputs.push(Output { name: lower(alias), source: source(expr, relations) });
                }
                SelectItem::ExprWithAliases { expr, .. } => {
                    self.expression(expr, named, over_batch, true);
                }
                SelectItem::Wildcard(_) => {
                    relations.iter().for_each(|relation| self.wildcard(relation, &mut outputs));
                }
                SelectItem::QualifiedWildcard(kind, _) => match kind {
                    SelectItemQualifiedWildcardKind::ObjectName(name) => {
                        let name = last(name).map(lower).unwrap_or_default();
                        let named = relations.iter().filter(|relation| relation.name == name);
                        named.for_each(|relation| self.wildcard(relation, &mut outputs));
                    }
                    SelectItemQualifiedWildcardKind::Expr(expression) => {
                        self.expression(expression, named, over_batch, true);
                    }
                },
            }
        }
        outputs
    }

    fn wildcard(&mut self, relation: &Relation, outputs: &mut Vec<Output>) {
        match &relation.kind {
            RelationKind::Batch => self.parsed.reads_all = true,
            RelationKind::Query(query) => outputs.extend(query.outputs.iter().cloned()),
            RelationKind::Other => {}
        }
    }

    fn tables(&mut self, tables: &TableWithJoins, named: &Named) {
        let before = self.relations().len();
        self.factor(&tables.relation, named);
        for join in &tables.joins {
            let left = self.relations()[before..].iter().any(Relation::over_batch);
            let from = self.relations().len();
            self.factor(&join.relation, named);
            let right = self.relations()[from..].iter().any(Relation::over_batch);
            let (constraint, adds_rows) = match &join.join_operator {
                JoinOperator::Left(on) | JoinOperator::LeftOuter(on) => (Some(on), right),
                JoinOperator::Right(on) | JoinOperator::RightOuter(on) => (Some(on), left),
                JoinOperator::FullOuter(on) => (Some(on), left || right),
                JoinOperator::Join(on)
                | JoinOperator::Inner(on)
                | JoinOperator::CrossJoin(on)
                | JoinOperator::StraightJoin(on) => (Some(on), false),
                _ => (None, false),
            };
            if adds_rows {
                self.note(ConstructKind::OuterJoin, at(join.relation.span().start));
            }
            match constraint {
                Some(JoinConstraint::On(on)) => self.expression(on, named, left || right, false),
                Some(JoinConstraint::Using(columns) | JoinConstraint::UsingAlias(columns, _)) => {
                    let columns = columns.iter().filter_map(last).map(lower);
                    self.parsed.reads.extend(columns);
                }
                Some(JoinConstraint::Natural) => self.parsed.reads_all |= left || right,
                Some(JoinConstraint::None) | None => {}
            }
        }
    }

    fn factor(&mut self, factor: &TableFactor, named: &Named) {
        match factor {
            TableFactor::Table { name, alias, args, sample, .. } => {
                let Some(bare) = last(name) else { return };
                if sample.is_some() {
                    self.note(ConstructKind::TableSample, at(bare.span.start));
                }
                if let Some(args) = args {
                    self.function_rows(name, &args.args, alias.as_ref(), named);
                    return;
                }
                let called = alias.as_ref().map_or(bare, |alias| &alias.name);
                let mut relation = self.table(bare, name.0.len() > 1, called, named);
                if let (RelationKind::Query(query), Some(alias)) = (&mut relation.kind, alias) {
                    rename(&mut query.outputs, alias);
                }
                self.add(relation);
            }
            TableFactor::Derived { subquery, alias, sample, .. } => {
                if sample.is_some() {
                    self.note(ConstructKind::TableSample, at(subquery.span().start));
                }
                let mut found = self.query(subquery, named);
                let name = alias.as_ref().map(|alias| lower(&alias.name)).unwrap_or_default();
                if let Some(alias) = alias {
                    rename(&mut found.outputs, alias);
                }
                self.add(Relation { name, kind: RelationKind::Query(found) });
            }
            TableFactor::Function { name, args, alias, .. } => {
                self.function_rows(name, args, alias.as_ref(), named);
            }
            TableFactor::TableFunction { expr, alias } => {
                self.expression(expr, named, false, false);
                self.add_rows(alias.as_ref());
            }
            TableFactor::UNNEST { alias, array_exprs, .. } => {
                for array in array_exprs {
                    self.expression(array, named, false, false);
                }
                self.add_rows(alias.as_ref());
            }
            TableFactor::JsonTable { json_expr, alias, .. } => {
                self.expression(json_expr, named, false, false);
                self.add_rows(alias.as_ref());
            }
            TableFactor::NestedJoin { table_with_joins, .. } => {
                self.tables(table_with_joins, named);
            }
            _ => {}
        }
    }

    fn function_rows(
        &mut self,
        name: &ObjectName,
        args: &[sqlparser::ast::FunctionArg],
        alias: Option<&TableAlias>,
        named: &Named,
    ) {
        self.call_in_from(name, args, named);
        self.add_rows(alias);
    }

    fn add_rows(&mut self, alias: Option<&TableAlias>) {
        let name = alias.map(|alias| lower(&alias.name)).unwrap_or_default();
        self.add(Relation { name, kind: RelationKind::Other });
    }

    /// A table by its bare name: a query of the mapping's own, the batch, or another table.
    fn table(&mut self, bare: &Ident, qualified: bool, called: &Ident, named: &Named) -> Relation {
        let (table, name) = (lower(bare), lower(called));
        let own = named.iter().rev().find(|(own, _)| *own == table && !qualified);
        if let Some((_, found)) = own {
            return Relation { name, kind: RelationKind::Query(found.clone()) };
        }
        if table == self.legacy && !qualified {
            return Relation { name, kind: RelationKind::Batch };
        }
        let is_legacy = table == self.legacy;
        let place = at(bare.span.start);
        self.parsed.other_tables.push(OtherTable { name: bare.value.clone(), is_legacy, place });
        Relation { name, kind: RelationKind::Other }
    }

    fn relations(&self) -> &[Relation] {
        self.around.last().map_or(&[], Vec::as_slice)
    }

    fn add(&mut self, relation: Relation) {
        if let Some(relations) = self.around.last_mut() {
            relations.push(relation);
        }
    }
}

/// Whether a query mentions a table of this name.
fn names(query: &Query, name: &Ident) -> bool {
    let found = sqlparser::ast::visit_relations(query, |relation: &ObjectName| {
        match last(relation).is_some_and(|bare| lower(bare) == lower(name)) {
            true => std::ops::ControlFlow::Break(()),
            false => std::ops::ControlFlow::Continue(()),
        }
    });
    found.is_break()
}

pub(super) fn lower(name: &Ident) -> String {
    name.value.to_lowercase()
}

/// The bare name of a qualified one.
pub(super) fn last(name: &ObjectName) -> Option<&Ident> {
    name.0.last()?.as_ident()
}
