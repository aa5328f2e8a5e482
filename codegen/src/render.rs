//! All modules together become one text: deterministic to the byte, formatted, for people to read.

use std::{
    num::NonZero,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use celerysalt_contract::{Contract, Diagnostic};
use proc_macro2::TokenStream;
use quote::quote;

use crate::{
    cache::Kept,
    convert, decode, docs, event, family,
    lower::{Home, Space},
    names::ident,
    plan::{self, Plan, TopicPlan, VersionPlan},
    shared,
};

/// The code, and where each topic stands in it.
pub(crate) struct Rendered {
    pub(crate) code: String,
    /// In the order of the code.
    pub(crate) topics: Vec<TopicText>,
}

/// The code of a topic, and what others have to know of it.
#[derive(Clone, Debug)]
pub(crate) struct TopicText {
    pub(crate) topic: String,
    pub(crate) module: String,
    /// The modules of its versions, with the events in them.
    pub(crate) events: Vec<(String, String)>,
    /// The types that the top has too.
    pub(crate) roots: Vec<String>,
    pub(crate) code: String,
    /// Where the code starts in the whole, in bytes.
    pub(crate) at: usize,
    /// Whether other topics neither have to do with its types nor want its names.
    pub(crate) is_alone: bool,
}

impl TopicText {
    /// That of a topic which nothing is to be generated of.
    pub(crate) fn none(topic: &str) -> Self {
        let (module, events, roots, code) = Default::default();
        Self { topic: topic.to_owned(), module, events, roots, code, at: 0, is_alone: true }
    }

    fn new(plan: &TopicPlan<'_>, code: String, is_alone: bool) -> Self {
        let events = plan.versions.iter().map(|version| (version.module.clone(), version.event.clone())).collect();
        let all_at_top = plan.newest().is_some_and(|newest| newest.roots().eq(&plan.at_top));
        Self {
            topic: plan.topic.to_owned(),
            module: plan.module.clone(),
            events,
            roots: plan.at_top.clone(),
            code,
            at: 0,
            is_alone: is_alone && all_at_top,
        }
    }

    pub(crate) fn is_generated(&self) -> bool {
        !self.events.is_empty()
    }

    /// Whether the code stands in `whole` where it was put.
    pub(crate) fn is_in(&self, whole: &str) -> bool {
        whole.get(self.at..).is_some_and(|rest| rest.starts_with(&self.code))
    }
}

/// The code for `contracts`, those of `plain` without a place for what they don't name, and for what is known already; none
/// when it can't be made, and what is to be said about it.
pub(crate) fn code(contracts: &[&Contract], plain: &[&Contract], kept: &Kept) -> (Option<Rendered>, Vec<Diagnostic>) {
    let Some(Plan { topics, shared: shared_module, warnings: mut findings }) = plan::plan(contracts, plain, kept)
    else {
        return (None, Vec::new());
    };
    let mut lowered: Vec<Vec<Space>> =
        topics.iter().flat_map(|topic| &topic.versions).map(|version| event::lower(version, &shared_module)).collect();
    let shared = shared::find(&mut lowered);
    let is_alone = alone(&topics, &lowered);
    let known = kept.topics.values().map(|kept| &kept.text).filter(|text| text.is_generated());
    let mut texts: Vec<TopicText> = known.cloned().collect();
    let mut complete = true;
    for ((written, topic), is_alone) in modules(&topics, lowered).into_iter().zip(&topics).zip(is_alone) {
        match written {
            Ok((code, found)) => {
                texts.push(TopicText::new(topic, code, is_alone));
                findings.extend(found);
            }
            Err(found) => {
                findings.extend(found);
                complete = false;
            }
        }
    }
    let mut items = TokenStream::new();
    match family::modules(shared, &shared_module) {
        Ok(code) => items.extend(code),
        Err(refusal) => {
            let message = format!("no Rust types can be made of the shared schemas: {refusal}");
            let help = "this is a limit of the generator; please report the schemas";
            findings.push(Diagnostic::error("codegen-unsupported", "events.rs", message).with_help(help));
            complete = false;
        }
    }
    texts.sort_by(|a, b| a.topic.cmp(&b.topic));
    items.extend(list(&texts));
    if !complete {
        return (None, findings);
    }
    match formatted(items) {
        Ok(end) => {
            let mut code = header(texts.iter().map(|text| text.events.len()).sum());
            for text in &mut texts {
                text.at = code.len();
                code.push_str(&text.code);
            }
            code.push_str(&end);
            (Some(Rendered { code, topics: texts }), findings)
        }
        Err(message) => {
            findings.push(fault(message));
            (None, findings)
        }
    }
}

/// Items as a person would have set them.
///
/// # Errors
/// What is no Rust in them, which is a fault of the generator.
fn formatted(items: TokenStream) -> Result<String, String> {
    match syn::parse2::<syn::File>(items) {
        Ok(file) => Ok(decode::with_serde(&prettyplease::unparse(&file))),
        Err(error) => Err(format!("the generated code is no Rust: {error}; please report these contracts")),
    }
}

fn fault(message: String) -> Diagnostic {
    Diagnostic::error("codegen-internal", "events.rs", message)
}

/// A module's text, and what is to be said about it; or why there is none.
type Module = Result<(String, Vec<Diagnostic>), Vec<Diagnostic>>;

/// The modules of all topics, in their order, made on all processors: a build waits for them.
fn modules(topics: &[TopicPlan<'_>], lowered: Vec<Vec<Space>>) -> Vec<Module> {
    /// Fewer topics are not worth a thread.
    const FEW: usize = 8;
    let mut lowered = lowered.into_iter();
    let tasks: Vec<Mutex<Option<Vec<Vec<Space>>>>> =
        topics.iter().map(|topic| Mutex::new(Some(lowered.by_ref().take(topic.versions.len()).collect()))).collect();
    let next = AtomicUsize::new(0);
    let work = || {
        let mut done = Vec::new();
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            let (Some(topic), Some(task)) = (topics.get(index), tasks.get(index)) else { return done };
            let spaces = task.lock().unwrap_or_else(PoisonError::into_inner).take().unwrap_or_default();
            done.push((index, module(topic, spaces)));
        }
    };
    let workers = thread::available_parallelism().map_or(1, NonZero::get).min(topics.len() / FEW);
    let mut done: Vec<(usize, Module)> = thread::scope(|scope| {
        let others: Vec<_> = (1..workers).map(|_| scope.spawn(work)).collect();
        let mut done = work();
        for other in others {
            match other.join() {
                Ok(more) => done.extend(more),
                // A module must not be missing in silence.
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        done
    });
    done.sort_by_key(|(index, _)| *index);
    done.into_iter().map(|(_, module)| module).collect()
}

fn header(contracts: usize) -> String {
    let version = env!("CARGO_PKG_VERSION");
    let s = if contracts == 1 { "" } else { "s" };
    format!("// Generated by celerysalt-codegen {version} from {contracts} contract{s}; do not edit.\n\n")
}

fn module(topic: &TopicPlan<'_>, lowered: Vec<Vec<Space>>) -> Module {
    let mut versions = TokenStream::new();
    let mut findings = Vec::new();
    let mut complete = true;
    let mut roots = Vec::with_capacity(topic.versions.len());
    for (version, mut spaces) in topic.versions.iter().zip(lowered) {
        match event::module(version, &mut spaces) {
            Ok(written) => {
                versions.extend(written.code);
                findings.extend(written.findings);
                roots.push((version, written.root));
            }
            Err(found) => {
                findings.extend(found);
                complete = false;
            }
        }
    }
    if !complete {
        return Err(findings);
    }
    let neighbours: Vec<_> = roots.iter().map(|(version, root)| (*version, root)).collect();
    let conversions = convert::between(&neighbours);
    let module = ident(&topic.module);
    let about = docs::inner(&format!("Topic {}.", docs::code(topic.topic)));
    let title = topic.newest().and_then(|newest| newest.contract.request.schema.get("title")?.as_str());
    let doc = docs::outer(title.unwrap_or(topic.topic));
    let newest = topic.newest().map(|newest| {
        let (version, names) = (ident(&newest.module), newest.roots().map(|name| ident(name)));
        quote! { #(pub use self::#version::#names;)* }
    });
    let at_top = topic.at_top.iter().map(|name| ident(name));
    let quiet = docs::quiet();
    let reexports = quote! { #(#[allow(unreachable_pub, unused)] pub use self::#module::#at_top;)* };
    let code = quote! {
        #doc
        #quiet
        pub mod #module {
            #about
            #versions
            #conversions
            #newest
        }
        #reexports
    };
    match formatted(code) {
        Ok(code) => Ok((code, findings)),
        Err(message) => {
            findings.push(fault(message));
            Err(findings)
        }
    }
}

/// Whether each topic has no type that is written among the shared ones.
fn alone(topics: &[TopicPlan<'_>], lowered: &[Vec<Space>]) -> Vec<bool> {
    let mut lowered = lowered.iter();
    let is_alone = |versions: &[VersionPlan<'_>]| {
        let spaces = lowered.by_ref().take(versions.len()).flatten();
        spaces.filter(|space| space.items.iter().any(|item| item.home != Home::Here)).count() == 0
    };
    topics.iter().map(|topic| topic.versions.as_slice()).map(is_alone).collect()
}

/// The function that gives every contract.
fn list(topics: &[TopicText]) -> TokenStream {
    let contracts = topics.iter().flat_map(|topic| {
        let module = ident(&topic.module);
        topic.events.iter().map(move |(version, event)| {
            let (version, event) = (ident(version), ident(event));
            quote! { <self::#module::#version::#event as ::celerysalt::Event>::contract() }
        })
    });
    let quiet = docs::quiet();
    quote! {
        /// Every contract of this build, for `Salt::builder(..).contracts(..)`.
        #quiet
        pub fn contracts() -> ::std::vec::Vec<&'static ::celerysalt::EventContract> {
            ::std::vec::Vec::from([#(#contracts),*])
        }
    }
}
