//! The trait as it stays, and the wrapper: its struct, its constructor and its methods.

use proc_macro2::TokenStream;
use quote::{ToTokens, quote};
use syn::visit_mut::{self, VisitMut};
use syn::{
    Attribute, FnArg, GenericArgument, GenericParam, Generics, Ident, ItemTrait, Pat,
    PathArguments, ReturnType, Signature, Token, TraitItem, Type, TypePath, parse_quote,
};

use crate::method::{Method, Role};
use crate::options::Options;
use crate::repository::Repository;
use crate::route::{self, Names};
use crate::signature::{self, Form, Pass};

/// Everything that stands where the trait stood.
pub(crate) fn expand(repository: &Repository, options: &Options) -> TokenStream {
    let item = trait_item(repository);
    let structure = structure(repository, options);
    let methods = methods(repository, options);
    quote! {
        #item
        #structure
        #methods
    }
}

/// The trait; where it is native, with futures that are `Send`.
fn trait_item(repository: &Repository) -> ItemTrait {
    let mut item = repository.item.clone();
    for entry in &mut item.items {
        let TraitItem::Fn(method) = entry else { continue };
        if !repository.is_native(signature::form(&method.sig).0) {
            continue;
        }
        let output = match &method.sig.output {
            ReturnType::Default => quote!(()),
            ReturnType::Type(_, ty) => quote!(#ty),
        };
        method.sig.asyncness = None;
        method.sig.output = parse_quote! {
            -> impl ::core::future::Future<Output = #output> + ::core::marker::Send
        };
        if let Some(body) = &method.default {
            method.default = Some(parse_quote!({ async move #body }));
        }
    }
    item
}

fn structure(repository: &Repository, options: &Options) -> TokenStream {
    let item = &repository.item;
    let (vis, facade, dual) = (&item.vis, options.facade(), options.dual(&item.ident));
    let cfgs = cfgs(&item.attrs);
    let about = format!(
        "Both sides of [`{}`], around one migration: its stage says which sides a write goes to, \
         and its read flag which one answers.",
        item.ident
    );
    quote! {
        #(#cfgs)*
        #[doc = #about]
        #[derive(::core::clone::Clone, ::core::fmt::Debug)]
        #vis struct #dual<LegacySide, NewSide> {
            /// Routes each call.
            #vis migration: #facade::Migration,
            /// The repository of the old schema.
            #vis legacy: LegacySide,
            /// The repository of the new schema.
            #vis new: NewSide,
        }

        #(#cfgs)*
        impl<LegacySide, NewSide> #dual<LegacySide, NewSide> {
            /// Wraps the two sides.
            #[must_use]
            #vis const fn new(
                migration: #facade::Migration,
                legacy: LegacySide,
                new: NewSide,
            ) -> Self {
                Self { migration, legacy, new }
            }
        }
    }
}

/// The implementation of the trait, or of methods of the wrapper's own.
fn methods(repository: &Repository, options: &Options) -> TokenStream {
    let (item, facade) = (&repository.item, options.facade());
    let (name, dual, cfgs) = (&item.ident, options.dual(&item.ident), cfgs(&item.attrs));
    let (_, arguments, _) = item.generics.split_for_impl();
    let path = quote!(#name #arguments);
    let generics = generics(repository, options, &path);
    let (parameters, _, conditions) = generics.split_for_impl();
    let names = Names { facade: &facade, path: path.clone(), options, lends: repository.lends() };
    let methods = repository.methods.iter().map(|method| {
        let (signature, body) =
            (implemented(method, repository, &path), route::body(method, &names));
        let attrs = carried(method, repository.explicit);
        let vis = repository.explicit.then_some(&item.vis);
        quote! {
            #(#attrs)*
            #vis #signature {
                #body
            }
        }
    });
    if repository.explicit {
        return quote! {
            #(#cfgs)*
            impl #parameters #dual<LegacySide, NewSide> #conditions {
                #(#methods)*
            }
        };
    }
    let types = repository.types.iter().map(|ty| {
        let (name, cfgs) = (&ty.ident, self::cfgs(&ty.attrs));
        quote!(#(#cfgs)* type #name = <LegacySide as #path>::#name;)
    });
    let constants = repository.constants.iter().map(|constant| {
        let (name, ty, cfgs) = (&constant.ident, &constant.ty, self::cfgs(&constant.attrs));
        quote!(#(#cfgs)* const #name: #ty = <LegacySide as #path>::#name;)
    });
    let async_trait = &repository.async_trait;
    quote! {
        #async_trait
        #(#cfgs)*
        impl #parameters #path for #dual<LegacySide, NewSide> #conditions {
            #(#types)*
            #(#constants)*
            #(#methods)*
        }
    }
}

/// The trait's own parameters and the two sides, with what the methods ask of them.
fn generics(repository: &Repository, options: &Options, path: &TokenStream) -> Generics {
    let (item, facade) = (&repository.item, options.facade());
    let mut generics = item.generics.clone();
    generics.params.push(parse_quote!(LegacySide));
    generics.params.push(parse_quote!(NewSide));
    let methods = &repository.methods;
    let compares =
        methods.iter().any(|method| matches!(method.role, Role::Read { compare: Some(_), .. }));
    let lends = repository.lends().then(|| quote!(+ #facade::InTransaction));
    let compares = compares.then(|| quote!(+ ::core::clone::Clone + 'static));
    let bounds = quote!(::core::marker::Send + ::core::marker::Sync #lends #compares);

    let name = &item.ident;
    let parameters = item.generics.params.iter().map(|param| match param {
        GenericParam::Lifetime(param) => param.lifetime.to_token_stream(),
        GenericParam::Type(param) => param.ident.to_token_stream(),
        GenericParam::Const(param) => param.ident.to_token_stream(),
    });
    let same = repository.types.iter().map(|ty| {
        let name = &ty.ident;
        quote!(#name = <LegacySide as #path>::#name)
    });
    let same_types = parameters.chain(same);

    let conditions = generics.make_where_clause();
    conditions.predicates.push(parse_quote!(LegacySide: #path + #bounds));
    conditions.predicates.push(parse_quote!(NewSide: #name<#(#same_types),*> + #bounds));
    for name in
        repository.types.iter().map(|ty| &ty.ident).filter(|name| fails_with(repository, name))
    {
        let error = quote!(<LegacySide as #path>::#name);
        let mut bounds =
            quote!(::std::error::Error + ::core::marker::Send + ::core::marker::Sync + 'static);
        if options.read_error.is_none() {
            bounds.extend(quote!(+ ::core::convert::From<#facade::ReadError<#error>>));
        }
        if options.write_error.is_none() {
            bounds.extend(quote!(+ ::core::convert::From<#facade::WriteError<#error>>));
        }
        conditions.predicates.push(parse_quote!(#error: #bounds));
    }
    generics
}

/// Whether a marked method returns `Result<…, Self::Name>`.
fn fails_with(repository: &Repository, name: &Ident) -> bool {
    repository.methods.iter().any(|method| {
        let ReturnType::Type(_, ty) = &method.output else { return false };
        let Type::Path(ty) = &**ty else { return false };
        let Some(PathArguments::AngleBracketed(arguments)) =
            ty.path.segments.last().map(|segment| &segment.arguments)
        else {
            return false;
        };
        matches!(arguments.args.last(), Some(GenericArgument::Type(Type::Path(ty)))
            if associated(ty) == Some(name))
    })
}

/// The signature of the wrapper's method.
fn implemented(method: &Method, repository: &Repository, path: &TokenStream) -> Signature {
    let mut signature = method.signature.clone();
    if method.form == Form::ImplFuture {
        signature.asyncness = Some(Token![async](signature.fn_token.span));
        signature.output = method.output.clone();
    }
    if repository.explicit {
        let taken = |input: &FnArg| {
            let FnArg::Typed(input) = input else { return false };
            let Pat::Ident(pat) = &*input.pat else { return false };
            method.arguments.iter().any(|it| it.pass == Pass::Tx && it.name == pat.ident)
        };
        signature.inputs = signature.inputs.into_iter().filter(|input| !taken(input)).collect();
        Associated(path).visit_signature_mut(&mut signature);
    }
    signature
}

/// Spells `Self::Name` out, where `Self` is no implementation of the trait.
struct Associated<'a>(&'a TokenStream);

impl VisitMut for Associated<'_> {
    fn visit_type_mut(&mut self, ty: &mut Type) {
        if let Type::Path(path) = ty
            && let Some(name) = associated(path)
        {
            let trait_path = self.0;
            *ty = parse_quote!(<LegacySide as #trait_path>::#name);
            return;
        }
        visit_mut::visit_type_mut(self, ty);
    }
}

/// The `Name` of `Self::Name`.
fn associated(ty: &TypePath) -> Option<&Ident> {
    let mut segments = ty.path.segments.iter();
    match (&ty.qself, segments.next(), segments.next(), segments.next()) {
        (None, Some(first), Some(second), None) if first.ident == "Self" => Some(&second.ident),
        _ => None,
    }
}

/// The attributes that the wrapper's method has in common with the trait's.
fn carried(method: &Method, explicit: bool) -> Vec<&Attribute> {
    let carried = |attr: &&Attribute| {
        let path = attr.path();
        path.is_ident("cfg") || path.is_ident("allow") || explicit && path.is_ident("doc")
    };
    method.item.attrs.iter().filter(carried).collect()
}

fn cfgs(attrs: &[Attribute]) -> Vec<&Attribute> {
    attrs.iter().filter(|attr| attr.path().is_ident("cfg")).collect()
}
