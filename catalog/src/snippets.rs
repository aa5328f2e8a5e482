//! How a contract is used, in Rust and in Python: names as generated code and stubs have them, values of an example.

use celerysalt_codegen::naming::{field_name, module_name, type_name};
use celerysalt_contract::Mode;
use serde_json::Value;

use crate::{highlight::Language, subject::Subject};

/// Code, and what it does.
#[derive(Debug)]
pub(crate) struct Snippet {
    pub(crate) title: &'static str,
    pub(crate) language: Language,
    pub(crate) text: String,
}

/// All of a contract. The examples are of its payload or request, and of its response.
pub(crate) fn snippets(subject: &Subject<'_>, example: Option<&Value>, response: Option<&Value>) -> Vec<Snippet> {
    let names = Names::of(subject);
    let snippet = |title, language, text| Snippet { title, language, text };
    match subject.record.mode {
        Mode::Broadcast => vec![
            snippet("Publish", Language::Rust, rust_publish(&names, subject, example)),
            snippet("Subscribe", Language::Rust, rust_subscribe(&names)),
            snippet("Publish", Language::Python, python_publish(&names, example)),
            snippet("Subscribe", Language::Python, python_subscribe(&names)),
        ],
        Mode::Rpc => vec![
            snippet("Call", Language::Rust, rust_call(&names, subject, example)),
            snippet("Serve", Language::Rust, rust_serve(&names, subject, response)),
            snippet("Call", Language::Python, python_call(&names, example)),
            snippet("Serve", Language::Python, python_serve(&names, response)),
        ],
    }
}

/// What generated code calls it.
struct Names {
    topic: String,
    /// Of the module of events that has the types.
    module: String,
    event: String,
    response: Option<String>,
    error: Option<String>,
    /// The file of the stubs.
    stub: String,
    /// In it.
    class: String,
    /// What a subscriber by topic has to say to get this version: nothing when it is the newest.
    version: Option<String>,
}

impl Names {
    fn of(subject: &Subject<'_>) -> Self {
        let record = subject.record;
        let event = type_name(&subject.title);
        let answer = |schema: Option<&Value>, suffix: &str| {
            let title = schema?["title"].as_str();
            Some(title.map_or_else(|| format!("{event}{suffix}"), type_name))
        };
        let topic = module_name(record.topic.as_str());
        let version = module_name(&record.version.to_string());
        let class = if subject.is_newest { event.clone() } else { format!("{event}{}", version.to_uppercase()) };
        Self {
            module: if subject.is_at_top { "events".to_owned() } else { format!("events::{topic}::{version}") },
            response: answer(record.response_schema.as_ref(), "Response"),
            error: answer(record.error_schema.as_ref(), "Error"),
            topic: record.topic.to_string(),
            version: (!subject.is_newest).then(|| record.version.to_string()),
            stub: topic,
            event,
            class,
        }
    }

    fn uses(&self) -> String {
        let mut names = vec![self.event.as_str()];
        names.extend(self.error.as_deref());
        names.extend(self.response.as_deref());
        rust_use(&self.module, &names)
    }
}

fn rust_use(module: &str, names: &[&str]) -> String {
    match names {
        [only] => format!("use {module}::{only};\n"),
        _ => format!("use {module}::{{{}}};\n", names.join(", ")),
    }
}

fn rust_publish(names: &Names, subject: &Subject<'_>, example: Option<&Value>) -> String {
    let module = &names.module;
    format!(
        "use {module}::{};\n\n{}let receipt = event.publish(&salt).await?;\n",
        names.event,
        rust_value("event", &names.event, &subject.record.schema, example, "?")
    )
}

fn rust_subscribe(names: &Names) -> String {
    let (module, event) = (&names.module, &names.event);
    format!(
        "use celerysalt::{{HandlerError, Meta}};\nuse {module}::{event};\n\n\
         async fn handle(event: {event}, meta: Meta) -> Result<(), HandlerError> {{\n    \
             println!(\"{{event:?}} from {{:?}}\", meta.sender);\n    Ok(())\n}}\n\n\
         salt.service().on(handle).run_until_signal().await?;\n"
    )
}

fn rust_call(names: &Names, subject: &Subject<'_>, example: Option<&Value>) -> String {
    let (module, event) = (&names.module, &names.event);
    let declared = if names.error.is_some() {
        "    Err(CallError::Declared(error)) => println!(\"declined: {error:?}\"),\n"
    } else {
        ""
    };
    format!(
        "use std::time::Duration;\n{}use {module}::{event};\n\n{}\
         match request.call(&salt).timeout(Duration::from_secs(10)).await {{\n    \
             Ok(reply) => println!(\"{{reply:?}}\"),\n{declared}    Err(error) => return Err(error.into()),\n}}\n",
        if declared.is_empty() { "" } else { "use celerysalt::CallError;\n" },
        rust_value("request", event, &subject.record.schema, example, "?")
    )
}

fn rust_serve(names: &Names, subject: &Subject<'_>, example: Option<&Value>) -> String {
    let event = &names.event;
    let response = names.response.as_deref().unwrap_or("Value");
    let value = match &subject.record.response_schema {
        // What goes wrong here is no error that the contract declares.
        Some(schema) => rust_value("response", response, schema, example, ".map_err(HandlerError::from)?"),
        None => "let response = Value::Null;\n".to_owned(),
    };
    let mut imports = vec!["ServeError"];
    imports.extend(names.error.is_none().then_some("RpcError"));
    imports.extend(names.response.is_some().then_some("HandlerError"));
    imports.sort_unstable();
    let json = if names.response.is_none() { "use celerysalt::serde_json::Value;\n" } else { "" };
    format!(
        "{}{json}{}\nasync fn answer(request: {event}) -> Result<{response}, ServeError<{}>> {{\n    \
             println!(\"{{request:?}}\");\n{}    Ok(response)\n}}\n\n\
         salt.service().serve(answer).run_until_signal().await?;\n",
        rust_use("celerysalt", &imports),
        names.uses(),
        names.error.as_deref().unwrap_or("RpcError"),
        value.lines().flat_map(|line| ["    ", line, "\n"]).collect::<String>(),
    )
}

/// A statement that makes a value of an example: by its builder where all of it is plain, else from JSON. `fails` is what
/// becomes of an error.
fn rust_value(variable: &str, ty: &str, schema: &Value, example: Option<&Value>, fails: &str) -> String {
    let Some(example) = example else {
        return format!("let {variable} = {ty}::builder() /* .. */ .build(){fails};\n");
    };
    let setters: Option<Vec<String>> = example.as_object().and_then(|members| {
        members
            .iter()
            .filter(|(_, value)| !value.is_null())
            .map(|(name, value)| Some(format!("    .{}({})\n", field_name(name), rust_literal(schema, name, value)?)))
            .collect()
    });
    let fails = if fails == "?" { fails.to_owned() } else { format!("\n    {fails}") };
    if let Some(setters) = setters {
        return format!("let {variable} = {ty}::builder()\n{}    .build(){fails};\n", setters.concat());
    }
    let json = format!("{example:#}");
    let mut hashes = "#".to_owned();
    while json.contains(&format!("\"{hashes}")) {
        hashes.push('#');
    }
    let fails = fails.trim_start();
    format!("let {variable}: {ty} = celerysalt::serde_json::from_str(\n    r{hashes}\"{json}\"{hashes},\n){fails};\n")
}

/// A value that the field's own type takes as it is; none for enums, structs and lists.
fn rust_literal(schema: &Value, name: &str, value: &Value) -> Option<String> {
    let property = property(schema, schema, name, 8)?;
    let branches = property["anyOf"].as_array().or_else(|| property["oneOf"].as_array());
    let property = match branches.map(Vec::as_slice) {
        Some([one, null] | [null, one]) if null["type"] == "null" => one,
        Some(_) => return None,
        None => property,
    };
    if ["enum", "const", "$ref", "allOf", "x-extensible-enum"].iter().any(|keyword| property.get(*keyword).is_some()) {
        return None;
    }
    match (value, property["type"].as_str()?) {
        (Value::String(text), "string") => Some(format!("{text:?}")),
        (Value::Bool(is), "boolean") => Some(is.to_string()),
        (Value::Number(number), "integer") => {
            number.as_i64().filter(|n| i32::try_from(*n).is_ok()).map(|n| n.to_string())
        }
        (Value::Number(number), "number") => {
            let text = number.to_string();
            Some(if text.contains(['.', 'e']) { text } else { format!("{text}.0") })
        }
        _ => None,
    }
}

/// The schema of a property, through the bases of the schema.
fn property<'a>(root: &'a Value, schema: &'a Value, name: &str, depth: usize) -> Option<&'a Value> {
    let deeper = depth.checked_sub(1)?;
    if let Some(found) = schema["properties"].get(name) {
        return Some(found);
    }
    let target = schema["$ref"].as_str().and_then(|text| root.pointer(text.strip_prefix('#')?));
    let parts = schema["allOf"].as_array().into_iter().flatten();
    target.into_iter().chain(parts).find_map(|part| property(root, part, name, deeper))
}

fn python_imports(names: &Names) -> String {
    let mut classes = vec![names.class.clone()];
    let suffix = names.class.strip_prefix(names.event.as_str()).unwrap_or_default();
    for answer in [&names.response, &names.error].into_iter().flatten() {
        classes.push(format!("{answer}{suffix}"));
    }
    format!("from event_stubs.{} import {}\n", names.stub, classes.join(", "))
}

/// The event, for celery-salt.
fn python_class(names: &Names) -> String {
    let suffix = names.class.strip_prefix(names.event.as_str()).unwrap_or_default();
    let mut body = format!("    Schema = {}\n", names.class);
    for (name, answer) in [("Response", &names.response), ("Error", &names.error)] {
        if let Some(answer) = answer {
            body = format!("{body}    {name} = {answer}{suffix}\n");
        }
    }
    format!("class {}Event(SaltEvent):\n{body}    Meta = {}.Meta\n", names.event, names.class)
}

fn python_event(names: &Names) -> String {
    format!("from celery_salt import SaltEvent\n{}\n{}", python_imports(names), python_class(names))
}

fn python_publish(names: &Names, example: Option<&Value>) -> String {
    format!("{}\n{}Event({}).publish()\n", python_event(names), names.event, python_arguments(example))
}

fn python_call(names: &Names, example: Option<&Value>) -> String {
    format!(
        "{}\nreply = {}Event({}).call(timeout=10)\nprint(reply.payload)\n",
        python_event(names),
        names.event,
        python_arguments(example)
    )
}

/// Before the first `@subscribe`, which looks for the contract there and then.
const PYTHON_REGISTRY: &str =
    "celerysalt_registry.use(\"postgresql://reader@db/contracts\", service=\"mail\", stubs=\"event_stubs\")\n";

fn python_subscribe(names: &Names) -> String {
    format!(
        "import celerysalt_registry\nfrom celery_salt import subscribe\n{}\n{PYTHON_REGISTRY}\n\
         @subscribe(\"{}\"{})\ndef handle(event: {}):\n    print(event)\n",
        python_imports(names),
        names.topic,
        names.version.as_ref().map(|version| format!(", version=\"{version}\"")).unwrap_or_default(),
        names.class
    )
}

fn python_serve(names: &Names, example: Option<&Value>) -> String {
    let answer = match &names.response {
        Some(_) => format!("request.respond({})", python_arguments(example)).replace('\n', "\n    "),
        None => "None".to_owned(),
    };
    format!(
        "import celerysalt_registry\nfrom celery_salt import SaltEvent, subscribe\n{}\n{PYTHON_REGISTRY}\n{}\n\
         @subscribe({}Event)\ndef answer(request):\n    print(request)\n    return {answer}\n",
        python_imports(names),
        python_class(names),
        names.event
    )
}

/// Keyword arguments where all names are such, else a dictionary of them.
fn python_arguments(example: Option<&Value>) -> String {
    let members = match example {
        Some(Value::Object(members)) if !members.is_empty() => members,
        Some(Value::Object(_)) => return String::new(),
        _ => return "...".to_owned(),
    };
    let is_name = |name: &String| {
        const KEPT: [&str; 12] =
            ["class", "from", "import", "in", "is", "lambda", "not", "or", "and", "pass", "return", "global"];
        let mut letters = name.chars();
        letters.next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_')
            && letters.all(|c| c.is_ascii_alphanumeric() || c == '_')
            && !KEPT.contains(&name.as_str())
    };
    if members.keys().all(is_name) {
        let members: Vec<String> =
            members.iter().map(|(name, value)| format!("    {name}={},\n", python(value, 1))).collect();
        format!("\n{}", members.concat())
    } else {
        format!("**{}", python(&Value::Object(members.clone()), 0))
    }
}

/// A value as Python writes it.
fn python(value: &Value, depth: usize) -> String {
    let indent = "    ".repeat(depth + 1);
    let end = "    ".repeat(depth);
    match value {
        Value::Null => "None".to_owned(),
        Value::Bool(true) => "True".to_owned(),
        Value::Bool(false) => "False".to_owned(),
        Value::Array(items) if items.is_empty() => "[]".to_owned(),
        Value::Array(items) => {
            let items: Vec<String> =
                items.iter().map(|item| format!("{indent}{},\n", python(item, depth + 1))).collect();
            format!("[\n{}{end}]", items.concat())
        }
        Value::Object(members) if members.is_empty() => "{}".to_owned(),
        Value::Object(members) => {
            let members: Vec<String> = members
                .iter()
                .map(|(name, value)| format!("{indent}{}: {},\n", Value::from(name.as_str()), python(value, depth + 1)))
                .collect();
            format!("{{\n{}{end}}}", members.concat())
        }
        // JSON's texts and numbers are Python's.
        Value::String(_) | Value::Number(_) => value.to_string(),
    }
}
