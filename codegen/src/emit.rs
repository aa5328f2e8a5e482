//! What `build.rs` does besides generating: write the file, tell cargo when to come back, show what is wrong.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use celerysalt_contract::{Catalog, Diagnostic, Diagnostics, Severity};

use crate::{
    Builder, Made,
    cache::{self, Kept, Unfit},
};

/// Why there is no `events.rs`.
pub(crate) struct Refusal {
    findings: Diagnostics,
}

impl Refusal {
    fn one(path: impl Into<PathBuf>, message: impl Into<String>) -> Self {
        Self { findings: [Diagnostic::error("build-script", path, message)].into_iter().collect() }
    }

    /// Shows every finding: in full on standard error, and as a line each for cargo.
    pub(crate) fn print(&self) {
        eprint!("{}", self.findings.render(false));
        print!("{}", told(self.findings.iter()));
    }
}

/// Everything that [`Builder::emit`] promises but the exit.
pub(crate) fn emit(builder: &Builder) -> Result<(), Refusal> {
    let variable = |name: &str| {
        std::env::var_os(name).map(PathBuf::from).ok_or_else(|| {
            Refusal::one(
                "build.rs",
                format!("{name} is not set: `emit` is for a build.rs, `generate` for everything else"),
            )
        })
    };
    let folder = variable("CARGO_MANIFEST_DIR")?.join(&builder.folder);
    let out = variable("OUT_DIR")?;
    // First of all, so that a mended folder is looked at again.
    print!("{}", rerun_if_changed(&folder));
    let builder = Builder { folder, plain: builder.plain.clone(), only: builder.only.clone() };
    print!("{}", write(&builder, &out)?.lines);
    Ok(())
}

/// What a build script did.
struct Written {
    /// The warnings, for cargo.
    lines: String,
    /// How many topics were taken from what was kept.
    #[cfg(test)]
    known: usize,
}

/// Writes `events.rs` into the folder `out`, and beside it what the next build script can make use of.
fn write(builder: &Builder, out: &Path) -> Result<Written, Refusal> {
    let (path, cache) = (out.join("events.rs"), out.join("events.cache"));
    let (before, key) = (fs::read_to_string(&path).unwrap_or_default(), cache::key(builder));
    let folder = &builder.folder;
    let mended = |kept: Kept| -> Result<(Kept, Made), Unfit> {
        let (kept, catalog) = kept.catalog(folder)?;
        let made = builder.make(catalog, &kept).map_err(|_| Unfit)?;
        Ok((kept, made))
    };
    let anew = || -> Result<(Kept, Made), Diagnostics> {
        let nothing = Kept::default();
        let made = builder.make(Catalog::load(folder)?, &nothing)?;
        Ok((nothing, made))
    };
    // Whatever is wrong is found, and told, by doing all of it.
    let made = match Kept::read(&cache, &key, &before) {
        kept if kept.topics.is_empty() => anew(),
        kept => mended(kept).or_else(|Unfit| anew()),
    };
    let (kept, made) = made.map_err(|findings| Refusal { findings })?;
    write_if_changed(&path, &before, &made.code)
        .map_err(|error| Refusal::one(&path, format!("the generated code can't be written: {error}")))?;
    let mut lines: Vec<(PathBuf, String)> =
        made.warnings.iter().map(|finding| (finding.path.clone(), line_of(finding))).collect();
    lines.extend(kept.warnings(folder));
    lines.sort_by(|(a, _), (b, _)| a.cmp(b));
    #[cfg(test)]
    let known = kept.topics.len();
    if cache::write(&cache, &key, folder, kept, &made).is_err() {
        // It costs the next build time and nothing else. Half a file is none.
        let _ = fs::remove_file(&cache);
    }
    Ok(Written {
        lines: lines.into_iter().map(|(_, line)| line).collect(),
        #[cfg(test)]
        known,
    })
}

/// The line that has cargo look at everything below `folder`: files and folders, edited, added or removed.
fn rerun_if_changed(folder: &Path) -> String {
    format!("cargo::rerun-if-changed={}\n", folder.display())
}

/// Writes only what differs, so that an unchanged file has its dependents left alone.
fn write_if_changed(path: &Path, before: &str, code: &str) -> io::Result<()> {
    if before == code && path.exists() {
        return Ok(());
    }
    fs::write(path, code)
}

/// A line for cargo for each finding.
fn told<'a>(findings: impl Iterator<Item = &'a Diagnostic>) -> String {
    findings.map(line_of).collect()
}

/// A finding's line for cargo.
pub(crate) fn line_of(finding: &Diagnostic) -> String {
    let level = match finding.severity {
        Severity::Warning => "warning",
        Severity::Error => "error",
    };
    let help = finding.help.as_ref().map(|help| format!(" ({help})")).unwrap_or_default();
    let text = format!("{finding}{help}").replace(['\n', '\r'], " ");
    format!("cargo::{level}={text}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_finding_is_one_line_for_cargo() {
        let findings: Diagnostics = [
            Diagnostic::error("unknown-contract", "schemas", "two\nlines"),
            Diagnostic::warning("no-title", "schemas/a/v1.json", "no title").with_help("add one"),
        ]
        .into_iter()
        .collect();
        let text = told(findings.iter());
        let mut lines: Vec<&str> = text.lines().collect();
        lines.sort_unstable();
        assert_eq!(lines.len(), 2);
        assert!(lines[0].starts_with("cargo::error=") && lines[0].contains("unknown-contract: two"), "{text}");
        assert!(lines[1].starts_with("cargo::warning=") && lines[1].ends_with("(add one)"), "{text}");
    }

    /// A folder of schemas, and two where its code is written: one that keeps what it knows, one that never does.
    struct Place {
        root: PathBuf,
        builder: Builder,
    }

    impl Place {
        fn new(name: &str) -> Self {
            let root = std::env::temp_dir().join(format!("celerysalt-cache-{name}-{}", std::process::id()));
            let _ = fs::remove_dir_all(&root);
            fs::create_dir_all(root.join("out")).unwrap();
            let builder = crate::contracts(root.join("schemas"));
            let place = Self { root, builder };
            for topic in ["a.one", "b.two", "c.three"] {
                place.put(&format!("{topic}/v1.json"), &event(topic, "string"));
            }
            // Without a description: each has a warning.
            place.put("d.four/v1.json", r#"{"title": "Four", "type": "object"}"#);
            place.put("d.four/v2.json", r#"{"title": "Four", "type": "object"}"#);
            place.put("_common/base.json", &event("base", "string"));
            place.put("e.five/v1.json", &derived("Five", "../_common/base.json"));
            place
        }

        fn put(&self, path: &str, text: &str) {
            let path = self.root.join("schemas").join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }

        /// Generates, and holds it against generating everything: how many topics were known.
        fn known(&self) -> Result<usize, String> {
            let fresh = self.root.join("fresh");
            let _ = fs::remove_dir_all(&fresh);
            fs::create_dir_all(&fresh).unwrap();
            let told = |result: Result<Written, Refusal>| result.map_err(|refusal| refusal.findings.to_string());
            let (kept, anew) = (told(write(&self.builder, &self.root.join("out"))), told(write(&self.builder, &fresh)));
            let (kept, anew) = match (kept, anew) {
                (Ok(kept), Ok(anew)) => (kept, anew),
                (kept, anew) => {
                    let kept = kept.map(|_| ()).unwrap_err();
                    assert_eq!(kept, anew.map(|_| ()).unwrap_err());
                    return Err(kept);
                }
            };
            assert_eq!(anew.known, 0);
            assert_eq!(kept.lines, anew.lines);
            let code = |folder: &str| fs::read_to_string(self.root.join(folder).join("events.rs")).unwrap();
            assert_eq!(code("out"), code("fresh"));
            Ok(kept.known)
        }
    }

    impl Drop for Place {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.root);
        }
    }

    fn event(title: &str, ty: &str) -> String {
        format!(
            r#"{{"title": "{title}", "description": "x", "type": "object", "properties": {{"p": {{"type": "{ty}"}}}}}}"#
        )
    }

    fn derived(title: &str, base: &str) -> String {
        format!(r#"{{"title": "{title}", "description": "x", "type": "object", "allOf": [{{"$ref": "{base}"}}]}}"#)
    }

    #[test]
    fn what_did_not_change_is_known_and_comes_out_the_same() {
        let mut place = Place::new("edits");
        assert_eq!(place.known(), Ok(0));
        // All but the one that is made of a fragment.
        assert_eq!(place.known(), Ok(4));
        place.put("a.one/v1.json", &event("a.one", "integer"));
        assert_eq!(place.known(), Ok(3));
        place.put("_common/base.json", &event("base", "integer"));
        assert_eq!(place.known(), Ok(4));
        // A new version, a new topic before all others, a file that is none of ours.
        place.put("b.two/v2.json", &event("b.two", "boolean"));
        assert_eq!(place.known(), Ok(3));
        place.put("a.none/v1.json", &event("None", "boolean"));
        assert_eq!(place.known(), Ok(4));
        place.put("d.four/notes.txt", "x");
        assert_eq!(place.known(), Ok(5));
        fs::remove_file(place.root.join("schemas/d.four/notes.txt")).unwrap();
        fs::remove_file(place.root.join("schemas/b.two/v2.json")).unwrap();
        assert_eq!(place.known(), Ok(4));
        fs::remove_dir_all(place.root.join("schemas/a.none")).unwrap();
        assert_eq!(place.known(), Ok(4));
        // What is asked for is another question.
        place.builder = place.builder.clone().only(["#@latest"]);
        assert_eq!(place.known(), Ok(0));
        assert_eq!(place.known(), Ok(4));
        place.builder = place.builder.clone().only(["nobody.knows"]);
        assert!(place.known().unwrap_err().contains("nobody.knows"));
    }

    #[test]
    fn what_has_to_do_with_others_is_made_anew() {
        let place = Place::new("others");
        assert_eq!(place.known(), Ok(0));
        // A topic that was alone is referred to: its file is looked at again, now and from then on.
        place.put("f.six/v1.json", &derived("Six", "../a.one/v1.json"));
        assert_eq!(place.known(), Ok(0));
        assert_eq!(place.known(), Ok(3));
        place.put("a.one/v1.json", &event("a.one", "integer"));
        assert_eq!(place.known(), Ok(3));
        // A fragment refers to a topic.
        place.put("_common/base.json", &derived("base", "../b.two/v1.json"));
        assert_eq!(place.known(), Ok(0));
        place.put("_common/base.json", &event("base", "string"));
        // Titles that meet.
        place.put("g.seven/v1.json", &event("c.three", "string"));
        assert_eq!(place.known(), Ok(0));
        place.put("g.seven/v1.json", &event("Seven", "string"));
        // c.three was not kept while it shared its title, nor were those that others refer to.
        assert_eq!(place.known(), Ok(2));
        assert_eq!(place.known(), Ok(4));
        // Mistakes, and their mending.
        place.put("b.two/v1.json", "{");
        assert!(place.known().unwrap_err().contains("json-syntax"));
        place.put("b.two/v1.json", &event("b.two", "string"));
        assert_eq!(place.known(), Ok(4));
        place.put("a.One/v1.json", &event("x", "string"));
        assert!(place.known().unwrap_err().contains("duplicate-topic"));
    }

    #[test]
    fn what_was_kept_is_not_trusted() {
        let place = Place::new("trust");
        let cache = place.root.join("out/events.cache");
        assert_eq!(place.known(), Ok(0));
        let whole = fs::read(&cache).unwrap();
        for length in (0..whole.len()).step_by(whole.len() / 12) {
            fs::write(&cache, &whole[..length]).unwrap();
            assert_eq!(place.known(), Ok(0), "{length}");
        }
        fs::write(&cache, b"\xff\xfe").unwrap();
        assert_eq!(place.known(), Ok(0));
        let text = String::from_utf8(whole).unwrap();
        fs::write(&cache, text.replacen("celerysalt-codegen", "celerysalt-codegem", 1)).unwrap();
        assert_eq!(place.known(), Ok(0));
        // Code that is not what events.rs has.
        fs::write(&cache, text.replacen("pub struct AOne", "pub struct Evil", 1)).unwrap();
        assert_eq!(place.known(), Ok(3));
        fs::write(&cache, &text).unwrap();
        let path = place.root.join("out/events.rs");
        let code = fs::read_to_string(&path).unwrap();
        fs::write(&path, code.replacen("pub struct BTwo", "pub struct Evil", 1)).unwrap();
        assert_eq!(place.known(), Ok(3));
        fs::remove_file(&path).unwrap();
        assert_eq!(place.known(), Ok(0));
        // A folder where the cache should be costs time and nothing else.
        fs::remove_file(&cache).unwrap();
        fs::create_dir(&cache).unwrap();
        assert_eq!(place.known(), Ok(0));
        assert_eq!(place.known(), Ok(0));
    }
}
