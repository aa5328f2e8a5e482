//! The rules by name: what each says, and what to do about it.

use super::Level;

/// A rule of evolution.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Rule {
    /// Its id. Stable.
    pub id: &'static str,
    /// How bad a finding of it is.
    pub level: Level,
    /// What is wrong, as the end of a sentence.
    pub what: &'static str,
    /// What to do.
    pub mend: &'static str,
}

impl Rule {
    /// What to do, when the later version reads, or when the earlier one does.
    pub(super) fn mend(&self, later_reads: bool) -> String {
        let other = if later_reads {
            "or release it as a new major version"
        } else {
            "or release it as a new major version (or, if readers are always released first, set `compatibility` to `backward`)"
        };
        let first = match (self.id, later_reads) {
            ("ENUM_VALUE_REMOVED" | "ENUM_ADDED" | "CONST_CHANGED" | "CONST_ADDED", false) => {
                "send the known values only, or declare a list that may grow by `x-extensible-enum`"
            }
            ("REQ_ADDED" | "REQ_ADDED_DEFAULT", false) => "keep the property required",
            (_, true) => self.mend,
            (_, false) => "send nothing that readers of the earlier version refuse: do not widen what they rely on",
        };
        format!("{first}, {other}")
    }
}

/// Every rule, those of single keywords first.
pub fn rules() -> &'static [Rule] {
    &RULES
}

pub(super) fn find(id: &str) -> Option<&'static Rule> {
    RULES.iter().find(|rule| rule.id == id)
}

const fn error(id: &'static str, what: &'static str, mend: &'static str) -> Rule {
    Rule { id, level: Level::Error, what, mend }
}

const fn note(id: &'static str, what: &'static str, mend: &'static str) -> Rule {
    Rule { id, level: Level::Note, what, mend }
}

const fn undecided(id: &'static str, what: &'static str, mend: &'static str) -> Rule {
    Rule { id, level: Level::Undecided, what, mend }
}

const KEEP: &str = "keep what was allowed";

const RULES: [Rule; 67] = [
    error("TYPE_NARROWED", "the reader takes fewer types", "keep every type that was allowed"),
    error("TYPE_CHANGED", "the reader takes some types only, the writer any", "leave the type open"),
    error("SCHEMA_FALSE", "the reader takes nothing there", "allow the value again"),
    error("ENUM_VALUE_REMOVED", "the reader's list lacks a value", "keep every value that was allowed"),
    error("ENUM_ADDED", "the reader has a list of values, the writer has none", "describe the values instead"),
    error("CONST_CHANGED", "the reader wants another constant", "allow both constants, by `enum`"),
    error("CONST_ADDED", "the reader wants one constant", "describe the value instead"),
    error("NUM_BOUND_TIGHTENED", "the reader's bound is tighter", "keep the wider bound"),
    error("NUM_MULTIPLEOF", "the reader's multiples are fewer", "keep `multipleOf` as it was"),
    error("STR_LENGTH", "the reader's lengths are fewer", "keep the wider limits"),
    error("STR_PATTERN_CHANGED", "the reader's pattern refuses texts that the writer's matches", "widen the pattern"),
    error("STR_PATTERN_ADDED", "the reader has a pattern, the writer has none", "describe the text instead"),
    error("STR_FORMAT_CHANGED", "the reader's format refuses texts of the writer's", "keep the format"),
    error("STR_FORMAT_ADDED", "the reader asserts a format, the writer does not", "describe the text instead"),
    error("REQ_ADDED", "the reader requires a property", "make the property optional"),
    error(
        "REQ_ADDED_DEFAULT",
        "the reader requires a property; its default is not filled in for it",
        "make the property optional: a default is for what is not there",
    ),
    error("PROP_FORBIDDEN", "the reader refuses a property", "allow the property"),
    error(
        "PROP_ADDED_OPEN",
        "the reader declares a property that the writer leaves open",
        "allow any value, or choose a name that nobody sends",
    ),
    error(
        "PROP_ADDED_PARTIAL",
        "the reader declares a property that the writer has among additional ones, wider",
        "allow what additional properties may be",
    ),
    error("PROP_REMOVED_CLOSED", "the reader is closed and lacks a property", "keep the property, or open the object"),
    error("ADDL_CLOSED", "the reader is closed", "leave the object open"),
    error("ADDL_SCHEMA_NARROWED", "the reader's additional properties are narrower", KEEP),
    error("PATTERNPROP_ADDED", "the reader has a rule for properties of some names", "leave those names open"),
    error("PATTERNPROP_CHANGED", "the reader's rule for properties of some names is narrower", KEEP),
    error(
        "PATTERNPROP_REMOVED_CLOSED",
        "the reader is closed and lacks names that a pattern allowed",
        "keep the pattern",
    ),
    error("PROPNAMES_ADDED", "the reader limits the names of properties", "leave the names open"),
    error("PROPNAMES_CHANGED", "the reader allows fewer names", KEEP),
    error("PROP_COUNT", "the reader takes fewer, or more, properties", "keep the wider limits"),
    error("DEP_REQUIRED", "the reader requires a property beside another", "make it optional"),
    error("DEP_SCHEMA", "the reader has a rule beside a property", KEEP),
    error("UNEVALUATED_PROPS", "the reader refuses what nothing declares", "leave the object open"),
    error("ITEMS_NARROWED", "the reader's items are narrower", KEEP),
    error("ITEMS_ADDED", "the reader has a rule for items, the writer has none", "leave the items open"),
    error("TUPLE_ADDED_OPEN", "the reader declares a position that the writer leaves open", "allow any value there"),
    error("TUPLE_CLOSED", "the reader takes no further items", "leave the list open"),
    error("TUPLE_ADDL_CHANGED", "the reader's further items are narrower", KEEP),
    error("ITEMS_COUNT", "the reader takes fewer, or more, items", "keep the wider limits"),
    error("UNIQUE_ADDED", "the reader refuses equal items", "allow equal items"),
    error("CONTAINS_ADDED", "the reader wants a certain item", "leave it out"),
    error("CONTAINS_CHANGED", "the item that the reader wants is narrower", KEEP),
    error("CONTAINS_COUNT", "the reader wants more, or fewer, of some items", "keep the wider limits"),
    error("UNEVALUATED_ITEMS", "the reader refuses what nothing declares", "leave the list open"),
    error("ANYOF_BRANCH_REMOVED", "no branch of the reader's fits", "keep every branch"),
    error(
        "ONEOF_OVERLAP",
        "none, or more than one, of the reader's branches fits",
        "let exactly one branch fit, or use `anyOf`",
    ),
    error("ALLOF_ADDED", "the reader has a further rule", "leave it out"),
    error("NOT_ADDED", "the reader excludes some values", "leave `not` out"),
    error("NOT_WIDENED", "the reader excludes more values", "exclude no more than before"),
    error("IF_THEN_NARROWED", "the reader's condition asks for more", KEEP),
    error("REF_TARGET_NARROWED", "what the reader refers to is narrower", KEEP),
    error("SCHEMA_NARROWED", "the reader's schema is narrower", KEEP),
    error(
        "VERSION_EDITED",
        "a released version means something else",
        "restore it, and release the change as a new version",
    ),
    error(
        "VERSION_DELETED",
        "a released version is gone",
        "restore the file; deprecate the version in the registry instead",
    ),
    error(
        "TOPIC_DELETED",
        "a released topic is gone",
        "restore the folder; deprecate its versions in the registry instead",
    ),
    error("MODE_CHANGED", "a broadcast became an RPC, or the reverse", "choose a new topic, or a new major version"),
    error(
        "EXCHANGE_CHANGED",
        "messages go where readers do not listen",
        "keep the exchange, or release a new major version",
    ),
    error("ERROR_ADDED", "callers do not know this error", "declare errors from the first version of a major on"),
    error("ERROR_DELETED", "callers no longer know the error that servers send", "keep the error's schema"),
    error(
        "VERSION_BUMP_MISMATCH",
        "the version says less than the change does",
        "rename the file to the version that `celerysalt version suggest` names",
    ),
    undecided("UNDECIDED", "it could not be decided", "write both schemas more alike, or release a new major version"),
    undecided("REF_UNRESOLVED", "a reference leads nowhere", "mend the reference"),
    undecided("SCHEMA_UNUSABLE", "a schema can't be used", "mend the schema"),
    note("DRAFT_CHANGED", "the draft of JSON Schema is another", "nothing, if readers know the draft"),
    note("STR_FORMAT", "the format changed, which is not checked", "see that readers do not rely on it"),
    note("STR_CONTENT", "the content of a text changed, which is not checked", "see that readers do not rely on it"),
    note(
        "PROP_ADDED_OPEN_LENIENT",
        "a property is new, which is safe as long as writers send what they declare",
        "nothing; `--open-writers` takes it for breaking",
    ),
    note("POLICY_CHANGED", "the policy of a released version changed", "see that it was meant"),
    note("ANNOTATIONS_CHANGED", "words changed, and no meaning", "nothing: `sync` brings the registry up to date"),
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// Every id in capitals that the room says, and that `compare` says.
    #[test]
    fn every_rule_that_is_said_is_here_and_every_one_here_is_said() {
        let files = [
            include_str!("../compare/explain.rs"),
            include_str!("../compare/mod.rs"),
            include_str!("change.rs"),
            include_str!("pairs.rs"),
            include_str!("suggest.rs"),
        ];
        let said: BTreeSet<&str> = files
            .iter()
            .flat_map(|file| file.split("#[cfg(test)]").next().unwrap().split('"'))
            .filter(|text| text.len() > 6 && text.chars().all(|c| c.is_ascii_uppercase() || c == '_'))
            .collect();
        let known: BTreeSet<&str> = RULES.iter().map(|rule| rule.id).collect();
        assert_eq!(known.len(), RULES.len());
        assert_eq!(said, known);
    }
}
