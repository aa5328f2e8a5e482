//! One version of a topic.

use celerysalt::registry::Side;
use celerysalt_contract::{
    Mode,
    evolution::{Level, Release},
};
use maud::{DOCTYPE, Markup, html};

use super::{
    changes::{sentence, verdict_tag},
    frame::{Frame, POLICY, Tab},
    lineage, schema,
    text::{count, dotted, inline, prose},
};
use crate::{
    Site,
    highlight::{Language, code},
    snippets::{Snippet, snippets},
    subject::{Subject, parts},
};

/// The page of a topic without a version leads to the newest.
pub(crate) fn newest(release: &Release) -> Markup {
    let target = format!("{}.html", release.version());
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta http-equiv="Content-Security-Policy" content=(POLICY);
                meta http-equiv="refresh" content={ "0; url=" (target) };
                title { (release.topic()) }
                link rel="icon" href="data:,";
            }
            body { main { p { a href=(target) { (release.topic()) "@" (release.version()) } } } }
        }
    }
}

pub(crate) fn contract(site: &Site, versions: &[Release], subject: &Subject<'_>) -> Markup {
    let record = subject.record;
    let (mut example, mut response) = (None, None);
    let parts: Vec<(&str, &str, Markup)> = parts(record)
        .into_iter()
        .map(|(name, id, schema)| {
            let (markup, examples) = schema::part(&site.samples, name, id, schema);
            let first = examples.valid.first().map(|example| example.value.clone());
            match id {
                "payload" | "request" => example = first,
                "response" => response = first,
                _ => {}
            }
            (name, id, markup)
        })
        .collect();
    let snippets = snippets(subject, example.as_ref(), response.as_ref());
    let body = html! {
        (head(site, versions, subject))
        div.columns {
            nav.toc aria-label="On this page" {
                ul {
                    @for (name, id, _) in &parts { li { a href={ "#" (id) } { (name) } } }
                    li { a href="#use" { "In code" } }
                    @if subject.before.is_some() { li { a href="#changes" { "Changes" } } }
                    @if site.known.is_some() {
                        li { a href="#services" { "Services" } }
                        li { a href="#history" { "History" } }
                    }
                }
            }
            div {
                @for (.., part) in &parts { (part) }
                (in_code(&snippets))
                (changes(site, subject))
                @if let Some(known) = &site.known { (lineage::of_contract(known, record)) }
            }
        }
    };
    let title = format!("{}@{}", record.topic, record.version);
    Frame { title: &title, root: "../../", tab: Tab::Topics, is_tab: false }.page(site, body)
}

fn head(site: &Site, versions: &[Release], subject: &Subject<'_>) -> Markup {
    let record = subject.record;
    let known = site.known.as_ref();
    let newest = versions.last();
    html! {
        header.contract {
            p.eyebrow { (subject.title) }
            h1.topic { (dotted(record.topic.as_str())) }
            nav.versions aria-label="Versions" {
                @for release in versions.iter().rev() {
                    @let is_this = *release.version() == record.version;
                    a href={ (release.version()) ".html" } aria-current=[is_this.then_some("page")] { (release.version()) }
                }
                @if versions.len() > 1 { a.all href="changes.html" { "Changes" } }
            }
            @if subject.is_deprecated() {
                @let reason = known.map_or("", |known| known.reason(&record.topic, &record.version));
                div.warning role="note" {
                    strong { "Deprecated." } " Still valid, but not to be used for anything new."
                    @if !reason.is_empty() { " Reason: " (inline(reason)) }
                }
            } @else if let Some(newest) = newest.filter(|_| !subject.is_newest) {
                div.notice role="note" { "There is a newer version: " a href={ (newest.version()) ".html" } { (newest.version()) } }
            }
            div.lede { (prose(&record.description)) }
            dl.facts {
                div { dt { "Mode" } dd { @if record.mode == Mode::Rpc { "rpc: one service answers" } @else { "broadcast: to every subscriber" } } }
                @if let Some(owner) = subject.setting("owner") { div { dt { "Owner" } dd { (owner) } } }
                @if let Some(exchange) = subject.setting("exchange") { div { dt { "Exchange" } dd { code { (exchange) } } } }
                div { dt { "Compatibility" } dd { (subject.release.policy().as_str()) } }
                @if let Some(known) = known {
                    @let on = |side| known.of_contract(&record.topic, &record.version, side).map(|seen| seen.sighting.service.as_str()).collect::<std::collections::BTreeSet<_>>().len();
                    div { dt { "Seen" } dd { (count(on(Side::Publisher), "publisher")) ", " (count(on(Side::Subscriber), "subscriber")) } }
                }
                div { dt { "Fingerprint" } dd { code.fingerprint title=(record.fingerprint) { (record.fingerprint.to_string().chars().take(19).collect::<String>()) "…" } } }
            }
        }
    }
}

fn in_code(snippets: &[Snippet]) -> Markup {
    let of = |language| snippets.iter().filter(move |snippet| snippet.language == language);
    html! {
        section #use {
            h2 { "In code" }
            div.languages {
                @for (language, name, id) in [(Language::Rust, "Rust", "rust"), (Language::Python, "Python", "python")] {
                    section #(id) data-language=(name) {
                        @if language == Language::Python {
                            p.note { "With " code { "celery-salt" } ", and models from " code { "celerysalt generate-stubs --output event_stubs" } "." }
                        }
                        @for snippet in of(language) {
                            h3 { (snippet.title) span.quiet { (name) } }
                            div.code data-name={ "the code: " (snippet.title.to_lowercase()) " in " (name) } { (code(language, &snippet.text)) }
                        }
                    }
                }
            }
        }
    }
}

fn changes(site: &Site, subject: &Subject<'_>) -> Markup {
    let Some(before) = subject.before else { return html! {} };
    let step = site.step(before, subject.release);
    let worst: Vec<_> = step.changes.iter().filter(|change| change.level != Level::Note).take(3).collect();
    html! {
        section #changes {
            h2 { "Changes since " (step.from) }
            p { (verdict_tag(step.verdict)) " " (count(step.differences.len(), "difference")) " in meaning. "
                a href={ "changes.html#" (step.to) } { "What changed from " (step.from) " to " (step.to) } }
            @if !worst.is_empty() {
                ul.findings { @for change in worst { li { (inline(&sentence(&change.message))) } } }
            }
        }
    }
}
