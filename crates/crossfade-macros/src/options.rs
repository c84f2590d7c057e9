//! What stands in the parentheses of `#[crossfade::repository(…)]`.

use proc_macro2::{Span, TokenStream};
use syn::ext::IdentExt;
use syn::parse::{Parse, ParseStream, Parser};
use syn::punctuated::Punctuated;
use syn::{Error, Ident, Path, Result, Token, parse_quote};

/// The options, where they are given.
#[derive(Default)]
pub(crate) struct Options {
    /// The wrapper's name.
    pub(crate) dual: Option<Ident>,
    /// A function that takes a `ReadError<E>` and returns an `E`.
    pub(crate) read_error: Option<Path>,
    /// A function that takes a `WriteError<E>` and returns an `E`.
    pub(crate) write_error: Option<Path>,
    /// Whether the errors are `anyhow::Error` or their like.
    pub(crate) opaque_error: bool,
    /// Where the facade is.
    facade: Option<Path>,
}

const KNOWN: &str = "`dual`, `read_error`, `write_error`, `opaque_error` and `crate`";

/// One `name = value`, or a name alone.
struct Entry {
    name: Ident,
    value: Option<Path>,
}

impl Parse for Entry {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let name = input.call(Ident::parse_any)?;
        if name == "opaque_error" {
            return Ok(Self { name, value: None });
        }
        if !["dual", "read_error", "write_error", "crate"].iter().any(|known| name == known) {
            let message = format!("unknown option `{name}`; there are {KNOWN}");
            return Err(Error::new(name.span(), message));
        }
        if input.is_empty() || input.peek(Token![,]) {
            let message = format!("`{name}` needs a value, as in `{name} = …`");
            return Err(Error::new(name.span(), message));
        }
        input.parse::<Token![=]>()?;
        Ok(Self { name, value: Some(input.call(Path::parse_mod_style)?) })
    }
}

impl Options {
    pub(crate) fn parse(tokens: TokenStream) -> Result<Self> {
        let entries = Punctuated::<Entry, Token![,]>::parse_terminated.parse2(tokens)?;
        let mut options = Self::default();
        for Entry { name, value } in entries {
            let repeated = match value {
                None => std::mem::replace(&mut options.opaque_error, true),
                Some(value) if name == "dual" => {
                    let dual = value.get_ident().cloned().ok_or_else(|| {
                        Error::new_spanned(&value, "`dual` is the name of the struct to generate")
                    })?;
                    options.dual.replace(dual).is_some()
                }
                Some(value) if name == "read_error" => options.read_error.replace(value).is_some(),
                Some(value) if name == "write_error" => {
                    options.write_error.replace(value).is_some()
                }
                Some(value) => options.facade.replace(value).is_some(),
            };
            if repeated {
                return Err(Error::new(name.span(), format!("`{name}` is given twice")));
            }
            if options.opaque_error
                && (options.read_error.is_some() || options.write_error.is_some())
            {
                let message = "`opaque_error` converts, so nothing else does";
                return Err(Error::new(name.span(), message));
            }
        }
        Ok(options)
    }

    /// The path of the facade.
    pub(crate) fn facade(&self) -> Path {
        self.facade.clone().unwrap_or_else(|| parse_quote!(::crossfade))
    }

    /// The wrapper's name for a trait of that name.
    pub(crate) fn dual(&self, trait_name: &Ident) -> Ident {
        let default = || Ident::new(&format!("Dual{}", trait_name.unraw()), Span::call_site());
        self.dual.clone().unwrap_or_else(default)
    }
}
