//! Whether every instance of one schema is an instance of another, decided by meaning.
//!
//! [`contains`] looks for a value that the old schema accepts and the new one refuses. A value that is found was
//! confirmed by the [`Validator`]; where there is none, that was shown; and where neither can be done within a limit of
//! work, the verdict says so. Numbers are exact, patterns are compared as languages, references may be recursive, and the
//! drafts of the two may differ, and how their formats are meant ([`Formats`](crate::Formats)).
//!
//! The walk: `compile` makes formulas of both schemas, `solve` looks for a value of the one and not of the other,
//! `explain` finds the place, `search` tries values at random before a verdict that is not known.

mod array;
mod branch;
mod cells;
mod compile;
mod compile_array;
mod compile_object;
mod digits;
mod distinct;
mod document;
mod evaluate;
mod exact;
mod explain;
mod formula;
mod further;
mod number;
mod object;
mod pattern;
mod search;
mod shared;
mod solve;
mod text;
mod unevaluated;
mod witness;

use std::sync::OnceLock;

use serde_json::Value;

pub use self::{digits::Digits, explain::Finding, witness::Witness};
use self::{document::Document, exact::Exact, solve::Solver};
use crate::{Draft, SchemaError, Validator, fingerprint::canonical_document, library::Names};

/// How schemas are compared.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Options {
    /// The old schema is a writer's, who writes declared properties only: objects that declare any are read as closed.
    pub closed_writer: bool,
    /// How much work one comparison may be. More decides more, and takes longer.
    pub steps: u64,
}

impl Default for Options {
    /// Both schemas as they are written, and well under a second of work.
    fn default() -> Self {
        Self { closed_writer: false, steps: 500_000 }
    }
}

impl Options {
    /// With the old schema read as a writer's.
    #[must_use]
    pub fn closed_writer(mut self, closed: bool) -> Self {
        self.closed_writer = closed;
        self
    }
}

/// What comes of a comparison.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Verdict {
    /// Every instance of the old schema is an instance of the new one.
    Compatible,
    /// Some instance is not.
    Breaking {
        /// One that is not: the old schema accepts it, the new one refuses it, and the validator agrees. Where a number
        /// has more digits than the validator holds, [`Exact`](crate::Exact) agrees; where the schemas have such numbers,
        /// it is the rules that were compared which say so.
        witness: Witness,
        /// Which rule refuses it, and where.
        findings: Vec<Finding>,
    },
    /// It could not be decided; to be treated as breaking.
    Unknown {
        /// The id of what is in the way: [`UNDECIDED`], [`REF_UNRESOLVED`] or [`SCHEMA_UNUSABLE`].
        rule: &'static str,
        /// Why.
        reason: String,
    },
}

/// The rule of what could not be decided within the work that one comparison may be.
pub const UNDECIDED: &str = "UNDECIDED";
/// The rule of a schema that refers to what it does not have.
pub const REF_UNRESOLVED: &str = "REF_UNRESOLVED";
/// The rule of what is no schema, for another reason.
pub const SCHEMA_UNUSABLE: &str = "SCHEMA_UNUSABLE";

/// Whether every instance of `old` is an instance of `new`.
///
/// Both are self-contained documents of the drafts that their `$schema` names, 2020-12 without one.
///
/// ```
/// use celerysalt_contract::compare::{Options, Verdict, contains};
/// use serde_json::json;
///
/// let old = json!({"properties": {"amount": {"type": "integer", "minimum": 0}}});
/// let new = json!({"properties": {"amount": {"type": "number", "minimum": 0}}});
/// assert_eq!(contains(&old, &new, &Options::default()), Verdict::Compatible);
///
/// let Verdict::Breaking { witness, findings } = contains(&new, &old, &Options::default()) else { unreachable!() };
/// assert_eq!(witness, json!({"amount": 0.1}));
/// assert_eq!((findings[0].rule, findings[0].pointer_new.as_str()), ("TYPE_NARROWED", "/properties/amount/type"));
/// ```
///
/// A writer that writes what is declared only does not mind a new optional property:
///
/// ```
/// # use celerysalt_contract::compare::{Options, Verdict, contains};
/// # use serde_json::json;
/// let old = json!({"properties": {"amount": {"type": "integer"}}});
/// let new = json!({"properties": {"amount": {"type": "integer"}, "note": {"type": "string"}}});
/// assert!(matches!(contains(&old, &new, &Options::default()), Verdict::Breaking { .. }));
/// let options = Options::default().closed_writer(true);
/// assert_eq!(contains(&old, &new, &options), Verdict::Compatible);
/// ```
pub fn contains(old: &Value, new: &Value, options: &Options) -> Verdict {
    match (Comparable::new(old), Comparable::new(new)) {
        (Ok(old), Ok(new)) => old.is_within(&new, options),
        (Err(error), _) => unusable("old", old, &error),
        (_, Err(error)) => unusable("new", new, &error),
    }
}

/// A schema that is compared more than once: what is the same each time is done once.
///
/// ```
/// use celerysalt_contract::compare::{Comparable, Options, Verdict};
/// use serde_json::json;
///
/// let versions = [json!({"maximum": 1}), json!({"maximum": 2})].map(|schema| Comparable::new(&schema).unwrap());
/// assert_eq!(versions[0].is_within(&versions[1], &Options::default()), Verdict::Compatible);
/// assert!(matches!(versions[1].is_within(&versions[0], &Options::default()), Verdict::Breaking { .. }));
/// ```
#[derive(Debug)]
pub struct Comparable {
    schema: Value,
    draft: Draft,
    names: Names,
    digits: Digits,
    /// Made when a witness is to be confirmed: most pairs have none. None where the schema turns out not to be usable.
    validator: OnceLock<Option<Validator>>,
}

impl Comparable {
    /// Takes a self-contained schema of the draft that its `$schema` names, 2020-12 without one.
    ///
    /// # Errors
    /// As [`Validator::new`].
    pub fn new(schema: &Value) -> Result<Self, SchemaError> {
        let validator = Validator::new(schema)?;
        Ok(Self { validator: OnceLock::from(Some(validator)), ..Self::of_checked(schema) })
    }

    /// Takes a schema of which it is known already that [`Validator::new`] takes it.
    pub(crate) fn of_checked(schema: &Value) -> Self {
        let draft = Draft::of(schema).unwrap_or(Draft::Draft202012);
        let (schema, names) = (schema.clone(), Names::of(schema, draft));
        Self { schema, draft, names, digits: Digits::default(), validator: OnceLock::new() }
    }

    /// Whether the validator takes a value; none where it can't say.
    fn takes(&self, value: &Value) -> Option<bool> {
        let validator = self.validator.get_or_init(|| Validator::new(&self.schema).ok());
        validator.as_ref().map(|validator| validator.is_valid(value))
    }

    /// Whether the exact checker takes a value; not if the schema is none that it can use.
    fn takes_text(&self, witness: &Witness) -> bool {
        crate::Exact::new(&self.schema).is_ok_and(|exact| exact.accepts(witness.text().as_bytes()))
    }

    /// The same schema with the digits that its text has and its value has not.
    ///
    /// ```
    /// use celerysalt_contract::compare::{Comparable, Digits, Options, Verdict};
    ///
    /// let schema = |text: &str| {
    ///     Comparable::new(&serde_json::from_str(text).unwrap()).unwrap().with_digits(Digits::of_text(text))
    /// };
    /// let (old, new) = (schema(r#"{"minimum": 100}"#), schema(r#"{"minimum": 100.00000000000000001}"#));
    /// assert!(matches!(old.is_within(&new, &Options::default()), Verdict::Breaking { .. }));
    /// assert_eq!(new.is_within(&old, &Options::default()), Verdict::Compatible);
    /// ```
    #[must_use]
    pub fn with_digits(mut self, digits: Digits) -> Self {
        self.digits = digits;
        self
    }

    /// Whether both are the same, to the digit.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        self.schema == other.schema && self.digits == other.digits
    }

    /// Whether both say the same, whatever their annotations, the order of their keys and the names of their definitions.
    fn is_alike(&self, other: &Self) -> bool {
        let digits = self.digits.is_empty() && other.digits.is_empty();
        digits && canonical_document(&self.schema) == canonical_document(&other.schema)
    }

    /// Whether every instance of this schema is an instance of `new`, as [`contains`].
    pub fn is_within(&self, new: &Self, options: &Options) -> Verdict {
        let documents = vec![self.document(options.closed_writer), new.document(false)];
        decide(&mut Solver::new(documents, options.steps), [(self, 0), (new, 1)], options)
    }

    /// The draft that it is read as.
    pub fn draft(&self) -> Draft {
        self.draft
    }

    fn document(&self, closed: bool) -> Document<'_> {
        Document::new(&self.schema, self.draft, &self.names, &self.digits, closed)
    }
}

/// Schemas of which many pairs are compared: each is taken apart once.
pub(crate) struct Family<'a> {
    solver: Solver<'a>,
    members: Vec<&'a Comparable>,
    options: Options,
}

impl<'a> Family<'a> {
    /// None for schemas of several drafts: one draft tells numbers apart that another does not.
    pub(crate) fn new(members: Vec<&'a Comparable>, options: &Options) -> Option<Self> {
        let mut drafts = members.iter().map(|member| member.draft);
        let first = drafts.next();
        if drafts.any(|draft| Some(draft) != first) {
            return None;
        }
        // Of each, what is written by it and what is read by it.
        let documents = members.iter().flat_map(|one| [one.document(options.closed_writer), one.document(false)]);
        let solver = Solver::new(documents.collect(), options.steps);
        Some(Self { solver, members, options: options.clone() })
    }

    /// Whether every instance of one member is an instance of another one, as [`Comparable::is_within`]; none for a number
    /// that no member has.
    pub(crate) fn is_within(&mut self, old: usize, new: usize) -> Option<Verdict> {
        let (first, second) = (*self.members.get(old)?, *self.members.get(new)?);
        self.solver.refill(self.options.steps);
        Some(decide(&mut self.solver, [(first, 2 * old), (second, 2 * new + 1)], &self.options))
    }
}

fn decide(solver: &mut Solver<'_>, pair: [(&Comparable, usize); 2], options: &Options) -> Verdict {
    let [(old, old_document), (new, new_document)] = pair;
    if old.is_same(new) {
        return Verdict::Compatible;
    }
    let (old_formula, new_formula) = (solver.root(old_document), solver.root(new_document));
    let refused = solver.arena.not(new_formula);
    let found = solver.solve(&[old_formula, refused], 1);
    let spent = solver.is_spent();
    solver.refill(options.steps / 4);
    // The validator rounds what has more digits.
    let rounded = !(old.digits.is_empty() && new.digits.is_empty());
    let tells_apart = |solver: &mut Solver<'_>, value: &Exact| {
        solver.holds(old_formula, value) == Some(true) && solver.holds(refused, value) == Some(true)
    };
    let confirmed = |solver: &mut Solver<'_>, value: &Exact| {
        let json = value.to_json();
        let nearest = Exact::of(&json)?;
        let is = if rounded {
            tells_apart(solver, &nearest)
        } else {
            // The validator knows nothing of writers.
            let is = old.takes(&json) == Some(true) && new.takes(&json) == Some(false);
            is && (!options.closed_writer || solver.holds(old_formula, &nearest) == Some(true))
        };
        if is {
            return Witness::of(&nearest);
        }
        if nearest == *value {
            return None;
        }
        // Between what JSON values hold here, and so beyond the validator.
        let witness = Witness::of(value)?;
        let is = tells_apart(solver, value);
        (is && (rounded || old.takes_text(&witness) && !new.takes_text(&witness))).then_some(witness)
    };
    let candidates: Vec<Exact> = found.all().cloned().collect();
    for value in &candidates {
        if let Some(witness) = confirmed(solver, value) {
            let findings = explain::explain(&old.document(false), &new.document(false), &witness);
            return Verdict::Breaking { witness, findings };
        }
    }
    // Every value that might be a witness was tried: the rest was shown to be none. (Only where the solver is sure of
    // those is a validator that disagrees no proof.)
    let written = candidates.iter().all(|value| Exact::of(&value.to_json()).as_ref() == Some(value));
    let tried = candidates.is_empty() || written && !options.closed_writer;
    if found.complete && found.values.is_empty() && tried && !spent {
        return Verdict::Compatible;
    }
    for value in search::candidates(solver, old_formula, refused) {
        if let Some(witness) = confirmed(solver, &value) {
            let findings = explain::explain(&old.document(false), &new.document(false), &witness);
            return Verdict::Breaking { witness, findings };
        }
    }
    // Whatever was in the way: what is written alike but for words, order and names means the same.
    if old.is_alike(new) {
        return Verdict::Compatible;
    }
    Verdict::Unknown { rule: UNDECIDED, reason: reason(spent, &candidates) }
}

fn unusable(side: &str, schema: &Value, error: &SchemaError) -> Verdict {
    let place = if error.pointer.is_empty() { String::new() } else { format!(" at {}", error.pointer) };
    let rule = if document::dangles(schema) { REF_UNRESOLVED } else { SCHEMA_UNUSABLE };
    Verdict::Unknown { rule, reason: format!("the {side} schema can't be used{place}: {}", error.message) }
}

fn reason(spent: bool, candidates: &[Exact]) -> String {
    if spent {
        "the schemas are too much work to compare".to_owned()
    } else if let Some(value) = candidates.first() {
        let value = crate::words::cut(value.to_json().to_string());
        format!("what may tell the schemas apart could not be confirmed, such as {value}")
    } else {
        "the schemas use something that is not understood".to_owned()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_family_says_what_its_pairs_say() {
        let versions = [
            json!({"type": "object", "properties": {"a": {"$ref": "#/$defs/a"}}, "$defs": {"a": {"minimum": 1}}}),
            json!({"type": "object", "properties": {"a": {"$ref": "#/$defs/a"}}, "$defs": {"a": {"minimum": 2}}}),
            json!({"type": "object", "properties": {"a": {"minimum": 1}, "b": {"type": "string"}}, "required": ["a"]}),
            json!({"type": "object", "properties": {"a": {"minimum": 1}, "b": {"pattern": "^x"}}}),
        ]
        .map(|schema| Comparable::new(&schema).unwrap());
        for options in [Options::default(), Options::default().closed_writer(true)] {
            let mut family = Family::new(versions.iter().collect(), &options).unwrap();
            for _ in 0..2 {
                for old in 0..versions.len() {
                    for new in 0..versions.len() {
                        let alone = versions[old].is_within(&versions[new], &options);
                        assert_eq!(family.is_within(old, new), Some(alone), "{old} {new}");
                    }
                }
            }
        }
        let other = Comparable::new(&json!({"$schema": "http://json-schema.org/draft-04/schema#"})).unwrap();
        assert!(Family::new(vec![&versions[0], &other], &Options::default()).is_none());
    }
}
