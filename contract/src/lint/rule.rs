//! The rules: what each asks, why, and what it looks like, broken and kept.

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// Refused.
    Error,
    /// Reported.
    Warning,
    /// Not looked for.
    Off,
}

impl Level {
    pub(super) fn of(text: &str) -> Option<Self> {
        Some(match text {
            "error" => Self::Error,
            "warning" => Self::Warning,
            "off" => Self::Off,
            _ => return None,
        })
    }

    /// As `celerysalt.toml` has it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Off => "off",
        }
    }
}

/// Files of a schemas folder: path and content.
pub type Example = &'static [(&'static str, &'static str)];

/// A rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Rule {
    /// Its id. Stable.
    pub id: &'static str,
    /// How bad a finding is, unless the settings say otherwise.
    pub level: Level,
    /// What it asks, in a line.
    pub what: &'static str,
    /// Why.
    pub why: &'static str,
    /// A folder that breaks it.
    pub bad: Example,
    /// The same, mended.
    pub good: Example,
}

/// Every rule, by id.
pub fn rules() -> &'static [Rule] {
    &RULES
}

pub(super) fn find(id: &str) -> Option<&'static Rule> {
    RULES.iter().find(|rule| rule.id == id)
}

/// An example of one contract: what stands in it beside its words and its type.
macro_rules! contract {
    ($inside:literal) => {
        &[(
            "orders.placed/v1.json",
            concat!("{\n  \"title\": \"OrderPlaced\",\n  \"description\": \"An order was placed.\",\n  \"type\": \"object\",\n", $inside, "\n}\n"),
        )]
    };
    ($file:literal, $inside:literal) => {
        &[($file, concat!("{\n  \"title\": \"OrderPlaced\",\n  \"description\": \"An order was placed.\",\n", $inside, "\n}\n"))]
    };
}

const RULES: [Rule; 28] = [
    Rule {
        id: "closed-enum",
        level: Level::Warning,
        what: "A list of names is one that may grow, or never will",
        why: "A new name in an `enum` breaks every reader of the same major version. `x-extensible-enum` tells readers to \
              expect names that they do not know, and may be widened.",
        bad: contract!("  \"properties\": {\"status\": {\"type\": \"string\", \"enum\": [\"paid\", \"open\"]}}"),
        good: contract!(
            "  \"properties\": {\"status\": {\"type\": \"string\", \"x-extensible-enum\": [\"paid\", \"open\"]}}"
        ),
    },
    Rule {
        id: "closed-object",
        level: Level::Warning,
        what: "Objects are open",
        why: "Readers of a closed object refuse every property that a later version adds, so that each addition needs a new \
              major version. Generated writers send declared properties only, closed or not.",
        bad: contract!("  \"properties\": {\"id\": {\"type\": \"string\"}},\n  \"additionalProperties\": false"),
        good: contract!("  \"properties\": {\"id\": {\"type\": \"string\"}}"),
    },
    Rule {
        id: "duplicate-enum",
        level: Level::Error,
        what: "A list of values has each of them once",
        why: "A value that is there twice is a mistake in one of the two; 1 and 1.0 are the same number.",
        bad: contract!("  \"properties\": {\"rate\": {\"type\": \"number\", \"enum\": [1, 2, 1.0]}}"),
        good: contract!("  \"properties\": {\"rate\": {\"type\": \"number\", \"enum\": [1, 2]}}"),
    },
    Rule {
        id: "idle-keyword",
        level: Level::Warning,
        what: "Keywords have values of their type to look at",
        why: "`minLength` beside \"type\": \"integer\" is legal, and checks nothing.",
        bad: contract!("  \"properties\": {\"id\": {\"type\": \"integer\", \"minLength\": 3}}"),
        good: contract!("  \"properties\": {\"id\": {\"type\": \"integer\", \"minimum\": 100}}"),
    },
    Rule {
        id: "impossible-bounds",
        level: Level::Error,
        what: "Something fits between two limits",
        why: "With `minimum` above `maximum` no value is valid, and nothing says so until the first event is refused.",
        bad: contract!("  \"properties\": {\"score\": {\"type\": \"number\", \"minimum\": 10, \"maximum\": 0}}"),
        good: contract!("  \"properties\": {\"score\": {\"type\": \"number\", \"minimum\": 0, \"maximum\": 10}}"),
    },
    Rule {
        id: "inexact-integer",
        level: Level::Warning,
        what: "Integers in schemas are within 2^53",
        why: "Larger ones are rounded wherever numbers are doubles, so that a limit is not the same for all readers.",
        bad: contract!("  \"properties\": {\"id\": {\"type\": \"integer\", \"maximum\": 9007199254740993}}"),
        good: contract!("  \"properties\": {\"id\": {\"type\": \"integer\", \"maximum\": 9007199254740992}}"),
    },
    Rule {
        id: "invalid-default",
        level: Level::Error,
        what: "A default keeps its own schema",
        why: "Generated code fills it in, and the event is refused.",
        bad: contract!("  \"properties\": {\"count\": {\"type\": \"integer\", \"minimum\": 1, \"default\": 0}}"),
        good: contract!("  \"properties\": {\"count\": {\"type\": \"integer\", \"minimum\": 1, \"default\": 1}}"),
    },
    Rule {
        id: "invalid-example",
        level: Level::Warning,
        what: "Examples keep their own schema",
        why: "An example is what people copy.",
        bad: contract!("  \"properties\": {\"count\": {\"type\": \"integer\", \"examples\": [\"three\"]}}"),
        good: contract!("  \"properties\": {\"count\": {\"type\": \"integer\", \"examples\": [3]}}"),
    },
    Rule {
        id: "keyword-of-other-draft",
        level: Level::Warning,
        what: "Keywords are of the schema's own draft",
        why: "A keyword of another draft is skipped: `prefixItems` in draft 7 checks nothing.",
        bad: contract!(
            "orders.placed/v1.json",
            "  \"$schema\": \"http://json-schema.org/draft-07/schema#\",\n  \"type\": \"object\",\n  \"properties\": {\"pair\": {\"type\": \"array\", \"prefixItems\": [{\"type\": \"string\"}]}}"
        ),
        good: contract!(
            "orders.placed/v1.json",
            "  \"$schema\": \"http://json-schema.org/draft-07/schema#\",\n  \"type\": \"object\",\n  \"properties\": {\"pair\": {\"type\": \"array\", \"items\": [{\"type\": \"string\"}]}}"
        ),
    },
    Rule {
        id: "missing-type",
        level: Level::Warning,
        what: "Contracts, and schemas with `properties`, have a `type`",
        why: "`properties` looks at objects only: without a type, 3 and null are valid too, and generated types are loose.",
        bad: contract!("  \"properties\": {\"address\": {\"properties\": {\"city\": {\"type\": \"string\"}}}}"),
        good: contract!(
            "  \"properties\": {\"address\": {\"type\": \"object\", \"properties\": {\"city\": {\"type\": \"string\"}}}}"
        ),
    },
    Rule {
        id: "misspelt-keyword",
        level: Level::Error,
        what: "Keywords are spelt as the draft has them",
        why: "What is no keyword is skipped, by every reader: `requried` requires nothing.",
        bad: contract!("  \"properties\": {\"id\": {\"type\": \"string\"}},\n  \"requried\": [\"id\"]"),
        good: contract!("  \"properties\": {\"id\": {\"type\": \"string\"}},\n  \"required\": [\"id\"]"),
    },
    Rule {
        id: "no-description",
        level: Level::Warning,
        what: "A contract has a `description`",
        why: "It becomes documentation in every language, in the registry and in the catalog.",
        bad: &[("orders.placed/v1.json", "{\n  \"title\": \"OrderPlaced\",\n  \"type\": \"object\"\n}\n")],
        good: contract!("  \"properties\": {}"),
    },
    Rule {
        id: "no-property-description",
        level: Level::Off,
        what: "Every property has a `description`",
        why: "It becomes documentation of the field.",
        bad: contract!("  \"properties\": {\"id\": {\"type\": \"string\"}}"),
        good: contract!("  \"properties\": {\"id\": {\"type\": \"string\", \"description\": \"The order's number.\"}}"),
    },
    Rule {
        id: "no-title",
        level: Level::Warning,
        what: "A contract has a `title`",
        why: "It names the generated type; without one the type is named after the topic, and renaming the topic renames it.",
        bad: &[(
            "orders.placed/v1.json",
            "{\n  \"description\": \"An order was placed.\",\n  \"type\": \"object\"\n}\n",
        )],
        good: contract!("  \"properties\": {}"),
    },
    Rule {
        id: "pattern-lookaround",
        level: Level::Warning,
        what: "Patterns do without look-around and back-references",
        why: "They need an engine that tries again and again, which a hostile text can make slow; and versions with such \
              patterns can't be compared.",
        bad: contract!("  \"properties\": {\"code\": {\"type\": \"string\", \"pattern\": \"^(?!X)[A-Z]+$\"}}"),
        good: contract!(
            "  \"properties\": {\"code\": {\"type\": \"string\", \"pattern\": \"^[A-Z]+$\", \"not\": {\"pattern\": \"^X.*$\"}}}"
        ),
    },
    Rule {
        id: "pattern-unanchored",
        level: Level::Warning,
        what: "Patterns say where a text begins and ends",
        why: "`[A-Z]{3}` also matches `<script>ABC`.",
        bad: contract!("  \"properties\": {\"code\": {\"type\": \"string\", \"pattern\": \"[A-Z]{3}\"}}"),
        good: contract!("  \"properties\": {\"code\": {\"type\": \"string\", \"pattern\": \"^[A-Z]{3}$\"}}"),
    },
    Rule {
        id: "property-case",
        level: Level::Off,
        what: "Properties are in snake_case",
        why: "One way of writing names is less to remember; this one is what Python's side of the wire has.",
        bad: contract!("  \"properties\": {\"userId\": {\"type\": \"string\"}}"),
        good: contract!("  \"properties\": {\"user_id\": {\"type\": \"string\"}}"),
    },
    Rule {
        id: "ref-sibling",
        level: Level::Error,
        what: "Up to draft 7 nothing that matters stands beside `$ref`",
        why: "These drafts skip it: the limit is not checked.",
        bad: contract!(
            "orders.placed/v1.json",
            "  \"$schema\": \"http://json-schema.org/draft-07/schema#\",\n  \"type\": \"object\",\n  \"properties\": {\"name\": {\"$ref\": \"#/definitions/text\", \"maxLength\": 9}},\n  \"definitions\": {\"text\": {\"type\": \"string\"}}"
        ),
        good: contract!(
            "orders.placed/v1.json",
            "  \"$schema\": \"http://json-schema.org/draft-07/schema#\",\n  \"type\": \"object\",\n  \"properties\": {\"name\": {\"allOf\": [{\"$ref\": \"#/definitions/text\"}], \"maxLength\": 9}},\n  \"definitions\": {\"text\": {\"type\": \"string\"}}"
        ),
    },
    Rule {
        id: "required-with-default",
        level: Level::Warning,
        what: "What has a default is not required",
        why: "A default is for what is not there, and what is required is always there. No reader fills it in before it checks.",
        bad: contract!(
            "  \"properties\": {\"currency\": {\"type\": \"string\", \"default\": \"EUR\"}},\n  \"required\": [\"currency\"]"
        ),
        good: contract!("  \"properties\": {\"currency\": {\"type\": \"string\", \"default\": \"EUR\"}}"),
    },
    Rule {
        id: "topic-name",
        level: Level::Warning,
        what: "A topic is several words in small letters, without a version",
        why: "Subscribers choose groups of topics by words, some file systems lose capitals, and the version is the file's name.",
        bad: contract!("orders.placed.v1/v1.json", "  \"type\": \"object\""),
        good: contract!("orders.placed/v1.json", "  \"type\": \"object\""),
    },
    Rule {
        id: "unbounded-string",
        level: Level::Off,
        what: "Texts have a longest length",
        why: "Someone stores them in a column that has one.",
        bad: contract!("  \"properties\": {\"name\": {\"type\": \"string\"}}"),
        good: contract!("  \"properties\": {\"name\": {\"type\": \"string\", \"maxLength\": 200}}"),
    },
    Rule {
        id: "undeclared-required",
        level: Level::Warning,
        what: "What is required is declared",
        why: "Anything is valid under a name that is not among `properties`, and generated types do not have it. Often it is a typo.",
        bad: contract!("  \"properties\": {\"user_id\": {\"type\": \"string\"}},\n  \"required\": [\"userid\"]"),
        good: contract!("  \"properties\": {\"user_id\": {\"type\": \"string\"}},\n  \"required\": [\"user_id\"]"),
    },
    Rule {
        id: "unknown-format",
        level: Level::Warning,
        what: "Formats are known ones",
        why: "One that nobody knows refuses nothing, and tells readers nothing.",
        bad: contract!("  \"properties\": {\"at\": {\"type\": \"string\", \"format\": \"datetime\"}}"),
        good: contract!("  \"properties\": {\"at\": {\"type\": \"string\", \"format\": \"date-time\"}}"),
    },
    Rule {
        id: "unknown-keyword",
        level: Level::Warning,
        what: "Keywords are those of JSON Schema, or begin with `x-`",
        why: "What is no keyword is skipped; a later draft may give it a meaning.",
        bad: contract!("  \"properties\": {\"note\": {\"type\": \"string\", \"nullable\": true}}"),
        good: contract!("  \"properties\": {\"note\": {\"type\": [\"string\", \"null\"]}}"),
    },
    Rule {
        id: "unused-definition",
        level: Level::Warning,
        what: "Something refers to every definition",
        why: "What nobody uses, everybody reads.",
        bad: contract!("  \"properties\": {},\n  \"$defs\": {\"money\": {\"type\": \"number\"}}"),
        good: contract!(
            "  \"properties\": {\"total\": {\"$ref\": \"#/$defs/money\"}},\n  \"$defs\": {\"money\": {\"type\": \"number\"}}"
        ),
    },
    Rule {
        id: "unused-ignore",
        level: Level::Warning,
        what: "Every `[[lint.ignore]]` leaves something out",
        why: "An entry that outlived its reason hides the next finding.",
        bad: &[
            (
                "celerysalt.toml",
                "[[lint.ignore]]\nrule = \"missing-type\"\npath = \"orders.*/*.json\"\nreason = \"released before the rule\"\n",
            ),
            (
                "orders.placed/v1.json",
                "{\n  \"title\": \"OrderPlaced\",\n  \"description\": \"An order was placed.\",\n  \"type\": \"object\"\n}\n",
            ),
        ],
        good: contract!("  \"properties\": {}"),
    },
    Rule {
        id: "value-outside-type",
        level: Level::Error,
        what: "Constants are of the type beside them",
        why: "No value is both, so nothing fits.",
        bad: contract!("  \"properties\": {\"version\": {\"type\": \"string\", \"const\": 1}}"),
        good: contract!("  \"properties\": {\"version\": {\"type\": \"string\", \"const\": \"1\"}}"),
    },
    Rule {
        id: "version-gap",
        level: Level::Warning,
        what: "Versions follow each other without gaps",
        why: "Whoever sees v1 and v3 looks for v2.",
        bad: &[
            (
                "orders.placed/v1.json",
                "{\n  \"title\": \"OrderPlaced\",\n  \"description\": \"An order was placed.\",\n  \"type\": \"object\"\n}\n",
            ),
            (
                "orders.placed/v3.json",
                "{\n  \"title\": \"OrderPlaced\",\n  \"description\": \"An order was placed.\",\n  \"type\": \"object\"\n}\n",
            ),
        ],
        good: &[
            (
                "orders.placed/v1.json",
                "{\n  \"title\": \"OrderPlaced\",\n  \"description\": \"An order was placed.\",\n  \"type\": \"object\"\n}\n",
            ),
            (
                "orders.placed/v2.json",
                "{\n  \"title\": \"OrderPlaced\",\n  \"description\": \"An order was placed.\",\n  \"type\": \"object\"\n}\n",
            ),
        ],
    },
];
