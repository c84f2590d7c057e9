//! The marks on methods: `#[read(key = …)]` and its like.

use syn::{Attribute, Error, Expr, Meta, Path, Result, Token};

/// How the wrapper carries a method out.
pub(crate) enum Mark {
    /// On the side that stage and read flag pick.
    Read {
        /// Names the row.
        key: Expr,
        /// Whom the flag is asked about, where that is not the key.
        user: Option<Expr>,
        /// How a sample of calls is compared with the other side, if at all.
        compare: Option<Compare>,
    },
    /// On the sides that the stage asks for, in one transaction.
    Write {
        /// Names the row.
        key: Expr,
        /// The id by which it is carried out once, if it has one.
        operation: Option<Expr>,
    },
    /// By a function of the application's.
    Custom(Path),
}

/// How two answers are compared.
pub(crate) enum Compare {
    /// By `==`.
    Equality,
    /// By a function of the application's.
    By(Path),
}

const NAMES: [&str; 4] = ["read", "write", "delete", "custom"];

/// Takes the mark off a method's attributes.
pub(crate) fn take(attrs: &mut Vec<Attribute>) -> Result<Option<Mark>> {
    let is_mark = |attr: &Attribute| NAMES.iter().any(|name| attr.path().is_ident(name));
    let marks: Vec<Attribute> = attrs.extract_if(.., |attr| is_mark(attr)).collect();
    match &marks[..] {
        [] => Ok(None),
        [mark] => parse(mark).map(Some),
        [_, second, ..] => {
            Err(Error::new_spanned(second, "a method has one mark, and this is a second one"))
        }
    }
}

fn parse(attr: &Attribute) -> Result<Mark> {
    let name = attr.path().get_ident().map(ToString::to_string).unwrap_or_default();
    if name == "custom" {
        return match &attr.meta {
            Meta::List(list) => list.parse_args_with(Path::parse_mod_style).map(Mark::Custom),
            other => Err(Error::new_spanned(
                other,
                "`custom` names the function that the wrapper calls, as in `#[custom(update)]`",
            )),
        };
    }
    let needs_key = || {
        let message = format!(
            "`{name}` needs the row's key, an expression over the arguments, as in \
             `#[{name}(key = user)]`"
        );
        Error::new_spanned(attr, message)
    };
    if !matches!(attr.meta, Meta::List(_)) {
        return Err(needs_key());
    }
    let (mut key, mut user, mut operation, mut compare) = (None, None, None, None);
    let is_read = name == "read";
    attr.parse_nested_meta(|meta| {
        let option = meta.path.get_ident().map(ToString::to_string).unwrap_or_default();
        let place = match (option.as_str(), is_read) {
            ("key", _) => &mut key,
            ("user", true) => &mut user,
            ("operation", false) => &mut operation,
            ("compare", true) => {
                compare = Some(match meta.input.peek(Token![=]) {
                    true => Compare::By(meta.value()?.call(Path::parse_mod_style)?),
                    false => Compare::Equality,
                });
                return Ok(());
            }
            ("user", false) => return Err(meta.error("only a read asks a flag about its user")),
            ("compare", false) => {
                return Err(meta.error("only a read is compared with the other side"));
            }
            ("operation", true) => {
                return Err(meta.error("only a write or a delete is an operation with an id"));
            }
            (_, true) => {
                let message = "unknown option; `read` has `key`, `user` and `compare`";
                return Err(meta.error(message));
            }
            (_, false) => {
                let message = format!("unknown option; `{name}` has `key` and `operation`");
                return Err(meta.error(message));
            }
        };
        if place.is_some() {
            return Err(meta.error(format!("`{option}` is given twice")));
        }
        *place = Some(meta.value()?.parse::<Expr>()?);
        Ok(())
    })?;
    let key = key.ok_or_else(needs_key)?;
    Ok(if is_read { Mark::Read { key, user, compare } } else { Mark::Write { key, operation } })
}
