//! The trait: its checks, and what becomes of it.

use proc_macro2::TokenStream;
use quote::{ToTokens, quote};
use syn::{
    Attribute, Error, Item, ItemTrait, Meta, Result, TraitItem, TraitItemConst, TraitItemType,
};

use crate::expand;
use crate::mark;
use crate::method::Method;
use crate::options::Options;
use crate::signature::Form;

/// The application's trait and how the wrapper carries its methods out.
pub(crate) struct Repository {
    /// The trait without its marks.
    pub(crate) item: ItemTrait,
    pub(crate) methods: Vec<Method>,
    pub(crate) types: Vec<TraitItemType>,
    pub(crate) constants: Vec<TraitItemConst>,
    /// `#[async_trait]`, where it is still to be expanded.
    pub(crate) async_trait: Option<Attribute>,
    /// Whether writes take the transaction as an argument.
    pub(crate) explicit: bool,
}

/// The trait and its wrapper, or the trait and what is wrong with it.
pub(crate) fn generate(options: TokenStream, item: TokenStream) -> TokenStream {
    let mut item = match parse(item.clone()) {
        Ok(item) => item,
        Err(error) => {
            let error = error.to_compile_error();
            return quote!(#item #error);
        }
    };
    let parsed = Options::parse(options).and_then(|options| {
        let repository = Repository::parse(&mut item)?;
        Ok(expand::expand(&repository, &options))
    });
    parsed.unwrap_or_else(|error| {
        // Without its marks, so that nothing else is said of it.
        for entry in &mut item.items {
            if let TraitItem::Fn(method) = entry {
                drop(mark::take(&mut method.attrs));
            }
        }
        let error = error.to_compile_error();
        quote!(#item #error)
    })
}

fn parse(tokens: TokenStream) -> Result<ItemTrait> {
    match syn::parse2(tokens)? {
        Item::Trait(item) => Ok(item),
        other => {
            let message = "`repository` belongs on the application's own trait, of which both \
                           sides are implementations";
            let start = other.to_token_stream().into_iter().next();
            Err(Error::new_spanned(start, message))
        }
    }
}

impl Repository {
    /// Takes the marks off `item`. Says all that is wrong at once.
    fn parse(item: &mut ItemTrait) -> Result<Self> {
        let mut problems = Problems::default();
        let (mut methods, mut types, mut constants) = (Vec::new(), Vec::new(), Vec::new());
        for entry in &mut item.items {
            match entry {
                TraitItem::Fn(method) => {
                    if let Some(Some(method)) = problems.note(Method::parse(method)) {
                        methods.push(method);
                    }
                }
                TraitItem::Type(ty) if !ty.generics.params.is_empty() => {
                    let message = "the wrapper cannot take over an associated type with parameters";
                    problems.add(Error::new_spanned(&ty.generics, message));
                }
                TraitItem::Type(ty) => types.push(ty.clone()),
                TraitItem::Const(constant) => constants.push(constant.clone()),
                other => {
                    let message = "the wrapper cannot take over what a macro stands for";
                    problems.add(Error::new_spanned(other, message));
                }
            }
        }
        let is_async_trait = |attr: &&Attribute| {
            attr.path().segments.last().is_some_and(|segment| segment.ident == "async_trait")
        };
        let async_trait = item.attrs.iter().find(is_async_trait).cloned();
        let explicit = methods.iter().any(Method::takes_transaction);
        let repository =
            Self { item: item.clone(), methods, types, constants, async_trait, explicit };
        repository.check(&mut problems);
        problems.end()?;
        Ok(repository)
    }

    fn check(&self, problems: &mut Problems) {
        if let Some(unsafety) = &self.item.unsafety {
            problems.add(Error::new_spanned(unsafety, "the wrapper cannot vouch for this"));
        }
        if let Some(attr) = &self.async_trait
            && matches!(attr.meta, Meta::List(_))
        {
            let message = "a write needs futures that are `Send`: leave `?Send` out";
            problems.add(Error::new_spanned(attr, message));
        }
        if problems.is_empty() && self.methods.is_empty() {
            let message = "no method is marked `#[read(key = …)]`, `#[write(key = …)]` or \
                           `#[delete(key = …)]`, so there is nothing to wrap";
            problems.add(Error::new_spanned(&self.item.ident, message));
        }
        if self.explicit {
            self.check_explicit(problems);
        }
    }

    /// The wrapper's methods lack the transaction and are none of the trait's.
    fn check_explicit(&self, problems: &mut Problems) {
        for method in &self.methods {
            if method.is_write() && !method.takes_transaction() {
                let message = "other writes of this trait take `&mut Tx`, and so must this one";
                problems.add(Error::new_spanned(&method.signature.ident, message));
            }
        }
        for entry in &self.item.items {
            if let TraitItem::Fn(item) = entry
                && !self.methods.iter().any(|method| method.signature.ident == item.sig.ident)
                && problems.is_empty()
            {
                let message = "the writes take `&mut Tx`, so the wrapper does not implement the \
                               trait and has no use for a default body: mark this method";
                problems.add(Error::new_spanned(&item.sig.ident, message));
            }
        }
        if !self.item.generics.params.is_empty() {
            let message = "a trait whose writes take `&mut Tx` cannot have parameters";
            problems.add(Error::new_spanned(&self.item.generics, message));
        }
    }

    /// Whether both sides are `InTransaction`: the writes hand them the transaction that way.
    pub(crate) fn lends(&self) -> bool {
        !self.explicit && self.methods.iter().any(Method::is_write)
    }

    /// Whether a method that says `async fn` is the language's own, not `#[async_trait]`'s.
    pub(crate) fn is_native(&self, form: Form) -> bool {
        form == Form::Async && self.async_trait.is_none()
    }
}

/// Everything that is wrong, in the order of the source.
#[derive(Default)]
struct Problems(Option<Error>);

impl Problems {
    fn add(&mut self, error: Error) {
        match &mut self.0 {
            Some(first) => first.combine(error),
            None => self.0 = Some(error),
        }
    }

    fn note<T>(&mut self, result: Result<T>) -> Option<T> {
        result.map_err(|error| self.add(error)).ok()
    }

    fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    fn end(self) -> Result<()> {
        self.0.map_or(Ok(()), Err)
    }
}
