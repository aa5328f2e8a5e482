//! What stands in blocks of code: it parses, and commands are commands.

use std::{fs, path::Path, process::Command};

use celerysalt_tests::{
    page::{Code, Page, guides, root},
    python,
};

fn pages() -> impl Iterator<Item = Page> {
    guides()
        .into_iter()
        .chain(["README.md".to_owned(), "examples/python/README.md".to_owned()])
        .map(|name| Page::read(&name))
}

/// Asserts of each block of these languages that `fault` finds none.
fn each(languages: &[&str], mut fault: impl FnMut(&Code) -> Option<String>) {
    let mut faults = Vec::new();
    for page in pages() {
        for code in page.code().filter(|code| languages.contains(&code.language())) {
            faults.extend(fault(code).map(|why| format!("{}:{}: {why}", page.name, code.line)));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn json_and_toml_parse() {
    each(&["json"], |code| serde_json::from_str::<serde_json::Value>(&code.text).err().map(|error| error.to_string()));
    each(&["toml"], |code| code.text.parse::<toml::Table>().err().map(|error| error.to_string()));
}

/// Pages whose Rust is compiled as the files that it says it is, with the test that writes them.
const IN_FILES: [(&str, &str); 2] =
    [("README.md", "tests/consumer/tests/outside.rs"), ("docs/tutorial.md", "tests/guides/followed.rs")];

/// Each block of Rust, of all pages: it is a doctest of `tests/support/guides.rs`, or a file that a test compiles.
#[test]
fn rust_is_compiled() {
    let doctests = fs::read_to_string(root().join("tests/support/guides.rs")).unwrap();
    let at_the_top = fs::read_dir(root()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let at_the_top = at_the_top
        .filter(|name| Path::new(name).extension().is_some_and(|end| end == "md"))
        .map(|name| Page::read(&name));
    let mut seen = 0;
    for page in pages().filter(|page| page.name != "README.md").chain(at_the_top) {
        for code in page.code().filter(|code| matches!(code.language(), "rust" | "rs" | "Rust")) {
            let place = format!("{}:{}", page.name, code.line);
            seen += 1;
            if let Some((_, test)) = IN_FILES.iter().find(|(name, _)| *name == page.name) {
                assert!(code.value("file").is_some(), "{place}: say which file it is, or {test} does not compile it");
                continue;
            }
            let name = page.name.trim_start_matches("docs/");
            assert!(doctests.contains(&format!("\"{name}\"")), "{place}: name the page in tests/support/guides.rs");
            for word in code.words.iter().skip(1) {
                let is_compiled = matches!(word.as_str(), "no_run" | "test_harness");
                assert!(
                    is_compiled,
                    "{place}: with `{word}` nobody compiles it, or not as it stands; `no_run` is enough"
                );
            }
        }
    }
    assert!(seen > 20, "only {seen} blocks found");
}

/// What a page says that the product says, it says: each `**`...`**` of the troubleshooting page, cut at `...`, stands in some source.
#[test]
fn messages_are_those_of_the_product() {
    let mut source = String::new();
    let mut folders: Vec<_> =
        ["runtime/src", "contract/src", "cli/src", "codegen/src"].map(|folder| root().join(folder)).into();
    folders.extend([root().join("examples/python")]);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            if entry.is_dir() {
                folders.push(entry);
            } else if entry.extension().is_some_and(|extension| extension == "rs" || extension == "py") {
                source.push_str(&fs::read_to_string(entry).unwrap());
            }
        }
    }
    // A text that goes on in the next line of the source.
    let source = source.replace("\\\n", "").split_whitespace().collect::<Vec<_>>().join(" ");
    let page = Page::read("docs/troubleshooting.md");
    let mut unknown = Vec::new();
    for bold in page.text.split("\n**").skip(1).filter_map(|rest| rest.split("**").next()) {
        for message in bold.split('`').skip(1).step_by(2) {
            let is_known = FOREIGN.iter().any(|foreign| message.starts_with(foreign)) || source.contains(message);
            unknown.extend((!is_known).then(|| message.to_owned()));
        }
    }
    assert!(unknown.is_empty(), "no source says: {}", unknown.join("\n"));
}

/// Of Python's packages and of RabbitMQ; and what is put together from several parts.
const FOREIGN: [&str; 11] = [
    "'NoneType' object",
    "app.conf.task_routes",
    "No handlers found for routing key",
    "Received unregistered task",
    "SchemaRegistryUnavailableError: no contract",
    "NOT_ALLOWED",
    "PRECONDITION_FAILED",
    "the task failed on the serving side: NotRegistered",
    "the contract refuses this payload: /total",
    ".call",
    ".publish",
];

#[test]
fn python_parses() {
    each(&["python"], |code| {
        let file = std::env::temp_dir().join(format!("celerysalt_snippet_{}.py", uuid::Uuid::new_v4().simple()));
        fs::write(&file, &code.text).unwrap();
        // Not run: what it would import is somebody else's.
        let parse = "import ast, sys; ast.parse(open(sys.argv[1]).read())";
        let ran = Command::new(python::python()).args(["-c", parse]).arg(&file).output().unwrap();
        fs::remove_file(file).unwrap();
        (!ran.status.success()).then(|| String::from_utf8_lossy(&ran.stderr).into_owned())
    });
}

#[test]
fn shell_parses() {
    each(&["sh"], |code| {
        let ran = Command::new("bash").args(["-n", "-c", &code.text]).output().unwrap();
        (!ran.status.success()).then(|| String::from_utf8_lossy(&ran.stderr).into_owned())
    });
}

/// Every `celerysalt ...` that a page shows, wherever it stands, is a command with options that there are: asked for its help, the
/// program has read all before it.
#[test]
fn commands_of_the_command_line_are_there() {
    let program = std::env::current_exe().unwrap();
    let program = program.ancestors().nth(2).unwrap().join("celerysalt");
    assert!(program.exists(), "build it first: cargo build -p celerysalt-cli");
    let mut seen = 0;
    each(&["", "sh", "console", "yaml"], |code| {
        let text = code.text.replace("\\\n", " ");
        let commands = text.lines().filter_map(|line| {
            let line = line.trim_start_matches([' ', '$', '-']).trim_start_matches("run: ");
            line.starts_with("celerysalt ").then_some(line)
        });
        let faults = commands.filter_map(|command| {
            seen += 1;
            // What stands for more of the same, what is done with the output, the next command.
            let command = command.replace(" ...", "").replace("[FILTER]", "");
            let command = command.split([';', '|', '>']).next().unwrap_or_default();
            let command = command.split(" && ").next().unwrap_or_default();
            let command = command.split(" #").next().unwrap_or_default();
            let script = format!("celerysalt() {{ '{}' \"$@\" --help >/dev/null; }}\n{command}", program.display());
            let ran = Command::new("bash").args(["-c", &script]).output().unwrap();
            (!ran.status.success()).then(|| format!("{command}: {}", String::from_utf8_lossy(&ran.stderr)))
        });
        faults.reduce(|all, next| format!("{all}\n{next}"))
    });
    assert!(seen > 30, "only {seen} commands found");
}
