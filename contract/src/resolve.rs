//! References inside the folder become one self-contained document.
//!
//! Each schema of another file that is reached becomes an entry of the root's `$defs` (`definitions` up to draft 7)
//! under a readable name, and every `$ref` becomes `#` or `#/...`. Names given by `$id` and anchors are resolved on
//! the way. Nothing outside the folder is read, and nothing is fetched.

use std::{
    collections::{BTreeMap, BTreeSet, HashSet, VecDeque},
    path::{Path, PathBuf},
    sync::Arc,
};

use serde_json::{Map, Value};

use crate::{
    Diagnostic, Draft, Source,
    draft::{is_position, places, walk_below},
    dynamic::{self, Scope},
    library::{Absent, Library, Names},
    source::{escape, unescape},
    suggest::{listed, similar},
    uri,
};

/// The deepest a bundled document may nest: room below serde_json's 128 for whatever carries it.
const MAX_DEPTH: usize = 120;
/// The most files that one bundled document may be made of.
const MAX_FILES: usize = 256;
/// The most broken references that are told of in one go.
const MAX_REFUSALS: usize = 100;
/// The largest a bundled document may become, in bytes.
const MAX_BYTES: usize = 8 * 1024 * 1024;

/// What a `$ref` means: a schema in a file of the folder.
struct Target {
    source: Arc<Source>,
    pointer: String,
}

/// Why a `$ref` means nothing.
struct Refusal {
    code: &'static str,
    message: String,
    help: Option<String>,
}

impl Refusal {
    fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), help: None }
    }

    fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    fn at(self, source: &Source, pointer: &str) -> Diagnostic {
        let mut diagnostic = source.error(self.code, source.span_of(pointer), self.message);
        diagnostic.help = self.help;
        diagnostic
    }
}

/// Reports each broken reference of a file and of all files that it reaches. Calls `visit` for each file and draft
/// that it is read as, the first time it is reached. `seen` outlives the call.
pub(crate) fn check(
    library: &mut Library,
    source: Arc<Source>,
    draft: Draft,
    seen: &mut HashSet<(PathBuf, Draft, String)>,
    visit: &mut dyn FnMut(&mut Library, &Source, Draft),
) {
    let mut queue = VecDeque::from([(source, draft, String::new())]);
    while let Some((source, draft, start)) = queue.pop_front() {
        if !seen.insert((source.path().to_owned(), draft, start.clone())) {
            continue;
        }
        if start.is_empty() {
            visit(library, &source, draft);
        }
        let Some(schema) = source.value().pointer(&start) else { continue };
        let mut references = Vec::new();
        collect(schema, draft, &mut start.clone(), &mut references);
        let mut refused = 0;
        for (pointer, reference) in references {
            if refused == MAX_REFUSALS {
                break;
            }
            match target(library, &source, draft, &pointer, &reference) {
                Ok(target) => {
                    if !is_position(target.source.value(), draft, &target.pointer) {
                        queue.push_back((Arc::clone(&target.source), draft, target.pointer));
                    }
                    queue.push_back((target.source, draft, String::new()));
                }
                Err(None) => {}
                Err(Some(refusal)) => {
                    refused += 1;
                    library.findings.push(refusal.at(&source, &format!("{pointer}/$ref")));
                }
            }
        }
    }
}

/// Every `$ref` below `schema`, with the pointer of the schema it stands in. As deep as the schema nests.
fn collect(schema: &Value, draft: Draft, pointer: &mut String, found: &mut Vec<(String, String)>) {
    if let Some(reference) = schema.get("$ref").and_then(Value::as_str) {
        found.push((pointer.clone(), reference.to_owned()));
    }
    walk_below(schema, draft, pointer, &mut |pointer, subschema| collect(subschema, draft, pointer, found));
}

/// What `reference` means in the schema at `pointer`; an empty refusal when the cause is reported elsewhere.
fn target(
    library: &mut Library,
    source: &Arc<Source>,
    draft: Draft,
    pointer: &str,
    reference: &str,
) -> Result<Target, Option<Refusal>> {
    let names = library.names(source, draft);
    let (resource, resource_at) = names.resource(pointer);
    let (location, fragment) = reference.split_once('#').unwrap_or((reference, ""));
    let fragment = uri::decode(fragment);
    let inside = if location.is_empty() {
        Some((resource.to_owned(), resource_at.to_owned()))
    } else {
        let id = uri::join(resource, location);
        names.by_id(&id).map(|at| (id.clone(), at.to_owned()))
    };
    if let Some((id, at)) = inside {
        let pointer = within(source, &names, &id, &at, &fragment, reference)?;
        return Ok(Target { source: Arc::clone(source), pointer });
    }
    let path = path_of(source, location)?;
    let other = library.load(&path).map_err(|absent| refuse_absent(library, &path, location, absent))?;
    if let Some(uri) = other.value().get("$schema") {
        match uri.as_str().and_then(Draft::from_uri) {
            Some(theirs) if theirs != draft => {
                return Err(Some(
                    Refusal::new(
                        "ref-other-draft",
                        format!("`{}` is {theirs}, this document is {draft}", path.display()),
                    )
                    .help("one document can't mix drafts: give both files the same `$schema`"),
                ));
            }
            Some(_) => {}
            None => {
                let message = format!("`{}` is of no known draft of JSON Schema", path.display());
                return Err(Some(Refusal::new("unknown-draft", message)));
            }
        }
    }
    let names = library.names(&other, draft);
    let (id, at) = names.resource("");
    let pointer = within(&other, &names, id, at, &fragment, reference)?;
    Ok(Target { source: other, pointer })
}

/// The path, relative to the folder, that `location` means in a file.
fn path_of(source: &Source, location: &str) -> Result<PathBuf, Refusal> {
    let outside = || {
        Refusal::new("ref-outside", format!("`{location}` leaves the schemas folder"))
            .help("a `$ref` may reach the files below the schemas folder only, by a relative path")
    };
    match uri::scheme(location) {
        Some("file") => return Err(outside()),
        Some(drive) if drive.len() == 1 => return Err(outside()),
        Some(_) => return Err(remote(location)),
        None if location.starts_with("//") => return Err(remote(location)),
        None if location.starts_with(['/', '\\']) => return Err(outside()),
        None => {}
    }
    let location = uri::decode(location);
    if location.contains('\0') {
        return Err(Refusal::new("ref-missing-file", "a path can't hold the character NUL"));
    }
    uri::relative(source.path(), &location).ok_or_else(outside)
}

fn remote(location: &str) -> Refusal {
    Refusal::new("ref-remote", format!("`{location}` is not in the schemas folder, and nothing is fetched"))
        .help("copy the schema into a folder starting with `_`, such as `_common/`, and refer to it by its path")
}

fn refuse_absent(library: &Library, path: &Path, location: &str, absent: Absent) -> Option<Refusal> {
    match absent {
        Absent::Broken => None,
        Absent::Outside => {
            Some(Refusal::new("ref-outside", format!("`{location}` is a symbolic link that leaves the schemas folder")))
        }
        Absent::Missing(why) => {
            let refusal = Refusal::new("ref-missing-file", format!("`{}` {why}", path.display()));
            let siblings = library.siblings(path);
            let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
            let near = similar(&name, siblings.iter().map(String::as_str)).filter(|near| *near != name);
            Some(match near {
                Some(near) => {
                    let folder = location.rsplit_once('/').map(|(folder, _)| format!("{folder}/"));
                    refusal.help(format!("did you mean `{}{near}`?", folder.unwrap_or_default()))
                }
                None => refusal.help("the path is relative to the file that the `$ref` stands in"),
            })
        }
    }
}

/// The pointer, from the top of the file, that `fragment` means in the resource `id`, which starts at `at`.
fn within(
    source: &Source,
    names: &Names,
    id: &str,
    at: &str,
    fragment: &str,
    reference: &str,
) -> Result<String, Refusal> {
    let file = source.path().display();
    if !fragment.is_empty() && !fragment.starts_with('/') {
        return names.by_anchor(id, fragment).map(ToOwned::to_owned).ok_or_else(|| {
            let refusal =
                Refusal::new("ref-missing-pointer", format!("`{reference}`: {file} has no anchor `{fragment}`"));
            match similar(fragment, names.anchors(id)) {
                Some(near) => refusal.help(format!("did you mean `#{near}`?")),
                None => refusal.help(format!("a pointer starts with a slash, as in `#/{fragment}`")),
            }
        });
    }
    let pointer = format!("{at}{fragment}");
    match source.value().pointer(&pointer) {
        Some(Value::Object(_) | Value::Bool(_)) => Ok(pointer),
        Some(other) => {
            Err(Refusal::new("ref-missing-pointer", format!("`{reference}` is {}, not a schema", kind(other))))
        }
        None => Err(missing_pointer(source, &pointer, reference)),
    }
}

fn missing_pointer(source: &Source, pointer: &str, reference: &str) -> Refusal {
    let mut nearest = source.value();
    let mut prefix = String::new();
    let mut missing = String::new();
    for token in pointer.split('/').skip(1) {
        let Some(next) = nearest.pointer(&format!("/{token}")) else {
            missing = unescape(token).into_owned();
            break;
        };
        nearest = next;
        prefix = format!("{prefix}/{token}");
    }
    let file = source.path().display();
    let keys: Vec<&str> = nearest.as_object().into_iter().flat_map(Map::keys).map(String::as_str).collect();
    let has = if keys.is_empty() { String::new() } else { format!(" (it has {})", listed(keys.iter().copied(), 8)) };
    let refusal = Refusal::new(
        "ref-missing-pointer",
        format!("`{reference}` points at nothing: in {file}, `#{prefix}` has no `{missing}`{has}"),
    );
    match similar(&missing, keys) {
        Some(near) => refusal.help(format!("did you mean `#{prefix}/{}`?", escape(near))),
        None => refusal,
    }
}

/// The type of a value, for people.
fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

/// A file with everything it refers to.
pub(crate) struct Bundled {
    /// Self-contained: every `$ref` is `#` or `#/...`.
    pub(crate) schema: Value,
    /// Every file it was made of, itself first, relative to the folder.
    pub(crate) files: Vec<PathBuf>,
    /// Where the schemas of other files came from.
    pub(crate) origins: Vec<Origin>,
}

/// A schema of another file within a bundled one.
#[derive(Clone, Debug)]
pub(crate) struct Origin {
    /// Where it stands now.
    pub(crate) at: String,
    /// The file that it came from, and where it stands there.
    pub(crate) source: Arc<Source>,
    pub(crate) pointer: String,
}

/// Bundles a file; none when something is wrong, which is reported then.
pub(crate) fn bundle(library: &mut Library, source: &Arc<Source>, draft: Draft) -> Option<Bundled> {
    match bundle_as(library, source, draft, false) {
        Outcome::Bundled(bundled) => Some(bundled),
        Outcome::Failed => None,
        Outcome::Dynamic => match bundle_as(library, source, draft, true) {
            Outcome::Bundled(bundled) => Some(bundled),
            _ => None,
        },
    }
}

/// How bundling has gone so far.
#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Fine,
    /// There are dynamic references that have to be bound to what they mean.
    Dynamic,
    Failed,
}

enum Outcome {
    Bundled(Bundled),
    /// What is wrong is reported.
    Failed,
    /// It has dynamic references that bundling by places alone would lead astray.
    Dynamic,
}

fn bundle_as(library: &mut Library, source: &Arc<Source>, draft: Draft, scoped: bool) -> Outcome {
    let names = library.names(source, draft);
    let defs = source.value().get(draft.definitions()).and_then(Value::as_object);
    let mut bundler = Bundler {
        draft,
        root: Arc::clone(source),
        keys: BTreeMap::new(),
        taken: defs.into_iter().flat_map(Map::keys).cloned().collect(),
        files: vec![source.path().to_owned()],
        origins: Vec::new(),
        queue: VecDeque::new(),
        rewritten: HashSet::new(),
        strip_ids: names.has_inner_ids(),
        state: State::Fine,
        scoped,
        library,
    };
    let schema = bundler.run();
    let schema = match (schema, bundler.state) {
        (Some(schema), State::Fine) => schema,
        (_, State::Dynamic) => return Outcome::Dynamic,
        _ => return Outcome::Failed,
    };
    let (mut files, origins) = (bundler.files, bundler.origins);
    for file in files.clone() {
        let meta = library.dialect_of(&file).filter(|meta| !files.contains(meta)).cloned();
        files.extend(meta);
    }
    if let Some(pointer) = too_deep(&schema) {
        let message = format!("with its references the schema nests deeper than {MAX_DEPTH} levels");
        let span = source.span_or_start(&pointer);
        library.findings.push(source.error("schema-too-deep", span, message));
        return Outcome::Failed;
    }
    Outcome::Bundled(Bundled { schema, files, origins })
}

/// A schema of another file that becomes an entry of `$defs`, or a part of the root that no keyword leads to.
enum Task {
    Embed(Target, Scope, String),
    Root(String),
}

struct Bundler<'a> {
    library: &'a mut Library,
    draft: Draft,
    root: Arc<Source>,
    /// The name of each schema of another file, or entered with another scope than its place has.
    keys: BTreeMap<(PathBuf, String, Scope), String>,
    taken: BTreeSet<String>,
    files: Vec<PathBuf>,
    origins: Vec<Origin>,
    queue: VecDeque<Task>,
    /// Pointers of the root that no keyword leads to, and that are done.
    rewritten: HashSet<String>,
    /// Whether to take `$id` from inner schemas: with every `$ref` a pointer from the top, it would mislead.
    strip_ids: bool,
    state: State,
    /// Dynamic references become plain ones: each schema is there once for each way to enter it that makes a difference.
    scoped: bool,
}

impl Bundler<'_> {
    fn run(&mut self) -> Option<Value> {
        let root = Arc::clone(&self.root);
        let mut schema = root.value().clone();
        self.rewrite(&root, "", &mut schema, &Scope::default(), true);
        let mut embedded = Map::new();
        let mut bytes = root.text().len();
        while let Some(task) = self.queue.pop_front() {
            match task {
                Task::Root(pointer) => {
                    if let Some(slot) = schema.pointer_mut(&pointer) {
                        let mut part = std::mem::take(slot);
                        let scope = self.natural(&root, &pointer);
                        self.rewrite(&root, &pointer, &mut part, &scope, true);
                        *slot = part;
                    }
                }
                Task::Embed(target, scope, key) => {
                    let mut part = target.source.value().pointer(&target.pointer)?.clone();
                    self.rewrite(&target.source, &target.pointer, &mut part, &scope, false);
                    if let Value::Object(members) = &mut part {
                        // Reached definitions have entries of their own.
                        for keyword in ["$schema", "$id", "id", "$defs", "definitions", "x-celerysalt"] {
                            members.remove(keyword);
                        }
                    }
                    bytes += serde_json::to_string(&part).map_or(0, |text| text.len());
                    self.origins.push(Origin {
                        at: format!("/{}/{}", self.draft.definitions(), escape(&key)),
                        source: target.source,
                        pointer: target.pointer,
                    });
                    embedded.insert(key, part);
                }
            }
            if self.files.len() > MAX_FILES || bytes > MAX_BYTES {
                let message = format!(
                    "with its references the schema is made of more than {MAX_FILES} files or {} MiB",
                    MAX_BYTES / (1024 * 1024)
                );
                self.library.findings.push(Diagnostic::error("too-large", root.shown_path(), message));
                return None;
            }
        }
        if self.state != State::Fine {
            return None;
        }
        if !embedded.is_empty() {
            let members = schema.as_object_mut()?;
            let defs = members.entry(self.draft.definitions()).or_insert_with(|| Value::Object(Map::new()));
            defs.as_object_mut()?.extend(embedded);
        }
        Some(schema)
    }

    /// Makes every reference at and below `schema`, which stands at `pointer` of `source`, one into the root. `in_place`
    /// says that it stays where it stands.
    fn rewrite(&mut self, source: &Arc<Source>, pointer: &str, schema: &mut Value, scope: &Scope, in_place: bool) {
        // Whatever a keyword leads to is come to once; what none leads to may be referred to, and then by what is in it too.
        let is_led_to = !in_place || is_position(source.value(), self.draft, pointer);
        if !is_led_to && !self.rewritten.insert(pointer.to_owned()) {
            return;
        }
        let scope = &if self.scoped {
            let names = self.library.names(source, self.draft);
            scope.entering(source, &names, pointer, self.draft)
        } else {
            scope.clone()
        };
        if let Some(reference) = schema.get("$ref").and_then(Value::as_str).map(ToOwned::to_owned) {
            match target(self.library, source, self.draft, pointer, &reference) {
                Ok(target) => {
                    let local = self.local(target, scope);
                    if let Some(slot) = schema.get_mut("$ref") {
                        *slot = Value::String(local);
                    }
                }
                Err(refusal) => self.refuse(source, &format!("{pointer}/$ref"), refusal),
            }
        }
        self.dynamic(source, pointer, schema, scope, in_place);
        if let Value::Object(members) = schema {
            if !in_place || self.scoped && !pointer.is_empty() {
                members.remove(self.draft.id());
            }
            if !in_place || self.scoped {
                for keyword in ["$anchor", "$dynamicAnchor", "$recursiveAnchor"] {
                    members.remove(keyword);
                }
            } else if self.strip_ids && !pointer.is_empty() {
                members.remove(self.draft.id());
            }
            if self.scoped && !in_place {
                // What is reached has an entry of its own.
                for keyword in ["$defs", "definitions"] {
                    members.remove(keyword);
                }
            }
        }
        for place in places(schema, self.draft) {
            let below = place.below(pointer);
            if let Some(subschema) = place.get_mut(schema) {
                self.rewrite(source, &below, subschema, scope, in_place);
            }
        }
    }

    fn refuse(&mut self, source: &Source, pointer: &str, refusal: Option<Refusal>) {
        self.state = State::Failed;
        if let Some(refusal) = refusal {
            self.library.findings.push(refusal.at(source, pointer));
        }
    }

    /// Dynamic references look at how a schema was reached, which bundling changes: they stay only in a document that is
    /// one resource, and else become references to what they mean here.
    fn dynamic(&mut self, source: &Arc<Source>, pointer: &str, schema: &mut Value, scope: &Scope, in_place: bool) {
        let keyword = match self.draft {
            Draft::Draft202012 => "$dynamicRef",
            Draft::Draft201909 => "$recursiveRef",
            _ => return,
        };
        let Some(reference) = schema.get(keyword).and_then(Value::as_str).map(ToOwned::to_owned) else { return };
        if !self.scoped {
            if self.state == State::Fine && (!in_place || self.strip_ids || !reference.starts_with('#')) {
                self.state = State::Dynamic;
            }
            return;
        }
        let mut target = match target(self.library, source, self.draft, pointer, &reference) {
            Ok(target) => target,
            Err(refusal) => return self.refuse(source, &format!("{pointer}/{keyword}"), refusal),
        };
        let anchor = dynamic::anchor_of(&reference, self.draft);
        if dynamic::is_anchor(target.source.value().pointer(&target.pointer), &anchor, self.draft)
            && let Some((source, pointer)) = scope.outermost(&anchor)
        {
            target = Target { source, pointer };
        }
        let local = self.local(target, scope);
        let Value::Object(members) = schema else { return };
        members.remove(keyword);
        if members.contains_key("$ref") {
            let all = members.entry("allOf").or_insert_with(|| Value::Array(Vec::new()));
            if let Value::Array(all) = all {
                let only = Map::from_iter([("$ref".to_owned(), Value::String(local))]);
                all.push(Value::Object(only));
            }
        } else {
            members.insert("$ref".to_owned(), Value::String(local));
        }
    }

    /// The scope of a schema of the root that is entered by its place.
    fn natural(&mut self, source: &Arc<Source>, pointer: &str) -> Scope {
        if !self.scoped {
            return Scope::default();
        }
        let names = self.library.names(source, self.draft);
        Scope::of_place(source, &names, pointer, self.draft)
    }

    /// The reference that means `target` in the bundled document.
    fn local(&mut self, target: Target, scope: &Scope) -> String {
        let mut scope = scope.clone();
        let mut by_place = target.source.path() == self.root.path();
        if self.scoped {
            let names = self.library.names(&target.source, self.draft);
            scope = scope.entering(&target.source, &names, &target.pointer, self.draft);
            by_place = by_place && scope == self.natural(&target.source, &target.pointer);
        }
        if by_place {
            let local = format!("#{}", uri::encode_fragment(&target.pointer));
            if !is_position(target.source.value(), self.draft, &target.pointer) {
                self.queue.push_back(Task::Root(target.pointer));
            }
            return local;
        }
        let id = (target.source.path().to_owned(), target.pointer.clone(), scope.clone());
        if let Some(key) = self.keys.get(&id) {
            return format!("#/{}/{key}", self.draft.definitions());
        }
        let key = self.unique(&readable(target.source.path(), &target.pointer));
        if !self.files.contains(&id.0) {
            self.files.push(id.0.clone());
        }
        let local = format!("#/{}/{key}", self.draft.definitions());
        self.keys.insert(id, key.clone());
        self.queue.push_back(Task::Embed(target, scope, key));
        local
    }

    fn unique(&mut self, wanted: &[String]) -> String {
        let longest = wanted.last().cloned().unwrap_or_default();
        let numbered = (2..).map(|n| format!("{longest}_{n}"));
        let key = wanted
            .iter()
            .cloned()
            .chain(numbered)
            .find(|key| !key.is_empty() && !self.taken.contains(key))
            .unwrap_or_default();
        self.taken.insert(key.clone());
        key
    }
}

/// Names for a schema of another file, the best first: `Y` for `x.json#/$defs/Y`, then `x_Y`; `x` for the whole file.
fn readable(path: &Path, pointer: &str) -> Vec<String> {
    let name =
        |text: &str| -> String { text.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect() };
    let stem = path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
    let is_version = stem.split('.').next().is_some_and(|first| first.parse::<crate::Version>().is_ok());
    let folder = path.parent().and_then(Path::file_name).map(|folder| folder.to_string_lossy().into_owned());
    let file = match folder {
        Some(folder) if is_version => name(&format!("{folder}_{stem}")),
        _ => name(&stem),
    };
    let tokens: Vec<String> = pointer.split('/').skip(1).map(|token| name(&unescape(token))).collect();
    match tokens.as_slice() {
        [] => vec![file],
        [keyword, key] if matches!(keyword.as_str(), "_defs" | "definitions") => {
            vec![key.clone(), format!("{file}_{key}")]
        }
        [.., last] => vec![format!("{file}_{last}")],
    }
}

/// The pointer of the first value that nests too deep.
fn too_deep(value: &Value) -> Option<String> {
    fn walk(value: &Value, depth: usize, pointer: &mut String) -> bool {
        let before = pointer.len();
        let mut visit = |key: &str, value: &Value| {
            pointer.push('/');
            pointer.push_str(&escape(key));
            let found = walk(value, depth + 1, pointer);
            if !found {
                pointer.truncate(before);
            }
            found
        };
        match value {
            Value::Array(_) | Value::Object(_) if depth > MAX_DEPTH => true,
            Value::Array(items) => items.iter().enumerate().any(|(i, item)| visit(&i.to_string(), item)),
            Value::Object(members) => members.iter().any(|(key, member)| visit(key, member)),
            _ => false,
        }
    }
    let mut pointer = String::new();
    walk(value, 1, &mut pointer).then_some(pointer)
}
