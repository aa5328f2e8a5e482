//! Defaults of schemas as expressions of Rust.

use proc_macro2::{Ident, Literal, TokenStream};
use quote::quote;
use serde_json::{Number, Value};

use crate::{
    lower::{Shape, Space, Type, Words},
    names::{Scope, ident, variant_name},
    types::{Prelude, path_of},
};

/// The one value that a field may have, if there is only one.
pub(crate) fn only_value(space: &Space, prelude: &Prelude, module: Option<&str>, ty: &Type) -> Option<TokenStream> {
    match words_of(space, ty).filter(|words| !ty.nullable && !words.open)?.values.as_slice() {
        [only] => literal(space, prelude, module, ty, &Value::String(only.clone())),
        _ => None,
    }
}

pub(crate) fn words_of<'a>(space: &'a Space, ty: &Type) -> Option<&'a Words> {
    match &space.items.get(ty.as_item()?)?.shape {
        Shape::Words(words) => Some(words),
        _ => None,
    }
}

/// A default as an expression in `module` of shared types or else in the document's own; none where it would be no literal; defaults are only a convenience.
pub(crate) fn literal(
    space: &Space,
    prelude: &Prelude,
    module: Option<&str>,
    ty: &Type,
    value: &Value,
) -> Option<TokenStream> {
    if ty.is_any() {
        let literal = match value {
            Value::Bool(value) => quote! { #value },
            Value::String(value) => quote! { #value },
            Value::Number(number) => integer(number).or_else(|| float(number))?,
            _ => return None,
        };
        let from = prelude.name("From");
        return Some(quote! { <::celerysalt::__private::serde_json::Value as #from<_>>::from(#literal) });
    }
    if let Some(index) = ty.as_item() {
        let (variant, _) =
            variants_of(words_of(space, ty)?).into_iter().find(|(_, known)| Some(*known) == value.as_str())?;
        let name = path_of(&space.path_to(index, module)?);
        return Some(quote! { #name::#variant });
    }
    match value {
        Value::Bool(value) if ty.is_scalar("boolean") => Some(quote! { #value }),
        Value::String(value) if ty.is_scalar("string") => {
            let string = prelude.name("String");
            Some(quote! { #string::from(#value) })
        }
        Value::Number(number) if ty.is_scalar("integer") => {
            let literal = integer(number)?;
            Some(if space.plain || !ty.is_large_integer() {
                literal
            } else {
                quote! { ::celerysalt::Integer::from(#literal) }
            })
        }
        Value::Number(number) if ty.is_scalar("number") => float(number),
        Value::Array(items) if ty.is_scalar("array") && ty.core.get("items").is_some_and(|items| !items.is_array()) => {
            let item = Type { core: ty.core.get("items")?.clone(), nullable: false };
            let items: Vec<TokenStream> =
                items.iter().map(|value| literal(space, prelude, module, &item, value)).collect::<Option<_>>()?;
            Some(if items.is_empty() {
                quote! { ::std::vec::Vec::new() }
            } else {
                quote! { ::std::vec![#(#items),*] }
            })
        }
        Value::Object(members) if ty.is_scalar("object") && members.is_empty() => {
            let default = prelude.name("Default");
            Some(quote! { #default::default() })
        }
        _ => None,
    }
}

fn integer(number: &Number) -> Option<TokenStream> {
    #[allow(clippy::cast_possible_truncation, reason = "only whole numbers that 64 bits hold exactly")]
    let whole = |n: f64| (n.fract() == 0.0 && n.abs() < 9e15).then_some(n as i64);
    let value = number.as_i64().or_else(|| number.as_f64().and_then(whole))?;
    Some(signed(value < 0, Literal::u64_unsuffixed(value.unsigned_abs())))
}

fn float(number: &Number) -> Option<TokenStream> {
    let value = number.as_f64().filter(|value| value.is_finite())?;
    Some(signed(value.is_sign_negative(), Literal::f64_unsuffixed(value.abs())))
}

fn signed(negative: bool, literal: Literal) -> TokenStream {
    if negative {
        quote! { -#literal }
    } else {
        quote! { #literal }
    }
}

/// The variants of an enum of strings, with the strings.
pub(crate) fn variants_of(words: &Words) -> Vec<(Ident, &str)> {
    let mut scope = Scope::of_types();
    if words.open {
        scope.take("Unknown");
    }
    words.values.iter().map(|value| (ident(&scope.take(&variant_name(value))), value.as_str())).collect()
}
