//! A program run over the bytes of one text.
//!
//! One code does both: the fast run stops at the first rule that is broken, the telling run notes it and goes on. A
//! value that several schemas look at is read several times: it lies in memory, and nothing is kept of it.
//!
//! Two things are only found out on the way, and then all is done again. Members of the same name, of which the last
//! one counts: where every one of them keeps the rules, the last one does, so they only matter once a rule is broken.
//! And schemas inside each other so deep that the stack of the thread may not hold them.

use std::{collections::HashMap, ops::Range};

use super::{
    bits::Bits,
    canon, decimal,
    fault::Told,
    node::{ANY, Branches, Id, Node, NumberRules, Program, TextRules, kind},
    scan::{self, Digits, Span},
    tagged::Chosen,
};
use crate::Draft;

/// Schemas inside each other that any stack holds.
pub(super) const FEW_FRAMES: usize = 200;

/// The state of one run. With `TELL` it notes what is broken, otherwise it stops there.
pub(super) struct Run<'t, const TELL: bool> {
    pub(super) program: &'t Program,
    pub(super) text: &'t str,
    pub(super) bytes: &'t [u8],
    /// Something was decided by a broken rule, or by a number of members, where members of the same name may matter.
    pub(super) doubted: bool,
    /// A part of the text in which no object has members of the same name.
    sure: Range<usize>,
    frames: usize,
    max_frames: usize,
    /// More schemas inside each other than the stack holds: there is no verdict.
    pub(super) overflow: bool,
    /// How many containers were looked into, and from how many on it is remembered what came out.
    steps: usize,
    fuel: usize,
    memory: HashMap<(Id, usize), Option<usize>>,
    pub(super) told: Told,
}

/// What a branch evaluated, if anyone asks.
pub(super) type Marks<'m> = Option<&'m mut Bits>;

impl<'t, const TELL: bool> Run<'t, TELL> {
    pub(super) fn new(program: &'t Program, text: &'t str, max_frames: usize) -> Self {
        Self {
            program,
            text,
            bytes: text.as_bytes(),
            doubted: false,
            sure: 0..0,
            frames: 0,
            max_frames,
            overflow: false,
            steps: 0,
            fuel: 256 + text.len() / 4,
            memory: HashMap::new(),
            told: Told::default(),
        }
    }

    /// Whether the whole text is one value that passes.
    pub(super) fn whole(&mut self) -> bool {
        let bytes = self.bytes;
        let start = scan::space(bytes, 0);
        self.eval(self.program.root, start, 0, None).is_some_and(|end| scan::space(bytes, end) == bytes.len())
    }

    /// A run of the other kind over the same text, for verdicts of which nothing is told.
    fn quick(&self) -> Run<'t, false> {
        let mut quick = Run::new(self.program, self.text, self.max_frames);
        quick.frames = self.frames;
        quick
    }

    /// Where the value at `at`, inside `depth` containers, ends if it keeps what the node asks.
    #[inline]
    pub(super) fn eval(&mut self, id: Id, at: usize, depth: usize, marks: Marks<'_>) -> Option<usize> {
        let bytes = self.bytes;
        if id == ANY {
            return scan::value(bytes, at, depth);
        }
        let program = self.program;
        let mut id = id;
        let mut node = program.nodes.get(id as usize)?;
        if !TELL
            && let Some(merged) = node.merged
            && marks.is_none()
        {
            id = merged;
            node = program.nodes.get(id as usize)?;
        }
        let first = *bytes.get(at)?;
        if !TELL && node.branches.is_none() && !matches!(first, b'{' | b'[') {
            return self.scalar(node, at, first, depth);
        }
        if self.frames >= self.max_frames {
            self.overflow = true;
        }
        if self.overflow {
            return None;
        }
        self.frames += 1;
        let end = if TELL || marks.is_some() || self.steps < self.fuel {
            self.value(node, at, first, depth, marks)
        } else if let Some(known) = self.memory.get(&(id, at)) {
            *known
        } else {
            let end = self.value(node, at, first, depth, marks);
            self.memory.insert((id, at), end);
            end
        };
        self.frames -= 1;
        end
    }

    fn value(&mut self, node: &'t Node, at: usize, first: u8, depth: usize, mut marks: Marks<'_>) -> Option<usize> {
        let from = self.told.len();
        if TELL && node.kinds == 0 {
            self.fail(node, "false")?;
            return scan::value(self.bytes, at, depth);
        }
        let (object, array) = match first {
            b'{' => (node.object.as_deref(), None),
            b'[' => (None, node.array.as_deref()),
            _ => (None, None),
        };
        let unevaluated =
            object.and_then(|rules| rules.unevaluated).or_else(|| array.and_then(|rules| rules.unevaluated));
        let mut own = Bits::default();
        let mut all: Marks<'_> = if unevaluated.is_some() { Some(&mut own) } else { marks.as_deref_mut() };
        let end = match first {
            b'{' | b'[' => {
                self.steps += 1;
                if depth >= scan::MAX_DEPTH {
                    return None;
                }
                self.kind(node, if first == b'{' { kind::OBJECT } else { kind::ARRAY })?;
                let end = match (object, array) {
                    (Some(rules), _) => self.object(node, rules, at, depth, all.as_deref_mut())?,
                    (_, Some(rules)) => self.array(node, rules, at, depth, all.as_deref_mut())?,
                    _ => scan::value(self.bytes, at, depth)?,
                };
                self.values(node, at, end, depth)?;
                end
            }
            _ => self.scalar(node, at, first, depth)?,
        };
        if let Some(branches) = node.branches.as_deref() {
            self.branches(node, branches, at, end, depth, all)?;
        }
        if let Some(id) = unevaluated {
            if first == b'{' {
                self.unevaluated_members(node, id, at, depth, &own)?;
            } else {
                self.unevaluated_items(node, id, at, depth, &own)?;
            }
            if let Some(marks) = marks {
                marks.set_all();
            }
        }
        if TELL {
            self.told.order(from);
        }
        Some(end)
    }

    /// What is neither an object nor an array.
    #[inline]
    fn scalar(&mut self, node: &'t Node, at: usize, first: u8, depth: usize) -> Option<usize> {
        let bytes = self.bytes;
        let end = match first {
            b'"' => {
                let span = scan::string(bytes, at)?;
                self.kind(node, kind::STRING)?;
                if let Some(rules) = node.text.as_deref() {
                    self.string(node, rules, span)?;
                }
                self.string_values(node, span)?;
                return Some(span.end + 1);
            }
            b'-' | b'0'..=b'9' => {
                let digits = scan::number(bytes, at)?;
                self.number(node, at, digits)?;
                digits.end
            }
            b't' => {
                self.kind(node, kind::BOOLEAN)?;
                scan::word(bytes, at, b"true")?
            }
            b'f' => {
                self.kind(node, kind::BOOLEAN)?;
                scan::word(bytes, at, b"false")?
            }
            b'n' => {
                self.kind(node, kind::NULL)?;
                scan::word(bytes, at, b"null")?
            }
            _ => return None,
        };
        self.values(node, at, end, depth)?;
        Some(end)
    }

    #[inline]
    pub(super) fn kind(&mut self, node: &'t Node, kind: u8) -> Option<()> {
        if node.kinds & kind == 0 { self.fail(node, "type") } else { Some(()) }
    }

    /// As [`Run::values`], of a string.
    #[inline]
    pub(super) fn string_values(&mut self, node: &'t Node, span: Span) -> Option<()> {
        let Some(values) = node.values.as_deref() else { return Some(()) };
        if values.constant.as_ref().is_some_and(|constant| !constant.holds_string(self.text, span)) {
            self.fail(node, "const")?;
        }
        if values.one_of.as_ref().is_some_and(|all| !all.holds_string(self.text, span)) {
            self.fail(node, "enum")?;
        }
        Some(())
    }

    #[inline]
    pub(super) fn values(&mut self, node: &'t Node, at: usize, end: usize, depth: usize) -> Option<()> {
        let Some(values) = node.values.as_deref() else { return Some(()) };
        if values.constant.as_ref().is_some_and(|constant| !constant.holds(self.text, at, end, depth)) {
            self.fail(node, "const")?;
        }
        if values.one_of.as_ref().is_some_and(|all| !all.holds(self.text, at, end, depth)) {
            self.fail(node, "enum")?;
        }
        Some(())
    }

    #[inline]
    pub(super) fn string(&mut self, node: &'t Node, rules: &'t TextRules, span: Span) -> Option<()> {
        if rules.least > 0 || rules.most.is_some() {
            self.length(node, rules, span)?;
        }
        if rules.pattern.as_ref().is_some_and(|pattern| !pattern.matches_string(self.text, span)) {
            self.fail(node, "pattern")?;
        }
        if rules.format.as_ref().is_some_and(|format| !format.allows(&canon::plain(self.text, span))) {
            self.fail(node, "format")?;
        }
        if let Some(content) = &rules.content {
            let value = canon::plain(self.text, span).into_owned().into();
            if !content.is_valid(&value) {
                self.fail_as_said(content, &value)?;
            }
        }
        Some(())
    }

    #[inline]
    fn length(&mut self, node: &'t Node, rules: &'t TextRules, span: Span) -> Option<()> {
        /// The most bytes of a character, as it is and as two escapes.
        const LONGEST: (u64, u64) = (4, 12);
        let bytes = (span.end - span.start) as u64;
        let short_enough = rules.most.is_none_or(|most| bytes <= most);
        let surely = bytes.div_ceil(if span.escaped { LONGEST.1 } else { LONGEST.0 });
        if short_enough && surely >= rules.least {
            return Some(());
        }
        let text = self.bytes.get(span.start..span.end)?;
        let length = if span.escaped { scan::length(text) } else { scan::characters(text) };
        if length < rules.least {
            self.fail(node, "minLength")?;
        }
        if rules.most.is_some_and(|most| length > most) {
            self.fail(node, "maxLength")?;
        }
        Some(())
    }

    #[inline]
    pub(super) fn number(&mut self, node: &'t Node, at: usize, digits: Digits) -> Option<()> {
        if node.kinds & kind::NUMBER != kind::NUMBER {
            let integer = if digits.plain || self.program.draft == Draft::Draft4 {
                digits.plain
            } else {
                decimal::is_integer(self.bytes.get(at..digits.end)?)
            };
            self.kind(node, if integer { kind::INTEGER } else { kind::FRACTION })?;
        }
        match node.number.as_deref() {
            Some(rules) => self.bounds(node, rules, at, digits),
            None => Some(()),
        }
    }

    #[inline]
    fn bounds(&mut self, node: &'t Node, rules: &'t NumberRules, at: usize, digits: Digits) -> Option<()> {
        if let (Some(number), Some(sure)) = (digits.short, &rules.sure)
            && decimal::is_between(number, sure)
        {
            return Some(());
        }
        let text = self.bytes.get(at..digits.end)?;
        let against = |bound: &decimal::Bound| bound.against(digits.short, text);
        if rules.minimum.as_ref().is_some_and(|bound| against(bound).is_lt()) {
            self.fail(node, "minimum")?;
        }
        if rules.maximum.as_ref().is_some_and(|bound| against(bound).is_gt()) {
            self.fail(node, "maximum")?;
        }
        if rules.more_than.as_ref().is_some_and(|bound| against(bound).is_le()) {
            self.fail(node, "exclusiveMinimum")?;
        }
        if rules.less_than.as_ref().is_some_and(|bound| against(bound).is_ge()) {
            self.fail(node, "exclusiveMaximum")?;
        }
        if rules.step.as_ref().is_some_and(|step| !step.divides(digits.short, text)) {
            self.fail(node, "multipleOf")?;
        }
        Some(())
    }

    /// Whether a value passes, where nothing is told of it.
    pub(super) fn passes(&mut self, id: Id, at: usize, depth: usize, marks: Marks<'_>) -> bool {
        if TELL {
            let mut quick = self.quick();
            let passes = quick.eval(id, at, depth, marks).is_some();
            self.overflow |= quick.overflow;
            return passes;
        }
        let passes = self.eval(id, at, depth, marks).is_some();
        if !passes {
            self.doubt(at, depth);
        }
        passes
    }

    /// Something hangs on a rule of the value at `at` being broken, or on how many members it has.
    pub(super) fn doubt(&mut self, at: usize, depth: usize) {
        if self.doubted || self.sure.contains(&at) || !matches!(self.bytes.get(at), Some(b'{' | b'[')) {
            return;
        }
        match canon::end_without_repeats(self.bytes, at, depth) {
            Some(end) => self.sure = at..end,
            None => self.doubted = true,
        }
    }

    /// The same, and what it evaluated counts if it passes.
    fn passes_marking(&mut self, id: Id, at: usize, depth: usize, marks: &mut Marks<'_>) -> bool {
        let Some(marks) = marks.as_deref_mut() else { return self.passes(id, at, depth, None) };
        let mut own = Bits::default();
        let passes = self.passes(id, at, depth, Some(&mut own));
        if passes {
            marks.join(&own);
        }
        passes
    }

    /// As [`Run::eval`]; what a part evaluated that is told to be broken does not count.
    fn eval_part(&mut self, id: Id, at: usize, depth: usize, marks: Marks<'_>) -> Option<usize> {
        match marks {
            Some(marks) if TELL => {
                let (from, mut own) = (self.told.len(), Bits::default());
                let end = self.eval(id, at, depth, Some(&mut own));
                if self.told.len() == from {
                    marks.join(&own);
                }
                end
            }
            marks => self.eval(id, at, depth, marks),
        }
    }

    pub(super) fn branches(
        &mut self,
        node: &'t Node,
        branches: &'t Branches,
        at: usize,
        end: usize,
        depth: usize,
        mut marks: Marks<'_>,
    ) -> Option<()> {
        for id in &branches.all_of {
            self.ranked("allOf", |run| run.eval_part(*id, at, depth, marks.as_deref_mut()))?;
        }
        let chosen = match (&branches.by_kind, &branches.tagged) {
            _ if TELL => Chosen::Open,
            (Some(by_kind), _) => by_kind.choose(*self.bytes.get(at)?),
            (_, Some(tagged)) => tagged.choose(self.text, at, depth),
            _ => Chosen::Open,
        };
        match chosen {
            Chosen::Only(id) => drop(self.eval(id, at, depth, marks.as_deref_mut())?),
            Chosen::None => return None,
            Chosen::Open => self.alternatives(node, branches, at, depth, &mut marks)?,
        }
        if let Some(id) = branches.not
            && self.passes(id, at, depth, None)
        {
            self.fail(node, "not")?;
        }
        if let Some(condition) = &branches.condition
            && (condition.then.is_some() || condition.otherwise.is_some() || marks.is_some())
        {
            let passes = self.passes_marking(condition.test, at, depth, &mut marks);
            let chosen = if passes { condition.then } else { condition.otherwise };
            if let Some(id) = chosen {
                self.ranked("if", |run| run.eval(id, at, depth, marks.as_deref_mut()))?;
            }
        }
        for id in &branches.references {
            self.ranked("$ref", |run| run.eval(*id, at, depth, marks.as_deref_mut()))?;
        }
        for library in &branches.library {
            // A number that the library can't hold is none of its.
            let value = serde_json::from_slice(self.bytes.get(at..end)?).unwrap_or_default();
            if !library.is_valid(&value) {
                self.fail_as_said(library, &value)?;
            }
        }
        Some(())
    }

    /// `anyOf` and `oneOf`, each alternative for itself.
    fn alternatives(
        &mut self,
        node: &'t Node,
        branches: &'t Branches,
        at: usize,
        depth: usize,
        marks: &mut Marks<'_>,
    ) -> Option<()> {
        if !branches.any_of.is_empty() {
            let mut any = false;
            for id in &branches.any_of {
                any |= self.passes_marking(*id, at, depth, marks);
                if any && marks.is_none() {
                    break;
                }
            }
            if !any {
                self.fail_of("anyOf", &branches.any_of, at, depth)?;
            }
        }
        if !branches.one_of.is_empty() {
            let mut passed = 0;
            let mut own = Bits::default();
            let mut wanted = marks.is_some().then_some(&mut own);
            for id in &branches.one_of {
                passed += usize::from(self.passes_marking(*id, at, depth, &mut wanted));
                if passed > 1 {
                    break;
                }
            }
            match passed {
                0 => self.fail_of("oneOf", &branches.one_of, at, depth)?,
                1 => {
                    if let Some(marks) = marks.as_deref_mut() {
                        marks.join(&own);
                    }
                }
                _ => self.fail(node, "oneOf")?,
            }
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::exact::compile;

    fn doubted(schema: &serde_json::Value, text: &str) -> (bool, bool) {
        let (program, _) = compile::compile(schema, Draft::Draft202012).unwrap();
        let mut run = Run::<false>::new(&program, text, FEW_FRAMES);
        (run.whole(), run.doubted)
    }

    /// A broken branch costs a look at its own value, not a second run.
    #[test]
    fn only_members_of_the_same_name_are_cause_for_doubt() {
        let schema = json!({"properties": {"a": {"oneOf": [{"required": ["x"]}, {"required": ["y"]}]}}});
        assert_eq!(doubted(&schema, r#"{"a": {"y": [{"z": 1}, 2]}, "b": 1, "b": 2}"#), (true, false));
        assert_eq!(doubted(&schema, r#"{"a": {"y": [{"z": 1, "z": 2}, 2]}}"#), (true, true));
        assert_eq!(doubted(&schema, r#"{"a": {"y": {"\u007a": 1}}}"#), (true, true));
        assert_eq!(doubted(&json!({"minProperties": 2}), r#"{"a": 1, "a": 2}"#), (true, true));
        assert_eq!(doubted(&json!({"minProperties": 2}), r#"{"a": 1, "b": 2}"#), (true, false));
        let many = (0..100).map(|i| format!("\"n{i}\":{i},")).collect::<Vec<_>>().concat();
        let schema = json!({"not": {"required": ["z"]}});
        assert_eq!(doubted(&schema, &format!("{{{many}\"a\":1}}")), (true, false));
        assert_eq!(doubted(&schema, &format!("{{{many}\"n3\":1}}")), (true, true));
    }

    /// Conjunctions are read at once.
    #[test]
    fn what_must_all_hold_is_one_sweep() {
        let schema = json!({
            "allOf": [{"$ref": "#/$defs/base"}],
            "properties": {"a": {"type": "string"}, "b": {"minimum": 1}},
            "$defs": {"base": {"properties": {"a": {"minLength": 2}, "c": {}}, "required": ["a"]}}
        });
        let (program, _) = compile::compile(&schema, Draft::Draft202012).unwrap();
        let root = &program.nodes[program.root as usize];
        let merged = &program.nodes[root.merged.unwrap() as usize];
        assert!(merged.branches.is_none());
        assert_eq!(merged.object.as_ref().unwrap().table.len(), 3);
        for (text, passes) in [(r#"{"a":"xy"}"#, true), (r#"{"a":"x"}"#, false), (r#"{"a":12}"#, false), ("{}", false)]
        {
            assert_eq!(doubted(&schema, text).0, passes, "{text}");
        }
    }
}
