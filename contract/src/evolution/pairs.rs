//! Which versions must agree, and whether they do: each pair of one major, each schema of it, in each direction.

use std::{
    collections::BTreeMap,
    num::NonZero,
    sync::atomic::{AtomicUsize, Ordering},
    thread,
};

use serde_json::Value;

use super::{
    Change, Level, Options, Part, Policy, Release, Versions, change, rules,
    suggest::{self, Wanted},
};
use crate::{
    Formats, Version,
    compare::{Comparable, Family, Finding, SCHEMA_UNUSABLE, UNDECIDED, Verdict, Witness},
};

/// Two versions of one major.
#[derive(Clone, Copy)]
pub(super) struct Pair<'a> {
    earlier: &'a Release,
    later: &'a Release,
}

/// Who moved first: whose messages are read by whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Direction {
    /// The later version reads what the earlier one wrote.
    LaterReads,
    /// The earlier version reads what the later one wrote.
    EarlierReads,
}

/// Every later version against every earlier one of its major, without those that were settled when both were released.
pub(super) fn of_topic<'a>(all: &Versions<'a>, settled: &[&Version]) -> Vec<Pair<'a>> {
    let versions: Vec<&'a Release> = all.values().copied().collect();
    let mut pairs = Vec::new();
    for (at, later) in versions.iter().enumerate() {
        for earlier in versions.iter().take(at) {
            let is_settled = |release: &Release| settled.contains(&release.version());
            let same_major = earlier.version().major() == later.version().major();
            if same_major && !(is_settled(earlier) && is_settled(later)) {
                pairs.push(Pair { earlier, later });
            }
        }
    }
    pairs
}

/// Compares pairs on all processors.
pub(super) fn compare_all(pairs: &[Pair<'_>], options: &Options) -> Vec<Change> {
    let workers = thread::available_parallelism().map_or(1, NonZero::get).min(pairs.len().div_ceil(8)).max(1);
    let next = AtomicUsize::new(0);
    // What one topic's versions have in common is looked at once.
    let topics: Vec<&[Pair<'_>]> = pairs.chunk_by(|a, b| a.later.topic() == b.later.topic()).collect();
    let work = || {
        let mut found = Vec::new();
        while let Some(pairs) = topics.get(next.fetch_add(1, Ordering::Relaxed)) {
            let mut families = Families::new(pairs, options);
            found.extend(pairs.iter().flat_map(|pair| compare(*pair, &mut families, options)));
        }
        found
    };
    let mut changes = Vec::new();
    thread::scope(|scope| {
        let others: Vec<_> = (1..workers).map(|_| scope.spawn(work)).collect();
        changes = work();
        for other in others {
            match other.join() {
                Ok(found) => changes.extend(found),
                // What a thread was at is lost with it: that must not pass for "compatible".
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
    });
    fold(changes)
}

/// The versions of one topic, each schema taken apart once.
struct Families<'a> {
    releases: Vec<&'a Release>,
    parts: BTreeMap<Part, Option<Family<'a>>>,
}

impl<'a> Families<'a> {
    /// More versions than these are compared two by two: what is kept of each takes memory.
    const MOST: usize = 12;

    fn new(pairs: &[Pair<'a>], options: &Options) -> Self {
        let mut releases: Vec<&'a Release> = Vec::new();
        for release in pairs.iter().flat_map(|pair| [pair.earlier, pair.later]) {
            if !releases.iter().any(|known| std::ptr::eq(*known, release)) {
                releases.push(release);
            }
        }
        let family = |part: Part| {
            let ready = |release: &&'a Release| release.comparable(part).and_then(|ready| ready.as_ref().ok());
            let members: Vec<_> = releases.iter().map(ready).collect::<Option<_>>()?;
            if members.len() > Self::MOST { None } else { Family::new(members, &options.of_pair()) }
        };
        let parts = Part::ALL.into_iter().map(|part| (part, family(part))).collect();
        Self { releases, parts }
    }

    /// None where the pair has to be compared on its own.
    fn verdict(&mut self, writer: &Release, reader: &Release, part: Part) -> Option<Verdict> {
        let place = |release: &Release| self.releases.iter().position(|known| std::ptr::eq(*known, release));
        let (writer, reader) = (place(writer)?, place(reader)?);
        self.parts.get_mut(&part)?.as_mut()?.is_within(writer, reader)
    }
}

/// The same finding against several earlier versions is one, which names them all.
fn fold(changes: Vec<Change>) -> Vec<Change> {
    let mut folded: BTreeMap<(String, Version, &str, String, String), Change> = BTreeMap::new();
    let mut changes = changes;
    changes.sort_by(|a, b| a.against.cmp(&b.against));
    for change in changes {
        let key = (
            change.topic.to_string(),
            change.version.clone(),
            change.rule,
            format!("{:?}{}", change.place.part, change.place.pointer),
            change.message.clone(),
        );
        match folded.get_mut(&key) {
            Some(known) => known.against.extend(change.against),
            None => {
                folded.insert(key, change);
            }
        }
    }
    folded
        .into_values()
        .map(|mut change| {
            let against: Vec<String> = change.against.iter().map(ToString::to_string).collect();
            change.message = change.message.replace(AGAINST, &against.join(", "));
            change
        })
        .collect()
}

/// Stands in a message for the earlier versions, until they are all known.
const AGAINST: &str = "\u{0}against";

fn compare(pair: Pair<'_>, families: &mut Families<'_>, options: &Options) -> Vec<Change> {
    let policy = pair.later.policy();
    if policy == Policy::None { Vec::new() } else { compare_under(policy, pair, families, options) }
}

/// What a step from one version to another surprises anybody with, whatever their majors and policies say may be.
pub(super) fn step(earlier: &Release, later: &Release, options: &Options) -> Vec<Change> {
    let pair = Pair { earlier, later };
    fold(compare_under(Policy::Full, pair, &mut Families::new(&[pair], options), options))
}

fn compare_under(policy: Policy, pair: Pair<'_>, families: &mut Families<'_>, options: &Options) -> Vec<Change> {
    let Pair { earlier, later } = pair;
    if earlier.mode() != later.mode() {
        let message = format!("{} is {}, and {AGAINST} is {}", later.version(), later.mode(), earlier.mode());
        let mut change = Change::new("MODE_CHANGED", later, later.place(Part::Payload, ""), message);
        change.against = vec![earlier.version().clone()];
        change.other = Some(earlier.place(Part::Payload, ""));
        return vec![change];
    }
    let mut changes = Vec::new();
    if earlier.exchange() != later.exchange() {
        let name = |exchange: Option<&str>| exchange.map_or("the default exchange".to_owned(), |at| format!("`{at}`"));
        let message = format!(
            "{} goes to {}, and readers of {AGAINST} listen at {}",
            later.version(),
            name(later.exchange()),
            name(earlier.exchange()),
        );
        let setting = "/x-celerysalt/exchange";
        let place = |release: &Release| {
            release.place(Part::Payload, if release.has(Part::Payload, setting) { setting } else { "" })
        };
        let mut change = Change::new("EXCHANGE_CHANGED", later, place(later), message);
        change.against = vec![earlier.version().clone()];
        change.other = Some(place(earlier));
        changes.push(change);
    }
    for part in Part::ALL {
        for direction in directions(part, policy) {
            changes.extend(one(pair, part, direction, families, options));
        }
        changes.extend(notes(pair, part, options));
    }
    changes
}

/// A request is read by the side that the policy speaks of, an answer by the other one.
fn directions(part: Part, policy: Policy) -> Vec<Direction> {
    let (mut later, mut earlier) = (policy.backward(), policy.forward());
    if part != Part::Payload {
        (later, earlier) = (earlier, later);
    }
    [(later, Direction::LaterReads), (earlier, Direction::EarlierReads)]
        .into_iter()
        .filter_map(|(is, direction)| is.then_some(direction))
        .collect()
}

fn one(
    pair: Pair<'_>,
    part: Part,
    direction: Direction,
    families: &mut Families<'_>,
    options: &Options,
) -> Vec<Change> {
    let (writer, reader) = match direction {
        Direction::LaterReads => (pair.earlier, pair.later),
        Direction::EarlierReads => (pair.later, pair.earlier),
    };
    let known = families.verdict(writer, reader, part);
    let mut changes = match known.unwrap_or_else(|| verdict(writer, reader, part, options)) {
        Verdict::Compatible => Vec::new(),
        Verdict::Breaking { witness, findings } => {
            let whole = [Finding::whole()];
            // One example shows one fault: all of them are told at once.
            let mut further = match (writer.comparable(part), reader.comparable(part)) {
                (Some(Ok(writer)), Some(Ok(reader))) => writer.further(reader, &findings, &options.of_pair()),
                _ => Vec::new(),
            };
            further.insert(0, (witness, if findings.is_empty() { whole.to_vec() } else { findings }));
            let each = further.iter().flat_map(|(witness, findings)| findings.iter().map(move |one| (witness, one)));
            each.map(|(witness, finding)| breaking(pair, part, direction, finding, witness)).collect()
        }
        Verdict::Unknown { rule, reason } => {
            let message = format!(
                "{} and {AGAINST} could not be compared ({}): {reason}",
                pair.later.version(),
                said(part, direction)
            );
            vec![Change::new(rule, pair.later, pair.later.place(part, ""), message)]
        }
    };
    for change in &mut changes {
        change.against = vec![pair.earlier.version().clone()];
    }
    changes
}

/// What no contract has, nobody sends.
fn verdict(writer: &Release, reader: &Release, part: Part, options: &Options) -> Verdict {
    let never;
    let ready = |side: &str, schema: &Result<Comparable, _>| match schema {
        Ok(_) => None,
        Err(error) => Some(Verdict::Unknown {
            rule: SCHEMA_UNUSABLE,
            reason: format!("the {side}'s schema can't be used: {error}"),
        }),
    };
    let (written, read) = match (writer.comparable(part), reader.comparable(part)) {
        (None, _) => return Verdict::Compatible,
        (Some(written), Some(read)) => (written, read),
        (Some(written), None) => {
            never = Comparable::new(&Value::Bool(false));
            (written, &never)
        }
    };
    match (written, read) {
        (Ok(written), Ok(read)) => written.is_within(read, &options.of_pair()),
        _ => ready("writer", written)
            .or_else(|| ready("reader", read))
            .unwrap_or(Verdict::Unknown { rule: UNDECIDED, reason: "the schemas can't be used".to_owned() }),
    }
}

/// The properties that the reader requires and the witness lacks, where that is the fault.
fn missing(pair: Pair<'_>, part: Part, direction: Direction, finding: &Finding, witness: &Witness) -> Option<String> {
    let reader = match direction {
        Direction::LaterReads => pair.later,
        Direction::EarlierReads => pair.earlier,
    };
    let required = reader.schema(part)?.pointer(&finding.pointer_new).filter(|_| finding.rule == "REQ_ADDED")?;
    let sent = witness.value().pointer(&finding.instance)?;
    let names = required.as_array()?.iter().filter_map(Value::as_str).filter(|name| sent.get(name).is_none());
    let names: Vec<String> = names.map(|name| format!("`{name}`")).collect();
    (!names.is_empty()).then(|| names.join(", "))
}

fn breaking(pair: Pair<'_>, part: Part, direction: Direction, finding: &Finding, witness: &Witness) -> Change {
    let (earlier, later, reader, writer) = match direction {
        Direction::LaterReads => {
            (&finding.pointer_old, &finding.pointer_new, pair.later.version().to_string(), AGAINST.to_owned())
        }
        Direction::EarlierReads => {
            (&finding.pointer_new, &finding.pointer_old, AGAINST.to_owned(), pair.later.version().to_string())
        }
    };
    let is_missing = |release: &Release| release.schema(part).is_none();
    let rule = match part {
        Part::Error if is_missing(pair.earlier) => "ERROR_ADDED",
        Part::Error if is_missing(pair.later) => "ERROR_DELETED",
        _ => finding.rule,
    };
    let at = if finding.instance.is_empty() { String::new() } else { format!(" at {}", finding.instance) };
    let known = rules::find(rule);
    let what = match missing(pair, part, direction, finding, witness) {
        Some(names) => format!("the reader requires {names}"),
        None => known.map_or("the reader's schema is narrower", |rule| rule.what).to_owned(),
    };
    let (writers, readers) = people(part);
    let message = format!("{readers} of {reader} refuse what {writers} of {writer} may send{at}: {what}");
    // A part that is not there has no place of its own.
    let place = |release: &Release, pointer: &str| {
        if is_missing(release) { release.place(Part::Payload, "") } else { release.place(part, pointer) }
    };
    let mut change = Change::new(rule, pair.later, place(pair.later, later), message);
    change.other = Some(place(pair.earlier, earlier));
    change.witness = Some(witness.clone());
    change.mend = known.map_or_else(String::new, |rule| rule.mend(direction == Direction::LaterReads));
    change
}

fn people(part: Part) -> (&'static str, &'static str) {
    match part {
        Part::Payload => ("writers", "readers"),
        Part::Response | Part::Error => ("servers", "callers"),
    }
}

fn said(part: Part, direction: Direction) -> &'static str {
    match (part, direction) {
        (Part::Payload, Direction::LaterReads) => "may a later reader read an earlier writer",
        (Part::Payload, Direction::EarlierReads) => "may an earlier reader read a later writer",
        (_, Direction::LaterReads) => "may a later caller read an earlier server's answer",
        (_, Direction::EarlierReads) => "may an earlier caller read a later server's answer",
    }
}

/// What is fine as long as writers write what they declare, and what no schema decides.
fn notes(pair: Pair<'_>, part: Part, options: &Options) -> Vec<Change> {
    let (Some(Ok(earlier)), Some(Ok(later))) = (pair.earlier.comparable(part), pair.later.comparable(part)) else {
        return Vec::new();
    };
    let mut changes = Vec::new();
    let mut note = |rule: &'static str, pointer: &str, other: &str, message: String| {
        let mut change = Change::new(rule, pair.later, pair.later.place(part, pointer), message);
        change.level = Level::Note;
        change.against = vec![pair.earlier.version().clone()];
        change.other = Some(pair.earlier.place(part, other));
        changes.push(change);
    };
    if earlier.draft() != later.draft() {
        let message = format!("{} is {}, and {AGAINST} is {}", pair.later.version(), later.draft(), earlier.draft());
        let has = |release: &Release| if release.has(part, "/$schema") { "/$schema" } else { "" };
        note("DRAFT_CHANGED", has(pair.later), has(pair.earlier), message);
    }
    let (Some(old), Some(new)) = (pair.earlier.schema(part), pair.later.schema(part)) else { return changes };
    let mut queue = vec![(String::new(), old, new)];
    while let Some((pointer, was, is)) = queue.pop() {
        for (keyword, rule) in
            [("format", "STR_FORMAT"), ("contentEncoding", "STR_CONTENT"), ("contentMediaType", "STR_CONTENT")]
        {
            // A format that is asserted was compared.
            let decides = keyword == "format"
                && (Formats::of(old).refuses(earlier.draft(), was) || Formats::of(new).refuses(later.draft(), is));
            if was.get(keyword) != is.get(keyword) && !decides {
                let text = |value: Option<&Value>| value.map_or("none".to_owned(), ToString::to_string);
                let message =
                    format!("`{keyword}` changed from {} to {}", text(was.get(keyword)), text(is.get(keyword)));
                let at = |schema: &Value| {
                    if schema.get(keyword).is_some() { format!("{pointer}/{keyword}") } else { pointer.clone() }
                };
                note(rule, &at(is), &at(was), message);
            }
        }
        let declares =
            |schema: &Value, name: &str| schema.pointer("/properties").is_some_and(|all| all.get(name).is_some());
        let open = |schema: &Value| schema.get("additionalProperties").is_none_or(|rest| rest == &Value::Bool(true));
        if let Some(properties) =
            is.get("properties").and_then(Value::as_object).filter(|_| !options.open_writers && open(was))
        {
            for name in properties.keys().filter(|name| was.get("properties").is_some() && !declares(was, name)) {
                let at = format!("{pointer}/properties/{}", crate::source::escape(name));
                let message = format!(
                    "`{name}` is new; writers of {AGAINST} do not send anything of that name, unless they are open"
                );
                note("PROP_ADDED_OPEN_LENIENT", &at, &pointer, message);
            }
        }
        crate::for_each_subschema(is, later.draft(), &mut |place, inner| {
            if let Some(before) = place.get(was) {
                queue.push((place.below(&pointer), before, inner));
            }
        });
    }
    changes
}

/// A released version that means something else now, with what the change would have broken.
pub(super) fn edited(
    released: &Release,
    now: &Release,
    old: &Versions<'_>,
    new: &Versions<'_>,
    options: &Options,
) -> Vec<Change> {
    let wanted = suggest::between(released, now, options);
    let known: Vec<&Version> = old.keys().chain(new.keys()).collect();
    let next = suggest::next(now.version(), wanted, &known);
    let why = match wanted {
        Wanted::Major => "it breaks those who rely on it",
        Wanted::Undecided => "whether it breaks those who rely on it could not be decided",
        Wanted::None | Wanted::Minor => "it breaks nobody there",
    };
    let mut changes = vec![change::version_edited(released, now, why, &next.to_string())];
    let pair = Pair { earlier: released, later: now };
    let mut families = Families::new(&[pair], options);
    if released.mode() == now.mode() {
        for part in Part::ALL {
            for direction in directions(part, now.policy()) {
                changes.extend(one(pair, part, direction, &mut families, options).into_iter().map(|mut change| {
                    change.message = change.message.replace(AGAINST, &format!("{} as released", released.version()));
                    change
                }));
            }
        }
    }
    changes.extend(change::side_notes(released, now).into_iter().filter(|note| note.rule != "ANNOTATIONS_CHANGED"));
    changes
}

/// Whether two versions agree under the policy of the later one: breaking, undecided, or neither.
pub(super) fn agree(earlier: &Release, later: &Release, options: &Options) -> Option<Level> {
    // What was undone by `none` is compared all the same: the question is what the change is, not whether it may be.
    let policy = if later.policy() == Policy::None { Policy::Full } else { later.policy() };
    if earlier.mode() != later.mode() || earlier.exchange() != later.exchange() {
        return Some(Level::Error);
    }
    let mut worst = None;
    for part in Part::ALL {
        for direction in directions(part, policy) {
            let (writer, reader) = match direction {
                Direction::LaterReads => (earlier, later),
                Direction::EarlierReads => (later, earlier),
            };
            match verdict(writer, reader, part, options) {
                Verdict::Compatible => {}
                Verdict::Breaking { .. } => return Some(Level::Error),
                Verdict::Unknown { .. } => worst = Some(Level::Undecided),
            }
        }
    }
    worst
}
