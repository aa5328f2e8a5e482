//! A consumer crate outside this workspace: made in a temporary folder, built by cargo as a user would.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

/// A crate with path dependencies on `celerysalt` and `celerysalt-codegen`, and nothing else of ours.
pub struct Consumer {
    folder: tempfile::TempDir,
}

/// What a command printed, and whether it succeeded.
pub struct Ran {
    /// Whether it succeeded.
    pub ok: bool,
    /// Both streams.
    pub text: String,
}

impl Consumer {
    /// A crate named `name` (unlike any other, they share a target folder) with the given build script and program.
    pub fn new(name: &str, build: &str, main: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let root = workspace();
        let manifest = format!(
            "[package]\nname = \"{name}\"\nversion = \"0.1.0\"\nedition = \"2024\"\n\n[workspace]\n\n\
             [dependencies]\ncelerysalt = {{ path = \"{}\" }}\n\
             tokio = {{ version = \"1\", default-features = false, features = [\"macros\", \"rt-multi-thread\"] }}\n\n\
             [build-dependencies]\ncelerysalt-codegen = {{ path = \"{}\" }}\n",
            root.join("runtime").display(),
            root.join("codegen").display(),
        );
        let consumer = Self { folder };
        consumer.write("Cargo.toml", &manifest);
        consumer.write("build.rs", build);
        consumer.write("src/main.rs", main);
        // The same versions as here, so that nothing is downloaded and little is built.
        fs::copy(root.join("Cargo.lock"), consumer.path("Cargo.lock")).unwrap();
        consumer
    }

    /// A path in the crate.
    pub fn path(&self, relative: &str) -> PathBuf {
        self.folder.path().join(relative)
    }

    /// Writes a file of the crate, with the folders above it.
    pub fn write(&self, relative: &str, text: &str) {
        let path = self.path(relative);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// Copies files of the reference contracts.
    pub fn copy_contracts(&self, files: &[&str]) {
        for file in files {
            let text = fs::read_to_string(workspace().join("schemas").join(file)).unwrap();
            self.write(&format!("schemas/{file}"), &text);
        }
    }

    /// Runs cargo in the crate.
    pub fn cargo(&self, arguments: &[&str]) -> Ran {
        cargo(self.folder.path(), arguments)
    }
}

/// Runs an example of the root package, with in-process broker and registry.
pub fn example(name: &str, arguments: &[&str]) -> Ran {
    let command = ["run", "--quiet", "--example", name, "--"];
    cargo(&workspace(), &[&command, arguments].concat())
}

/// Builds the examples of the root package that need no feature.
pub fn build_examples() -> Ran {
    cargo(&workspace(), &["build", "--quiet", "--examples"])
}

fn cargo(folder: &Path, arguments: &[&str]) -> Ran {
    let mut command = Command::new(env!("CARGO"));
    // What the cargo that runs this test has set is not what a user's shell has.
    for (name, _) in std::env::vars_os() {
        let name = name.to_string_lossy().into_owned();
        if (name.starts_with("CARGO_") && name != "CARGO_HOME") || name.starts_with("CELERYSALT_") {
            command.env_remove(name);
        }
    }
    let output: Output = command
        .args(arguments)
        .current_dir(folder)
        .env("CARGO_TARGET_DIR", workspace().join("target/consumer"))
        .env("CARGO_PROFILE_DEV_DEBUG", "0")
        .env("CARGO_TERM_COLOR", "never")
        .output()
        .unwrap();
    let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    Ran { ok: output.status.success(), text }
}

/// The root of this workspace.
fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}
