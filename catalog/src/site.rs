//! All pages of a set of contracts, each made when it is asked for.

use std::{collections::HashMap, sync::Arc};

use celerysalt_codegen::naming::type_name;
use celerysalt_contract::{Topic, evolution::Release};

use crate::{
    Known, asyncapi, pages,
    sample::Samples,
    search,
    steps::{Comparisons, Step},
    subject::{self, Subject, changes_path, contract_path},
};

/// A file of the site.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Page {
    /// For HTTP.
    pub content_type: &'static str,
    /// The file.
    pub text: String,
}

/// What the pages are made of.
#[derive(Debug)]
pub struct Site {
    pub(crate) title: String,
    /// By topic; the versions of one, oldest first.
    pub(crate) topics: Vec<Vec<Release>>,
    pub(crate) known: Option<Known>,
    pub(crate) is_live: bool,
    pub(crate) samples: Samples,
    comparisons: Comparisons,
    /// How many topics' newest versions have that Rust name: one alone has it at the top of generated code.
    names: HashMap<String, usize>,
}

/// Files that are the same for every site.
const ASSETS: [(&str, &str, &str); 3] = [
    ("assets/catalog.css", "text/css; charset=utf-8", include_str!("../assets/catalog.css")),
    ("assets/catalog.js", "text/javascript; charset=utf-8", include_str!("../assets/catalog.js")),
    ("assets/theme.js", "text/javascript; charset=utf-8", include_str!("../assets/theme.js")),
];
const HTML: &str = "text/html; charset=utf-8";

impl Site {
    /// Of these contracts, in any order.
    pub fn new(title: impl Into<String>, releases: impl IntoIterator<Item = Release>) -> Self {
        let mut releases: Vec<Release> = releases.into_iter().collect();
        releases.sort_by(|a, b| (a.topic(), a.version()).cmp(&(b.topic(), b.version())));
        let topics: Vec<Vec<Release>> =
            releases.chunk_by(|a, b| a.topic() == b.topic()).map(<[Release]>::to_vec).collect();
        let mut names = HashMap::new();
        for newest in topics.iter().filter_map(|versions| versions.last()) {
            *names.entry(type_name(&subject::title(newest.record()))).or_default() += 1;
        }
        Self {
            title: title.into(),
            topics,
            known: None,
            is_live: false,
            samples: Samples::default(),
            comparisons: Comparisons::default(),
            names,
        }
    }

    /// With what a registry knows.
    #[must_use]
    pub fn with_known(mut self, known: Known) -> Self {
        self.known = Some(known);
        self
    }

    /// As pages that are made when they are asked for, and say so.
    #[must_use]
    pub fn live(mut self, comparisons: Comparisons) -> Self {
        self.is_live = true;
        self.comparisons = comparisons;
        self
    }

    /// How many topics there are, and how many contracts.
    pub fn size(&self) -> (usize, usize) {
        (self.topics.len(), self.topics.iter().map(Vec::len).sum())
    }

    /// The path of every file, from the site's root.
    pub fn paths(&self) -> Vec<String> {
        let fixed = ["index.html", "changes.html", "search.js", "asyncapi.json"];
        let mut paths: Vec<String> = fixed.map(str::to_owned).to_vec();
        if self.known.is_some() {
            paths.extend(["services.html", "history.html"].map(str::to_owned));
        }
        paths.extend(ASSETS.iter().map(|(path, ..)| (*path).to_owned()));
        for versions in &self.topics {
            for release in versions {
                paths.push(contract_path(release.topic(), release.version()));
            }
            if let Some(first) = versions.first() {
                paths.push(format!("topics/{}/index.html", first.topic()));
                if versions.len() > 1 {
                    paths.push(changes_path(first.topic()));
                }
            }
        }
        paths
    }

    /// One file; none when there is none of that path. The path of a folder means its `index.html`.
    pub fn page(&self, path: &str) -> Option<Page> {
        let path = path.trim_start_matches('/');
        if let Some(page) = Self::asset(path) {
            return Some(page);
        }
        let html = |markup: maud::Markup| Page { content_type: HTML, text: markup.into_string() };
        Some(match path {
            "" | "index.html" => html(pages::index(self)),
            "changes.html" => html(pages::all_changes(self)),
            "services.html" => html(pages::services(self, self.known.as_ref()?)),
            "history.html" => html(pages::history(self, self.known.as_ref()?)),
            "search.js" => Page { content_type: "text/javascript; charset=utf-8", text: search::index(self) },
            "asyncapi.json" => Page {
                content_type: "application/json",
                text: format!("{:#}\n", asyncapi::document(&self.title, self.records(), &self.samples)),
            },
            _ => {
                let (topic, name) =
                    path.strip_prefix("topics/")?.split_once('/').unwrap_or((&path["topics/".len()..], ""));
                let versions = self.versions(topic)?;
                html(match name {
                    "" | "index.html" => pages::newest(versions.last()?),
                    "changes.html" if versions.len() > 1 => pages::topic_changes(self, versions),
                    _ => {
                        let version = name.strip_suffix(".html")?;
                        let at = versions.iter().position(|release| release.version().to_string() == version)?;
                        pages::contract(self, versions, &Subject::new(versions, at, &self.names)?)
                    }
                })
            }
        })
    }

    /// A file that is the same for every site.
    pub(crate) fn asset(path: &str) -> Option<Page> {
        let path = path.trim_start_matches('/');
        let (_, content_type, text) = ASSETS.iter().find(|(name, ..)| *name == path)?;
        Some(Page { content_type, text: (*text).to_owned() })
    }

    /// The page of a failure, in the site's own look.
    pub fn problem(title: &str, text: &str) -> Page {
        Page { content_type: HTML, text: pages::problem(title, text).into_string() }
    }

    pub(crate) fn records(&self) -> impl Iterator<Item = &celerysalt_contract::ContractRecord> {
        self.topics.iter().flatten().map(Release::record)
    }

    /// The newest contract of each topic.
    pub(crate) fn newest(&self) -> impl Iterator<Item = (&[Release], Subject<'_>)> {
        self.topics.iter().filter_map(|versions| {
            Some((versions.as_slice(), Subject::new(versions, versions.len() - 1, &self.names)?))
        })
    }

    pub(crate) fn versions(&self, topic: &str) -> Option<&[Release]> {
        let at =
            self.topics.binary_search_by(|versions| versions.first().map_or("", |one| one.topic().as_str()).cmp(topic));
        at.ok().map(|at| self.topics[at].as_slice())
    }

    pub(crate) fn has(&self, topic: &Topic) -> bool {
        self.versions(topic.as_str()).is_some()
    }

    /// From each version to the next, the newest first.
    pub(crate) fn steps(&self, versions: &[Release]) -> Vec<Arc<Step>> {
        versions.windows(2).rev().map(|pair| self.comparisons.step(&pair[0], &pair[1])).collect()
    }

    pub(crate) fn step(&self, from: &Release, to: &Release) -> Arc<Step> {
        self.comparisons.step(from, to)
    }
}
