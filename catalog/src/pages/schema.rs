//! A schema as fields, with its examples and as it is written.

use std::sync::Arc;

use maud::{Markup, html};
use serde_json::Value;

use super::text::prose;
use crate::{
    fields::{Described, Field, Layout, Row, Rule, Shared, Term, describe},
    highlight::{Language, code},
    sample::{Examples, Samples},
};

/// More than a page shows of a schema's text; the fields above say it, and AsyncAPI has it.
const MOST_TEXT: usize = 60_000;

/// One schema of a contract; gives its examples, for snippets.
pub(super) fn part(samples: &Samples, name: &str, id: &str, schema: &Value) -> (Markup, Arc<Examples>) {
    let described = describe(schema);
    let examples = samples.of(schema);
    let says = schema["description"].as_str().unwrap_or_default();
    let markup = html! {
        section #(id) {
            h2 { (name) }
            // The contract's own description stands at the top of the page.
            @if id != "payload" && id != "request" { (prose(says)) }
            (layout(&described.root, &described, id))
            @for (at, shared) in described.types.iter().enumerate() { (shared_type(at, shared, &described, id)) }
            (shown_examples(&examples, name))
            (source(schema))
        }
    };
    (markup, examples)
}

fn layout(layout: &Layout, described: &Described, id: &str) -> Markup {
    let is_plain_object = layout.kind == [Term::Word("object".to_owned())];
    html! {
        @if !is_plain_object || layout.rows.is_empty() {
            p.kind { (kind(&layout.kind, described, id)) }
        }
        (rules(&layout.rules))
        @for group in layout.rows.chunk_by(|_, next| matches!(next, Row::Field(_))) {
            @let (heading, fields) = match group { [Row::Heading { depth, text }, fields @ ..] => (Some((depth, text)), fields), fields => (None, fields) };
            @if let Some((depth, text)) = heading { p class={ "either depth-" (depth.min(&6)) } { (text) } }
            @if !fields.is_empty() {
                dl.fields { @for row in fields { @if let Row::Field(one) = row { (field(one, described, id)) } } }
            }
        }
        @if layout.is_cut { p.note { "There are more fields than are shown here; the schema below has them." } }
    }
}

fn field(field: &Field, described: &Described, id: &str) -> Markup {
    let owner = field.path.strip_suffix(field.name.as_str()).unwrap_or_default();
    html! {
        div class={ "field depth-" (field.depth.min(6)) } {
            dt {
                code { @if !owner.is_empty() { span.owner { (owner) } } (field.name) }
                @if field.is_required { span.required { "required" } }
                @if field.is_deprecated { span.tag.deprecated { "deprecated" } }
            }
            dd {
                p.kind { (kind(&field.kind, described, id)) }
                (rules(&field.rules))
                @if !field.description.is_empty() { div.says { (prose(&field.description)) } }
                @if let Some(from) = field.from { p.from { "from " (link(from, described, id)) } }
            }
        }
    }
}

fn kind(terms: &[Term], described: &Described, id: &str) -> Markup {
    html! {
        @for (at, term) in terms.iter().enumerate() {
            @if at > 0 { " " }
            @match term {
                Term::Word(word) => (word),
                Term::Value(value) => code { (value) },
                Term::Type(place) => (link(*place, described, id)),
            }
        }
    }
}

fn link(place: usize, described: &Described, id: &str) -> Markup {
    let title = described.types.get(place).map_or("", |shared| shared.title.as_str());
    html! { a.type href={ "#" (id) "-type-" (place) } { (title) } }
}

fn rules(rules: &[Rule]) -> Markup {
    html! {
        @if !rules.is_empty() {
            ul.rules { @for rule in rules { li { span { (rule.label) } " " code { (rule.value) } } } }
        }
    }
}

fn shared_type(at: usize, shared: &Shared, described: &Described, id: &str) -> Markup {
    html! {
        section.shared #{ (id) "-type-" (at) } {
            h3 { (shared.title) span.quiet { "shared type" } }
            (prose(&shared.description))
            (layout(&shared.layout, described, id))
        }
    }
}

fn shown_examples(examples: &Examples, name: &str) -> Markup {
    html! {
        @for (at, example) in examples.valid.iter().enumerate() {
            @let title = if examples.valid.len() > 1 { format!("Example {}", at + 1) } else { "Example".to_owned() };
            h3 { (title) @if !example.is_written { span.quiet { "made from the schema" } } }
            div.code data-name={ "the example of the " (name.to_lowercase()) } {
                (code(Language::Json, &format!("{:#}", example.value)))
            }
        }
        @if examples.valid.is_empty() { p.note { "No example: none was written, and none could be made that the contract takes." } }
        @if examples.refused > 0 {
            p.note { (examples.refused) " of the examples in the schema are not shown: the contract itself refuses them." }
        }
    }
}

fn source(schema: &Value) -> Markup {
    let text = format!("{schema:#}");
    html! {
        details {
            summary { "JSON Schema" }
            @if text.len() <= MOST_TEXT {
                div.code data-name="the schema" { (code(Language::Json, &text)) }
            } @else {
                p.note { "The schema has " (text.len() / 1000) " kB, too much for a page; `celerysalt show --format json` prints it." }
            }
        }
    }
}
