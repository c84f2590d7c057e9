//! What an expression reads and calls.

use std::ops::ControlFlow;

use crossfade_core::check::{Call, ConstructKind};
use sqlparser::ast::{
    BinaryOperator, Expr, Function, FunctionArg, FunctionArguments, Ident, ObjectName, Query,
    Spanned, Value, Visit, Visitor,
};

use super::at;
use super::query::{Named, Walk, last, lower};
use super::relation::RelationKind;

/// Functions that are called without parentheses.
const WORDS: &[&str] = &[
    "current_catalog",
    "current_date",
    "current_role",
    "current_schema",
    "current_time",
    "current_timestamp",
    "current_user",
    "localtime",
    "localtimestamp",
    "session_user",
    "utc_date",
    "utc_time",
    "utc_timestamp",
];

/// Dates that name the present.
const PRESENT: &[&str] = &["now", "today", "tomorrow", "yesterday"];

/// The parts of one expression that lie outside the queries within it.
#[derive(Default)]
struct Parts {
    depth: usize,
    expressions: Vec<Expr>,
    queries: Vec<Query>,
}

impl Visitor for Parts {
    type Break = ();

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
        if self.depth == 0 {
            self.queries.push(query.clone());
        }
        self.depth += 1;
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _: &Query) -> ControlFlow<()> {
        self.depth -= 1;
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expression: &Expr) -> ControlFlow<()> {
        if self.depth == 0 {
            self.expressions.push(expression.clone());
        }
        ControlFlow::Continue(())
    }
}

impl Walk<'_> {
    /// Notes what an expression reads and calls, in a query over the batch or not, in its select
    /// list or elsewhere.
    pub(super) fn expression(
        &mut self,
        expression: &Expr,
        named: &Named,
        over_batch: bool,
        in_select_list: bool,
    ) {
        let mut parts = Parts::default();
        let _ = expression.visit(&mut parts);
        for part in &parts.expressions {
            self.part(part, over_batch, in_select_list);
        }
        for query in &parts.queries {
            if self.query(query, named).over_batch {
                self.note(ConstructKind::SecondMention, at(query.span().start));
            }
        }
    }

    fn part(&mut self, part: &Expr, over_batch: bool, in_select_list: bool) {
        let place = at(part.span().start);
        match part {
            Expr::Identifier(name) => self.identifier(name, over_batch),
            Expr::CompoundIdentifier(names) => self.compound(names),
            Expr::Function(function) => self.function(function, over_batch, in_select_list),
            Expr::BinaryOp { op: BinaryOperator::StringConcat, .. } if self.engine == "mysql" => {
                self.note(ConstructKind::Pipes, place);
            }
            Expr::Cast { expr, .. } if names_present(expr) => {
                self.note(ConstructKind::Present, place);
            }
            Expr::TypedString(string) if is_present(&string.value.value) => {
                self.note(ConstructKind::Present, place);
            }
            _ => {}
        }
    }

    fn identifier(&mut self, name: &Ident, over_batch: bool) {
        let text = lower(name);
        let place = at(name.span.start);
        if text.starts_with('@') {
            self.note(ConstructKind::Variable, place);
            return;
        }
        if name.quote_style.is_none()
            && (WORDS.contains(&text.as_str()) || self.engine == "postgres" && text == "user")
        {
            let call = Call { name: text, over_batch, place, ..Call::default() };
            self.parsed.calls.push(call);
            return;
        }
        // A table's name by itself is its whole row.
        let rows =
            self.around.iter().flatten().any(|relation| {
                relation.name == text && matches!(relation.kind, RelationKind::Batch)
            });
        self.parsed.reads_all |= rows;
        self.read(text);
    }

    fn compound(&mut self, names: &[Ident]) {
        let [.., table, column] = names else { return };
        let table = lower(table);
        let relations = self.around.iter().rev().flatten();
        let named = relations.into_iter().find(|relation| relation.name == table);
        let other = named.is_some_and(|relation| matches!(relation.kind, RelationKind::Other));
        if !other {
            self.read(lower(column));
        }
    }

    fn read(&mut self, column: String) {
        if !self.parsed.reads.contains(&column) {
            self.parsed.reads.push(column);
        }
    }

    fn function(&mut self, function: &Function, over_batch: bool, in_select_list: bool) {
        let Some(mut call) = called(&function.name) else { return };
        if let FunctionArguments::List(list) = &function.args {
            call.arguments = list.args.len();
            call.texts = list.args.iter().filter_map(text).collect();
        }
        if function.over.is_some() {
            if over_batch {
                self.note(ConstructKind::Window, call.place);
            }
            // An aggregate over a window is a window.
            call.over_batch = false;
        } else {
            call.over_batch = over_batch;
        }
        call.in_select_list = in_select_list && over_batch;
        self.parsed.calls.push(call);
    }

    /// A function whose rows stand in a `from`.
    pub(super) fn call_in_from(&mut self, name: &ObjectName, args: &[FunctionArg], named: &Named) {
        if let Some(call) = called(name) {
            let texts = args.iter().filter_map(text).collect();
            self.parsed.calls.push(Call { arguments: args.len(), texts, ..call });
        }
        for expression in args.iter().filter_map(argument) {
            self.expression(expression, named, false, false);
        }
    }
}

fn called(name: &ObjectName) -> Option<Call> {
    let bare = last(name)?;
    let schema = name.0.len().checked_sub(2).and_then(|at| name.0[at].as_ident()).map(lower);
    Some(Call { schema, name: lower(bare), place: at(bare.span.start), ..Call::default() })
}

fn argument(argument: &FunctionArg) -> Option<&Expr> {
    use sqlparser::ast::FunctionArgExpr;
    let found = match argument {
        FunctionArg::Named { arg, .. }
        | FunctionArg::ExprNamed { arg, .. }
        | FunctionArg::Unnamed(arg) => arg,
    };
    match found {
        FunctionArgExpr::Expr(expression) => Some(expression),
        _ => None,
    }
}

/// The text of an argument that is one, in lower case.
fn text(found: &FunctionArg) -> Option<String> {
    match argument(found)? {
        Expr::Value(value) => value.value.clone().into_string().map(|text| text.to_lowercase()),
        _ => None,
    }
}

fn names_present(expression: &Expr) -> bool {
    match expression {
        Expr::Nested(inner) => names_present(inner),
        Expr::Value(value) => is_present(&value.value),
        _ => false,
    }
}

fn is_present(value: &Value) -> bool {
    let text = value.clone().into_string().unwrap_or_default();
    PRESENT.contains(&text.trim().to_lowercase().as_str())
}
