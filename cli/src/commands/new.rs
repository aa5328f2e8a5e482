//! `celerysalt new`: a service to start from.

use std::{
    fs,
    path::{Path, PathBuf},
};

use clap::Args;
use serde_json::json;

use crate::output::{Report, Stop, Style, lines};

/// The files of a service; `{{...}}` is filled in.
const FILES: [(&str, &str); 7] = [
    ("Cargo.toml", include_str!("../../templates/service/Cargo.toml.txt")),
    ("build.rs", include_str!("../../templates/service/build.rs.txt")),
    ("src/main.rs", include_str!("../../templates/service/main.rs.txt")),
    ("schemas/{{topic}}.greeted/v1.json", include_str!("../../templates/service/greeted.json.txt")),
    ("schemas/rpc.{{topic}}.greeting/v1.json", include_str!("../../templates/service/greeting.json.txt")),
    (
        "schemas/rpc.{{topic}}.greeting/v1.response.json",
        include_str!("../../templates/service/greeting.response.json.txt"),
    ),
    (".gitignore", "/target\n"),
];

/// Make a service to start from: Cargo.toml, build.rs, schemas, main.rs
///
/// It publishes an event, handles it and answers a request, in its own process until CELERYSALT_BROKER_URL names a broker. Its
/// tests run with cargo test. Writes nothing when the folder is there already.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  celerysalt new billing && cd billing && cargo run\n  \
    celerysalt new billing --path-dependency ../celerysalt")]
pub(crate) struct New {
    /// The service's name, of lower-case letters, digits, - and _; its folder, too
    #[arg(value_name = "NAME", value_parser = name)]
    name: String,
    /// Folder to make it in
    #[arg(long, value_name = "DIR", default_value = ".")]
    into: PathBuf,
    /// Depend on the crates of this checkout of CelerySalt instead of on published ones
    #[arg(long, value_name = "DIR")]
    path_dependency: Option<PathBuf>,
}

fn name(text: &str) -> Result<String, String> {
    let is_letter = |c: char| c.is_ascii_lowercase();
    let rest = |c: char| is_letter(c) || c.is_ascii_digit() || matches!(c, '-' | '_');
    if text.len() <= 50 && text.starts_with(is_letter) && text.chars().all(rest) && text != "test" {
        Ok(text.to_owned())
    } else {
        Err("a service's name begins with a lower-case letter; letters, digits, - and _ follow, 50 at most".to_owned())
    }
}

impl New {
    pub(crate) fn run(self, style: Style) -> Result<Report, Stop> {
        let folder = self.into.join(&self.name);
        if folder.exists() {
            let shown = folder.display();
            return Err(Stop::failed("folder", format!("{shown} is there already: choose another name, or --into")));
        }
        let [celerysalt, codegen] = self.dependencies()?;
        let values = [
            ("{{package}}", self.name.clone()),
            ("{{service}}", self.name.clone()),
            ("{{topic}}", self.name.replace('-', "_")),
            ("{{celerysalt}}", celerysalt),
            ("{{codegen}}", codegen),
        ];
        let filled = |text: &str| values.iter().fold(text.to_owned(), |text, (mark, value)| text.replace(mark, value));
        let mut written = Vec::new();
        for (path, text) in FILES {
            let path = folder.join(filled(path));
            write(&path, &filled(text))
                .map_err(|error| Stop::failed("folder", format!("can't write {}: {error}", path.display())))?;
            written.push(path.display().to_string());
        }
        Ok(Report {
            findings: false,
            text: lines(&written.iter().map(|path| format!("{}: {path}", style.good("made"))).collect::<Vec<_>>()),
            summary: format!("next: cd {} && cargo test && cargo run", folder.display()),
            json: json!({"files": written}),
        })
    }

    /// What stands for `celerysalt` and `celerysalt-codegen` in the manifest.
    fn dependencies(&self) -> Result<[String; 2], Stop> {
        let Some(checkout) = &self.path_dependency else {
            // Every release of the crates has one version.
            return Ok(["celerysalt", "codegen"].map(|_| format!("version = \"{}\"", env!("CARGO_PKG_VERSION"))));
        };
        let refused =
            |reason: String| Stop::failed("arguments", format!("--path-dependency {}: {reason}", checkout.display()));
        let checkout = checkout.canonicalize().map_err(|error| refused(error.to_string()))?;
        let path = |part: &str| {
            let path = checkout.join(part);
            if path.join("Cargo.toml").is_file() {
                Ok(format!("path = {:?}", path.display().to_string()))
            } else {
                Err(refused(format!("it is no checkout of CelerySalt: it has no {part}/Cargo.toml")))
            }
        };
        Ok([path("runtime")?, path("codegen")?])
    }
}

fn write(path: &Path, text: &str) -> std::io::Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    fs::write(path, text)
}
