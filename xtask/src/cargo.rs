//! Running cargo from xtask, and reading what it says about the workspace.

use std::{
    path::Path,
    process::{Command, Stdio},
};

use serde_json::Value;

/// The root folder of the workspace.
pub(crate) fn root() -> &'static Path {
    let xtask = Path::new(env!("CARGO_MANIFEST_DIR"));
    xtask.parent().unwrap_or(xtask)
}

/// The cargo that runs xtask, in the root folder.
pub(crate) fn cargo() -> Command {
    let program = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(program);
    command.current_dir(root()).stdin(Stdio::null());
    command
}

/// Runs cargo with its output shown, and fails with the command line when it fails.
pub(crate) fn show(args: &[&str]) -> Result<(), String> {
    let line = format!("cargo {}", args.join(" "));
    println!("$ {line}");
    let status = cargo().args(args).status().map_err(|why| format!("`{line}` did not start: {why}"))?;
    if status.success() { Ok(()) } else { Err(format!("`{line}` failed")) }
}

/// Runs cargo and returns what it printed.
pub(crate) fn read(args: &[&str]) -> Result<String, String> {
    let line = format!("cargo {}", args.join(" "));
    let output = cargo().args(args).output().map_err(|why| format!("`{line}` did not start: {why}"))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(format!("`{line}` failed:\n{}", said.trim_end()));
    }
    String::from_utf8(output.stdout).map_err(|_| format!("`{line}` printed no UTF-8"))
}

/// `cargo metadata` with these further arguments.
pub(crate) fn metadata(args: &[&str]) -> Result<Value, String> {
    let mut all = vec!["metadata", "--format-version", "1"];
    all.extend(args);
    serde_json::from_str(&read(&all)?)
        .map_err(|why| format!("`cargo metadata` printed JSON that cannot be read: {why}"))
}

/// The elements of the array at `key`; none when there is no array.
pub(crate) fn items<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    value[key].as_array().map_or(&[], Vec::as_slice)
}

/// The text at `key`; empty when there is none.
pub(crate) fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_default()
}
