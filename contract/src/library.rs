//! The files of one schemas folder: each read at most once, none outside the folder, no matter what links say.

use std::{
    borrow::Cow,
    collections::{BTreeMap, HashMap},
    fs::{self, File},
    io::{self, Read},
    path::{Path, PathBuf},
    sync::Arc,
};

use serde_json::Value;

use crate::{
    Diagnostic, Diagnostics, Draft, Source, check, dialect,
    draft::walk_below,
    source::{MAX_FILE_BYTES, too_large},
    uri,
};

/// Why a file is not to be had.
pub(crate) enum Absent {
    /// Nothing there, or nothing that is a file.
    Missing(&'static str),
    /// Beyond the folder, by a symbolic link.
    Outside,
    /// There, but unreadable or no JSON: reported already.
    Broken,
}

/// All files read so far, and what was wrong with them.
pub(crate) struct Library {
    /// The folder as the user wrote it.
    pub(crate) shown: PathBuf,
    /// The same folder with every link resolved.
    root: PathBuf,
    files: BTreeMap<PathBuf, Option<Arc<Source>>>,
    /// By file: what it is called read as each draft that it was read as. Asked for of every schema.
    names: HashMap<PathBuf, Vec<(Draft, Arc<Names>)>>,
    /// The meta-schemas of the folder that files are written by.
    dialects: BTreeMap<PathBuf, PathBuf>,
    /// What was found so far.
    pub(crate) findings: Diagnostics,
}

impl Library {
    /// Opens a folder.
    pub(crate) fn open(shown: &Path) -> io::Result<Self> {
        Ok(Self {
            shown: shown.to_owned(),
            root: fs::canonicalize(shown)?,
            files: BTreeMap::new(),
            names: HashMap::new(),
            dialects: BTreeMap::new(),
            findings: Diagnostics::new(),
        })
    }

    /// The same folder, of which nothing was read yet.
    pub(crate) fn sibling(&self) -> Self {
        Self {
            shown: self.shown.clone(),
            root: self.root.clone(),
            files: BTreeMap::new(),
            names: HashMap::new(),
            dialects: BTreeMap::new(),
            findings: Diagnostics::new(),
        }
    }

    /// Whether the file at `path` has just the text of `other`. What can't be read has not.
    pub(crate) fn has_text(&self, path: &Path, other: &Source) -> bool {
        let Ok(real) = self.locate(path) else { return false };
        let is_as_long = fs::metadata(&real).is_ok_and(|metadata| metadata.len() == other.text().len() as u64);
        is_as_long && read(&real).is_ok_and(|bytes| bytes == other.text().as_bytes())
    }

    /// Takes over what another one of the same folder has read and found.
    pub(crate) fn merge(&mut self, other: Self) {
        self.files.extend(other.files);
        self.dialects.extend(other.dialects);
        self.findings.extend(other.findings);
    }

    /// The file at `path`, relative to the folder and free of `..`. What is wrong with its text is reported here.
    pub(crate) fn load(&mut self, path: &Path) -> Result<Arc<Source>, Absent> {
        if let Some(known) = self.files.get(path) {
            return known.clone().ok_or(Absent::Broken);
        }
        let real = self.locate(path)?;
        let loaded = match read(&real) {
            Ok(bytes) => match Source::parse(&self.shown, path, bytes) {
                Ok(source) => self.by_its_dialect(source).map(Arc::new),
                Err(findings) => {
                    self.findings.extend(findings);
                    None
                }
            },
            Err(error) if error.kind() == io::ErrorKind::FileTooLarge => {
                self.findings.push(too_large(self.shown.join(path)));
                None
            }
            Err(error) => {
                self.findings.push(Diagnostic::error(
                    "file-system",
                    self.shown.join(path),
                    format!("the file can't be read: {error}"),
                ));
                None
            }
        };
        self.files.insert(path.to_owned(), loaded.clone());
        loaded.ok_or(Absent::Broken)
    }

    /// The file, as one of a draft when its `$schema` is the relative path of a meta-schema.
    fn by_its_dialect(&mut self, source: Source) -> Option<Source> {
        let named = source.value().get("$schema").and_then(Value::as_str);
        let location = named.filter(|uri| Draft::from_uri(uri).is_none() && uri::scheme(uri).is_none());
        let Some(path) = location.and_then(|location| uri::relative(source.path(), &uri::decode(location))) else {
            return Some(source);
        };
        let refused = |why: &str| {
            let message = format!("the meta-schema `{}`: {why}", path.display());
            source.error("unknown-draft", source.span_of("/$schema"), message).with_help(check::KNOWN_DRAFTS)
        };
        let meta = match self.locate(&path).map(|real| read(&real)) {
            Ok(Ok(bytes)) => serde_json::from_slice::<Value>(&bytes).map_err(|_| "is no JSON"),
            Ok(Err(_)) => Err("can't be read"),
            Err(Absent::Missing(why)) => Err(why),
            Err(_) => Err("is outside of the folder"),
        };
        let plain = meta.map_err(str::to_owned).and_then(|meta| dialect::plain(source.value(), &meta));
        match plain {
            Ok(value) => {
                self.dialects.insert(source.path().to_owned(), path);
                Some(source.with_value(value))
            }
            Err(why) => {
                let finding = refused(&why);
                self.findings.push(finding);
                None
            }
        }
    }

    /// The meta-schema of the folder that a file is written by.
    pub(crate) fn dialect_of(&self, path: &Path) -> Option<&PathBuf> {
        self.dialects.get(path)
    }

    /// Where a file really is, if it is a file below the folder.
    fn locate(&self, path: &Path) -> Result<PathBuf, Absent> {
        let real = fs::canonicalize(self.root.join(path)).map_err(|error| match error.kind() {
            io::ErrorKind::PermissionDenied => Absent::Missing("can't be reached: permission denied"),
            _ => Absent::Missing("does not exist"),
        })?;
        if !real.starts_with(&self.root) {
            return Err(Absent::Outside);
        }
        match fs::metadata(&real) {
            Ok(metadata) if metadata.is_file() => Ok(real),
            Ok(metadata) if metadata.is_dir() => Err(Absent::Missing("is a folder")),
            Ok(_) => Err(Absent::Missing("is no regular file")),
            Err(_) => Err(Absent::Missing("does not exist")),
        }
    }

    /// The names of files beside `path`, for suggestions; at most a thousand.
    pub(crate) fn siblings(&self, path: &Path) -> Vec<String> {
        let folder = self.root.join(path.parent().unwrap_or(Path::new("")));
        let inside = fs::canonicalize(&folder).is_ok_and(|real| real.starts_with(&self.root));
        let entries = if inside { fs::read_dir(folder).ok() } else { None };
        let mut names: Vec<String> = entries
            .into_iter()
            .flatten()
            .take(1000)
            .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
            .collect();
        names.sort();
        names
    }

    /// The names that a file gives to its schemas, read as `draft`.
    pub(crate) fn names(&mut self, source: &Source, draft: Draft) -> Arc<Names> {
        let known = self.names.get(source.path()).and_then(|all| all.iter().find(|(known, _)| *known == draft));
        if let Some((_, names)) = known {
            return Arc::clone(names);
        }
        let names = Arc::new(Names::of(source.value(), draft));
        self.names.entry(source.path().to_owned()).or_default().push((draft, Arc::clone(&names)));
        names
    }

    /// Every file read, relative to the folder, with its text if that is JSON.
    pub(crate) fn into_files(self) -> BTreeMap<PathBuf, Option<Arc<Source>>> {
        self.files
    }
}

/// The whole of a regular file, up to one byte over the limit.
fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_FILE_BYTES {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    Ok(bytes)
}

/// The schemas of one document by `$id` and anchor.
#[derive(Debug, Default)]
pub(crate) struct Names {
    /// Absolute or relative URI of each schema that has an `$id`, and its pointer; the root comes first.
    ids: Vec<(String, String)>,
    /// URI of the resource, name in it, pointer.
    anchors: Vec<(String, String, String)>,
}

impl Names {
    pub(crate) fn of(document: &Value, draft: Draft) -> Self {
        let mut names = Self::default();
        names.walk(document, draft, &mut String::new(), "");
        names
    }

    /// As deep as the document nests.
    fn walk(&mut self, schema: &Value, draft: Draft, pointer: &mut String, base: &str) {
        let mut base = Cow::Borrowed(base);
        let text = |keyword: &str| schema.get(keyword).and_then(Value::as_str);
        let hidden = draft.ref_hides_siblings() && schema.get("$ref").is_some();
        match text(draft.id()) {
            Some(id) if !hidden => match id.strip_prefix('#') {
                Some("") => {}
                Some(anchor) => self.anchors.push((base.clone().into_owned(), anchor.to_owned(), pointer.clone())),
                None => {
                    base = uri::join(&base, id.split('#').next().unwrap_or(id)).into();
                    self.ids.push((base.clone().into_owned(), pointer.clone()));
                }
            },
            _ => {}
        }
        if draft >= Draft::Draft201909 {
            for anchor in ["$anchor", "$dynamicAnchor"].into_iter().filter_map(text) {
                self.anchors.push((base.clone().into_owned(), anchor.to_owned(), pointer.clone()));
            }
        }
        walk_below(schema, draft, pointer, &mut |pointer, subschema| self.walk(subschema, draft, pointer, &base));
    }

    /// Whether any schema below the root has an `$id` of its own.
    pub(crate) fn has_inner_ids(&self) -> bool {
        self.ids.iter().any(|(_, pointer)| !pointer.is_empty())
    }

    /// The URI and the pointer of the resource that `pointer` belongs to.
    pub(crate) fn resource(&self, pointer: &str) -> (&str, &str) {
        self.ids
            .iter()
            .filter(|(_, at)| {
                pointer.strip_prefix(at.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
            })
            .max_by_key(|(_, at)| at.len())
            .map_or(("", ""), |(id, at)| (id, at))
    }

    /// The pointer of the schema whose `$id` is `id`.
    pub(crate) fn by_id(&self, id: &str) -> Option<&str> {
        self.ids.iter().find(|(known, _)| known == id).map(|(_, pointer)| pointer.as_str())
    }

    /// The pointer of an anchor of the resource `id`.
    pub(crate) fn by_anchor(&self, id: &str, name: &str) -> Option<&str> {
        self.anchors
            .iter()
            .find(|(resource, anchor, _)| resource == id && anchor == name)
            .map(|(.., pointer)| pointer.as_str())
    }

    /// The pointer that `reference`, in the schema at `pointer`, means in this very document; it may point at nothing.
    pub(crate) fn local(&self, pointer: &str, reference: &str) -> Option<String> {
        let (resource, resource_at) = self.resource(pointer);
        let (location, fragment) = reference.split_once('#').unwrap_or((reference, ""));
        let fragment = uri::decode(fragment);
        let (id, at) = if location.is_empty() {
            (resource.to_owned(), resource_at)
        } else {
            let id = uri::join(resource, location);
            let at = self.by_id(&id)?;
            (id, at)
        };
        if fragment.is_empty() || fragment.starts_with('/') {
            Some(format!("{at}{fragment}"))
        } else {
            self.by_anchor(&id, &fragment).map(ToOwned::to_owned)
        }
    }

    /// The pointers of every anchor called `name`, in whatever resource.
    pub(crate) fn every_anchor<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.anchors.iter().filter(move |(_, anchor, _)| anchor == name).map(|(.., pointer)| pointer.as_str())
    }

    /// The anchors of the resource `id`.
    pub(crate) fn anchors(&self, id: &str) -> impl Iterator<Item = &str> {
        self.anchors.iter().filter(move |(resource, ..)| resource == id).map(|(_, anchor, _)| anchor.as_str())
    }
}
