//! What a marked method takes and returns, and how it says that it is async.

use quote::format_ident;
use syn::spanned::Spanned;
use syn::visit_mut::{self, VisitMut};
use syn::{
    Error, FnArg, GenericArgument, Ident, Lifetime, Pat, Path, PathArguments, Receiver,
    ReceiverKind, Result, ReturnType, Safety, Signature, Type, TypeParamBound, TypeReference,
};

/// How a method says that it is async.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// `async fn`.
    Async,
    /// It returns `impl Future`.
    ImplFuture,
    /// It returns a boxed future, as `#[async_trait]` leaves it behind.
    Boxed,
    /// It is not.
    Plain,
}

/// How an argument reaches both sides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pass {
    /// A shared reference: each side gets it.
    Shared,
    /// A value: each side gets a clone.
    Owned,
    /// The transaction of the write: each side is lent it.
    Tx,
    /// An exclusive reference, which cannot be handed to two sides.
    Exclusive,
}

/// An argument behind the receiver.
pub(crate) struct Argument {
    pub(crate) name: Ident,
    pub(crate) ty: Type,
    pub(crate) pass: Pass,
}

/// The receiver's `self`, of the hygiene that the method was written with.
pub(crate) fn receiver(signature: &Signature) -> Result<&Receiver> {
    let message = "a marked method takes `&self`: the wrapper is shared by all tasks";
    let Some(receiver) = signature.receiver() else {
        return Err(Error::new_spanned(&signature.ident, message));
    };
    let shared = match &receiver.kind {
        ReceiverKind::Reference(_, _, mutability) => mutability.is_none(),
        ReceiverKind::Typed(_, ty) => {
            matches!(&**ty, Type::Reference(ty) if ty.mutability.is_none())
        }
        _ => false,
    };
    if shared { Ok(receiver) } else { Err(Error::new_spanned(receiver, message)) }
}

/// The arguments behind the receiver; each gets a plain name in the signature.
pub(crate) fn arguments(signature: &mut Signature) -> Result<Vec<Argument>> {
    let mut arguments = Vec::new();
    for (index, input) in signature.inputs.iter_mut().enumerate() {
        let FnArg::Typed(input) = input else { continue };
        let name = match &mut *input.pat {
            Pat::Ident(pat) if pat.subpat.is_none() => {
                pat.mutability = None;
                pat.by_ref = None;
                pat.ident.clone()
            }
            Pat::Wild(wild) => format_ident!("argument_{index}", span = wild.span()),
            other => {
                let message = "an argument of a marked method is a plain name";
                return Err(Error::new_spanned(other, message));
            }
        };
        *input.pat = syn::parse_quote!(#name);
        let pass = match unwrapped(&input.ty) {
            Type::Reference(ty) if ty.mutability.is_none() => Pass::Shared,
            Type::Reference(ty) if last_is(&ty.elem, "Tx") => Pass::Tx,
            Type::Reference(_) => Pass::Exclusive,
            _ => Pass::Owned,
        };
        arguments.push(Argument { name, ty: (*input.ty).clone(), pass });
    }
    Ok(arguments)
}

/// Refuses arguments that cannot be handed to both sides.
pub(crate) fn check_arguments(arguments: &[Argument]) -> Result<()> {
    for argument in arguments {
        if argument.pass == Pass::Exclusive {
            let message = "both sides get each argument, so none is taken by `&mut` but the \
                           transaction, as `&mut Tx`";
            return Err(Error::new_spanned(&argument.ty, message));
        }
        if let (Pass::Owned, Type::ImplTrait(ty)) = (argument.pass, unwrapped(&argument.ty)) {
            let cloned = ty.bounds.iter().any(|bound| match bound {
                TypeParamBound::Trait(bound) => bound
                    .path
                    .segments
                    .last()
                    .is_some_and(|segment| segment.ident == "Clone" || segment.ident == "Copy"),
                _ => false,
            });
            if !cloned {
                let message = "both sides get each argument: take a reference, or add \
                               `+ Clone + Send + Sync`";
                return Err(Error::new_spanned(ty, message));
            }
        }
    }
    Ok(())
}

/// How the method is async, and the output of its future.
pub(crate) fn form(signature: &Signature) -> (Form, ReturnType) {
    if signature.asyncness.is_some() {
        return (Form::Async, signature.output.clone());
    }
    let found = match &signature.output {
        ReturnType::Default => None,
        ReturnType::Type(arrow, ty) => match unwrapped(ty) {
            Type::ImplTrait(ty) => future_output(&ty.bounds)
                .map(|output| (Form::ImplFuture, ReturnType::Type(*arrow, Box::new(output)))),
            Type::Path(ty) => boxed_output(&ty.path)
                .map(|output| (Form::Boxed, ReturnType::Type(*arrow, Box::new(output)))),
            _ => None,
        },
    };
    found.unwrap_or_else(|| (Form::Plain, signature.output.clone()))
}

/// Refuses what the wrapper cannot call or await.
pub(crate) fn check(signature: &Signature, form: Form, output: &ReturnType) -> Result<()> {
    if form == Form::Plain {
        let message = format!("a marked method is async: write `async fn {}`", signature.ident);
        return Err(Error::new(signature.fn_token.span(), message));
    }
    if let Safety::Unsafe(token) = &signature.safety {
        return Err(Error::new_spanned(token, "a marked method cannot be unsafe"));
    }
    let message = "a marked method returns a `Result`, since either side may fail";
    match output {
        ReturnType::Default => Err(Error::new_spanned(&signature.ident, message)),
        ReturnType::Type(_, ty) if is_result(ty) => Ok(()),
        ReturnType::Type(_, ty) => Err(Error::new_spanned(ty, message)),
    }
}

/// Refuses an answer that borrows from the receiver, where that is not the side which the wrapper
/// holds.
pub(crate) fn check_borrows(receiver: &Receiver, output: &ReturnType) -> Result<()> {
    let own = match &receiver.kind {
        ReceiverKind::Reference(_, lifetime, _) => lifetime.clone(),
        _ => None,
    };
    let ReturnType::Type(_, ty) = output else { return Ok(()) };
    let mut borrows = Borrows { own, found: false };
    borrows.visit_type_mut(&mut ty.clone());
    if borrows.found {
        let message = "what is returned cannot borrow from `&self`, which here is another than \
                       the side that the wrapper holds";
        return Err(Error::new_spanned(ty, message));
    }
    Ok(())
}

/// Looks for lifetimes that are the receiver's: its own, or any that is left out.
struct Borrows {
    own: Option<Lifetime>,
    found: bool,
}

impl VisitMut for Borrows {
    fn visit_type_reference_mut(&mut self, ty: &mut TypeReference) {
        self.found |= ty.lifetime.is_none();
        visit_mut::visit_type_reference_mut(self, ty);
    }

    fn visit_lifetime_mut(&mut self, lifetime: &mut Lifetime) {
        self.found |= lifetime.ident == "_" || self.own.as_ref() == Some(lifetime);
    }
}

/// Types that are no alias of `Result`, whatever else they are.
const NO_RESULTS: [&str; 20] = [
    "Option", "Vec", "String", "Box", "Arc", "Rc", "HashMap", "BTreeMap", "HashSet", "BTreeSet",
    "bool", "char", "i16", "i32", "i64", "u16", "u32", "u64", "usize", "f64",
];

/// Whether a type may be a `Result`; an alias may have any name.
fn is_result(ty: &Type) -> bool {
    matches!(unwrapped(ty), Type::Path(ty) if ty.path.segments.last().is_some_and(|segment| {
        !NO_RESULTS.iter().any(|name| segment.ident == name)
    }))
}

/// The `T` of `Pin<Box<dyn Future<Output = T> + …>>` and of `BoxFuture<'_, T>`.
fn boxed_output(path: &Path) -> Option<Type> {
    let segment = path.segments.last()?;
    let inner = only_type(&segment.arguments)?;
    if segment.ident == "BoxFuture" {
        return Some(inner.clone());
    }
    let Type::Path(boxed) = unwrapped(inner) else { return None };
    let boxed = boxed.path.segments.last()?;
    if segment.ident != "Pin" || boxed.ident != "Box" {
        return None;
    }
    match unwrapped(only_type(&boxed.arguments)?) {
        Type::TraitObject(object) => future_output(&object.bounds),
        _ => None,
    }
}

fn only_type(arguments: &PathArguments) -> Option<&Type> {
    let PathArguments::AngleBracketed(arguments) = arguments else { return None };
    arguments.args.iter().find_map(|argument| match argument {
        GenericArgument::Type(ty) => Some(ty),
        _ => None,
    })
}

fn future_output<'a>(bounds: impl IntoIterator<Item = &'a TypeParamBound>) -> Option<Type> {
    bounds.into_iter().find_map(|bound| {
        let TypeParamBound::Trait(bound) = bound else { return None };
        let segment = bound.path.segments.last().filter(|segment| segment.ident == "Future")?;
        let PathArguments::AngleBracketed(arguments) = &segment.arguments else { return None };
        arguments.args.iter().find_map(|argument| match argument {
            GenericArgument::AssocType(output) if output.ident == "Output" => {
                Some(output.ty.clone())
            }
            _ => None,
        })
    })
}

/// A type without the parentheses and groups around it.
fn unwrapped(ty: &Type) -> &Type {
    match ty {
        Type::Paren(ty) => unwrapped(&ty.elem),
        Type::Group(ty) => unwrapped(&ty.elem),
        ty => ty,
    }
}

fn last_is(ty: &Type, name: &str) -> bool {
    matches!(unwrapped(ty), Type::Path(ty)
        if ty.path.segments.last().is_some_and(|segment| segment.ident == name))
}
