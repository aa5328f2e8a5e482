//! The list of topics.

use std::collections::BTreeSet;

use celerysalt_contract::{Mode, evolution::Release};
use maud::{Markup, html};

use super::{
    frame::{Frame, Tab},
    text::{count, dotted},
};
use crate::{
    Site,
    subject::{Subject, contract_path, summary},
};

/// More than a summary in a list.
const SUMMARY: usize = 180;

pub(crate) fn index(site: &Site) -> Markup {
    let topics: Vec<(&[Release], Subject<'_>)> = site.newest().collect();
    let owners: BTreeSet<&str> = topics.iter().filter_map(|(_, subject)| subject.setting("owner")).collect();
    let rpc = topics.iter().filter(|(_, subject)| subject.record.mode == Mode::Rpc).count();
    let deprecated = topics.iter().filter(|(_, subject)| subject.is_deprecated()).count();
    let contracts: usize = topics.iter().map(|(versions, _)| versions.len()).sum();
    let body = html! {
        h1 { (site.title) }
        p.lede {
            (count(topics.len(), "topic")) " in " (count(contracts, "version")) ": "
            (topics.len() - rpc) " broadcast, " (rpc) " to be called."
            @if topics.is_empty() { " Nothing has been released yet: `celerysalt sync` does that." }
        }
        form #filters role="search" action="index.html" hidden {
            label.query {
                span.unseen { "Search" }
                input type="search" name="q" placeholder="Search topics, descriptions and fields" autocomplete="off" spellcheck="false";
                kbd aria-hidden="true" { "/" }
            }
            @if !owners.is_empty() {
                label { span { "Owner" } select name="owner" {
                    option value="" { "all" }
                    @for owner in &owners { option value=(owner) { (owner) } }
                } }
            }
            @if rpc > 0 && rpc < topics.len() {
                label { span { "Mode" } select name="mode" {
                    option value="" { "all" }
                    option value="broadcast" { "broadcast" }
                    option value="rpc" { "rpc" }
                } }
            }
            @if deprecated > 0 {
                label { span { "State" } select name="state" {
                    option value="" { "all" }
                    option value="active" { "active" }
                    option value="deprecated" { "deprecated" }
                } }
            }
        }
        p #count role="status" { (count(topics.len(), "topic")) }
        ul #topics { @for (versions, subject) in &topics { (row(versions, subject)) } }
    };
    Frame { title: &site.title, root: "", tab: Tab::Topics, is_tab: true }.page(site, body)
}

fn row(versions: &[Release], subject: &Subject<'_>) -> Markup {
    let record = subject.record;
    let says = summary(&record.description);
    let says: String =
        if says.chars().count() > SUMMARY { says.chars().take(SUMMARY).chain(['…']).collect() } else { says };
    let state = if subject.is_deprecated() { "deprecated" } else { "active" };
    html! {
        li data-state=(state) {
            div.name {
                a href=(contract_path(&record.topic, &record.version)) { (dotted(record.topic.as_str())) }
                @if record.mode == Mode::Rpc { span.tag.rpc { "rpc" } }
                @if subject.is_deprecated() { span.tag.deprecated { "deprecated" } }
            }
            p.says { @if says.is_empty() { (subject.title) } @else { (says) } }
            div.meta {
                span { (record.version) @if versions.len() > 1 { " of " (versions.len()) } }
                @if let Some(owner) = subject.setting("owner") { span { (owner) } }
            }
        }
    }
}
