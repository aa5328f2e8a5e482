//! A folder becomes cases: a schema each, with the payloads that are known to be right or wrong for it.
//!
//! Three shapes of file are understood, wherever they lie below the folder:
//!
//! | a JSON file that is | is taken for |
//! | --- | --- |
//! | an array of `{"schema", "tests": [{"data", "valid"}]}` | a file of the official test suite |
//! | `{"schema", "valid": [...], "invalid": [...]}` | a schema with its payloads |
//! | any other object that looks like a schema | a schema |
//!
//! `remotes/` beside `tests/` holds the documents that the suite serves at `http://localhost:1234/`. Payloads of plain
//! schemas lie in a folder of their own, by default `testdata/`.

use std::{
    collections::BTreeMap,
    fs,
    path::{Component, Path, PathBuf},
};

use celerysalt_contract::Draft;
use serde::Deserialize;
use serde_json::{Value, value::RawValue};

/// Where the official suite wants its `remotes/` to be served.
const REMOTES: &str = "http://localhost:1234/";

/// One schema, and what is known about it.
#[derive(Clone, Debug)]
pub(crate) struct Case {
    /// What it is counted with.
    pub(crate) group: String,
    /// The file, and what tells it from others of that file.
    pub(crate) name: String,
    /// Where it was found, relative to the folder.
    pub(crate) file: PathBuf,
    /// The schema as written.
    pub(crate) schema: String,
    /// Of a schema that does not say it.
    pub(crate) draft: Draft,
    pub(crate) payloads: Vec<Payload>,
    /// A file of its own that others may refer to, by its path.
    pub(crate) is_file: bool,
}

/// One JSON text, and whether the schema allows it.
#[derive(Clone, Debug)]
pub(crate) struct Payload {
    pub(crate) name: String,
    pub(crate) text: String,
    pub(crate) valid: bool,
}

/// What a folder holds.
#[derive(Debug, Default)]
pub(crate) struct Corpus {
    pub(crate) cases: Vec<Case>,
    /// Documents that are only referred to: URI, path below the folder, text.
    pub(crate) remotes: Vec<(String, PathBuf, String)>,
    /// Files that are none of the above, and why.
    pub(crate) skipped: Vec<(PathBuf, String)>,
}

#[derive(Deserialize)]
struct SuiteGroup<'a> {
    #[serde(default)]
    description: String,
    #[serde(borrow)]
    schema: &'a RawValue,
    #[serde(borrow)]
    tests: Vec<SuiteTest<'a>>,
}

#[derive(Deserialize)]
struct SuiteTest<'a> {
    #[serde(default)]
    description: String,
    #[serde(borrow)]
    data: &'a RawValue,
    valid: bool,
}

#[derive(Deserialize)]
struct WithPayloads<'a> {
    #[serde(borrow)]
    schema: &'a RawValue,
    #[serde(borrow, default)]
    valid: Vec<&'a RawValue>,
    #[serde(borrow, default)]
    invalid: Vec<&'a RawValue>,
}

/// What to take of a folder.
#[derive(Debug, Default)]
pub(crate) struct Take {
    /// The payloads of plain schemas.
    pub(crate) payloads: Option<PathBuf>,
    /// The draft of schemas that don't say it; of the official suite, the only one that is taken.
    pub(crate) draft: Option<Draft>,
    /// At most so many schemas, evenly picked from all.
    pub(crate) limit: Option<usize>,
}

/// Reads a folder.
///
/// # Errors
/// A sentence about what can't be read at all.
pub(crate) fn read(folder: &Path, take: &Take) -> Result<Corpus, String> {
    let payloads = match &take.payloads {
        Some(payloads) => Some(payloads.clone()),
        None => Some(folder.join("testdata")).filter(|payloads| payloads.is_dir()),
    };
    let remotes = folder.join("remotes");
    let mut files = Vec::new();
    list(folder, &mut files).map_err(|error| format!("{}: {error}", folder.display()))?;
    let mut corpus = Corpus::default();
    for path in files {
        if payloads.as_ref().is_some_and(|payloads| same_or_below(&path, payloads)) {
            continue;
        }
        let relative = path.strip_prefix(folder).unwrap_or(&path).to_owned();
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) => {
                corpus.skipped.push((relative, format!("can't be read: {error}")));
                continue;
            }
        };
        if let (Ok(below), true) = (path.strip_prefix(&remotes), folder.join("tests").is_dir()) {
            corpus.remotes.push((format!("{REMOTES}{}", slashed(below)), relative, text));
            continue;
        }
        if let Err(why) = read_file(&relative, &text, take.draft, &mut corpus.cases) {
            corpus.skipped.push((relative, why));
        }
    }
    if let Some(limit) = take.limit.filter(|limit| *limit < corpus.cases.len()) {
        let all = corpus.cases.len();
        let mut index = 0;
        corpus.cases.retain(|_| {
            index += 1;
            (index * limit) / all != ((index - 1) * limit) / all
        });
    }
    if let Some(payloads) = &payloads {
        match_payloads(payloads, &mut corpus)?;
    }
    Ok(corpus)
}

/// Every JSON file below `folder`, sorted. Links are not followed.
fn list(folder: &Path, files: &mut Vec<PathBuf>) -> std::io::Result<()> {
    let mut entries: Vec<_> = fs::read_dir(folder)?.collect::<Result<_, _>>()?;
    entries.sort_by_key(fs::DirEntry::path);
    for entry in entries {
        let (path, kind) = (entry.path(), entry.file_type()?);
        if kind.is_dir() {
            list(&path, files)?;
        } else if kind.is_file() && path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("json")) {
            files.push(path);
        }
    }
    Ok(())
}

fn same_or_below(path: &Path, folder: &Path) -> bool {
    let absolute = |path: &Path| std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    absolute(path).starts_with(absolute(folder))
}

/// A path with slashes, whatever the system.
pub(crate) fn slashed(path: &Path) -> String {
    let parts = path.components().filter_map(|part| match part {
        Component::Normal(name) => Some(name.to_string_lossy()),
        _ => None,
    });
    parts.collect::<Vec<_>>().join("/")
}

/// Adds the cases of a file.
///
/// # Errors
/// Why it has none.
fn read_file(file: &Path, text: &str, draft: Option<Draft>, cases: &mut Vec<Case>) -> Result<(), String> {
    let folder = file.parent().map(slashed).unwrap_or_default();
    let named = named_draft(file);
    let of_file = draft.or(named).unwrap_or(Draft::Draft202012);
    if let Ok(groups) = serde_json::from_str::<Vec<SuiteGroup<'_>>>(text) {
        if draft.is_some() && named.is_some() && draft != named {
            return Ok(());
        }
        for (index, group) in groups.into_iter().enumerate() {
            let payload = |test: &SuiteTest<'_>| Payload {
                name: test.description.clone(),
                text: test.data.get().to_owned(),
                valid: test.valid,
            };
            cases.push(Case {
                group: folder.clone(),
                name: format!("{}#{index} {}", slashed(file), group.description),
                file: file.to_owned(),
                schema: group.schema.get().to_owned(),
                draft: of_file,
                payloads: group.tests.iter().map(payload).collect(),
                is_file: false,
            });
        }
        return Ok(());
    }
    let group = if folder.is_empty() { ".".to_owned() } else { folder.split('/').next().unwrap_or(".").to_owned() };
    let case = |schema: &str, payloads| Case {
        group,
        name: slashed(file),
        file: file.to_owned(),
        schema: schema.to_owned(),
        draft: of_file,
        payloads,
        is_file: true,
    };
    let members: BTreeMap<String, &RawValue> = match serde_json::from_str(text) {
        Ok(members) => members,
        Err(error) if error.is_data() => return Err("is no object, and no file of the test suite".to_owned()),
        Err(error) => return Err(format!("is no JSON: {error}")),
    };
    let has = |key: &str| members.contains_key(key);
    if has("schema") && (has("valid") || has("invalid")) {
        let WithPayloads { schema, valid, invalid } = serde_json::from_str(text).map_err(|error| error.to_string())?;
        let valid = valid.into_iter().enumerate().map(|(i, raw)| (format!("valid/{i}"), raw, true));
        let invalid = invalid.into_iter().enumerate().map(|(i, raw)| (format!("invalid/{i}"), raw, false));
        let payloads =
            valid.chain(invalid).map(|(name, raw, valid)| Payload { name, text: raw.get().to_owned(), valid });
        let payloads = payloads.collect();
        cases.push(case(schema.get(), payloads));
        return Ok(());
    }
    let known_draft = members
        .get("$schema")
        .and_then(|raw| serde_json::from_str::<String>(raw.get()).ok())
        .is_some_and(|uri| Draft::from_uri(&uri).is_some());
    let looks_like_one = [
        "type",
        "properties",
        "items",
        "$ref",
        "enum",
        "const",
        "allOf",
        "anyOf",
        "oneOf",
        "not",
        "$defs",
        "definitions",
    ];
    if !known_draft && !looks_like_one.into_iter().any(has) {
        return Err("has neither `$schema` of a known draft nor any keyword of a schema".to_owned());
    }
    cases.push(case(text, Vec::new()));
    Ok(())
}

/// The draft that a folder of the path is called after.
fn named_draft(file: &Path) -> Option<Draft> {
    file.components().find_map(|part| {
        Some(match part.as_os_str().to_str()? {
            "draft4" => Draft::Draft4,
            "draft6" => Draft::Draft6,
            "draft7" => Draft::Draft7,
            "draft2019-09" => Draft::Draft201909,
            "draft2020-12" => Draft::Draft202012,
            _ => return None,
        })
    })
}

/// The draft that a word of the command line means.
pub(crate) fn draft(word: &str) -> Result<Draft, String> {
    let name = word.strip_prefix("draft").unwrap_or(word);
    named_draft(Path::new(&format!("draft{name}")))
        .ok_or_else(|| format!("`{word}` is none of 4, 6, 7, 2019-09, 2020-12"))
}

/// Gives each payload to its schema.
///
/// `a/b/Name-some-text.json` is for the schema `Name.json` in the folder `a/b` (seen from the two folders' tops, or from
/// a folder of the schemas' top): the longest name wins that the payload's starts with, followed by no letter or digit.
/// `a/b/Name/any.json` is for it too. Payloads below a folder `invalid`, and those with `invalid` as a word of their
/// name, are to be refused.
fn match_payloads(folder: &Path, corpus: &mut Corpus) -> Result<(), String> {
    let mut files = Vec::new();
    list(folder, &mut files).map_err(|error| format!("{}: {error}", folder.display()))?;
    for path in files {
        let relative = slashed(path.strip_prefix(folder).unwrap_or(&path));
        let text = fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        let best = corpus
            .cases
            .iter()
            .enumerate()
            .filter(|(_, case)| case.is_file)
            .filter_map(|(index, case)| Some((rank(&slashed(&case.file), &relative)?, index)))
            .max();
        let valid =
            !relative.trim_end_matches(".json").split(|c: char| !c.is_alphanumeric()).any(|word| word == "invalid");
        match best.and_then(|(_, index)| corpus.cases.get_mut(index)) {
            Some(case) => case.payloads.push(Payload { name: relative, text, valid }),
            None => corpus.skipped.push((path, "is a payload without a schema".to_owned())),
        }
    }
    Ok(())
}

/// How well a schema's path goes with a payload's, more being better; none where it does not.
fn rank(schema: &str, payload: &str) -> Option<(usize, usize)> {
    let stem = |path: &str| -> (Vec<String>, String) {
        let mut parts: Vec<String> = path.split('/').map(str::to_owned).collect();
        let last = parts.pop().unwrap_or_default();
        (parts, last.trim_end_matches(".json").trim_end_matches(".schema").to_owned())
    };
    let ((folders, name), (place, file)) = (stem(schema), stem(payload));
    let begins = |folders: &[String], place: &[String]| folders.ends_with(place) || place.ends_with(folders);
    let by_name = file.strip_prefix(&name).is_some_and(|rest| !rest.starts_with(char::is_alphanumeric));
    if by_name && begins(&folders, &place) {
        return Some((name.len(), place.len().min(folders.len())));
    }
    let (last, above) = place.split_last()?;
    let above = if last == "valid" || last == "invalid" { above.split_last().map(|(_, rest)| rest)? } else { above };
    let holder = place.get(above.len())?;
    (*holder == name && begins(&folders, above)).then(|| (name.len(), above.len().min(folders.len())))
}

/// Whether the value of a text may be held for a schema at all.
pub(crate) fn is_object(text: &str) -> bool {
    matches!(serde_json::from_str(text), Ok(Value::Object(_)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn payloads_go_to_the_schema_that_they_are_called_after() {
        let schema = "jsonschema/google/audit/v1/LogEntryData.json";
        assert!(rank(schema, "google/audit/v1/LogEntryData-created.json").is_some());
        assert!(rank(schema, "google/audit/v1/LogEntryData.json").is_some());
        assert!(rank(schema, "google/audit/v1/LogEntryData/created.json").is_some());
        assert!(rank(schema, "google/audit/v1/LogEntryData/invalid/created.json").is_some());
        assert!(rank(schema, "google/audit/v1/LogEntryDatabase-created.json").is_none());
        assert!(rank(schema, "google/audit/v2/LogEntryData-created.json").is_none());
        let shorter = "jsonschema/google/audit/v1/Log.json";
        assert!(
            rank(schema, "google/audit/v1/LogEntryData-x.json") > rank(shorter, "google/audit/v1/LogEntryData-x.json")
        );
        assert!(rank("ping.json", "ping.payload.json").is_some());
    }

    #[test]
    fn each_shape_of_file_is_told() {
        let cases = |file: &str, text: &str, draft| {
            let mut cases = Vec::new();
            read_file(Path::new(file), text, draft, &mut cases).map(|()| cases)
        };
        let suite =
            r#"[{"description": "d", "schema": true, "tests": [{"description": "t", "data": 1.0, "valid": true}]}]"#;
        let found = cases("tests/draft7/a.json", suite, None).unwrap();
        assert_eq!((found[0].draft, found[0].payloads[0].text.as_str()), (Draft::Draft7, "1.0"));
        assert_eq!(cases("tests/draft7/a.json", suite, Some(Draft::Draft4)).unwrap().len(), 0);
        let found = cases("a.json", r#"{"schema": {}, "valid": [1], "invalid": [2, 3]}"#, None).unwrap();
        assert_eq!(found[0].payloads.iter().map(|payload| payload.valid).collect::<Vec<_>>(), [true, false, false]);
        assert_eq!(cases("x/a.json", r#"{"type": "object"}"#, None).unwrap()[0].group, "x");
        assert!(cases("a.json", r#"{"name": "catalog"}"#, None).is_err());
        assert!(cases("a.json", "[1]", None).is_err());
    }
}
