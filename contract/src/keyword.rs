//! Each keyword of JSON Schema: which drafts know it, and the vocabulary that it belongs to.

use crate::Draft;

/// What a meta-schema of 2019-09 or 2020-12 may leave out, and what it may not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Vocabulary {
    /// Always there, or of a draft without vocabularies; and `format`, which is an annotation.
    Core,
    Applicator,
    Unevaluated,
    Validation,
    MetaData,
    Content,
}

impl Vocabulary {
    /// By what its URI ends with.
    pub(crate) fn of(name: &str) -> Option<Self> {
        Some(match name {
            "core" | "format" | "format-annotation" => Self::Core,
            "applicator" => Self::Applicator,
            "unevaluated" => Self::Unevaluated,
            "validation" => Self::Validation,
            "meta-data" => Self::MetaData,
            "content" => Self::Content,
            _ => return None,
        })
    }
}

/// A keyword, the first and the last draft that have it, and its vocabulary.
pub(crate) type Keyword = (&'static str, Draft, Draft, Vocabulary);

/// All of them, by name. `$defs`, `definitions` and `dependencies` are taken in every draft, as everywhere here.
pub(crate) const KEYWORDS: [Keyword; 63] = {
    use Draft::{Draft4, Draft6, Draft7, Draft201909, Draft202012};
    use Vocabulary::{Applicator, Content, Core, MetaData, Unevaluated, Validation};
    [
        ("$anchor", Draft201909, Draft202012, Core),
        ("$comment", Draft7, Draft202012, Core),
        ("$defs", Draft4, Draft202012, Core),
        ("$dynamicAnchor", Draft202012, Draft202012, Core),
        ("$dynamicRef", Draft202012, Draft202012, Core),
        ("$id", Draft6, Draft202012, Core),
        ("$recursiveAnchor", Draft201909, Draft201909, Core),
        ("$recursiveRef", Draft201909, Draft201909, Core),
        ("$ref", Draft4, Draft202012, Core),
        ("$schema", Draft4, Draft202012, Core),
        ("$vocabulary", Draft201909, Draft202012, Core),
        ("additionalItems", Draft4, Draft201909, Applicator),
        ("additionalProperties", Draft4, Draft202012, Applicator),
        ("allOf", Draft4, Draft202012, Applicator),
        ("anyOf", Draft4, Draft202012, Applicator),
        ("const", Draft6, Draft202012, Validation),
        ("contains", Draft6, Draft202012, Applicator),
        ("contentEncoding", Draft7, Draft202012, Content),
        ("contentMediaType", Draft7, Draft202012, Content),
        ("contentSchema", Draft201909, Draft202012, Content),
        ("default", Draft4, Draft202012, MetaData),
        ("definitions", Draft4, Draft202012, Core),
        ("dependencies", Draft4, Draft202012, Core),
        ("dependentRequired", Draft201909, Draft202012, Validation),
        ("dependentSchemas", Draft201909, Draft202012, Applicator),
        ("deprecated", Draft4, Draft202012, MetaData),
        ("description", Draft4, Draft202012, MetaData),
        ("else", Draft7, Draft202012, Applicator),
        ("enum", Draft4, Draft202012, Validation),
        ("examples", Draft4, Draft202012, MetaData),
        ("exclusiveMaximum", Draft4, Draft202012, Validation),
        ("exclusiveMinimum", Draft4, Draft202012, Validation),
        ("format", Draft4, Draft202012, Core),
        ("id", Draft4, Draft4, Core),
        ("if", Draft7, Draft202012, Applicator),
        ("items", Draft4, Draft202012, Applicator),
        ("maxContains", Draft201909, Draft202012, Validation),
        ("maxItems", Draft4, Draft202012, Validation),
        ("maxLength", Draft4, Draft202012, Validation),
        ("maxProperties", Draft4, Draft202012, Validation),
        ("maximum", Draft4, Draft202012, Validation),
        ("minContains", Draft201909, Draft202012, Validation),
        ("minItems", Draft4, Draft202012, Validation),
        ("minLength", Draft4, Draft202012, Validation),
        ("minProperties", Draft4, Draft202012, Validation),
        ("minimum", Draft4, Draft202012, Validation),
        ("multipleOf", Draft4, Draft202012, Validation),
        ("not", Draft4, Draft202012, Applicator),
        ("oneOf", Draft4, Draft202012, Applicator),
        ("pattern", Draft4, Draft202012, Validation),
        ("patternProperties", Draft4, Draft202012, Applicator),
        ("prefixItems", Draft202012, Draft202012, Applicator),
        ("properties", Draft4, Draft202012, Applicator),
        ("propertyNames", Draft6, Draft202012, Applicator),
        ("readOnly", Draft4, Draft202012, MetaData),
        ("required", Draft4, Draft202012, Validation),
        ("then", Draft7, Draft202012, Applicator),
        ("title", Draft4, Draft202012, MetaData),
        ("type", Draft4, Draft202012, Validation),
        ("unevaluatedItems", Draft201909, Draft202012, Unevaluated),
        ("unevaluatedProperties", Draft201909, Draft202012, Unevaluated),
        ("uniqueItems", Draft4, Draft202012, Validation),
        ("writeOnly", Draft4, Draft202012, MetaData),
    ]
};

impl Draft {
    /// Whether a keyword is one of other drafts alone, and means nothing in this one.
    ///
    /// ```
    /// use celerysalt_contract::Draft;
    ///
    /// assert!(Draft::Draft4.ignores("const") && !Draft::Draft6.ignores("const"));
    /// assert!(!Draft::Draft4.ignores("x-of-nobody"));
    /// ```
    pub fn ignores(self, keyword: &str) -> bool {
        KEYWORDS.iter().any(|(known, first, last, _)| *known == keyword && (self < *first || self > *last))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keywords_are_in_order_and_there_once() {
        assert!(KEYWORDS.is_sorted_by(|a, b| a.0 < b.0));
    }
}
