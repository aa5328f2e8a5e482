//! What each node can tell of a value at once: most values of most schemas need no more than a look at it.

use super::node::{Id, Node, Shortcut, kind};

/// Nodes inside each other that say which kind of value goes by which node.
const DEEP: usize = 8;

/// For all nodes, once they are otherwise complete.
pub(super) fn add(nodes: &mut [Node]) {
    let all: Vec<Shortcut> = (0..).zip(nodes.iter()).map(|(id, _)| of(nodes, id, DEEP)).collect();
    for (node, shortcut) in nodes.iter_mut().zip(all) {
        node.shortcut = shortcut;
    }
}

fn of(nodes: &[Node], id: Id, deep: usize) -> Shortcut {
    let node = nodes.get(id as usize);
    let merged = node.and_then(|node| node.merged).and_then(|merged| nodes.get(merged as usize));
    let Some(node) = merged.or(node).filter(|node| node.values.is_none()) else { return Shortcut::NONE };
    match node.branches.as_deref() {
        None => alone(node),
        // Of alternatives that the kind tells apart, each tells of its own.
        Some(branches) if node.is_bare() && deep > 0 => {
            let mut both = Shortcut::NONE;
            for bit in (0..7).map(|bit| 1 << bit) {
                let Some(id) = branches.only_by_kind().and_then(|by_kind| by_kind.of_kind(bit)) else { continue };
                let one = of(nodes, id, deep - 1);
                both.free |= one.free & bit;
                if bit == kind::INTEGER {
                    both.sure = one.sure;
                }
            }
            both
        }
        Some(_) => Shortcut::NONE,
    }
}

/// Of a node that asks nothing by others.
fn alone(node: &Node) -> Shortcut {
    let rules = [
        (kind::STRING, node.text.is_some()),
        (kind::NUMBER, node.number.is_some()),
        (kind::ARRAY, node.array.is_some()),
        (kind::OBJECT, node.object.is_some()),
    ];
    let asked = rules.iter().filter(|(_, asked)| *asked).fold(0, |asked, (kind, _)| asked | kind);
    // A schema that takes fractions takes integers: then how a number is written does not matter.
    let free = node.kinds & !asked;
    let sure = match node.number.as_deref() {
        _ if node.kinds & kind::INTEGER == 0 => Shortcut::NONE.sure,
        None => (i64::MIN, i64::MAX),
        Some(rules) => rules.sure.as_ref().map_or(Shortcut::NONE.sure, |sure| (*sure.start(), *sure.end())),
    };
    let by_member = node.kinds & kind::OBJECT != 0
        && node
            .object
            .as_deref()
            .is_none_or(|rules| rules.unevaluated.is_none() && rules.least <= 1 && rules.dependent_schemas.is_empty());
    Shortcut { free, sure, by_member }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{Draft, exact::compile};

    #[test]
    fn what_is_told_at_once_is_no_more_than_what_holds() {
        const ALL: (i64, i64) = (i64::MIN, i64::MAX);
        const NONE: (i64, i64) = (1, 0);
        let told = |schema: serde_json::Value| {
            let (program, _) = compile::compile(&schema, Draft::Draft202012).unwrap();
            let told = program.nodes[program.root as usize].shortcut;
            (told.free, told.sure)
        };
        assert_eq!(told(json!(true)), (kind::ALL, ALL));
        assert_eq!(told(json!(false)), (0, NONE));
        assert_eq!(told(json!({"type": "integer"})), (kind::INTEGER, ALL));
        assert_eq!(told(json!({"type": ["number", "null"]})), (kind::NUMBER | kind::NULL, ALL));
        assert_eq!(told(json!({"minimum": 2, "maximum": 5.5})), (kind::ALL & !kind::NUMBER, (2, 5)));
        assert_eq!(told(json!({"multipleOf": 2})), (kind::ALL & !kind::NUMBER, NONE));
        assert_eq!(told(json!({"enum": ["a", 1]})), (0, NONE));
        assert_eq!(told(json!({"not": {"const": 1}})), (0, NONE));
        assert_eq!(told(json!({"required": ["a"]})), (kind::ALL & !kind::OBJECT, ALL));
        let nullable =
            json!({"anyOf": [{"type": "string", "maxLength": 3}, {"type": "integer", "minimum": 0}, {"type": "null"}]});
        assert_eq!(told(nullable), (kind::NULL, (0, i64::MAX)));
        let both = json!({"allOf": [{"type": "string"}], "type": ["string", "array"], "minItems": 1});
        assert_eq!(told(both), (kind::STRING, NONE));
    }
}
