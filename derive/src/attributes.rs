//! `#[salt(...)]`: what is written on the struct, with every mistake told at its place.

use proc_macro2::Span;
use syn::{DeriveInput, Error, LitBool, LitStr, Result, Type, meta::ParseNestedMeta, spanned::Spanned};

use crate::names::{refuse_topic, refuse_version};

const KEYS: &str = "`topic`, `version`, `rpc`, `mode`, `response`, `error`, `exchange`, `registry`, `auto_register`, \
                    `title` and `description`";

/// The longest name of an exchange in bytes: AMQP 0-9-1 carries it as a short string.
const MAX_EXCHANGE: usize = 255;

/// What the attributes of an event say.
#[derive(Default)]
pub(crate) struct Attributes {
    pub(crate) topic: String,
    pub(crate) version: String,
    pub(crate) is_rpc: bool,
    pub(crate) response: Option<Type>,
    pub(crate) error: Option<Type>,
    pub(crate) exchange: Option<String>,
    pub(crate) registry: bool,
    pub(crate) auto_register: bool,
    pub(crate) title: Option<String>,
    pub(crate) description: Option<String>,
}

/// What was read so far, with the places that later mistakes are told at.
#[derive(Default)]
struct Read {
    topic: Option<LitStr>,
    version: Option<LitStr>,
    rpc: Option<Span>,
    mode: Option<LitStr>,
    response: Option<Type>,
    error: Option<Type>,
    exchange: Option<LitStr>,
    registry: Option<LitBool>,
    auto_register: Option<LitBool>,
    title: Option<LitStr>,
    description: Option<LitStr>,
}

impl Attributes {
    /// Reads the attributes of a type.
    ///
    /// # Errors
    /// All mistakes at once.
    pub(crate) fn of(input: &DeriveInput) -> Result<Self> {
        let mut read = Read::default();
        let mut mistakes = Mistakes::default();
        for attribute in input.attrs.iter().filter(|attribute| attribute.path().is_ident("salt")) {
            mistakes.take(attribute.parse_nested_meta(|meta| read.member(&meta)));
        }
        // What could not be read may be what is missing.
        if mistakes.0.is_none() {
            mistakes.take(read.complete(input));
        }
        if let Some(mistake) = mistakes.0 {
            return Err(mistake);
        }
        let text = |literal: Option<LitStr>| literal.map(|literal| literal.value());
        Ok(Self {
            topic: text(read.topic).unwrap_or_default(),
            version: text(read.version).unwrap_or_default(),
            is_rpc: read.rpc.is_some() || read.response.is_some() || text(read.mode).as_deref() == Some("rpc"),
            response: read.response,
            error: read.error,
            exchange: text(read.exchange),
            registry: read.registry.is_none_or(|literal| literal.value),
            auto_register: read.auto_register.is_none_or(|literal| literal.value),
            title: text(read.title),
            description: text(read.description),
        })
    }
}

impl Read {
    fn member(&mut self, meta: &ParseNestedMeta<'_>) -> Result<()> {
        let Some(key) = meta.path.get_ident().map(ToString::to_string) else {
            return Err(meta.error(format!("unknown attribute; there are {KEYS}")));
        };
        match key.as_str() {
            "topic" => put(&mut self.topic, meta, value),
            "version" => put(&mut self.version, meta, value),
            "rpc" => put(&mut self.rpc, meta, |meta| Ok(meta.path.span())),
            "mode" => put(&mut self.mode, meta, value),
            "response" => put(&mut self.response, meta, value),
            "error" => put(&mut self.error, meta, value),
            "exchange" => put(&mut self.exchange, meta, value),
            "registry" => put(&mut self.registry, meta, value),
            "auto_register" => put(&mut self.auto_register, meta, value),
            "title" => put(&mut self.title, meta, value),
            "description" => put(&mut self.description, meta, value),
            _ => Err(meta.error(format!("unknown attribute `{key}`; there are {KEYS}"))),
        }
    }

    /// What is missing, and what is wrong with what is there.
    fn complete(&self, input: &DeriveInput) -> Result<()> {
        let mut mistakes = Mistakes::default();
        let name = &input.ident;
        let mut check = |literal: &Option<LitStr>, missing: &str, refuse: fn(&str) -> Option<String>| match literal {
            Some(literal) => {
                if let Some(reason) = refuse(&literal.value()) {
                    mistakes.add(Error::new(literal.span(), reason));
                }
            }
            None if missing.is_empty() => {}
            None => mistakes.add(Error::new(name.span(), missing)),
        };
        check(&self.topic, "an event has a topic: #[salt(topic = \"orders.placed\", version = \"v1\")]", refuse_topic);
        check(&self.version, "an event has a version: #[salt(topic = \"...\", version = \"v1\")]", refuse_version);
        check(&self.mode, "", |mode| {
            let known = matches!(mode, "broadcast" | "rpc");
            (!known).then(|| "`mode` is `broadcast` or `rpc`".to_owned())
        });
        check(&self.exchange, "", |exchange| {
            let fits = (1..=MAX_EXCHANGE).contains(&exchange.len());
            (!fits).then(|| format!("`exchange` is a name of 1 to {MAX_EXCHANGE} bytes"))
        });
        if let Some(mode) = self.mode.as_ref().filter(|mode| mode.value() == "broadcast")
            && (self.rpc.is_some() || self.response.is_some())
        {
            mistakes.add(Error::new(mode.span(), "nobody answers a broadcast: remove this, or `rpc` and `response`"));
        }
        if let (Some(error), None) = (&self.error, &self.response) {
            mistakes.add(Error::new(error.span(), "only an RPC that answers can decline: add `response = ...`"));
        }
        if let Some(parameter) = input.generics.params.first() {
            let message = "an event has one schema, so its type has no parameters";
            mistakes.add(Error::new(parameter.span(), message));
        }
        mistakes.0.map_or(Ok(()), Err)
    }
}

/// Reads a member that must not come twice.
fn put<T>(
    place: &mut Option<T>,
    meta: &ParseNestedMeta<'_>,
    read: impl FnOnce(&ParseNestedMeta<'_>) -> Result<T>,
) -> Result<()> {
    if place.is_some() {
        return Err(meta.error("this is said twice"));
    }
    *place = Some(read(meta)?);
    Ok(())
}

/// What stands behind `=`.
fn value<T: syn::parse::Parse>(meta: &ParseNestedMeta<'_>) -> Result<T> {
    meta.value()?.parse()
}

/// Mistakes of several places as one.
#[derive(Default)]
struct Mistakes(Option<Error>);

impl Mistakes {
    fn add(&mut self, mistake: Error) {
        match &mut self.0 {
            Some(first) => first.combine(mistake),
            None => self.0 = Some(mistake),
        }
    }

    fn take(&mut self, result: Result<()>) {
        if let Err(mistake) = result {
            self.add(mistake);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(code: &str) -> std::result::Result<Attributes, Vec<String>> {
        let input = syn::parse_str::<DeriveInput>(code).unwrap();
        Attributes::of(&input).map_err(|mistakes| mistakes.into_iter().map(|mistake| mistake.to_string()).collect())
    }

    #[test]
    fn attributes_may_be_spread_over_several() {
        let read = read("#[salt(topic = \"a.b\")] #[other] #[salt(version = \"v2\", registry = false)] struct A;");
        let read = read.ok().unwrap();
        assert_eq!((read.topic.as_str(), read.version.as_str()), ("a.b", "v2"));
        assert!(!read.registry && read.auto_register && !read.is_rpc);
        for rpc in ["rpc", "mode = \"rpc\"", "response = R", "response = R, error = E, rpc"] {
            let code = format!("#[salt(topic = \"a\", version = \"v1\", {rpc})] struct A;");
            assert!(self::read(&code).ok().unwrap().is_rpc, "{rpc}");
        }
    }

    #[test]
    fn all_mistakes_are_told_at_once() {
        let mistakes = |code: &str| read(code).err().unwrap_or_default().join(" | ");
        let all = mistakes("#[salt(topic = \"a..b\", mode = \"fanout\", exchange = \"\", error = E)] struct A<T>;");
        for expected in
            ["no empty word", "has a version", "`broadcast` or `rpc`", "1 to 255", "can decline", "no parameters"]
        {
            assert!(all.contains(expected), "{expected}: {all}");
        }
        assert!(mistakes("struct A;").contains("has a topic"));
        assert!(mistakes("#[salt(topic = \"a\", topic = \"b\", version = \"v1\")] struct A;").contains("twice"));
        assert!(mistakes("#[salt(topik = \"a\", version = \"v1\")] struct A;").contains("`topik`"));
        assert!(mistakes("#[salt(topic = \"a\", version = 1)] struct A;").contains("string literal"));
        assert!(mistakes("#[salt(topic = \"a\", version = \"1\")] struct A;").contains("such as `v1`"));
        let both = "#[salt(topic = \"a\", version = \"v1\", rpc, mode = \"broadcast\")] struct A;";
        assert!(mistakes(both).contains("nobody answers"));
    }
}
