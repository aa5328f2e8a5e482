//! What a build script generated before, kept beside `events.rs`: a topic whose files are still the same is neither loaded
//! nor generated again.
//!
//! Only what a topic's own files decide is kept. One that refers to files of others, is referred to, shares a type or has a
//! title that another one has too is made anew each time. Nothing here is trusted: texts are compared, not hashes of
//! them (a build script is compiled without optimisation, where hashing is slow and comparing is not), the kept code must
//! be in `events.rs` as it was left there, and a file that is broken or another generator's is as good as none.

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    fs, io,
    path::{Path, PathBuf},
    time::UNIX_EPOCH,
};

use celerysalt_contract::{Catalog, Contract, Selector, Topic, Version};

use crate::{Builder, Made, emit::line_of, render::TopicText};

/// Known topics by name.
#[derive(Default)]
pub(crate) struct Kept {
    pub(crate) topics: BTreeMap<String, KeptTopic>,
}

/// A topic that was generated before.
#[derive(Clone)]
pub(crate) struct KeptTopic {
    /// Paths below the folder, and what stood there.
    files: Vec<(String, String)>,
    /// All versions that the folder has of it, also those that no code is wanted of.
    versions: Vec<Version>,
    /// The code, and where it stands in `events.rs`.
    pub(crate) text: TopicText,
    /// For cargo: which of the files each is about, and the line.
    warnings: Vec<(usize, String)>,
}

impl Kept {
    /// What of `path` is still true of `events`, the code that the last build script left; nothing unless it was written
    /// under the same `key`.
    pub(crate) fn read(path: &Path, key: &str, events: &str) -> Self {
        let text = fs::read_to_string(path).unwrap_or_default();
        let mut topics = read_topics(&text, key).unwrap_or_default();
        topics.retain(|_, topic| topic.text.is_in(events));
        Self { topics }
    }

    /// The topics that stand in `folder` as they were, and nothing else; the catalog of the others.
    ///
    /// # Errors
    /// Why there is none. What is wrong may have to do with a topic that was left out, so it says nothing to users.
    pub(crate) fn catalog(mut self, folder: &Path) -> Result<(Self, Catalog), Unfit> {
        let same = RefCell::new(BTreeSet::new());
        let is_known = |topic: &Topic, files: &[&Path]| {
            let is_known = self.topics.get(topic.as_str()).is_some_and(|known| known.is_still(folder, files));
            if is_known {
                same.borrow_mut().insert(topic.as_str().to_owned());
            }
            is_known
        };
        let catalog = Catalog::load_unknown(folder, &is_known).map_err(|_| Unfit)?;
        let same = same.into_inner();
        self.topics.retain(|topic, _| same.contains(topic));
        let paths: BTreeSet<&Path> = self.topics.values().flat_map(KeptTopic::paths).collect();
        // A file of a known topic was read because another one refers to it.
        if catalog.files.iter().any(|file| paths.contains(file.as_path())) {
            return Err(Unfit);
        }
        Ok((self, catalog))
    }

    /// Whether a selector means a known topic.
    pub(crate) fn has(&self, selector: &Selector) -> bool {
        let mut versions =
            self.topics.iter().flat_map(|(topic, kept)| kept.versions.iter().map(move |version| (topic, version)));
        versions.any(|(topic, version)| selector.matches(topic, version))
    }

    /// Lines for cargo with the file that each is about.
    pub(crate) fn warnings<'a>(&'a self, folder: &'a Path) -> impl Iterator<Item = (PathBuf, String)> + 'a {
        self.topics.values().flat_map(move |topic| {
            topic.warnings.iter().filter_map(move |(file, line)| {
                let (path, _) = topic.files.get(*file)?;
                Some((folder.join(path), line.clone()))
            })
        })
    }
}

/// What is known does not fit what is in the folder now: everything has to be made anew.
#[derive(Debug)]
pub(crate) struct Unfit;

impl KeptTopic {
    fn paths(&self) -> impl Iterator<Item = &Path> {
        self.files.iter().map(|(path, _)| Path::new(path))
    }

    /// Whether the topic has the very same files.
    fn is_still(&self, folder: &Path, files: &[&Path]) -> bool {
        self.paths().eq(files.iter().copied())
            && self.files.iter().all(|(path, text)| {
                let path = folder.join(path);
                fs::metadata(&path).is_ok_and(|file| file.len() == text.len() as u64)
                    && fs::read(&path).is_ok_and(|now| now == text.as_bytes())
            })
    }

    /// A topic whose own files decide everything about it.
    fn new(contracts: &[&Contract], text: TopicText, made: &Made, folder: &Path) -> Option<Self> {
        let mut files: Vec<(String, String)> = Vec::new();
        for document in contracts.iter().flat_map(|contract| contract.documents()) {
            files.push((document.source.path().to_str()?.to_owned(), document.source.text().to_owned()));
        }
        files.sort();
        let mut warnings = Vec::new();
        for (index, (path, _)) in files.iter().enumerate() {
            let path = folder.join(path);
            let about = made.warnings.iter().filter(|finding| finding.path == path);
            warnings.extend(about.map(|finding| (index, line_of(finding))));
        }
        let versions = contracts.iter().map(|contract| contract.version.clone()).collect();
        Some(Self { files, versions, text, warnings })
    }
}

/// What a cache is good for: this very generator (the build script it is part of), asked for the same.
pub(crate) fn key(builder: &Builder) -> String {
    let script = std::env::current_exe().and_then(|path| Ok((fs::metadata(&path)?, path)));
    let script = script.map(|(file, path)| {
        let time = file.modified().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
        format!("{} {} {time:?}", path.display(), file.len())
    });
    // A script that can't be told from others must not find what they left.
    let unknown = || format!("{} {:?}", std::process::id(), UNIX_EPOCH.elapsed());
    let Builder { folder, only, plain } = builder;
    let (version, script, folder) = (env!("CARGO_PKG_VERSION"), script.unwrap_or_else(|_| unknown()), folder.display());
    format!("celerysalt-codegen {version} {script} {folder} {only:?} {plain:?}")
}

/// Writes what can be kept of what was made.
///
/// # Errors
/// Those of writing.
pub(crate) fn write(path: &Path, key: &str, folder: &Path, kept: Kept, made: &Made) -> io::Result<()> {
    let mut by_topic: BTreeMap<&str, Vec<&Contract>> = BTreeMap::new();
    for contract in &made.contracts {
        by_topic.entry(contract.topic.as_str()).or_default().push(contract);
    }
    let mut topics = kept.topics;
    let mut texts: BTreeMap<&str, &TopicText> = made.topics.iter().map(|text| (text.topic.as_str(), text)).collect();
    for (topic, kept) in &mut topics {
        // The code is the same, its place may be another one.
        if let Some(text) = texts.remove(topic.as_str()) {
            kept.text.at = text.at;
        }
    }
    let used_by = used_by(&by_topic);
    for (topic, contracts) in &by_topic {
        let text = texts.remove(topic).cloned().unwrap_or_else(|| TopicText::none(topic));
        let is_own = |file: &PathBuf| used_by.get(file.as_path()).is_some_and(|users| users.len() == 1);
        let is_named = |file: &PathBuf| {
            contracts.iter().flat_map(|contract| contract.documents()).any(|document| document.source.path() == file)
        };
        let mut files = contracts.iter().flat_map(|contract| contract.documents()).flat_map(|document| &document.files);
        if text.is_alone
            && files.all(|file| is_own(file) && is_named(file))
            && let Some(kept) = KeptTopic::new(contracts, text, made, folder)
        {
            topics.insert((*topic).to_owned(), kept);
        }
    }
    let mut out = String::new();
    put(&mut out, key);
    number(&mut out, topics.len());
    for (topic, kept) in &topics {
        put(&mut out, topic);
        list(&mut out, &kept.files, |out, (path, text)| {
            put(out, path);
            put(out, text);
        });
        list(&mut out, &kept.versions, |out, version| put(out, version.as_str()));
        put(&mut out, &kept.text.module);
        list(&mut out, &kept.text.events, |out, (module, event)| {
            put(out, module);
            put(out, event);
        });
        list(&mut out, &kept.text.roots, |out, root| put(out, root));
        number(&mut out, kept.text.at);
        put(&mut out, &kept.text.code);
        list(&mut out, &kept.warnings, |out, (file, line)| {
            number(out, *file);
            put(out, line);
        });
    }
    fs::write(path, out)
}

/// The topics that have to do with each file.
fn used_by<'a>(by_topic: &BTreeMap<&'a str, Vec<&'a Contract>>) -> BTreeMap<&'a Path, BTreeSet<&'a str>> {
    let mut used_by: BTreeMap<&Path, BTreeSet<&str>> = BTreeMap::new();
    for (topic, contracts) in by_topic {
        for document in contracts.iter().flat_map(|contract| contract.documents()) {
            for file in &document.files {
                used_by.entry(file).or_default().insert(topic);
            }
        }
    }
    used_by
}

fn number(out: &mut String, number: usize) {
    // A `String` takes everything.
    let _ = writeln!(out, "{number}");
}

/// A text behind its length.
fn put(out: &mut String, text: &str) {
    number(out, text.len());
    out.push_str(text);
    out.push('\n');
}

fn list<T>(out: &mut String, items: &[T], mut put: impl FnMut(&mut String, &T)) {
    number(out, items.len());
    for item in items {
        put(out, item);
    }
}

/// The rest of a text that [`put`] and [`number`] made.
struct Rest<'a>(&'a str);

impl<'a> Rest<'a> {
    fn number(&mut self) -> Option<usize> {
        let (number, rest) = self.0.split_once('\n')?;
        self.0 = rest;
        number.parse().ok()
    }

    fn text(&mut self) -> Option<&'a str> {
        let length = self.number()?;
        let (text, rest) = self.0.split_at_checked(length)?;
        self.0 = rest.strip_prefix('\n')?;
        Some(text)
    }

    fn owned(&mut self) -> Option<String> {
        self.text().map(str::to_owned)
    }

    fn list<T>(&mut self, mut item: impl FnMut(&mut Self) -> Option<T>) -> Option<Vec<T>> {
        (0..self.number()?).map(|_| item(self)).collect()
    }
}

fn read_topics(text: &str, key: &str) -> Option<BTreeMap<String, KeptTopic>> {
    let mut rest = Rest(text);
    if rest.text()? != key {
        return None;
    }
    let topics = rest.list(|rest| {
        let topic = rest.owned()?;
        let files = rest.list(|rest| Some((rest.owned()?, rest.owned()?)))?;
        let versions = rest.list(|rest| rest.text()?.parse().ok())?;
        let module = rest.owned()?;
        let events = rest.list(|rest| Some((rest.owned()?, rest.owned()?)))?;
        let roots = rest.list(Rest::owned)?;
        let (at, code) = (rest.number()?, rest.owned()?);
        let warnings = rest.list(|rest| Some((rest.number()?, rest.owned()?)))?;
        let text = TopicText { topic: topic.clone(), module, events, roots, at, code, is_alone: true };
        Some((topic, KeptTopic { files, versions, text, warnings }))
    })?;
    rest.0.is_empty().then(|| topics.into_iter().collect())
}
