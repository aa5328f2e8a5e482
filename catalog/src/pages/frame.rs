//! What stands around every page.

use maud::{DOCTYPE, Markup, html};

use crate::Site;

/// Nothing runs or loads but the site's own files, and no form goes elsewhere.
pub(crate) const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; \
                                 form-action 'self'; base-uri 'none'";

/// Where a page belongs in the navigation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tab {
    Topics,
    Changes,
    Services,
    History,
}

/// One page.
pub(super) struct Frame<'a> {
    pub(super) title: &'a str,
    /// From the page to the site's root: empty, or `../../`.
    pub(super) root: &'static str,
    pub(super) tab: Tab,
    /// Whether it itself is the navigation's target.
    pub(super) is_tab: bool,
}

impl Frame<'_> {
    pub(super) fn page(&self, site: &Site, body: Markup) -> Markup {
        let mut tabs = vec![(Tab::Topics, "index.html", "Topics"), (Tab::Changes, "changes.html", "Changes")];
        if site.known.is_some() {
            tabs.extend([(Tab::Services, "services.html", "Services"), (Tab::History, "history.html", "History")]);
        }
        let is_index = self.is_tab && self.tab == Tab::Topics;
        let header = html! {
            a.brand href={ (self.root) "index.html" } { span.stalk aria-hidden="true" {} (site.title) }
            nav aria-label="Catalog" {
                @for (tab, path, name) in tabs {
                    @let current = (tab == self.tab).then_some(if self.is_tab { "page" } else { "true" });
                    a href={ (self.root) (path) } aria-current=[current] { (name) }
                }
            }
            @if !is_index {
                form.find action={ (self.root) "index.html" } role="search" {
                    input type="search" name="q" placeholder="Search topics and fields" aria-label="Search topics and fields"
                        autocomplete="off";
                }
            }
            button #theme type="button" hidden aria-label="Switch the theme" { span aria-hidden="true" {} }
        };
        let footer = html! {
            @if let Some(known) = &site.known {
                p { @if site.is_live { "Read from the registry at " } @else { "As the registry had it at " } (super::text::time(known.at)) }
            }
            p {
                "Made by celerysalt " (env!("CARGO_PKG_VERSION")) " · "
                a href={ (self.root) "asyncapi.json" } { "AsyncAPI 3.0" }
            }
        };
        let title = if is_index { site.title.clone() } else { format!("{} · {}", self.title, site.title) };
        document(&title, self.root, header, body, footer, is_index)
    }
}

fn document(title: &str, root: &str, header: Markup, body: Markup, footer: Markup, with_index: bool) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta http-equiv="Content-Security-Policy" content=(POLICY);
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="referrer" content="no-referrer";
                title { (title) }
                // Browsers ask for an icon, and complain when there is none.
                link rel="icon" href="data:,";
                link rel="stylesheet" href={ (root) "assets/catalog.css" };
                script src={ (root) "assets/theme.js" } {}
                @if with_index { script src="search.js" defer {} }
                script src={ (root) "assets/catalog.js" } defer {}
            }
            body {
                a.skip href="#main" { "Skip to the content" }
                header.site { (header) }
                main #main tabindex="-1" { (body) }
                footer.site { (footer) }
                p #says .unseen role="status" {}
            }
        }
    }
}

/// A failure.
pub(crate) fn problem(title: &str, text: &str) -> Markup {
    let header = html! {
        a.brand href="/index.html" { span.stalk aria-hidden="true" {} "Event contracts" }
        button #theme type="button" hidden aria-label="Switch the theme" { span aria-hidden="true" {} }
    };
    let body = html! {
        h1 { (title) }
        @for line in text.lines() { p.lede { (super::text::inline(line)) } }
        p { a href="" { "Try again" } }
    };
    document(title, "/", header, body, html! {}, false)
}
