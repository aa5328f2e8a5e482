//! Generated stubs, in the hands of the real pydantic, mypy, black, ruff and tsc: what they take and refuse, held against
//! a validator that knows nothing of them.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests fail by panicking")]
#![allow(missing_docs, reason = "the names of the tests say it")]

use std::{
    collections::BTreeMap,
    env, fs,
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::LazyLock,
};

use celerysalt_codegen::stubs::{Language, stubs};
use celerysalt_contract::{Catalog, Contract, ContractRecord, Document, Draft, Mode, Status, Validator, fingerprint};
use celerysalt_tests::python::{python, scripts};
use serde_json::{Value, json};

/// A schema, values, and a row of the table.
struct Case {
    row: String,
    schema: Value,
    values: Vec<Value>,
}

/// A generated file and what its model says of the case's values.
struct Answer {
    text: String,
    verdicts: Vec<bool>,
    dumped: Vec<Value>,
}

/// A folder that is gone with its value.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        let path = env::temp_dir().join(format!("celerysalt_stubs_{}", uuid::Uuid::new_v4().simple()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn write(&self, language: Language, contracts: &[ContractRecord]) -> Vec<PathBuf> {
        let files = stubs(language, contracts);
        assert_eq!(files, stubs(language, contracts), "the same contracts give the same bytes");
        let write = |(name, text): (String, String)| {
            let path = self.0.join(name);
            fs::write(&path, text).unwrap();
            path
        };
        files.into_iter().map(|file| write((file.name, file.text))).collect()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.0));
    }
}

fn record(topic: &str, schema: &Value) -> ContractRecord {
    ContractRecord {
        topic: topic.parse().unwrap(),
        version: "v1".parse().unwrap(),
        mode: Mode::Broadcast,
        schema: schema.clone(),
        response_schema: None,
        error_schema: None,
        description: String::new(),
        fingerprint: fingerprint(Mode::Broadcast, schema, None, None),
        publisher_module: None,
        publisher_class: None,
        status: Status::Active,
    }
}

fn corpora() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../conformance/corpora")
}

fn read(path: &Path) -> Value {
    let text = fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Every JSON file below a folder, sorted.
fn files_below(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    for path in entries.map(|entry| entry.unwrap().path()) {
        if path.is_dir() {
            files.extend(files_below(&path));
        } else if path.extension().is_some_and(|extension| extension == "json") {
            files.push(path);
        }
    }
    files.sort();
    files
}

/// Generates a module for each case, and asks its model.
fn ask(cases: &[Case]) -> Vec<Answer> {
    let folder = Folder::new();
    let contracts: Vec<ContractRecord> =
        cases.iter().enumerate().map(|(i, case)| record(&format!("case.n{i:05}"), &case.schema)).collect();
    let paths = folder.write(Language::Python, &contracts);
    let asked = paths.iter().zip(cases).map(|(path, case)| json!({"path": path, "values": case.values}).to_string());
    let lines = asked.collect::<Vec<_>>().join("\n") + "\n";
    let mut child = Command::new(python())
        .arg(scripts().join("stubs_check.py"))
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    let writer = std::thread::spawn(move || input.write_all(lines.as_bytes()));
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert_eq!(said.lines().count(), cases.len(), "{}", output.status);
    let answers = said.lines().zip(&paths).zip(cases).map(|((line, path), case)| {
        let said: Value = serde_json::from_str(line).unwrap();
        assert!(said["error"].is_null(), "{}: {} in {}", case.row, said["error"], case.schema);
        let verdicts = said["verdicts"].as_array().unwrap().iter().map(|verdict| verdict.as_bool().unwrap()).collect();
        let text = fs::read_to_string(path).unwrap();
        Answer { text, verdicts, dumped: said["dumped"].as_array().unwrap().clone() }
    });
    answers.collect()
}

/// The lines of the header that name what is not checked.
fn notes(text: &str) -> Vec<&str> {
    text.lines().take_while(|line| line.starts_with('#')).filter(|line| line.starts_with("# - ")).collect()
}

#[derive(Default)]
struct Row {
    right: usize,
    noted: usize,
    wrong: usize,
}

/// Holds each verdict against the one expected, prints a table, and fails for those that differ without a note.
fn compare(cases: &[Case], expected: impl Fn(&Case, usize) -> bool) -> Row {
    let mut rows: BTreeMap<&str, Row> = BTreeMap::new();
    let mut wrong = Vec::new();
    for (case, answer) in cases.iter().zip(ask(cases)) {
        let row = rows.entry(&case.row).or_default();
        let validator = Validator::new(&case.schema).ok();
        for (i, verdict) in answer.verdicts.iter().enumerate() {
            if *verdict == expected(case, i) {
                row.right += 1;
            } else if notes(&answer.text).is_empty() {
                row.wrong += 1;
                wrong.push(format!("{}: {verdict} for {} under {}", case.row, case.values[i], case.schema));
            } else {
                row.noted += 1;
                if every_case() {
                    let notes = notes(&answer.text).join("\n    ");
                    eprintln!("{}: {verdict} for {} under {}\n    {notes}", case.row, case.values[i], case.schema);
                }
            }
            // What a model writes is valid again.
            if let (true, Some(validator)) = (*verdict && expected(case, i), &validator) {
                let dumped = &answer.dumped[i];
                assert!(validator.is_valid(dumped), "{}: {} became {dumped}", case.row, case.values[i]);
            }
        }
    }
    eprintln!("{:<28} right noted wrong", "");
    let mut total = Row::default();
    for (name, row) in rows {
        eprintln!("{name:<28} {:>5} {:>5} {:>5}", row.right, row.noted, row.wrong);
        total.right += row.right;
        total.noted += row.noted;
        total.wrong += row.wrong;
    }
    eprintln!("{:<28} {:>5} {:>5} {:>5}", "", total.right, total.noted, total.wrong);
    assert!(wrong.is_empty(), "{} of them:\n{}", wrong.len(), wrong.join("\n"));
    total
}

/// The schemas of pydantic's own, as event authors write models.
fn pydantic_cases() -> Vec<(Case, usize)> {
    let cases = files_below(&corpora().join("pydantic")).into_iter().map(|path| {
        let mut file = read(&path);
        let row = path.file_stem().unwrap().to_string_lossy().into_owned();
        let mut values = file["valid"].as_array().unwrap().clone();
        let valid = values.len();
        values.extend(file["invalid"].as_array().unwrap().iter().cloned());
        (Case { row, schema: file["schema"].take(), values }, valid)
    });
    cases.collect()
}

/// Where pydantic's own models know more than the schemas that they write: the keyword that the header must name.
const TOLD: [(&str, &str); 2] =
    [("Money", "`anyOf`: a number or any text"), ("PatternKeyDict", "`patternProperties`: leaves properties open")];

#[test]
fn what_pydantic_wrote_comes_back_as_models_that_take_and_refuse_the_same() {
    let (cases, valid): (Vec<Case>, Vec<usize>) = pydantic_cases().into_iter().unzip();
    let labels: BTreeMap<&str, usize> = cases.iter().map(|case| case.row.as_str()).zip(valid).collect();
    let total = compare(&cases, |case, i| i < labels[case.row.as_str()]);
    assert_eq!((cases.len(), total.right + total.noted, total.right, total.wrong), (46, 276, 273, 0));
    for (case, answer) in cases.iter().zip(ask(&cases)) {
        let validator = Validator::new(&case.schema).unwrap();
        for (i, (value, verdict)) in case.values.iter().zip(answer.verdicts).enumerate() {
            // Held against the schemas themselves nothing differs.
            assert_eq!(verdict, validator.is_valid(value), "{}: {value}", case.row);
            let is_valid = i < labels[case.row.as_str()];
            assert!(verdict || !is_valid, "{} refuses {value}", case.row);
            if verdict && !is_valid {
                let told =
                    TOLD.iter().find(|(row, _)| *row == case.row).unwrap_or_else(|| panic!("{}: {value}", case.row));
                assert!(notes(&answer.text).iter().any(|note| note.contains(told.1)), "{}", answer.text);
            }
        }
    }
}

/// A schema as the command has it: references by name become pointers when a folder is loaded. What can't be loaded stays as it
/// is, as somebody may have put it into a registry.
fn loaded(folder: &Folder, schema: Value) -> Value {
    fs::write(folder.0.join("case.json"), schema.to_string()).unwrap();
    Document::load(&folder.0, "case.json").map_or(schema, |document| document.schema)
}

/// One case for each group of the official suite.
fn suite(draft: &str, uri: &str) -> (Vec<Case>, Vec<Vec<bool>>) {
    let folder = corpora().join("json-schema-test-suite/tests").join(draft);
    let written = Folder::new();
    let (mut cases, mut labels) = (Vec::new(), Vec::new());
    let entries = files_below(&folder);
    for path in entries.iter().filter(|path| path.parent() == Some(folder.as_path())) {
        for group in read(path).as_array().unwrap() {
            let mut schema = group["schema"].clone();
            if schema.is_boolean() {
                schema = json!({"allOf": [schema]});
            }
            schema.as_object_mut().unwrap().entry("$schema").or_insert(json!(uri));
            let tests = group["tests"].as_array().unwrap();
            labels.push(tests.iter().map(|test| test["valid"].as_bool().unwrap()).collect());
            let values = tests.iter().map(|test| test["data"].clone()).collect();
            let schema = loaded(&written, schema);
            cases.push(Case { row: path.file_stem().unwrap().to_string_lossy().into_owned(), schema, values });
        }
    }
    (cases, labels)
}

/// Every case takes minutes: `CELERYSALT_ALL_STUBS=1` asks for that, otherwise it is every seventh.
fn sampled<T>(all: Vec<T>) -> Vec<T> {
    let step = if every_case() { 1 } else { 7 };
    all.into_iter().step_by(step).collect()
}

fn every_case() -> bool {
    std::env::var_os("CELERYSALT_ALL_STUBS").is_some()
}

fn official(draft: &str, uri: &str, least: usize, most_noted: usize) {
    let (cases, labels) = suite(draft, uri);
    let (cases, labels) = (sampled(cases), sampled(labels));
    let by_schema: Vec<*const Case> = cases.iter().map(std::ptr::from_ref).collect();
    let label = |case: &Case, i: usize| {
        let at = by_schema.iter().position(|known| std::ptr::eq(*known, case)).unwrap();
        labels[at][i]
    };
    let total = compare(&cases, label);
    let told = format!("{draft}: {} right, {} noted", total.right, total.noted);
    if every_case() {
        assert!(total.right >= least && total.noted <= most_noted, "{told}");
    } else {
        assert!(total.right > 70 && total.noted * 6 < total.right, "{told}");
    }
}

#[test]
fn the_official_suite_of_2020_12() {
    official("draft2020-12", "https://json-schema.org/draft/2020-12/schema", 1221, 78);
}

#[test]
fn the_official_suite_of_2019_09() {
    official("draft2019-09", "https://json-schema.org/draft/2019-09/schema", 1199, 60);
}

#[test]
fn the_official_suite_of_draft_7() {
    official("draft7", "http://json-schema.org/draft-07/schema#", 896, 31);
}

#[test]
fn the_official_suite_of_draft_4() {
    official("draft4", "http://json-schema.org/draft-04/schema#", 591, 27);
}

#[test]
fn googles_events_with_their_test_data() {
    let google = corpora().join("google-cloudevents");
    let (schemas, data) = (google.join("jsonschema"), google.join("testdata"));
    let payloads = files_below(&data);
    let mut cases = Vec::new();
    for path in files_below(&schemas) {
        let mut schema = read(&path);
        // Some name a draft by a URI that is none.
        if Draft::of(&schema).is_none() {
            schema.as_object_mut().unwrap().remove("$schema");
        }
        let (inside, stem) =
            (path.parent().unwrap().strip_prefix(&schemas).unwrap(), path.file_stem().unwrap().to_str().unwrap());
        let mut values: Vec<Value> = payloads
            .iter()
            .filter(|payload| payload.parent().unwrap().strip_prefix(&data).unwrap() == inside)
            .filter(|payload| payload.file_stem().unwrap().to_str().unwrap().split('-').next() == Some(stem))
            .map(|payload| read(payload))
            .collect();
        // Each of them broken in one place: every field in turn is a value of a kind that it hardly has.
        let broken = |value: &Value| {
            let names: Vec<String> = value.as_object().into_iter().flatten().map(|(name, _)| name.clone()).collect();
            let change = |name: &String| {
                [json!([[]]), json!(1.5), json!("\u{0}"), Value::Null].map(|wrong| {
                    let mut value = value.clone();
                    value[name.as_str()] = wrong;
                    value
                })
            };
            names.iter().flat_map(change).collect::<Vec<_>>()
        };
        let wrong: Vec<Value> = values.iter().flat_map(broken).collect();
        values.extend(wrong);
        values.push(json!({}));
        cases.push(Case { row: stem.to_owned(), schema, values });
    }
    assert!(cases.len() >= 142, "{}", cases.len());
    let cases = sampled(cases);
    let verdicts: Vec<Vec<bool>> = cases
        .iter()
        .map(|case| {
            let validator = Validator::new(&case.schema).unwrap();
            case.values.iter().map(|value| validator.is_valid(value)).collect()
        })
        .collect();
    for ((case, answer), expected) in cases.iter().zip(ask(&cases)).zip(&verdicts) {
        for (i, verdict) in answer.verdicts.iter().enumerate() {
            assert_eq!(*verdict, expected[i], "{}: {}", case.row, case.values[i]);
        }
    }
}

/// Text that would like to be code, in every place that text gets from a schema into a file.
static EVIL: LazyLock<Vec<String>> = LazyLock::new(|| {
    let touch = "__import__('os').system('touch EVIL')";
    [
        format!("\"\"\"\n{touch}\n\"\"\""),
        format!("\"); {touch}; (\""),
        format!("'); {touch}; ('"),
        format!("\\\"\"\"\\\n{touch}"),
        format!("x\r{touch}"),
        format!("x\u{2028}{touch}\u{85}{touch}\u{c}{touch}"),
        format!("{{{touch}}}"),
        "*/ }; process.exit(9); /*".to_owned(),
        "${process.exit(9)}`\\".to_owned(),
        "\u{202e}\u{0}\\".to_owned(),
        "__import__".to_owned(),
        "BaseModel".to_owned(),
        "Any".to_owned(),
        "str".to_owned(),
        "_Contract".to_owned(),
        "model_config".to_owned(),
        "__class__".to_owned(),
        "Meta".to_owned(),
        "_rules".to_owned(),
        "é\u{fb01}".to_owned(),
        String::new(),
    ]
    .to_vec()
});

fn hostile_schemas() -> Vec<Value> {
    let schema = |text: &String| {
        let definition = text.replace('~', "~0").replace('/', "~1");
        json!({
            "title": text, "description": text, "type": "object", "x-celerysalt": {"exchange": text},
            "properties": {
                text: {"description": text, "type": "string", "default": text, "title": text},
                "one": {"enum": [text, 1, {text: [text]}], "default": text},
                "two": {"const": text},
                "three": {"$ref": format!("#/$defs/{definition}")},
                "four": {"type": "string", "format": text, "pattern": "^(?!\"\"\")'\"\\n"},
                "five": {"oneOf": [{"type": "object", "title": text, "required": [text], "properties": {text: {"const": text}}}, {"type": "null"}]},
                "six": {"type": "object", "patternProperties": {"^\"\"\"": {"const": text}}, "dependentRequired": {text: [text]}},
            },
            "required": [text],
            "not": {"properties": {"two": {"const": text}}, "required": ["two"]},
            "$defs": {text: {"type": "object", "title": text, "description": text, "properties": {"x": {"default": {text: text}}}}},
        })
    };
    EVIL.iter().map(schema).collect()
}

#[test]
fn nothing_that_a_schema_says_ever_runs() {
    let folder = Folder::new();
    let cases: Vec<Case> = hostile_schemas()
        .into_iter()
        .zip(EVIL.iter())
        .map(|(schema, text)| {
            let values = vec![json!({text: text}), json!({}), json!({text: text, "two": text}), json!({text: 1})];
            Case { row: "hostile".to_owned(), schema, values }
        })
        .collect();
    // The script refuses modules that name anything that is not theirs; and they take what they should.
    for (case, answer) in cases.iter().zip(ask(&cases)) {
        assert_eq!(answer.verdicts, [true, false, false, false], "{}", case.schema);
    }
    assert!(!Path::new("EVIL").exists() && !folder.0.join("EVIL").exists());
}

#[test]
fn formatters_and_type_checkers_have_nothing_to_say() {
    let folder = Folder::new();
    let catalog = Catalog::load(concat!(env!("CARGO_MANIFEST_DIR"), "/../schemas")).unwrap();
    let mut contracts: Vec<ContractRecord> = catalog.contracts.iter().map(Contract::to_record).collect();
    contracts.extend(hostile_schemas().iter().enumerate().map(|(i, schema)| record(&format!("hostile.n{i}"), schema)));
    for (i, (case, _)) in pydantic_cases().into_iter().enumerate() {
        contracts.push(record(&format!("pydantic.n{i}"), &case.schema));
    }
    // mypy takes its time: it sees the contracts as they are written, formatters see the official suite too.
    folder.write(Language::Python, &contracts);
    let run = |arguments: &[&str]| {
        let ran = Command::new(python()).args(arguments).current_dir(&folder.0).output().unwrap();
        let said = String::from_utf8_lossy(&ran.stdout).into_owned() + &String::from_utf8_lossy(&ran.stderr);
        let said: String = said.chars().take(4000).collect();
        assert!(ran.status.success(), "{arguments:?}: {said}");
    };
    run(&["-m", "mypy", "--strict", "--no-error-summary", "."]);
    let (suite, _) = suite("draft2020-12", "https://json-schema.org/draft/2020-12/schema");
    let suite = suite.into_iter().enumerate();
    let suite: Vec<ContractRecord> = suite.map(|(i, case)| record(&format!("suite.n{i}"), &case.schema)).collect();
    folder.write(Language::Python, &suite);
    run(&["-m", "black", "--check", "."]);
    run(&["-m", "ruff", "format", "--check", "."]);
    run(&["-m", "ruff", "check", "--isolated", "--select", "E9,F,I", "--quiet", "."]);
}

/// The compiler, of one version, in the target folder.
fn tsc() -> PathBuf {
    const VERSION: &str = "5.9.3";
    let target = env::current_exe().unwrap().ancestors().nth(3).unwrap().to_owned();
    let folder = target.join(format!("typescript-{VERSION}"));
    let tsc = folder.join("node_modules/typescript/bin/tsc");
    let lock = fs::File::create(target.join("typescript.lock")).unwrap();
    lock.lock().unwrap();
    if !tsc.exists() {
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("package.json"), "{\"private\": true}\n").unwrap();
        let ran = Command::new("npm")
            .args(["install", "--silent", "--no-audit", "--no-fund", &format!("typescript@{VERSION}")])
            .current_dir(&folder)
            .output()
            .unwrap_or_else(|error| panic!("this test needs npm: {error}"));
        assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    }
    tsc
}

#[test]
fn typescript_takes_valid_payloads_and_runs_nothing() {
    let folder = Folder::new();
    let mut cases: Vec<(Value, Vec<Value>, Vec<Value>)> = pydantic_cases()
        .into_iter()
        .map(|(case, valid)| (case.schema, case.values[..valid].to_vec(), Vec::new()))
        .collect();
    cases.extend(
        hostile_schemas()
            .into_iter()
            .zip(EVIL.iter())
            .map(|(schema, text)| (schema, vec![json!({text: text})], Vec::new())),
    );
    let union = json!({"title": "Pet", "oneOf": [{"$ref": "#/$defs/cat"}, {"$ref": "#/$defs/dog"}], "$defs": {
        "cat": {"type": "object", "properties": {"kind": {"const": "cat"}, "lives": {"type": "integer"}}, "required": ["kind"], "additionalProperties": false},
        "dog": {"type": "object", "properties": {"kind": {"const": "dog"}, "at": {"prefixItems": [{"type": "number"}, {"type": "string"}], "minItems": 2, "items": false}}, "required": ["kind", "at"]},
    }});
    let good = vec![json!({"kind": "cat"}), json!({"kind": "dog", "at": [1, "x"], "more": null})];
    let bad = vec![
        json!({"kind": "cow"}),
        json!({"kind": "cat", "at": 1}),
        json!({"kind": "dog"}),
        json!({"kind": "dog", "at": [1]}),
        json!({"kind": "cat", "lives": "9"}),
    ];
    cases.push((union, good, bad));
    let contracts: Vec<ContractRecord> =
        cases.iter().enumerate().map(|(i, (schema, ..))| record(&format!("case.n{i:05}"), schema)).collect();
    let files = folder.write(Language::TypeScript, &contracts);
    let mut text = String::new();
    for (i, (path, (_, valid, invalid))) in files.iter().zip(&cases).enumerate() {
        let source = fs::read_to_string(path).unwrap();
        let name = source.lines().find_map(|line| {
            let rest = line.strip_prefix("export interface ").or_else(|| line.strip_prefix("export type "))?;
            rest.split(' ').next()
        });
        let module = path.file_stem().unwrap().to_str().unwrap();
        text.extend([format!("import type {{ {} as T{i} }} from \"./{module}\";\n", name.unwrap())]);
        for (n, value) in valid.iter().enumerate() {
            text.extend([format!("export const valid{i}_{n}: T{i} = {value};\n")]);
        }
        for (n, value) in invalid.iter().enumerate() {
            text.extend([format!("// @ts-expect-error\nexport const invalid{i}_{n}: T{i} = {value};\n")]);
        }
    }
    fs::write(folder.0.join("use.ts"), text).unwrap();
    let out = folder.0.join("out");
    let arguments =
        ["--strict", "--target", "es2022", "--module", "nodenext", "--moduleDetection", "force", "--outDir"];
    let mut command = Command::new("node");
    command.arg(tsc()).args(arguments).arg(&out).args(&files);
    let ran = command.output().unwrap();
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stdout));
    // Types and nothing else: the compiler leaves an empty module of each.
    for path in &files {
        let code = fs::read_to_string(out.join(path.with_extension("js").file_name().unwrap())).unwrap();
        let code: Vec<&str> = code
            .lines()
            .map(str::trim)
            .filter(|line| !line.starts_with("//") && !line.starts_with('*') && !line.starts_with("/*"))
            .collect();
        assert!(
            code.iter()
                .all(|line| matches!(*line, "" | "export {};" | "\"use strict\";") || line.contains("__esModule")),
            "{code:?}"
        );
    }
    let mut command = Command::new("node");
    let use_it = command.arg(tsc()).args(["--strict", "--noEmit", "--target", "es2022"]).arg(folder.0.join("use.ts"));
    let ran = use_it.output().unwrap();
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stdout).chars().take(3000).collect::<String>());
}
