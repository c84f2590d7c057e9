//! The body of one method of the wrapper.

use proc_macro2::{Span, TokenStream, TokenTree};
use quote::{ToTokens, quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{Expr, GenericParam, Ident, Path, ReturnType};

use crate::mark::Compare;
use crate::method::{Method, Role};
use crate::options::Options;
use crate::signature::{Argument, Form, Pass};

/// What the bodies of one trait's methods have in common.
pub(crate) struct Names<'a> {
    /// The path of the facade.
    pub(crate) facade: &'a Path,
    /// The trait with its generic arguments.
    pub(crate) path: TokenStream,
    pub(crate) options: &'a Options,
    /// Whether the sides are `InTransaction`.
    pub(crate) lends: bool,
}

/// What a read's mark says.
struct Subject<'a> {
    key: &'a Expr,
    user: Option<&'a Expr>,
    compare: Option<&'a Compare>,
}

/// A side's type parameter and the wrapper's field for it.
struct Side {
    ty: TokenStream,
    field: TokenStream,
}

fn sides() -> [Side; 2] {
    [
        Side { ty: quote!(LegacySide), field: quote!(legacy) },
        Side { ty: quote!(NewSide), field: quote!(new) },
    ]
}

/// A local variable that neither hides an argument nor is seen by an expression for a key.
fn local(name: &str) -> Ident {
    Ident::new(name, Span::mixed_site())
}

/// Such a variable where an error about it points at the expression that it was made of.
fn local_of(name: &str, expression: &Expr) -> Ident {
    Ident::new(name, Span::mixed_site().located_at(expression.span()))
}

/// Where an error about the method's output points.
fn output_span(method: &Method) -> Span {
    match &method.output {
        ReturnType::Default => method.signature.ident.span(),
        ReturnType::Type(_, ty) => ty.span(),
    }
}

/// The facade's path where an error about what is behind it points at the method's return type.
fn facade_at_output(method: &Method, names: &Names<'_>) -> TokenStream {
    let located = |mut token: TokenTree| {
        token.set_span(token.span().located_at(output_span(method)));
        token
    };
    names.facade.to_token_stream().into_iter().map(located).collect()
}

/// The method's body, without braces.
pub(crate) fn body(method: &Method, names: &Names<'_>) -> TokenStream {
    let body = match &method.role {
        Role::Read { key, user, compare } => {
            read(method, names, &Subject { key, user: user.as_ref(), compare: compare.as_ref() })
        }
        Role::Write { key, operation } => write(method, names, key, operation.as_ref()),
        Role::Custom(path) => custom(method, path),
    };
    match method.form {
        Form::Boxed => quote!(::std::boxed::Box::pin(async move { #body })),
        _ => body,
    }
}

fn custom(method: &Method, path: &Path) -> TokenStream {
    let this = &method.this;
    let arguments = method.arguments.iter().map(|argument| &argument.name);
    let call = quote_spanned!(path.span()=> #path(#this #(, #arguments)*));
    if method.form == Form::Plain { call } else { quote!(#call.await) }
}

fn read(method: &Method, names: &Names<'_>, subject: &Subject<'_>) -> TokenStream {
    let (this, facade) = (&method.this, facade_at_output(method, names));
    let (key_name, references) = (local_of("key", subject.key), references(method));
    let user_name = local_of("user", subject.user.unwrap_or(subject.key));
    let key = borrowed(subject.key);
    let user = subject.user.map_or_else(|| key_name.to_token_stream(), borrowed);
    let closure = if subject.compare.is_some() { owning_read } else { borrowing_read };
    let [legacy, new] = sides().map(|side| closure(method, names, &side));
    let by = subject.compare.map(|compare| match compare {
        // An error points at the return type, which is what lacks an equality.
        Compare::Equality => quote_spanned!(output_span(method)=> , #facade::by_equality),
        Compare::By(path) => quote!(, #path),
    });
    let function = match (&by, names.lends) {
        (None, _) => quote!(read),
        (Some(_), true) => quote!(read_compared_in),
        (Some(_), false) => quote!(read_compared_by),
    };
    let convert = convert(method, names, &names.options.read_error, "from_read");
    quote! {
        let #key_name = #key;
        let #user_name = #user;
        #references
        #this.migration.#function(#key_name, #user_name, #legacy, #new #by).await #convert
    }
}

fn borrowing_read(method: &Method, names: &Names<'_>, side: &Side) -> TokenStream {
    let (this, field) = (&method.this, &side.field);
    let arguments = method.arguments.iter().map(|argument| match argument.pass {
        Pass::Owned => clone_of(&argument.name, argument),
        _ => argument.name.to_token_stream(),
    });
    let call = call(method, names, side, &quote!(&#this.#field), arguments);
    if names.options.opaque_error {
        let call = awaited(method, names, &call);
        return quote!(move || async move { #call });
    }
    quote!(move || #call)
}

/// A comparison outlives the call, so its closures own what they need. Where the sides can be had in
/// a transaction, it reads them in one snapshot.
fn owning_read(method: &Method, names: &Names<'_>, side: &Side) -> TokenStream {
    let (this, facade, field) = (&method.this, names.facade, &side.field);
    let (own, reader) = (local("side"), local("reader"));
    let (parameter, reading) = match names.lends {
        true => (
            Some(quote!(#reader: #facade::Db)),
            quote!(#facade::InTransaction::reading(&#own, #reader)),
        ),
        false => (None, quote!(::core::clone::Clone::clone(&#own))),
    };
    let owned = method.arguments.iter().map(|argument| {
        let name = &argument.name;
        let value = match argument.pass {
            Pass::Shared => {
                quote_spanned!(argument.ty.span()=> ::std::borrow::ToOwned::to_owned(#name))
            }
            _ => clone_of(name, argument),
        };
        quote!(let #name = #value;)
    });
    let again = method.arguments.iter().map(|argument| {
        let name = &argument.name;
        quote!(let #name = ::core::clone::Clone::clone(&#name);)
    });
    let arguments = method.arguments.iter().map(|argument| {
        let name = &argument.name;
        match argument.pass {
            Pass::Shared => quote!(::core::borrow::Borrow::borrow(&#name)),
            _ => name.to_token_stream(),
        }
    });
    let call = call(method, names, side, &quote!(&#own), arguments);
    let call = awaited(method, names, &call);
    quote! {{
        #(#owned)*
        let #own = ::core::clone::Clone::clone(&#this.#field);
        move |#parameter| {
            #(#again)*
            let #own = #reading;
            async move { #call }
        }
    }}
}

fn write(method: &Method, names: &Names<'_>, key: &Expr, operation: Option<&Expr>) -> TokenStream {
    let (this, facade) = (&method.this, names.facade);
    let (key_name, references) = (local_of("key", key), references(method));
    let key = borrowed(key);
    let [legacy, new] = sides().map(|side| writing(method, names, &side));
    let convert = convert(method, names, &names.options.write_error, "from_write");
    let Some(operation) = operation else {
        return quote! {
            let #key_name = #key;
            #references
            #this.migration.write(#key_name, #legacy, #new).await #convert
        };
    };
    let operation_name = local("operation");
    let span = operation.span();
    let operation = borrowed(operation);
    let operation = quote_spanned!(span=> let #operation_name: &#facade::OperationId = #operation;);
    // An error points at the return type, which cannot say that nothing was left to do.
    let at_output = facade_at_output(method, names);
    let told = quote_spanned!(output_span(method)=> .map(#at_output::AnswersOnce::from_once));
    quote! {
        let #key_name = #key;
        #operation
        #references
        #this.migration.write_once(#operation_name, #key_name, #legacy, #new).await #convert #told
    }
}

fn writing(method: &Method, names: &Names<'_>, side: &Side) -> TokenStream {
    let (this, facade, field) = (&method.this, names.facade, &side.field);
    let (own, tx) = (local("side"), local("tx"));
    let owned = method.arguments.iter().filter(|argument| argument.pass == Pass::Owned);
    let owned: TokenStream = owned
        .map(|argument| {
            let (name, clone) = (&argument.name, clone_of(&argument.name, argument));
            quote!(let #name = #clone;)
        })
        .collect();
    let arguments = method.arguments.iter().map(|argument| match argument.pass {
        Pass::Tx => quote_spanned!(argument.ty.span()=> &mut #tx),
        _ => argument.name.to_token_stream(),
    });
    if method.takes_transaction() {
        let call = call(method, names, side, &quote!(&#this.#field), arguments);
        let call = awaited(method, names, &call);
        quote! {
            move |mut #tx: #facade::Tx| {
                #owned
                async move { #call }
            }
        }
    } else {
        let call = call(method, names, side, &quote!(&#own), arguments);
        let call = awaited(method, names, &call);
        quote! {
            move |#tx: #facade::Tx| {
                let #own = #facade::InTransaction::within(&#this.#field, #tx);
                #owned
                async move { #call }
            }
        }
    }
}

/// The call of one side's method.
fn call(
    method: &Method,
    names: &Names<'_>,
    side: &Side,
    receiver: &TokenStream,
    arguments: impl Iterator<Item = TokenStream>,
) -> TokenStream {
    let generics = method.signature.generics.params.iter().filter_map(|param| match param {
        GenericParam::Type(param) => Some(&param.ident),
        GenericParam::Const(param) => Some(&param.ident),
        GenericParam::Lifetime(_) => None,
    });
    let (ty, path, name) = (&side.ty, &names.path, &method.signature.ident);
    quote!(<#ty as #path>::#name::<#(#generics),*>(#receiver #(, #arguments)*))
}

/// Both closures refer to what the method took by value.
fn references(method: &Method) -> TokenStream {
    let owned = method.arguments.iter().filter(|argument| argument.pass == Pass::Owned);
    owned
        .map(|argument| {
            let name = &argument.name;
            quote!(let #name = &#name;)
        })
        .collect()
}

/// A clone of what the reference `name` refers to. An error points at the argument's type.
fn clone_of(name: &Ident, argument: &Argument) -> TokenStream {
    quote_spanned!(argument.ty.span()=> ::core::clone::Clone::clone(#name))
}

/// The key by reference, and each part of a tuple, so that none is moved out of an argument.
fn borrowed(key: &Expr) -> TokenStream {
    match key {
        Expr::Tuple(tuple) => {
            let parts = tuple.elems.iter().map(borrowed);
            quote!(&(#(#parts,)*))
        }
        Expr::Path(_) | Expr::Field(_) | Expr::MethodCall(_) | Expr::Call(_) | Expr::Lit(_) => {
            quote_spanned!(key.span()=> &#key)
        }
        _ => quote_spanned!(key.span()=> &(#key)),
    }
}

/// The method's own error from Crossfade's. An error points at the return type.
fn convert(
    method: &Method,
    names: &Names<'_>,
    function: &Option<Path>,
    opaque: &str,
) -> TokenStream {
    let (facade, opaque) = (names.facade, Ident::new(opaque, Span::call_site()));
    let function = match function {
        Some(function) => function.to_token_stream(),
        None if names.options.opaque_error => quote!(#facade::Opaque::#opaque),
        None => quote!(::core::convert::From::from),
    };
    quote_spanned!(output_span(method)=> .map_err(#function))
}

/// Awaits a side's call.
fn awaited(method: &Method, names: &Names<'_>, call: &TokenStream) -> TokenStream {
    if names.options.opaque_error {
        let facade = names.facade;
        return quote_spanned!(output_span(method)=> #call.await.map_err(#facade::Opaque::new));
    }
    quote!(#call.await)
}
