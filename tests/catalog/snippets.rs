//! The code that a contract's page shows, as its reader copies it: Rust for rustc, in a crate outside of this workspace,
//! Python for celery-salt, with the contracts in a registry.

use std::{fmt::Write as _, fs, path::Path, process::Command};

use celerysalt::registry::Registry;
use celerysalt_catalog::Site;
use celerysalt_codegen::stubs::{Language, stubs};
use celerysalt_consumer_tests::Consumer;
use celerysalt_contract::ContractRecord;
use celerysalt_tests::{
    postgres::in_fresh_schema,
    python::{python, scripts},
};
use serde_json::{Value, json};

use crate::{Folder, reference};

/// A block of code on a page.
struct Shown {
    path: String,
    /// `publish`, `call`, `subscribe`, `serve`.
    title: String,
    text: String,
}

/// All blocks of a language, of the pages of all reference contracts.
fn shown(language: &str) -> Vec<Shown> {
    let site = Site::new("Event contracts", reference());
    let mut all = Vec::new();
    for path in site.paths().into_iter().filter(|path| path.starts_with("topics/")) {
        let page = site.page(&path).unwrap().text;
        for block in page.split("data-name=\"the code: ").skip(1) {
            let (title, rest) =
                block.split_once(&format!(" in {language}\"><pre tabindex=\"0\"><code>")).unwrap_or_default();
            let text = rest.split("</code>").next().unwrap();
            if !title.is_empty() && !title.contains('"') {
                all.push(Shown { path: path.clone(), title: title.to_owned(), text: read(text) });
            }
        }
    }
    // Two of each contract.
    assert_eq!(all.len(), 2 * reference().len(), "blocks of {language}");
    all
}

/// Text as a browser reads it.
fn read(html: &str) -> String {
    let mut parts = html.split('<');
    let mut text = parts.next().unwrap_or_default().to_owned();
    text.extend(parts.map(|part| part.split_once('>').unwrap().1));
    [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&amp;", "&")]
        .iter()
        .fold(text, |text, (entity, letter)| text.replace(entity, letter))
}

/// A program that publishes what the pages publish, to itself; the rest is compiled.
#[test]
fn rust_on_the_pages_compiles_and_publishes() {
    let all = shown("Rust");
    let mut main = "celerysalt::include_events!();\n\nuse std::error::Error;\n\nuse celerysalt::Salt;\n\n".to_owned();
    let mut runs = String::new();
    let mut published = 0;
    for (at, shown) in all.iter().enumerate() {
        let Shown { path, title, text } = shown;
        writeln!(
            main,
            "// {path}: {title}\nasync fn snippet_{at}(salt: Salt) -> Result<(), Box<dyn Error>> {{\n{text}"
        )
        .unwrap();
        if title == "publish" {
            published += 1;
            main += "println!(\"sent {receipt}\");\n";
            writeln!(runs, "    snippet_{at}(salt.clone()).await.unwrap();").unwrap();
        } else {
            writeln!(runs, "    drop(snippet_{at}(salt.clone()));").unwrap();
        }
        main += "Ok(())\n}\n\n";
    }
    main += "#[tokio::main]\nasync fn main() {\n    let salt = Salt::connect_env(\"pages\").await.unwrap();\n";
    // Somebody has to be there who gets it.
    main += "    let all = salt.service().on_raw(\"#\", |_: celerysalt::AnyEvent| async {}).start().await.unwrap();\n";
    writeln!(main, "{runs}    all.shutdown().await;\n}}").unwrap();
    let consumer =
        Consumer::new("catalog-snippets", "fn main() { celerysalt_codegen::contracts(\"schemas\").emit(); }\n", &main);
    let schemas = Path::new(env!("CARGO_MANIFEST_DIR")).join("../schemas");
    let files = files_below(&schemas, "");
    consumer.copy_contracts(&files.iter().map(String::as_str).collect::<Vec<_>>());
    let ran = consumer.cargo(&["run", "--quiet"]);
    assert!(ran.ok && !ran.text.contains("warning"), "{}\n{main}", ran.text);
    assert_eq!(ran.text.matches("sent ").count(), published, "{}", ran.text);
}

/// The JSON files of a folder, by their paths in it.
fn files_below(folder: &Path, before: &str) -> Vec<String> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
        let name = format!("{before}{}", entry.file_name().to_str().unwrap());
        if entry.path().is_dir() {
            files.extend(files_below(&entry.path(), &format!("{name}/")));
        } else {
            files.push(name);
        }
    }
    files
}

/// Each block of Python, run by a Python of its own against the real package.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn python_on_the_pages_runs() {
    in_fresh_schema(|schema| async move {
        let contracts: Vec<ContractRecord> = reference().iter().map(|release| release.record().clone()).collect();
        assert!(schema.registry().sync(&contracts, false).await.unwrap().applied);
        let url = schema.url.clone();
        tokio::task::spawn_blocking(move || run_python(&url, &contracts)).await.unwrap();
    })
    .await;
}

fn run_python(registry: &str, contracts: &[ContractRecord]) {
    let folder = Folder::new("snippets");
    let event_stubs = folder.0.join("event_stubs");
    fs::create_dir_all(&event_stubs).unwrap();
    for file in stubs(Language::Python, contracts) {
        fs::write(event_stubs.join(file.name), file.text).unwrap();
    }
    let mut faults = Vec::new();
    for shown in shown("Python") {
        // The reader's own database is where the contracts are.
        let code = shown.text.replace("postgresql://reader@db/contracts", registry);
        let reads = matches!(shown.title.as_str(), "subscribe" | "serve");
        assert_eq!(code != shown.text, reads, "{}: {}", shown.path, shown.text);
        let ran = Command::new(python())
            .arg(scripts().join("snippets_check.py"))
            .arg(json!({"title": shown.title, "code": code}).to_string())
            .current_dir(&folder.0)
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&ran.stdout).lines().last().and_then(|line| line.parse::<Value>().ok());
        if !ran.status.success() || said != Some(json!("fine")) {
            let text = String::from_utf8_lossy(&ran.stderr).into_owned();
            faults.push(format!("{}: {} in Python\n{code}\n{text}", shown.path, shown.title));
        }
    }
    assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n\n"));
}
