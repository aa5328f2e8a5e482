//! What to generate: which contracts, under which modules, and what their types are called.

use std::collections::{BTreeMap, BTreeSet};

use celerysalt_contract::{Catalog, Contract, Diagnostic, Document, Selector};
use serde_json::Value;

use crate::{
    cache::Kept,
    names::{Scope, module_name, type_name},
};

/// Everything to generate.
pub(crate) struct Plan<'a> {
    pub(crate) topics: Vec<TopicPlan<'a>>,
    /// The module of types that several contracts share.
    pub(crate) shared: String,
    pub(crate) warnings: Vec<Diagnostic>,
}

/// The module of a topic.
pub(crate) struct TopicPlan<'a> {
    pub(crate) module: String,
    pub(crate) topic: &'a str,
    /// The oldest first.
    pub(crate) versions: Vec<VersionPlan<'a>>,
    /// The types of the newest version that the top of the generated code has as well.
    pub(crate) at_top: Vec<String>,
}

/// The module of a version.
pub(crate) struct VersionPlan<'a> {
    pub(crate) module: String,
    pub(crate) contract: &'a Contract,
    /// Types hold what the schema names and nothing else.
    pub(crate) plain: bool,
    /// The event's type.
    pub(crate) event: String,
    /// The event's builder, if it gets one.
    pub(crate) builder: String,
    pub(crate) response: Option<String>,
    pub(crate) error: Option<String>,
}

impl<'a> TopicPlan<'a> {
    pub(crate) fn newest(&self) -> Option<&VersionPlan<'a>> {
        self.versions.last()
    }
}

impl VersionPlan<'_> {
    /// The types that the module offers as its own: the event, and what it is answered.
    pub(crate) fn roots(&self) -> impl Iterator<Item = &String> {
        std::iter::once(&self.event).chain(&self.response).chain(&self.error)
    }
}

/// The contracts that `only` means, all of them when it is empty; `option` is what it is called. What is known already is
/// not in the catalog, and may be meant too.
///
/// # Errors
/// Each selector that can't be read or matches nothing.
pub(crate) fn select<'a>(
    catalog: &'a Catalog,
    option: &str,
    only: &[String],
    kept: &Kept,
) -> Result<Vec<&'a Contract>, Vec<Diagnostic>> {
    let mut selectors = Vec::with_capacity(only.len());
    let mut refused = Vec::new();
    for text in only {
        match text.parse::<Selector>() {
            Ok(selector) if catalog.select(std::slice::from_ref(&selector)).is_empty() && !kept.has(&selector) => {
                let message = format!("`{text}` in `{option}` matches no contract");
                refused
                    .push(Diagnostic::error("unknown-contract", &catalog.root, message).with_help(near(catalog, text)));
            }
            Ok(selector) => selectors.push(selector),
            Err(error) => {
                let message = format!("`{text}` in `{option}` selects nothing: {error}");
                let help = "a selector is a topic or a pattern, such as `pulse.risk.*` or `auth.user.signup@v1`";
                refused.push(Diagnostic::error("selector", &catalog.root, message).with_help(help));
            }
        }
    }
    if refused.is_empty() { Ok(catalog.select(&selectors)) } else { Err(refused) }
}

/// The contracts whose names come close to `text`.
fn near(catalog: &Catalog, text: &str) -> String {
    const MOST: usize = 5;
    let topic = text.split('@').next().unwrap_or(text);
    let mut names: Vec<(usize, String)> = Vec::new();
    for contract in &catalog.contracts {
        let known = contract.topic.as_str();
        let shared =
            known.split('.').filter(|word| word.len() > 2 && topic.split('.').any(|other| other == *word)).count();
        let distance = distance(topic, known);
        let near = distance <= topic.len().max(known.len()) / 3 || shared > 0;
        let rank = if near { distance } else { usize::MAX };
        names.push((rank, format!("{known}@{}", contract.version)));
    }
    names.sort();
    if names.iter().any(|(rank, _)| *rank < usize::MAX) {
        names.retain(|(rank, _)| *rank < usize::MAX);
    }
    let more = names.len().saturating_sub(MOST);
    let listed: Vec<String> = names.into_iter().take(MOST).map(|(_, name)| format!("`{name}`")).collect();
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("there is {}{more}", listed.join(", "))
}

/// How many characters must be changed, added or removed.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = i;
        let mut left = i + 1;
        let mut next = Vec::with_capacity(row.len());
        next.push(left);
        for (&y, &above) in b.iter().zip(row.iter().skip(1)) {
            left = (diagonal + usize::from(x != y)).min(left + 1).min(above + 1);
            diagonal = above;
            next.push(left);
        }
        row = next;
    }
    row.last().copied().unwrap_or(0)
}

/// Decides every name that is visible outside of one document; nothing if that changes what is known already.
pub(crate) fn plan<'a>(contracts: &[&'a Contract], plain: &[&Contract], kept: &'a Kept) -> Option<Plan<'a>> {
    let mut by_topic: BTreeMap<&str, Vec<&'a Contract>> = BTreeMap::new();
    for contract in contracts {
        by_topic.entry(contract.topic.as_str()).or_default().push(contract);
    }
    let mut modules = Scope::of_fields();
    let mut topics = Vec::with_capacity(by_topic.len());
    let known = kept.topics.iter().filter(|(_, kept)| kept.text.is_generated()).map(|(topic, _)| topic.as_str());
    let all: BTreeSet<&str> = by_topic.keys().copied().chain(known).collect();
    for topic in all {
        let module = modules.take(&module_name(topic));
        let Some(mut contracts) = by_topic.remove(topic) else {
            if kept.topics.get(topic).is_none_or(|kept| kept.text.module != module) {
                return None;
            }
            continue;
        };
        contracts.sort_by(|a, b| a.version.cmp(&b.version));
        let mut scope = Scope::of_fields();
        let versions =
            contracts.into_iter().map(|contract| version(contract, is_plain(contract, plain), &mut scope)).collect();
        topics.push(TopicPlan { module, topic, versions, at_top: Vec::new() });
    }
    let mut warnings = share_titles(&mut topics);
    warnings.extend(topics.iter().flat_map(|topic| &topic.versions).filter_map(nameless));
    let roots: BTreeSet<&String> = kept.topics.values().flat_map(|kept| &kept.text.roots).collect();
    if topics.iter().filter_map(TopicPlan::newest).flat_map(VersionPlan::roots).any(|root| roots.contains(root)) {
        return None;
    }
    let shared = modules.take("shared");
    Some(Plan { topics, shared, warnings })
}

/// A title that is no help in naming the type.
fn nameless(version: &VersionPlan<'_>) -> Option<Diagnostic> {
    let VersionPlan { contract, event, .. } = version;
    if contract.title.chars().any(char::is_alphanumeric) {
        return None;
    }
    let source = &contract.request.source;
    let message = format!("no Rust name can be made of this title: the type is called `{event}`");
    let help = "a title such as `OrderPlaced` has letters; `description` is the place for everything else";
    Some(source.warning("nameless-title", source.span_of("/title"), message).with_help(help))
}

fn is_plain(contract: &Contract, plain: &[&Contract]) -> bool {
    plain.iter().any(|known| known.topic == contract.topic && known.version == contract.version)
}

fn version<'a>(contract: &'a Contract, plain: bool, modules: &mut Scope) -> VersionPlan<'a> {
    let mut types = Scope::of_types();
    let event = types.take(&type_name(&contract.title));
    let builder = types.take(&format!("{event}Builder"));
    let mut answer = |document: &Option<Document>, suffix: &str| {
        let document = document.as_ref()?;
        let title = document.schema.get("title").and_then(Value::as_str).filter(|title| !title.is_empty());
        let wanted = title.map(type_name).filter(|name| !types.has(name));
        Some(types.take(&wanted.unwrap_or_else(|| format!("{event}{suffix}"))))
    };
    let response = answer(&contract.response, "Response");
    let error = answer(&contract.error, "Error");
    VersionPlan {
        module: modules.take(&module_name(contract.version.as_str())),
        contract,
        plain,
        event,
        builder,
        response,
        error,
    }
}

/// Puts types at the top whose name no two topics share, and warns of events that share theirs.
fn share_titles(topics: &mut [TopicPlan<'_>]) -> Vec<Diagnostic> {
    let mut users: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for (i, topic) in topics.iter().enumerate() {
        for name in topic.newest().iter().flat_map(|newest| newest.roots()) {
            users.entry(name.clone()).or_default().push(i);
        }
    }
    let mut warnings = Vec::new();
    for (name, users) in users {
        if let [only] = users.as_slice() {
            if let Some(topic) = topics.get_mut(*only) {
                topic.at_top.push(name);
            }
            continue;
        }
        let events: Vec<(&str, &VersionPlan<'_>, &str)> = users
            .iter()
            .filter_map(|i| topics.get(*i))
            .filter_map(|topic| Some((topic.topic, topic.newest()?, topic.module.as_str())))
            .filter(|(_, newest, _)| newest.event == name)
            .collect();
        if let [_, .., (_, newest, module)] = events.as_slice() {
            let mut listed: Vec<String> = events.iter().take(3).map(|(topic, ..)| format!("`{topic}`")).collect();
            if events.len() > listed.len() {
                listed.push(format!("{} more", events.len() - listed.len()));
            }
            let source = &newest.contract.request.source;
            let message = format!(
                "{} share the title `{name}`: the top of the generated code has none of them",
                listed.join(" and ")
            );
            let help = format!("give them titles of their own, or write `{module}::{name}`");
            warnings.push(source.warning("shared-title", source.span_of("/title"), message).with_help(help));
        }
    }
    for topic in topics.iter_mut() {
        let order: Vec<String> = topic.newest().map(|newest| newest.roots().cloned().collect()).unwrap_or_default();
        topic.at_top.sort_by_key(|name| order.iter().position(|known| known == name));
    }
    warnings
}
