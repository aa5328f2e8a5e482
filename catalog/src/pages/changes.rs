//! What changed from version to version: of one topic with all that there is to say, of all topics in a list.

use celerysalt_contract::evolution::{Change, Level, Release};
use maud::{Markup, html};

use super::{
    frame::{Frame, Tab},
    text::{count, dotted, inline},
};
use crate::{
    Site,
    highlight::{Language, spans},
    steps::{Step, Verdict},
    subject::changes_path,
};

pub(super) fn verdict_tag(verdict: Verdict) -> Markup {
    let class = match verdict {
        Verdict::Breaking => "breaking",
        Verdict::Undecided => "undecided",
        Verdict::Compatible => "compatible",
        Verdict::Same => "same",
    };
    html! { span class={ "tag " (class) } { (verdict.as_str()) } }
}

/// Every step of one topic.
pub(crate) fn topic_changes(site: &Site, versions: &[Release]) -> Markup {
    let topic = versions.first().map_or("", |release| release.topic().as_str());
    let steps = site.steps(versions);
    let body = html! {
        header.contract {
            p.eyebrow { "Changes" }
            h1.topic { (dotted(topic)) }
            nav.versions aria-label="Versions" {
                @for release in versions.iter().rev() { a href={ (release.version()) ".html" } { (release.version()) } }
                a.all href="changes.html" aria-current="page" { "Changes" }
            }
        }
        @for step in &steps { (step_section(step)) }
    };
    let title = format!("Changes of {topic}");
    Frame { title: &title, root: "../../", tab: Tab::Topics, is_tab: false }.page(site, body)
}

fn step_section(step: &Step) -> Markup {
    let of = |wanted: &[Level]| -> Vec<&Change> {
        step.changes.iter().filter(|change| wanted.contains(&change.level)).collect()
    };
    let (worst, notes) = (of(&[Level::Error, Level::Undecided]), of(&[Level::Note]));
    html! {
        section.step #(step.to) {
            h2 { (step.from) " → " (step.to) " " (verdict_tag(step.verdict)) }
            @match step.verdict {
                Verdict::Same => p { "Both mean the same: only words changed." },
                Verdict::Compatible => p { "Services on " (step.from) " and on " (step.to) " understand each other, whoever is released first." },
                Verdict::Breaking if step.from.major() == step.to.major() => p.warning { "Within one major this surprises those who rely on " (step.from) ", unless the contract's own policy allows it." },
                Verdict::Breaking => p { "A new major may break; services move to it when they are ready." },
                Verdict::Undecided => p { "Whether services on both understand each other could not be decided: treat it as breaking." },
            }
            @if !worst.is_empty() {
                h3 { "Who notices" }
                ul.findings { @for change in worst { (finding(change)) } }
            }
            @if !step.differences.is_empty() {
                details.diff open {
                    summary { (count(step.differences.len(), "difference")) " in meaning" }
                    pre tabindex="0" { @for line in &step.differences { (diff_line(line)) } }
                }
            }
            @if !notes.is_empty() {
                details {
                    summary { (count(notes.len(), "note")) }
                    ul.findings { @for change in notes { (finding(change)) } }
                }
            }
        }
    }
}

fn finding(change: &Change) -> Markup {
    html! {
        li {
            p { (inline(&sentence(&change.message))) " " code.rule { (change.rule) } }
            @if let Some(witness) = &change.witness {
                p.witness { span { "For example" } " " code { (spans(Language::Json, witness.text())) } }
            }
        }
    }
}

/// Lines start with `-`, `+` or `~`; what they mean is said as well, for those who see no colour.
fn diff_line(line: &str) -> Markup {
    let (class, says) = match line.as_bytes().first() {
        Some(b'-') => ("gone", "removed: "),
        Some(b'+') => ("new", "added: "),
        _ => ("other", ""),
    };
    html! { span class=(class) { span.unseen { (says) } (line) } "\n" }
}

/// The steps of all topics.
pub(crate) fn all_changes(site: &Site) -> Markup {
    let topics: Vec<_> = site.topics.iter().filter(|versions| versions.len() > 1).collect();
    let body = html! {
        h1 { "Changes" }
        p.lede { "Each step from one version of a topic to the next, and whether services on both understand each other." }
        @if topics.is_empty() { p { "No topic has more than one version." } }
        div.scroll tabindex="0" role="region" aria-label="Changes of all topics" {
            table {
                thead { tr { th scope="col" { "Topic" } th scope="col" { "Step" } th scope="col" { "Verdict" } th scope="col" { "Differences" } } }
                tbody {
                    @for versions in &topics {
                        @for step in site.steps(versions) {
                            @let topic = versions[0].topic();
                            tr {
                                td { a href={ (changes_path(topic)) "#" (step.to) } { (dotted(topic.as_str())) } }
                                td { (step.from) " → " (step.to) }
                                td { (verdict_tag(step.verdict)) }
                                td.number { (step.differences.len()) }
                            }
                        }
                    }
                }
            }
        }
    };
    Frame { title: "Changes", root: "", tab: Tab::Changes, is_tab: true }.page(site, body)
}

/// Findings are written to stand behind a place in a file.
pub(super) fn sentence(message: &str) -> String {
    let mut letters = message.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}
