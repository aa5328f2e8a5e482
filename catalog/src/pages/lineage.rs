//! Who publishes, who subscribes, what happened: what a registry knows, of one contract and of all.

use std::collections::BTreeSet;

use celerysalt::registry::{AuditAction, AuditEntry, Seen, Side};
use celerysalt_contract::ContractRecord;
use maud::{Markup, html};

use super::{
    frame::{Frame, Tab},
    text::{count, dotted, inline, time},
};
use crate::{Known, Site, known::DeadLetters, subject::contract_path};

/// More of the audit log than anybody reads on a page.
const MOST: usize = 500;

/// The sections of a contract's page.
pub(super) fn of_contract(known: &Known, record: &ContractRecord) -> Markup {
    let on = |side| -> Vec<&Seen> { known.of_contract(&record.topic, &record.version, side).collect() };
    let publisher: Vec<&str> =
        [&record.publisher_module, &record.publisher_class].into_iter().flatten().map(String::as_str).collect();
    let history: Vec<&AuditEntry> = known
        .history
        .iter()
        .rev()
        .filter(|entry| entry.topic == record.topic && entry.version == record.version)
        .take(MOST)
        .collect();
    html! {
        section #services {
            h2 { "Services" }
            @for (side, title, none) in [
                (Side::Publisher, "Publishers", "Nobody was seen publishing it."),
                (Side::Subscriber, "Subscribers", "Nobody was seen handling it."),
            ] {
                h3 { (title) }
                @let seen = on(side);
                @if seen.is_empty() { p.note { (none) } } @else { (seen_table(&seen, title, known)) }
            }
            @if !publisher.is_empty() { p.note { "Released with the type " code { (publisher.join("::")) } "." } }
        }
        section #history {
            h2 { "History" }
            @if history.is_empty() { p.note { "The registry's audit log has nothing of it." } }
            @else { ol.history { @for entry in history { (happened(entry, false)) } } }
        }
    }
}

fn seen_table(seen: &[&Seen], name: &str, known: &Known) -> Markup {
    html! {
        div.scroll tabindex="0" role="region" aria-label=(name) {
            table {
                thead { tr {
                    th scope="col" { "Service" } th scope="col" { "By" } th scope="col" { "Takes" }
                    @if known.dead_letters.is_some() { th scope="col" { "Dead letters" } }
                    th scope="col" { "Last seen" }
                } }
                tbody {
                    @for one in seen {
                        tr {
                            td { a href={ "../../services.html#" (anchor(&one.sighting.service)) } { (one.sighting.service) } }
                            td { code { (one.sighting.handler) } }
                            td { code { (one.sighting.contracts) } }
                            @if known.dead_letters.is_some() { td { (letters(known.dead_letters_of(&one.sighting.service))) } }
                            td { (time(one.last_seen)) }
                        }
                    }
                }
            }
        }
    }
}

fn letters(letters: Option<&DeadLetters>) -> Markup {
    match letters.map(|letters| &letters.count) {
        Some(Ok(0)) => html! { span.quiet { "none" } },
        Some(Ok(count)) => html! { strong.bad { (count) } },
        Some(Err(why)) => html! { span.quiet title=(why) { "unknown" } },
        None => html! { span.quiet { "–" } },
    }
}

/// A service's name as an id: any text may come in.
fn anchor(service: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || c == '-' || c == '_' { c } else { '-' };
    format!("service-{}", service.chars().map(plain).collect::<String>())
}

fn happened(entry: &AuditEntry, with_name: bool) -> Markup {
    let what = match entry.action {
        AuditAction::Create => "released",
        AuditAction::Update => "words updated",
        AuditAction::Deprecate => "deprecated",
        AuditAction::Undeprecate => "in use again",
        _ => "removed",
    };
    html! {
        li {
            (time(entry.at)) " "
            @if with_name { a href=(contract_path(&entry.topic, &entry.version)) { (entry.topic) "@" (entry.version) } " " }
            span class={ "tag " (entry.action.as_str()) } { (what) }
            " by " (entry.who())
            @if !entry.reason.is_empty() { p.reason { (inline(&entry.reason)) } }
        }
    }
}

/// Every service that was seen.
pub(crate) fn services(site: &Site, known: &Known) -> Markup {
    let names: BTreeSet<&str> = known.seen.iter().map(|seen| seen.sighting.service.as_str()).collect();
    let body = html! {
        h1 { "Services" }
        p.lede { (count(names.len(), "service")) @if names.len() == 1 { " was" } @else { " were" } " seen publishing or handling these contracts. Running services say once a minute that they are there." }
        @for name in names {
            section.service #(anchor(name)) {
                h2 { (name) }
                @if let Some(found) = known.dead_letters_of(name) {
                    p.letters { "Dead letters: " (letters(Some(found))) @if let Err(why) = &found.count { span.quiet { " (" (why) ")" } } }
                }
                @for (side, title) in [(Side::Publisher, "Publishes"), (Side::Subscriber, "Handles")] {
                    @let seen: Vec<&Seen> = known.seen.iter().filter(|seen| seen.sighting.service == name && seen.sighting.side == side).collect();
                    @if !seen.is_empty() {
                        h3 { (title) }
                        ul.seen { @for one in seen { li {
                            (contracts_link(site, one)) " " span.quiet { code { (one.sighting.handler) } } " " (time(one.last_seen))
                        } } }
                    }
                }
            }
        }
    };
    Frame { title: "Services", root: "", tab: Tab::Services, is_tab: true }.page(site, body)
}

/// A link where it is one topic that the catalog has; its newest version that is taken.
fn contracts_link(site: &Site, seen: &Seen) -> Markup {
    let contracts = &seen.sighting.contracts;
    let versions = site.versions(contracts.pattern.as_str());
    let release = versions.and_then(|all| all.iter().rev().find(|one| contracts.versions.contains(one.version())));
    html! {
        @match release {
            Some(release) => a href=(contract_path(release.topic(), release.version())) { (dotted(&contracts.to_string())) },
            None => code { (contracts) },
        }
    }
}

/// The audit log.
pub(crate) fn history(site: &Site, known: &Known) -> Markup {
    let body = html! {
        h1 { "History" }
        p.lede { "Who released, updated and deprecated what: the registry's audit log, the newest first." }
        @if known.history.is_empty() { p { "Nothing has happened yet." } }
        @if known.history.len() > MOST { p.note { "The newest " (MOST) " of " (known.history.len()) " entries; " code { "celerysalt registry log" } " prints all of them." } }
        ol.history { @for entry in known.history.iter().rev().take(MOST) { (happened(entry, site.has(&entry.topic))) } }
    };
    Frame { title: "History", root: "", tab: Tab::History, is_tab: true }.page(site, body)
}
