//! Schemas by people who mean harm, and schemas that are only enormous: nothing panics, hangs, eats the memory or gets
//! code of its own into what is generated; and what is generated compiles and runs.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    reason = "tests fail by panicking"
)]

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use proc_macro2::{TokenStream, TokenTree};
use serde_json::{Value, json};

const PROGRAM: &str = env!("CARGO_BIN_EXE_celerysalt-conformance");
/// No schema may take longer.
const PATIENCE: Duration = Duration::from_secs(10 * UNOPTIMISED);
/// What tests run is built without optimisation, on machines that have more to do.
const UNOPTIMISED: u64 = if cfg!(debug_assertions) { 6 } else { 1 };
/// The address space that the generator gets, in KiB.
const MEMORY: u32 = 3 << 20;

/// Each tries to end what it stands in and to become an item called `sentinel`.
const TEXTS: [&str; 26] = [
    "*/ pub fn sentinel() {} /*",
    "// x\npub fn sentinel() {}",
    "x\r\npub fn sentinel() {}\r\n",
    "x\u{2028}pub fn sentinel() {}",
    "x\u{2029}pub fn sentinel() {}",
    "x\u{85}pub fn sentinel() {}",
    "x\u{b}pub fn sentinel() {}\u{c}",
    "\"; pub fn sentinel() {} //",
    "\\\"; pub fn sentinel() {} //",
    "\\\"#; pub fn sentinel() {} r#\"",
    "\"#, x: 1 }); pub fn sentinel() {} (r#\"",
    "\"##; pub fn sentinel() {} r##\"",
    "\"###; pub fn sentinel() {} r###\"",
    "\"] pub fn sentinel() {} #[doc = \"",
    "#[path = \"/etc/passwd\"] mod sentinel;",
    "#![doc = \"x\"] pub fn sentinel() {}",
    "} } } pub fn sentinel() {} mod x { mod y { mod z {",
    "```\nassert!(std::process::Command::new(\"sentinel\").status().is_err());\n```",
    "```rust,should_panic\npub fn sentinel() {}",
    "<script>sentinel()</script> [sentinel](javascript:x) [`sentinel`]",
    "\u{202e} {} )(lenitnes nf bup",
    "\u{2066}pub fn sentinel() {}\u{2069}\u{200b}\u{feff}",
    "nul\u{0}pub fn sentinel() {}",
    "{sentinel} {0} {} %s ${sentinel} \\u{73} \\x73",
    "'; DROP TABLE sentinel; --",
    "concat!(include_str!(\"/etc/passwd\"), sentinel!())",
];

/// What is no identifier, or one that Rust keeps for itself.
const WORDS: [&str; 40] = [
    "",
    " ",
    "_",
    "__",
    "-",
    "0",
    "1st",
    "self",
    "Self",
    "super",
    "crate",
    "type",
    "fn",
    "async",
    "gen",
    "dyn",
    "match",
    "try",
    "union",
    "r#type",
    "'static",
    "String",
    "Option",
    "Vec",
    "Some",
    "None",
    "Ok",
    "Err",
    "Result",
    "Box",
    "Default",
    "celerysalt",
    "std",
    "core",
    "rest",
    "extra",
    "reader",
    "writer",
    "ｆｕｌｌ",
    "日本語 𝒳 é e\u{301}",
];

fn base(title: &str) -> Value {
    json!({"title": title, "description": "An event.", "type": "object", "properties": {"id": {"type": "string"}}})
}

/// A schema for each text and place.
fn texts() -> Vec<(String, Value)> {
    let mut all = Vec::new();
    for (i, &text) in TEXTS.iter().chain(&WORDS).enumerate() {
        let mut put = |place: &str, schema: Value| all.push((format!("{place}-{i}"), schema));
        let mut titled = base("Event");
        titled["title"] = json!(text);
        titled["description"] = json!(text);
        titled["$comment"] = json!(text);
        put("title", titled);
        let mut named = base("Event");
        named["properties"][text] =
            json!({"type": "object", "title": text, "properties": {text: {"type": "integer", "default": 3}}});
        named["required"] = json!([text]);
        named["dependentRequired"] = json!({text: [text]});
        put("name", named);
        let mut values = base("Event");
        values["properties"]["one"] = json!({"enum": [text, "other"], "default": text, "description": text});
        values["properties"]["two"] = json!({"const": text});
        values["properties"]["three"] = json!({"type": "string", "default": text, "format": text, "examples": [text]});
        values["x-unknown"] = json!({text: text});
        put("value", values);
        let mut definition = base("Event");
        let pointer = text.replace('~', "~0").replace('/', "~1");
        let pointer = pointer.bytes().map(|byte| format!("%{byte:02X}")).collect::<Vec<_>>().concat();
        definition["$defs"] = json!({text: {"type": "object", "description": text, "properties": {"kind": {"const": text}}, "required": ["kind"]}});
        definition["properties"]["in"] = json!({"$ref": format!("#/$defs/{pointer}")});
        definition["properties"]["either"] = json!({"oneOf": [{"$ref": format!("#/$defs/{pointer}")}, {"type": "object", "properties": {"kind": {"const": "b"}}, "required": ["kind"]}]});
        put("definition", definition);
    }
    for (i, text) in TEXTS.iter().enumerate() {
        // As a pattern it must be one; most of these are.
        let mut pattern = base("Event");
        let escaped: String =
            text.chars().flat_map(|c| if "\\{}()[]*+?.^$|/".contains(c) { vec!['\\', c] } else { vec![c] }).collect();
        pattern["properties"]["p"] = json!({"type": "string", "pattern": escaped});
        pattern["patternProperties"] = json!({escaped: {"type": "string"}});
        all.push((format!("pattern-{i}"), pattern));
    }
    all
}

fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("hostile-{name}"));
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).unwrap();
    folder
}

/// What the generator makes of one schema: code, or why not; with bounded memory and time.
fn generate(name: &str, text: &str) -> Result<String, String> {
    let folder = folder(name);
    let contract = folder.join("schemas/hostile.event");
    fs::create_dir_all(&contract).unwrap();
    fs::write(contract.join("v1.json"), text).unwrap();
    let output = folder.join("events.rs");
    let start = Instant::now();
    let mut child = Command::new("sh")
        .arg("-c")
        .arg(format!("ulimit -v {MEMORY}; exec \"$0\" generate \"$1\" \"$2\""))
        .arg(PROGRAM)
        .arg(folder.join("schemas"))
        .arg(&output)
        .stderr(fs::File::create(folder.join("errors")).unwrap())
        .stdin(Stdio::null())
        .spawn()
        .unwrap();
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        if start.elapsed() > PATIENCE {
            child.kill().unwrap();
            panic!("{name}: still running after {PATIENCE:?}");
        }
        thread::sleep(Duration::from_millis(3));
    };
    let errors = fs::read_to_string(folder.join("errors")).unwrap();
    let said = fs::read_to_string(&output).unwrap_or_default();
    let _ = fs::remove_dir_all(&folder);
    match status.code() {
        Some(0) => Ok(said),
        Some(1) if !said.is_empty() => Err(said),
        _ => panic!("{name}: {status}: {errors}"),
    }
}

/// Every identifier of the code, macros included; texts and comments are none.
fn has_identifier(tokens: TokenStream, wanted: &str) -> bool {
    tokens.into_iter().any(|token| match token {
        TokenTree::Group(group) => has_identifier(group.stream(), wanted),
        TokenTree::Ident(ident) => ident == wanted || ident == "unsafe",
        _ => false,
    })
}

#[test]
fn no_text_becomes_code() {
    let all = texts();
    assert!(all.len() >= 200, "{} schemas", all.len());
    let mut refused = Vec::new();
    for (name, schema) in &all {
        match generate(name, &schema.to_string()) {
            Ok(code) => {
                let tokens: TokenStream = code.parse().unwrap_or_else(|error| panic!("{name}: {error}"));
                assert!(!has_identifier(tokens.clone(), "sentinel"), "{name}:\n{code}");
                let file: syn::File = syn::parse2(tokens).unwrap_or_else(|error| panic!("{name}: {error}"));
                assert!(file.attrs.is_empty(), "{name}: {:?}", file.attrs);
                for item in &file.items {
                    let expected = match item {
                        syn::Item::Mod(module) => module.ident == "hostile_event",
                        syn::Item::Use(_) => true,
                        syn::Item::Fn(function) => function.sig.ident == "contracts",
                        _ => false,
                    };
                    assert!(expected, "{name}: {item:?}");
                }
                // Nothing that shows a reader other code than the compiler sees.
                for broken in ['\u{202e}', '\u{2066}', '\u{0}'] {
                    assert!(!code.contains(broken), "{name}: {broken:?} stands in the code");
                }
            }
            Err(why) => refused.push(format!("{name}: {why}")),
        }
    }
    println!("{} schemas, {} refused", all.len(), refused.len());
    for why in &refused {
        println!("{why}");
    }
    assert!(refused.len() * 10 <= all.len(), "{} of {} refused", refused.len(), all.len());
}

fn nested(depth: usize, open: &str, close: &str) -> String {
    format!(
        r#"{{"title": "E", "type": "object", "properties": {{"x": {}true{}}}}}"#,
        open.repeat(depth),
        close.repeat(depth)
    )
}

#[test]
fn enormous_and_circular_schemas_are_generated_or_refused_in_time() {
    let mut all: Vec<(String, String)> = Vec::new();
    for depth in [50, 120, 1_000, 100_000] {
        for (keyword, open, close) in [
            ("properties", r#"{"type": "object", "properties": {"x": "#, "}}"),
            ("items", r#"{"type": "array", "items": "#, "}"),
            ("anyOf", r#"{"anyOf": [{"type": "null"}, "#, "]}"),
            ("not", r#"{"not": "#, "}"),
        ] {
            all.push((format!("deep-{keyword}-{depth}"), nested(depth, open, close)));
        }
    }
    let wide: serde_json::Map<String, Value> =
        (0..10_000).map(|i| (format!("property_{i}"), json!({"type": "string", "description": "x"}))).collect();
    all.push(("wide".to_owned(), json!({"title": "E", "type": "object", "properties": wide}).to_string()));
    let objects: serde_json::Map<String, Value> = (0..3_000)
        .map(|i| (format!("p{i}"), json!({"type": "object", "properties": {"a": {"enum": ["x", "y"]}}})))
        .collect();
    all.push(("many-types".to_owned(), json!({"title": "E", "type": "object", "properties": objects}).to_string()));
    let values: Vec<String> = (0..60_000).map(|i| format!("value number {i}, with some more text to it")).collect();
    all.push((
        "long-enum".to_owned(),
        json!({"title": "E", "type": "object", "properties": {"v": {"enum": values}}}).to_string(),
    ));
    all.push((
        "long-text".to_owned(),
        json!({"title": "E", "description": "x".repeat(5 << 20), "type": "object"}).to_string(),
    ));
    all.push((
        "too-long".to_owned(),
        json!({"title": "E", "description": "x".repeat(9 << 20), "type": "object"}).to_string(),
    ));
    let branches: Vec<Value> =
        (0..2_000).map(|i| json!({"type": "object", "properties": {format!("b{i}"): {"type": "integer"}}})).collect();
    for keyword in ["anyOf", "oneOf", "allOf"] {
        all.push((
            format!("many-{keyword}"),
            json!({"title": "E", "type": "object", "properties": {"v": {keyword: branches}}}).to_string(),
        ));
    }
    // Two to the power of 30, if anyone writes it out.
    let doubling: serde_json::Map<String, Value> = (0..30)
        .map(|i| {
            (
                format!("d{i}"),
                json!({"allOf": [{"$ref": format!("#/$defs/d{}", i + 1)}, {"$ref": format!("#/$defs/d{}", i + 1)}]}),
            )
        })
        .chain([("d30".to_owned(), json!({"type": "object", "properties": {"a": {"type": "string"}}}))])
        .collect();
    all.push((
        "doubling".to_owned(),
        json!({"title": "E", "type": "object", "properties": {"v": {"$ref": "#/$defs/d0"}}, "$defs": doubling})
            .to_string(),
    ));
    let choices: serde_json::Map<String, Value> = (0..24)
        .map(|i| (format!("d{i}"), json!({"anyOf": [{"$ref": format!("#/$defs/d{}", i + 1)}, {"properties": {format!("x{i}"): {"$ref": format!("#/$defs/d{}", i + 1)}}}]})))
        .chain([("d24".to_owned(), json!({"type": "object", "properties": {"a": {"type": "string"}}}))])
        .collect();
    all.push((
        "choices".to_owned(),
        json!({"title": "E", "type": "object", "properties": {"v": {"$ref": "#/$defs/d0"}}, "$defs": choices})
            .to_string(),
    ));
    for (name, schema) in circles() {
        all.push((name.to_owned(), schema.to_string()));
    }
    for (name, text) in &all {
        let start = Instant::now();
        let told = match generate(name, text) {
            Ok(code) => {
                syn::parse_file(&code).unwrap_or_else(|error| panic!("{name}: {error}"));
                format!("{} bytes", code.len())
            }
            Err(why) => why.chars().take(160).collect(),
        };
        println!("{name}: {:?}: {told}", start.elapsed());
    }
}

/// References in circles, of every kind.
fn circles() -> Vec<(&'static str, Value)> {
    let event = |inner: Value| json!({"title": "E", "type": "object", "properties": {"v": {"$ref": "#/$defs/a"}}, "$defs": inner});
    let this = json!({"$ref": "#/$defs/a"});
    vec![
        ("circle-root", json!({"title": "E", "$ref": "#"})),
        ("circle-self", event(json!({"a": this}))),
        ("circle-two", event(json!({"a": {"$ref": "#/$defs/b"}, "b": this}))),
        ("circle-allOf", event(json!({"a": {"allOf": [this]}}))),
        ("circle-anyOf", event(json!({"a": {"anyOf": [this, {"type": "string"}]}}))),
        ("circle-oneOf", event(json!({"a": {"oneOf": [{"type": "null"}, {"oneOf": [this]}]}}))),
        ("circle-not", event(json!({"a": {"not": this}}))),
        ("circle-if", event(json!({"a": {"if": this, "then": this, "else": this}}))),
        ("circle-properties", event(json!({"a": {"type": "object", "properties": {"n": this}}}))),
        ("circle-required", event(json!({"a": {"type": "object", "properties": {"n": this}, "required": ["n"]}}))),
        ("circle-items", event(json!({"a": {"type": "array", "items": this}}))),
        (
            "circle-tuple",
            event(
                json!({"a": {"type": "array", "prefixItems": [this, this], "items": false, "minItems": 2, "maxItems": 2}}),
            ),
        ),
        ("circle-map", event(json!({"a": {"type": "object", "additionalProperties": this}}))),
        ("circle-pattern", event(json!({"a": {"type": "object", "patternProperties": {"^x": this}}}))),
        ("circle-contains", event(json!({"a": {"type": "array", "contains": this}}))),
        ("circle-names", event(json!({"a": {"type": "object", "propertyNames": this}}))),
        ("circle-unevaluated", event(json!({"a": {"type": "object", "unevaluatedProperties": this}}))),
        ("circle-dependent", event(json!({"a": {"type": "object", "dependentSchemas": {"x": this}}}))),
        (
            "circle-null",
            event(
                json!({"a": {"anyOf": [{"type": "null"}, {"type": "object", "properties": {"n": this}, "required": ["n"]}]}}),
            ),
        ),
        (
            "circle-default",
            event(json!({"a": {"type": "object", "properties": {"n": {"$ref": "#/$defs/a", "default": {}}}}})),
        ),
        (
            "circle-anchor",
            json!({"title": "E", "$dynamicAnchor": "t", "type": "object", "properties": {"n": {"$dynamicRef": "#t"}}}),
        ),
        (
            "circle-bases",
            event(
                json!({"a": {"allOf": [{"$ref": "#/$defs/b"}], "properties": {"x": this}}, "b": {"allOf": [{"$ref": "#/$defs/c"}]}, "c": {"properties": {"y": {"$ref": "#/$defs/b"}}}}),
            ),
        ),
    ]
}

/// What took typify's generated code 25 seconds.
fn exploding() -> Vec<(String, Value)> {
    let patterns = [
        "(a+)+$",
        "^(a+)+$",
        "^(a|aa)+$",
        "^(a|a)*$",
        "(.*)*x$",
        "^(([a-z])+.)+[A-Z]([a-z])+$",
        "^(a?){30}a{30}$",
        "^(?=(a+)+$)",
        "^(a+)+\\1$",
        "^(?!(a+)+$).*b$",
    ];
    let text = format!("{}!", "a".repeat(40));
    let all = patterns.iter().enumerate().map(|(i, pattern)| {
        let schema = json!({"title": "E", "description": "d", "type": "object", "properties": {"p": {"type": "string", "pattern": pattern}}, "required": ["p"]});
        (format!("exploding-{i}"), json!({"schema": schema, "valid": [], "invalid": [{"p": text}]}))
    });
    all.collect()
}

/// In `cargo xtask conformance` and by hand for all; some of each kind here.
#[test]
fn what_is_generated_compiles_and_answers() {
    let folder = folder("compiled");
    let some = texts().into_iter().enumerate().filter(|(i, _)| i % 5 == 0).map(|(_, one)| one);
    for (name, schema) in some {
        let file = json!({"schema": schema, "valid": [], "invalid": [[], null, 1]});
        fs::write(folder.join(format!("{name}.json")), file.to_string()).unwrap();
    }
    for (name, schema) in circles().into_iter().filter(|(name, _)| {
        ![
            "circle-root",
            "circle-self",
            "circle-two",
            "circle-allOf",
            "circle-anyOf",
            "circle-oneOf",
            "circle-not",
            "circle-if",
            "circle-dependent",
        ]
        .contains(name)
    }) {
        let file = json!({"schema": schema, "valid": [{}], "invalid": [[]]});
        fs::write(folder.join(format!("{name}.json")), file.to_string()).unwrap();
    }
    for (name, file) in exploding() {
        fs::write(folder.join(format!("{name}.json")), file.to_string()).unwrap();
    }
    let output = Command::new(PROGRAM).arg("schemas").arg(&folder).stdin(Stdio::null()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
    println!("{said}");
}
