//! One method of the trait, as the wrapper carries it out.

use syn::{Error, Expr, Ident, Path, Result, ReturnType, Signature, TraitItemFn};

use crate::mark::{self, Compare, Mark};
use crate::signature::{self, Argument, Form, Pass};

/// A method that the wrapper implements.
pub(crate) struct Method {
    pub(crate) item: TraitItemFn,
    /// The signature with plain argument names.
    pub(crate) signature: Signature,
    pub(crate) arguments: Vec<Argument>,
    pub(crate) form: Form,
    /// What its future yields.
    pub(crate) output: ReturnType,
    /// `self`, of the hygiene that the method was written with.
    pub(crate) this: Ident,
    pub(crate) role: Role,
}

/// How the wrapper carries a method out.
pub(crate) enum Role {
    /// `Migration::read`, `read_compared_by` or `read_compared_in`.
    Read { key: Expr, user: Option<Expr>, compare: Option<Compare> },
    /// `Migration::write` or `write_once`.
    Write { key: Expr, operation: Option<Expr> },
    /// A function of the application's.
    Custom(Path),
}

impl Method {
    /// Takes the mark off a method and reads the rest. `None` for one that keeps its default body.
    pub(crate) fn parse(item: &mut TraitItemFn) -> Result<Option<Self>> {
        let Some(mark) = mark::take(&mut item.attrs)? else {
            if item.default.is_some() {
                return Ok(None);
            }
            let message = format!(
                "`{}` needs a mark that says how the wrapper carries it out: `#[read(key = …)]`, \
                 `#[write(key = …)]` or `#[delete(key = …)]`; `#[custom(path)]` calls a function \
                 of yours",
                item.sig.ident
            );
            return Err(Error::new_spanned(&item.sig.ident, message));
        };
        let mut signature = item.sig.clone();
        let this = Ident::new("self", signature::receiver(&signature)?.self_token.span);
        let mut arguments = signature::arguments(&mut signature)?;
        let (form, output) = signature::form(&signature);
        let role = match mark {
            Mark::Read { key, user, compare } => Role::Read { key, user, compare },
            Mark::Write { key, operation } => Role::Write { key, operation },
            Mark::Custom(path) => {
                // The caller's own transaction, if anybody's.
                for argument in arguments.iter_mut().filter(|it| it.pass == Pass::Tx) {
                    argument.pass = Pass::Exclusive;
                }
                Role::Custom(path)
            }
        };
        let method = Self { item: item.clone(), signature, arguments, form, output, this, role };
        if !matches!(method.role, Role::Custom(_)) {
            signature::check(&method.signature, form, &method.output)?;
            signature::check_arguments(&method.arguments)?;
            method.check_transaction()?;
            let elsewhere = match &method.role {
                Role::Read { compare, .. } => compare.is_some(),
                _ => !method.takes_transaction(),
            };
            if elsewhere {
                let receiver = signature::receiver(&method.signature)?;
                signature::check_borrows(receiver, &method.output)?;
            }
        }
        Ok(Some(method))
    }

    /// Whether the transaction is an argument.
    pub(crate) fn takes_transaction(&self) -> bool {
        self.arguments.iter().any(|argument| argument.pass == Pass::Tx)
    }

    pub(crate) fn is_write(&self) -> bool {
        matches!(self.role, Role::Write { .. })
    }

    fn check_transaction(&self) -> Result<()> {
        let mut taken = self.arguments.iter().filter(|argument| argument.pass == Pass::Tx);
        match (&self.role, taken.next(), taken.next()) {
            (Role::Read { .. }, Some(first), _) => {
                let message = "a read runs outside the transaction, and takes no `&mut Tx`";
                Err(Error::new_spanned(&first.ty, message))
            }
            (_, _, Some(second)) => {
                Err(Error::new_spanned(&second.ty, "a write has one transaction"))
            }
            _ => Ok(()),
        }
    }
}
