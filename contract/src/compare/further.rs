//! What else breaks: one witness shows one fault, and a change may have several.
//!
//! The rules that refuse the witness are taken from the reader, and what is left is compared again, until nothing is refused
//! any more.

use serde_json::Value;

use super::{Comparable, Finding, Options, Verdict, Witness};
use crate::source::unescape;

/// The most faults that are looked for beyond the first.
const MOST: usize = 15;

impl Comparable {
    /// What `new` refuses of this schema beyond what `first`, the findings of a [`Verdict::Breaking`], are about: each with
    /// a witness of its own, which `new` as it is refuses as well. At most 15, and none is no proof that there is none.
    ///
    /// ```
    /// use celerysalt_contract::compare::{Comparable, Options, Verdict};
    /// use serde_json::json;
    ///
    /// let old = Comparable::new(&json!({"properties": {"a": {"maximum": 9}, "b": {"maxLength": 9}}}))?;
    /// let new = Comparable::new(&json!({"properties": {"a": {"maximum": 8}, "b": {"maxLength": 8}}}))?;
    /// let Verdict::Breaking { findings, .. } = old.is_within(&new, &Options::default()) else { unreachable!() };
    /// let further = old.further(&new, &findings, &Options::default());
    /// let mut rules: Vec<&str> = findings.iter().chain(&further[0].1).map(|finding| finding.rule).collect();
    /// rules.sort_unstable();
    /// assert_eq!((rules, further.len()), (vec!["NUM_BOUND_TIGHTENED", "STR_LENGTH"], 1));
    /// # Ok::<(), celerysalt_contract::SchemaError>(())
    /// ```
    pub fn further(&self, new: &Self, first: &[Finding], options: &Options) -> Vec<(Witness, Vec<Finding>)> {
        let mut found: Vec<(Witness, Vec<Finding>)> = Vec::new();
        let mut left = new.schema.clone();
        let mut last = first.to_vec();
        while found.len() < MOST {
            let taken = last.iter().filter(|finding| take_away(&mut left, &finding.pointer_new)).count();
            if taken == 0 || Comparable::new(&left).is_err() {
                break;
            }
            let looser = Comparable::of_checked(&left).with_digits(new.digits.clone());
            let Verdict::Breaking { witness, findings } = self.is_within(&looser, options) else { break };
            // Less may be more, as below a `not`: a fault is only what the reader refuses as it is.
            if new.takes_text(&witness) {
                break;
            }
            last.clone_from(&findings);
            found.push((witness, findings));
        }
        found
    }
}

/// Whether there was a rule at `pointer`, which is gone now.
fn take_away(schema: &mut Value, pointer: &str) -> bool {
    let Some((parent, key)) = pointer.rsplit_once('/') else { return false };
    let key = unescape(key);
    match schema.pointer_mut(parent) {
        Some(Value::Object(members)) => members.remove(&*key).is_some(),
        // The places of its neighbours stay what they are.
        Some(Value::Array(items)) => match key.parse::<usize>().ok().and_then(|at| items.get_mut(at)) {
            Some(item) if *item != Value::Bool(true) => {
                *item = Value::Bool(true);
                true
            }
            _ => false,
        },
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn rules(old: &Value, new: &Value) -> Vec<String> {
        let (old, new) = (Comparable::new(old).unwrap(), Comparable::new(new).unwrap());
        for options in [Options::default(), Options::default().closed_writer(true)] {
            let Verdict::Breaking { findings, .. } = old.is_within(&new, &options) else { panic!("not breaking") };
            let further = old.further(&new, &findings, &options);
            for (witness, _) in &further {
                assert!(old.takes_text(witness) && !new.takes_text(witness), "{witness}");
            }
            let further = further.into_iter().flat_map(|(_, findings)| findings);
            let mut all: Vec<String> =
                findings.into_iter().chain(further).map(|one| format!("{} {}", one.pointer_new, one.rule)).collect();
            all.sort();
            if options.closed_writer {
                return all;
            }
        }
        unreachable!()
    }

    #[test]
    fn every_fault_of_a_change_is_found() {
        let old = json!({
            "type": "object", "required": ["id"],
            "properties": {
                "id": {"type": "string", "pattern": "^[0-9]+$"}, "n": {"type": "number", "minimum": 0},
                "state": {"enum": ["a", "b"]}, "at": {"$ref": "#/$defs/at"}
            },
            "$defs": {"at": {"type": "string", "maxLength": 9}}
        });
        let new = json!({
            "type": "object", "required": ["id", "n"],
            "properties": {
                "id": {"type": "string", "pattern": "^[0-9]{1,8}$"}, "n": {"type": "number", "minimum": 1},
                "state": {"enum": ["a"]}, "at": {"$ref": "#/$defs/at"}
            },
            "$defs": {"at": {"type": "string", "maxLength": 8}}
        });
        assert_eq!(
            rules(&old, &new),
            [
                "/$defs/at/maxLength STR_LENGTH",
                "/properties/id/pattern STR_PATTERN_CHANGED",
                "/properties/n/minimum NUM_BOUND_TIGHTENED",
                "/properties/state/enum ENUM_VALUE_REMOVED",
                "/required REQ_ADDED",
            ]
        );
    }

    #[test]
    fn a_not_is_taken_away_as_a_whole_and_a_schema_that_is_false_not_at_all() {
        // Without the inner rule alone, `not` would refuse every string.
        let (old, new) = (json!({}), json!({"not": {"type": "string", "minLength": 3}, "maximum": 5}));
        assert_eq!(rules(&old, &new), ["/maximum NUM_BOUND_TIGHTENED", "/not NOT_ADDED"]);
        assert_eq!(rules(&json!({}), &json!(false)), [" SCHEMA_FALSE"]);
    }
}
