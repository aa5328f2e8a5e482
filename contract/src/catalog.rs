//! A folder becomes contracts.
//!
//! The walk: list the folder, read and check each file for itself, follow its references, then put the files of each
//! topic and version together. Every step adds to the findings and goes on, so that one run reports everything.

use std::{
    cell::RefCell,
    collections::{BTreeMap, HashMap, HashSet},
    fs,
    num::NonZero,
    path::{Path, PathBuf},
    sync::Arc,
    thread,
};

use serde_json::Value;

use crate::{
    ContractRecord, Diagnostic, Diagnostics, Draft, Fingerprint, Mode, Selector, Source, Status, Topic, Version,
    VersionRange, check, fingerprint,
    library::{Absent, Library},
    resolve,
    scan::{Entry, Role, scan},
    settings::{KEYWORD, Settings},
    validator::{Patterns, check_bundled},
};

/// One schema file of a contract, references bundled.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Document {
    /// The file with its text.
    pub source: Arc<Source>,
    /// Its draft.
    pub draft: Draft,
    /// Self-contained: every `$ref` is `#` or `#/...`, into this value.
    pub schema: Value,
    /// Every file that it was made of, relative to the folder, itself included.
    pub files: Vec<PathBuf>,
    origins: Vec<resolve::Origin>,
}

impl Document {
    /// Loads one file that need not be a contract: `path` is relative to the folder `root`, which its references may not
    /// leave.
    ///
    /// ```no_run
    /// use celerysalt_contract::{Document, Exact};
    ///
    /// let document = Document::load("schemas", "_common/risk_base.json").map_err(|findings| findings.render(false))?;
    /// assert!(Exact::new(&document.schema).map_err(|error| error.to_string())?.accepts(b"{}"));
    /// # Ok::<(), String>(())
    /// ```
    ///
    /// # Errors
    /// Every finding when at least one of them is an error, as [`Catalog::load`].
    pub fn load(root: impl AsRef<Path>, path: impl AsRef<Path>) -> Result<Self, Diagnostics> {
        let (root, path) = (root.as_ref(), path.as_ref());
        let refuse = |shown: &Path, message: String| -> Diagnostics {
            [Diagnostic::error("file-system", shown, message)].into_iter().collect()
        };
        let library =
            Library::open(root).map_err(|error| refuse(root, format!("the folder can't be opened: {error}")))?;
        let mut loader = Loader::new(library);
        loader.check(path, false);
        let document = if loader.library.findings.has_errors() { None } else { loader.document(path, &HashSet::new()) };
        let mut findings = std::mem::take(&mut loader.library.findings);
        findings.sort();
        match document {
            Some(document) if !findings.has_errors() => Ok(document),
            _ if findings.has_errors() => Err(findings),
            _ => Err(refuse(&root.join(path), "this schema can't be loaded".to_owned())),
        }
    }

    /// The file that a place of [`schema`](Self::schema) was written in, and the pointer there: shared schemas of other
    /// files stand in theirs.
    pub fn origin(&self, pointer: &str) -> (&Arc<Source>, String) {
        let within = |origin: &resolve::Origin| {
            pointer
                .strip_prefix(origin.at.as_str())
                .filter(|rest| rest.is_empty() || rest.starts_with('/'))
                .map(str::len)
        };
        match self.origins.iter().find_map(|origin| Some((origin, within(origin)?))) {
            Some((origin, rest)) => (&origin.source, format!("{}{}", origin.pointer, &pointer[pointer.len() - rest..])),
            None => (&self.source, pointer.to_owned()),
        }
    }

    /// The schemas that came from other files: where they stand in [`schema`](Self::schema), the file, the place there.
    #[cfg(feature = "compare")]
    pub(crate) fn origins(&self) -> impl Iterator<Item = (&str, &Source, &str)> {
        self.origins.iter().map(|origin| (origin.at.as_str(), &*origin.source, origin.pointer.as_str()))
    }
}

/// One topic and version.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Contract {
    /// The topic: the folder's name.
    pub topic: Topic,
    /// The version: the file's name.
    pub version: Version,
    /// RPC when there is a response, or when `x-celerysalt.mode` says so.
    pub mode: Mode,
    /// The schema's `title` as written, else the topic in PascalCase with `-` as `_`.
    pub title: String,
    /// The schema's `description`; empty without one.
    pub description: String,
    /// `x-celerysalt.exchange`
    pub exchange: Option<String>,
    /// `x-celerysalt.registry`, true unless it says otherwise.
    pub registry: bool,
    /// `x-celerysalt.auto_register`, true unless it says otherwise.
    pub auto_register: bool,
    /// `x-celerysalt.compatibility` as written: `backward`, `forward`, `full` or `none`.
    pub compatibility: Option<String>,
    /// `x-celerysalt.owner`
    pub owner: Option<String>,
    /// The payload, or the request of an RPC.
    pub request: Document,
    /// What an RPC answers.
    pub response: Option<Document>,
    /// What an RPC answers when it can't.
    pub error: Option<Document>,
    /// Over everything that changes meaning.
    pub fingerprint: Fingerprint,
}

impl Contract {
    /// The contract as the registry stores it; the publisher is for the caller to fill in.
    pub fn to_record(&self) -> ContractRecord {
        let schema = |document: &Option<Document>| document.as_ref().map(|document| document.schema.clone());
        ContractRecord {
            topic: self.topic.clone(),
            version: self.version.clone(),
            mode: self.mode,
            schema: self.request.schema.clone(),
            response_schema: schema(&self.response),
            error_schema: schema(&self.error),
            description: self.description.clone(),
            fingerprint: self.fingerprint.clone(),
            publisher_module: None,
            publisher_class: None,
            status: Status::Active,
        }
    }

    /// The request, then the response and the error where it has them.
    pub fn documents(&self) -> impl Iterator<Item = &Document> {
        std::iter::once(&self.request).chain(&self.response).chain(&self.error)
    }
}

/// All contracts of a folder.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Catalog {
    /// The folder as given.
    pub root: PathBuf,
    /// By topic, then version.
    pub contracts: Vec<Contract>,
    /// What deserves a look and is no error.
    pub warnings: Diagnostics,
    /// Every file that was read, relative to the folder, fragments included.
    pub files: Vec<PathBuf>,
    sources: BTreeMap<PathBuf, Option<Arc<Source>>>,
}

/// A folder beside a [`Catalog`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Other {
    /// What the catalog does not have, or not of the same files: by topic, then version.
    pub contracts: Vec<Contract>,
    /// What the catalog has as well.
    pub same: Vec<(Topic, Version)>,
}

impl Catalog {
    /// Loads and checks everything below the folder `root`.
    ///
    /// ```no_run
    /// use celerysalt_contract::Catalog;
    ///
    /// match Catalog::load("schemas") {
    ///     Ok(catalog) => println!("{} contracts", catalog.contracts.len()),
    ///     Err(findings) => eprint!("{}", findings.render(true)),
    /// }
    /// ```
    ///
    /// # Errors
    /// Every finding, warnings included, sorted by path and place, when at least one of them is an error. A folder
    /// that is missing, unreadable or without any contract is an error as well.
    pub fn load(root: impl AsRef<Path>) -> Result<Self, Diagnostics> {
        Ok(Self::load_like(root.as_ref(), None, &|_, _| false)?.0)
    }

    /// As [`Catalog::load`], but for the topics that `is_known` says are known: it is asked with each topic and its files,
    /// relative to the folder. They are not loaded, and only the others are in the catalog; it may be empty then.
    ///
    /// A file of a known topic is read only when another one refers to it, and is in [`Catalog::files`] then: whoever
    /// wants the findings that loading everything has can take those of a known topic from before, unless one is.
    ///
    /// # Errors
    /// As [`Catalog::load`].
    pub fn load_unknown(
        root: impl AsRef<Path>,
        is_known: &dyn Fn(&Topic, &[&Path]) -> bool,
    ) -> Result<Self, Diagnostics> {
        Ok(Self::load_like(root.as_ref(), None, is_known)?.0)
    }

    /// Loads another folder, most of which is the same as this one: an earlier state of it.
    ///
    /// What stands there with the very same files as here is not loaded again: it is only named.
    ///
    /// # Errors
    /// As [`Catalog::load`].
    pub fn other(&self, root: impl AsRef<Path>) -> Result<Other, Diagnostics> {
        let (catalog, same) = Self::load_like(root.as_ref(), Some(self), &|_, _| false)?;
        Ok(Other { contracts: catalog.contracts, same })
    }

    fn load_like(
        root: &Path,
        like: Option<&Self>,
        is_known: &dyn Fn(&Topic, &[&Path]) -> bool,
    ) -> Result<(Self, Vec<(Topic, Version)>), Diagnostics> {
        let refuse = |message: String| {
            let help = "a contract is a file such as `<topic>/v1.json` in it";
            Err([Diagnostic::error("empty-catalog", root, message).with_help(help)].into_iter().collect())
        };
        match fs::metadata(root) {
            Ok(metadata) if metadata.is_dir() => {}
            Ok(_) => return refuse("this is a file, not a schemas folder".to_owned()),
            Err(error) => return refuse(format!("the schemas folder can't be opened: {error}")),
        }
        let library = match Library::open(root) {
            Ok(library) => library,
            Err(error) => return refuse(format!("the schemas folder can't be opened: {error}")),
        };
        let mut loader = Loader::new(library);
        let mut has_known = false;
        let mut is_known = |topic: &Topic, entries: &[Entry]| {
            let files: Vec<&Path> = entries.iter().map(|entry| entry.path.as_path()).collect();
            let is_known = is_known(topic, &files);
            has_known |= is_known;
            is_known
        };
        let (contracts, same) = loader.load(like, &mut is_known);
        let mut findings = std::mem::take(&mut loader.library.findings);
        findings.sort();
        if findings.has_errors() {
            return Err(findings);
        }
        if contracts.is_empty() && same.is_empty() && !has_known {
            return refuse("the schemas folder has no contract".to_owned());
        }
        let sources = loader.library.into_files();
        let files = sources.keys().cloned().collect();
        Ok((Self { root: root.to_owned(), contracts, warnings: findings, files, sources }, same))
    }

    /// The contracts that at least one selector means, in the catalog's order; all of them without any selector.
    ///
    /// `latest` means the newest version of each topic that the selector's pattern matches.
    pub fn select(&self, selectors: &[Selector]) -> Vec<&Contract> {
        self.contracts
            .iter()
            .filter(|contract| selectors.is_empty() || selectors.iter().any(|selector| self.means(selector, contract)))
            .collect()
    }

    fn means(&self, selector: &Selector, contract: &Contract) -> bool {
        selector.matches(contract.topic.as_str(), &contract.version)
            && (selector.versions != VersionRange::Latest
                || self.versions(&contract.topic).all(|other| other.version <= contract.version))
    }

    /// The contract of a topic and version.
    pub fn get(&self, topic: &str, version: &Version) -> Option<&Contract> {
        self.contracts.iter().find(|contract| contract.topic.as_str() == topic && contract.version == *version)
    }

    /// All versions of a topic, the oldest first.
    pub fn versions<'a>(&'a self, topic: &'a Topic) -> impl Iterator<Item = &'a Contract> {
        let start = self.contracts.partition_point(|contract| contract.topic < *topic);
        self.contracts[start..].iter().take_while(move |contract| contract.topic == *topic)
    }
}

/// Topics that are worth a thread.
const FEW: usize = 16;

/// What one thread loads.
struct Worker {
    loader: Loader,
    topics: Vec<(Topic, Vec<Entry>)>,
}

/// Has each worker do its part, side by side; what comes of them is in their order.
fn each<T: Send>(crew: &mut [Worker], act: impl Fn(&mut Worker) -> T + Sync) -> Vec<T> {
    let Some((first, others)) = crew.split_first_mut() else { return Vec::new() };
    thread::scope(|scope| {
        let act = &act;
        let others: Vec<_> = others.iter_mut().map(|worker| scope.spawn(move || act(worker))).collect();
        let mut done = vec![act(first)];
        for other in others {
            match other.join() {
                Ok(part) => done.push(part),
                // What a thread was at is lost with it: that must not pass for a folder that is fine.
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        done
    })
}

/// The files of each version.
fn by_version(entries: Vec<Entry>) -> BTreeMap<Version, Vec<Entry>> {
    let mut versions: BTreeMap<Version, Vec<Entry>> = BTreeMap::new();
    for entry in entries {
        versions.entry(entry.version.clone()).or_default().push(entry);
    }
    versions
}

/// What another folder has, held against this one.
struct Known<'a> {
    like: &'a Catalog,
    library: &'a Library,
    /// By path: whether both folders have the same text there.
    is_same: RefCell<HashMap<PathBuf, bool>>,
}

impl Known<'_> {
    /// The version that these files are, when the other folder has it too: made of the same files, with the same text.
    fn has(&self, topic: &Topic, entries: &[Entry]) -> Option<Version> {
        let version = &entries.first()?.version;
        let contract = self.like.versions(topic).find(|contract| contract.version == *version)?;
        let paths: HashSet<&Path> = entries.iter().map(|entry| entry.path.as_path()).collect();
        let known: HashSet<&Path> = contract.documents().map(|document| document.source.path()).collect();
        let mut files = contract.documents().flat_map(|document| &document.files);
        (paths == known && files.all(|file| self.has_file(file))).then(|| version.clone())
    }

    fn has_file(&self, path: &Path) -> bool {
        if let Some(known) = self.is_same.borrow().get(path) {
            return *known;
        }
        let text = self.like.sources.get(path).and_then(Option::as_ref);
        let is_same = text.is_some_and(|source| self.library.has_text(path, source));
        self.is_same.borrow_mut().insert(path.to_owned(), is_same);
        is_same
    }
}

struct Loader {
    library: Library,
    /// The draft of each file that is good so far.
    drafts: BTreeMap<PathBuf, Draft>,
    seen: HashSet<(PathBuf, Draft, String)>,
    /// The files that were checked as some draft.
    reached: HashSet<PathBuf>,
    patterns: Patterns,
}

impl Loader {
    fn new(library: Library) -> Self {
        Self {
            library,
            drafts: BTreeMap::new(),
            seen: HashSet::new(),
            reached: HashSet::new(),
            patterns: Patterns::default(),
        }
    }

    /// Without what `like` has as well; those are named in the second. Without the topics that are known.
    fn load(
        &mut self,
        like: Option<&Catalog>,
        is_known: &mut dyn FnMut(&Topic, &[Entry]) -> bool,
    ) -> (Vec<Contract>, Vec<(Topic, Version)>) {
        let mut listing = scan(&self.library.shown);
        self.library.findings.extend(listing.findings);
        self.refuse_colliding_topics(listing.topics.keys());
        listing.topics.retain(|topic, entries| !is_known(topic, entries));
        let mut same = Vec::new();
        if let Some(like) = like {
            let known = Known { like, library: &self.library, is_same: RefCell::default() };
            let groups = std::mem::take(&mut listing.topics).into_iter().flat_map(|(topic, entries)| {
                by_version(entries).into_values().map(move |entries| (topic.clone(), entries))
            });
            for (topic, entries) in groups {
                match known.has(&topic, &entries) {
                    Some(version) => same.push((topic, version)),
                    None => listing.topics.entry(topic).or_default().extend(entries),
                }
            }
            listing.fragments.retain(|fragment| !known.has_file(fragment));
        }
        let mut crew = self.crew(listing.topics);
        each(&mut crew, |Worker { loader, topics }| {
            for entry in topics.iter().flat_map(|(_, entries)| entries) {
                loader.check(&entry.path, false);
            }
        });
        for worker in &crew {
            self.reached.extend(worker.loader.reached.iter().cloned());
        }
        for fragment in &listing.fragments {
            if let Some(source) = self.check(fragment, true) {
                Settings::refuse(&source, &mut self.library.findings);
            }
        }
        // From here on only files that are good for themselves are put together.
        let errors =
            crew.iter().map(|worker| &worker.loader).chain([&*self]).flat_map(|one| one.library.findings.errors());
        let broken: HashSet<PathBuf> = errors.map(|finding| finding.path.clone()).collect();
        let made = each(&mut crew, |Worker { loader, topics }| {
            let (mut contracts, mut dropped) = (Vec::new(), None);
            for (topic, entries) in std::mem::take(topics) {
                for entries in by_version(entries).into_values() {
                    let first = entries.first().map(|entry| entry.path.clone()).unwrap_or_default();
                    match loader.contract(&topic, entries, &broken) {
                        Some(contract) => contracts.push(contract),
                        None => dropped = dropped.or(Some(first)),
                    }
                }
            }
            (contracts, dropped)
        });
        for worker in crew {
            self.library.merge(worker.loader.library);
        }
        let (contracts, dropped): (Vec<_>, Vec<_>) = made.into_iter().unzip();
        // No contract is lost without a word.
        if let (Some(path), false) = (dropped.into_iter().flatten().next(), self.library.findings.has_errors()) {
            let shown = self.library.shown.join(path);
            self.library.findings.push(Diagnostic::error(
                "internal",
                shown,
                "this contract can't be loaded, for a reason that is not known",
            ));
        }
        (contracts.into_iter().flatten().collect(), same)
    }

    /// Shares topics out among as many loaders as there are processors, in their order.
    fn crew(&self, topics: BTreeMap<Topic, Vec<Entry>>) -> Vec<Worker> {
        let workers = thread::available_parallelism().map_or(1, NonZero::get).min(topics.len().div_ceil(FEW)).max(1);
        let share = topics.len().div_ceil(workers).max(1);
        let mut topics = topics.into_iter().peekable();
        let mut crew = Vec::new();
        while topics.peek().is_some() {
            let topics = topics.by_ref().take(share).collect();
            crew.push(Worker { loader: Self::new(self.library.sibling()), topics });
        }
        crew
    }

    /// Reads a file and checks it with all that it refers to.
    fn check(&mut self, path: &Path, fragment: bool) -> Option<Arc<Source>> {
        let source = match self.library.load(path) {
            Ok(source) => source,
            Err(Absent::Broken) => return None,
            Err(Absent::Missing(why)) => {
                let shown = self.library.shown.join(path);
                self.library.findings.push(Diagnostic::error("file-system", shown, format!("the file {why}")));
                return None;
            }
            Err(Absent::Outside) => {
                let shown = self.library.shown.join(path);
                let message = "this symbolic link leaves the schemas folder";
                self.library.findings.push(Diagnostic::error("file-system", shown, message));
                return None;
            }
        };
        // A fragment without `$schema` is read as the documents that refer to it are; those came first.
        if fragment && source.value().get("$schema").is_none() && self.reached.contains(path) {
            return Some(source);
        }
        let Some(draft) = check::draft(&source, &mut self.library.findings) else { return Some(source) };
        self.drafts.insert(path.to_owned(), draft);
        let (reached, patterns) = (&mut self.reached, &mut self.patterns);
        resolve::check(&mut self.library, Arc::clone(&source), draft, &mut self.seen, &mut |library, source, draft| {
            reached.insert(source.path().to_owned());
            check::schema(source, draft, patterns, &mut library.findings);
        });
        Some(source)
    }

    /// Topics that would be the same folder somewhere, or the same Rust module.
    fn refuse_colliding_topics<'a>(&mut self, topics: impl Iterator<Item = &'a Topic>) {
        let mut modules: BTreeMap<String, &Topic> = BTreeMap::new();
        for topic in topics {
            let module = topic.as_str().to_ascii_lowercase().replace(['-', '.'], "_");
            if let Some(first) = modules.get(&module) {
                let message = format!("`{topic}` and `{first}` would be the same Rust module, `{module}`");
                let shown = self.library.shown.join(topic.as_str());
                self.library.findings.push(
                    Diagnostic::error("duplicate-topic", shown, message)
                        .with_help("topics must differ in more than capitals, `-`, `_` and `.`"),
                );
            } else {
                modules.insert(module, topic);
            }
        }
    }

    /// Puts the files of one version together.
    fn contract(&mut self, topic: &Topic, entries: Vec<Entry>, broken: &HashSet<PathBuf>) -> Option<Contract> {
        let mut roles: BTreeMap<Role, Entry> = BTreeMap::new();
        let mut complete = true;
        for entry in entries {
            let first = roles
                .values()
                .find(|other| other.role == entry.role || other.version.as_str() != entry.version.as_str());
            if let Some(first) = first {
                let message =
                    format!("`{}` and `{}` are the same version", file_name(&entry.path), file_name(&first.path));
                self.report("duplicate-version", &entry.path, message, "keep one spelling: v1 is v1.0 and v1.0.0");
                complete = false;
            } else {
                roles.insert(entry.role, entry);
            }
        }
        let request = roles.remove(&Role::Request);
        let response = roles.remove(&Role::Response);
        let error = roles.remove(&Role::Error);
        let version = [&request, &response, &error].into_iter().flatten().next()?.version.clone();
        if let (Some(error), None) = (&error, &response) {
            let message = format!("an error is declared, but there is no `{version}.response.json`");
            self.report("error-without-response", &error.path, message, "only an RPC answers, and so can fail");
            complete = false;
        }
        for part in [&response, &error].into_iter().flatten() {
            if let Ok(source) = self.library.load(&part.path) {
                Settings::refuse(&source, &mut self.library.findings);
            }
        }
        let Some(request) = request else {
            if let (Some(response), true) = (&response, complete) {
                let message = format!("there is no `{version}.json` that this answers");
                self.report("response-without-request", &response.path, message, "add the request's schema");
            }
            return None;
        };
        let source = self.library.load(&request.path).ok()?;
        let settings = Settings::read(&source, &mut self.library.findings);
        if let (Some(Mode::Broadcast), Some(response)) = (settings.mode, &response) {
            let message = format!("`mode` is `broadcast`, but there is `{}`", file_name(&response.path));
            let span = source.span_of("/x-celerysalt/mode");
            self.library.findings.push(
                source
                    .error("mode-conflict", span, message)
                    .with_help("nobody answers a broadcast: remove one of the two"),
            );
            complete = false;
        }
        check::documentation(&source, &mut self.library.findings);
        let request = self.document(&request.path, broken);
        if let Some(document) = &request {
            check::payload(document, &mut self.library.findings);
        }
        let mut answer = |entry: Entry| {
            let mut document = self.document(&entry.path, broken)?;
            // What the first file says of formats holds for all; each document has to say it by itself.
            if let (Some(formats), Value::Object(members)) = (settings.formats, &mut document.schema) {
                members.insert(KEYWORD.to_owned(), serde_json::json!({ "formats": formats.to_string() }));
            }
            Some(document)
        };
        let response = response.map(&mut answer);
        let error = error.map(&mut answer);
        // Each part that was named must be there.
        let (request, response, error) = (request?, optional(response)?, optional(error)?);
        if !complete {
            return None;
        }
        let mode = if response.is_some() { Mode::Rpc } else { settings.mode.unwrap_or(Mode::Broadcast) };
        let text = |keyword: &str| request.schema.get(keyword).and_then(Value::as_str).map(ToOwned::to_owned);
        let title = text("title").filter(|title| !title.trim().is_empty());
        Some(Contract {
            topic: topic.clone(),
            version,
            mode,
            title: title.unwrap_or_else(|| pascal_case(topic)),
            description: text("description").unwrap_or_default(),
            exchange: settings.exchange,
            registry: settings.registry,
            auto_register: settings.auto_register,
            compatibility: settings.compatibility,
            owner: settings.owner,
            fingerprint: fingerprint(
                mode,
                &request.schema,
                response.as_ref().map(|document| &document.schema),
                error.as_ref().map(|document| &document.schema),
            ),
            request,
            response,
            error,
        })
    }

    /// Bundles a file and makes sure that it can validate.
    fn document(&mut self, path: &Path, broken: &HashSet<PathBuf>) -> Option<Document> {
        let draft = *self.drafts.get(path)?;
        let source = self.library.load(path).ok()?;
        let bundled = resolve::bundle(&mut self.library, &source, draft)?;
        if bundled.files.iter().any(|file| broken.contains(&self.library.shown.join(file))) {
            return None;
        }
        if let Err(error) = check_bundled(&bundled.schema, &mut self.patterns) {
            let span = source.span_or_start(&error.pointer);
            let here = source.value().pointer(&error.pointer).is_some();
            let place = if here { String::new() } else { format!(" (at `#{}`, references bundled)", error.pointer) };
            self.library.findings.push(source.error(error.code(), span, format!("{}{place}", error.message)));
            return None;
        }
        let resolve::Bundled { schema, files, origins } = bundled;
        Some(Document { source, draft, schema, files, origins })
    }

    fn report(&mut self, code: &'static str, path: &Path, message: String, help: &str) {
        let shown = self.library.shown.join(path);
        self.library.findings.push(Diagnostic::error(code, shown, message).with_help(help));
    }
}

/// Nothing where nothing was asked for; a refusal where what was asked for is not to be had.
#[allow(clippy::option_option, reason = "asked for or not, and had or not")]
fn optional<T>(asked: Option<Option<T>>) -> Option<Option<T>> {
    match asked {
        None => Some(None),
        Some(None) => None,
        Some(had) => Some(had),
    }
}

fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// `pulse.risk.created` as `PulseRiskCreated`.
fn pascal_case(topic: &Topic) -> String {
    topic
        .as_str()
        .split(['.', '_', '-'])
        .map(|word| {
            let mut rest = word.chars();
            rest.next().map_or_else(String::new, |first| first.to_ascii_uppercase().to_string() + rest.as_str())
        })
        .collect()
}
