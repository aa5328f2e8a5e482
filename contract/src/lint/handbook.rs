//! The rules as a page for people.

use std::fmt::Write as _;

use super::rule::{Example, Level, rules};

const INTRODUCTION: &str = "# Lint rules

`celerysalt lint` holds contracts against the rules below. This page is what `celerysalt lint --rules` prints.

Loading comes first: what can't be used (no JSON, no schema, a reference to nothing, an unknown member of `x-celerysalt`)
is always an error, and no rule of this page. An error makes the command end with status 1; a warning does not, unless
`--strict` is given.

`celerysalt.toml` in the schemas folder says how bad a rule is, and what is left out. Nothing is left out in silence: an
entry has a reason, the summary counts what was left out, and an entry that leaves nothing out is a finding itself.

```toml
[lint.rules]
property-case = \"warning\"      # error, warning or off

[[lint.ignore]]
rule = \"pattern-unanchored\"
path = \"legacy.*/*.json\"       # from the schemas folder; * is anything but a slash, ** any folders
reason = \"released before there was this rule\"
```

";

/// Every rule with its reason and both examples, as Markdown.
pub fn handbook() -> String {
    let mut page = INTRODUCTION.to_owned();
    page.push_str("| rule | level | asks |\n| --- | --- | --- |\n");
    for rule in rules() {
        let _ = writeln!(page, "| [`{0}`](#{0}) | {1} | {2} |", rule.id, rule.level.as_str(), rule.what);
    }
    for rule in rules() {
        let level = match rule.level {
            Level::Error => "An error.",
            Level::Warning => "A warning.",
            Level::Off => "Off, unless `celerysalt.toml` says otherwise.",
        };
        let _ = write!(page, "\n## {}\n\n{}. {} {level}\n", rule.id, rule.what, rule.why);
        example(&mut page, "Bad", rule.bad);
        example(&mut page, "Good", rule.good);
    }
    page
}

fn example(page: &mut String, what: &str, files: Example) {
    for (path, content) in files {
        let language = if *path == "celerysalt.toml" { "toml" } else { "json" };
        let _ = write!(page, "\n{what}, `{path}`:\n\n```{language}\n{content}```\n");
    }
}
