//! Objects and arrays: one walk over the members or items, in which each is held against all that speaks of it.

use super::{
    bits::Bits,
    canon,
    fault::Step,
    node::{ArrayRules, Id, Node, ObjectRules},
    run::{Marks, Run},
    scan::{self, Span},
};

impl<'t, const TELL: bool> Run<'t, TELL> {
    pub(super) fn object(
        &mut self,
        node: &'t Node,
        rules: &'t ObjectRules,
        start: usize,
        depth: usize,
        mut marks: Marks<'_>,
    ) -> Option<usize> {
        let bytes = self.bytes;
        let mut at = scan::space(bytes, start + 1);
        let mut more = bytes.get(at) != Some(&b'}');
        if !more {
            at += 1;
        }
        let mut count = 0;
        let mut last = 0;
        let mut seen = Bits::default();
        let mut unexpected = false;
        while more {
            let span = scan::string_at(bytes, at)?;
            let value = scan::colon(bytes, span.end + 1)?;
            let slot = if span.escaped {
                rules.table.find(canon::plain(self.text, span).as_bytes())
            } else {
                rules.table.find_after(bytes.get(span.start..span.end)?, last)
            };
            let mut end = None;
            if let Some(slot) = slot {
                last = slot + 1;
                seen.set(slot);
                if let Some(id) = rules.properties.get(slot).copied().flatten() {
                    end = Some(self.member("properties", id, span, value, depth)?);
                }
            }
            if !rules.patterns.is_empty() {
                let name = canon::plain(self.text, span);
                for (pattern, id) in &rules.patterns {
                    if pattern.matches(&name) {
                        end = Some(self.member("patternProperties", *id, span, value, depth)?);
                    }
                }
            }
            if let (None, Some(id)) = (end, rules.additional) {
                if TELL && self.is_false(node, "additionalProperties") {
                    unexpected = true;
                    end = Some(scan::value(bytes, value, depth + 1)?);
                } else {
                    end = Some(self.member("additionalProperties", id, span, value, depth)?);
                }
            }
            if let (Some(_), Some(marks)) = (end, marks.as_deref_mut()) {
                marks.set(count);
            }
            if let Some(id) = rules.names {
                self.name(node, id, span, depth)?;
            }
            let end = match end {
                Some(end) => end,
                None => scan::value(bytes, value, depth + 1)?,
            };
            count += 1;
            (at, more) = scan::next(bytes, end, b'}')?;
        }
        if unexpected {
            // The library's word for an object that may have no properties at all.
            let none = rules.patterns.is_empty() && rules.properties.iter().all(Option::is_none);
            self.fail(node, if none { "false" } else { "additionalProperties" })?;
        }
        // Members of the same name count once.
        if rules.least > 1 {
            self.doubt(start, depth);
        }
        self.members(node, rules, count as u64, &seen)?;
        for (slot, id, evaluates) in &rules.dependent_schemas {
            if seen.has(*slot) {
                let marks = marks.as_deref_mut().filter(|_| *evaluates);
                self.ranked("dependentSchemas", |run| run.eval(*id, start, depth, marks))?;
            }
        }
        Some(at)
    }

    /// What is asked of all members together.
    #[inline]
    fn members(&mut self, node: &'t Node, rules: &'t ObjectRules, count: u64, seen: &Bits) -> Option<()> {
        if count < rules.least {
            self.fail(node, "minProperties")?;
        }
        if rules.most.is_some_and(|most| count > most) {
            self.fail(node, "maxProperties")?;
        }
        if !seen.covers(&rules.required) {
            self.fail_of_names(rules, seen, None)?;
        }
        for (slot, wanted) in &rules.dependent_names {
            if seen.has(*slot) && !wanted.iter().all(|name| seen.has(*name)) {
                self.fail_of_names(rules, seen, Some(wanted))?;
            }
        }
        Some(())
    }

    /// The value of a member.
    #[inline]
    fn member(&mut self, keyword: &'static str, id: Id, name: Span, at: usize, depth: usize) -> Option<usize> {
        if TELL {
            self.told.path.push(Step::Name(name));
            let end = self.ranked(keyword, |run| run.eval(id, at, depth + 1, None));
            self.told.path.pop();
            return end;
        }
        self.eval(id, at, depth + 1, None)
    }

    fn item(&mut self, keyword: &'static str, id: Id, index: usize, at: usize, depth: usize) -> Option<usize> {
        if TELL {
            self.told.path.push(Step::Index(index));
            let end = self.ranked(keyword, |run| run.eval(id, at, depth + 1, None));
            self.told.path.pop();
            return end;
        }
        self.eval(id, at, depth + 1, None)
    }

    /// The name of a member, which is a string of the text as any other.
    fn name(&mut self, node: &'t Node, id: Id, name: Span, depth: usize) -> Option<()> {
        if !TELL {
            return self.eval(id, name.start - 1, depth, None).map(|_| ());
        }
        if self.is_false(node, "propertyNames") {
            return self.fail(node, "false");
        }
        let before = self.told.take();
        let told = self.eval(id, name.start - 1, depth, None);
        let inner = self.told.restore(before);
        told?;
        inner.into_iter().try_for_each(|fault| self.fail_of_name(fault))
    }

    pub(super) fn array(
        &mut self,
        node: &'t Node,
        rules: &'t ArrayRules,
        start: usize,
        depth: usize,
        mut marks: Marks<'_>,
    ) -> Option<usize> {
        let bytes = self.bytes;
        let mut at = scan::space(bytes, start + 1);
        let mut more = bytes.get(at) != Some(&b']');
        if !more {
            at += 1;
        }
        let (mut count, mut matching) = (0, 0);
        let mut unexpected = false;
        while more {
            let mut end = None;
            if let Some(id) = rules.prefix.get(count) {
                end = Some(self.item("prefixItems", *id, count, at, depth)?);
            } else if let Some(id) = rules.rest {
                if TELL && !rules.prefix.is_empty() && self.is_false(node, "additionalItems") {
                    // Told once: it counts as evaluated.
                    unexpected = true;
                    end = Some(scan::value(bytes, at, depth + 1)?);
                } else {
                    end = Some(self.item("items", id, count, at, depth)?);
                }
            }
            if let (Some(_), Some(marks)) = (end, marks.as_deref_mut()) {
                marks.set(count);
            }
            if let Some(contains) = &rules.contains {
                let marks = marks.as_deref_mut().filter(|_| contains.evaluates);
                let asked = matching < contains.least || contains.most.is_some() || marks.is_some();
                if asked && self.passes(contains.node, at, depth + 1, None) {
                    matching += 1;
                    if let Some(marks) = marks {
                        marks.set(count);
                    }
                }
            }
            let end = match end {
                Some(end) => end,
                None => scan::value(bytes, at, depth + 1)?,
            };
            count += 1;
            (at, more) = scan::next(bytes, end, b']')?;
        }
        if unexpected {
            self.fail(node, "additionalItems")?;
        }
        if (count as u64) < rules.least {
            self.fail(node, "minItems")?;
        }
        if rules.most.is_some_and(|most| count as u64 > most) {
            self.fail(node, "maxItems")?;
        }
        if rules.unique && count > 1 && !canon::is_unique(self.text, start, depth) {
            self.fail(node, "uniqueItems")?;
        }
        if let Some(contains) = &rules.contains
            && (matching < contains.least || contains.most.is_some_and(|most| matching > most))
        {
            self.fail(node, "contains")?;
        }
        Some(at)
    }

    /// The members that nothing evaluated. The object is known to be JSON.
    pub(super) fn unevaluated_members(
        &mut self,
        node: &'t Node,
        id: Id,
        start: usize,
        depth: usize,
        evaluated: &Bits,
    ) -> Option<()> {
        let bytes = self.bytes;
        let mut at = scan::space(bytes, start + 1);
        let mut more = bytes.get(at) != Some(&b'}');
        let mut count = 0;
        let mut unexpected = false;
        while more {
            let value = scan::colon(bytes, scan::string_at(bytes, at)?.end + 1)?;
            let end = if evaluated.has(count) {
                scan::value(bytes, value, depth + 1)?
            } else if TELL {
                unexpected |= !self.passes(id, value, depth + 1, None);
                scan::value(bytes, value, depth + 1)?
            } else {
                self.eval(id, value, depth + 1, None)?
            };
            count += 1;
            (at, more) = scan::next(bytes, end, b'}')?;
        }
        if unexpected { self.fail(node, "unevaluatedProperties") } else { Some(()) }
    }

    /// The items that nothing evaluated. The array is known to be JSON.
    pub(super) fn unevaluated_items(
        &mut self,
        node: &'t Node,
        id: Id,
        start: usize,
        depth: usize,
        evaluated: &Bits,
    ) -> Option<()> {
        let bytes = self.bytes;
        let mut at = scan::space(bytes, start + 1);
        let mut more = bytes.get(at) != Some(&b']');
        let mut count = 0;
        let mut unexpected = false;
        while more {
            let end = if evaluated.has(count) {
                scan::value(bytes, at, depth + 1)?
            } else if TELL {
                unexpected |= !self.passes(id, at, depth + 1, None);
                scan::value(bytes, at, depth + 1)?
            } else {
                self.eval(id, at, depth + 1, None)?
            };
            count += 1;
            (at, more) = scan::next(bytes, end, b']')?;
        }
        if unexpected { self.fail(node, "unevaluatedItems") } else { Some(()) }
    }
}
