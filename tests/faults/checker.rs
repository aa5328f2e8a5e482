//! What became of each event of a test, after the checker of RabbitMQ's own Jepsen suite: an event that was confirmed and never
//! handled is **lost**, one that was handled and never sent is **unexpected**, one that was handled though its publisher was not
//! told so is **recovered**, and one that had more than one effect is **duplicated**.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    fs::File,
    io::Write,
    time::Duration,
};

/// An event's name: a key, and its number among all.
pub(crate) type Name = (u64, u64);

/// What was done to events, and what was seen of them.
#[derive(Clone, Debug, Default)]
pub(crate) struct History {
    /// Handed to the publisher, told of or not.
    pub(crate) sent: BTreeSet<Name>,
    /// Told to be safe: by a receipt, or by a commit.
    pub(crate) confirmed: BTreeSet<Name>,
    /// In the order of their effects, each as often as it had one.
    pub(crate) handled: Vec<Name>,
    /// How often an event reached a consumer.
    pub(crate) deliveries: usize,
}

/// What may be asked of a history, beyond what every one must hold.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Promise {
    /// Deliveries beyond the first of each event.
    pub(crate) extra: usize,
    /// Events of one key have their effects in the order of their numbers.
    pub(crate) order: bool,
    /// Effects beyond the first of each event: none where something deduplicates.
    pub(crate) repeated: usize,
}

/// A history in figures.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Verdict {
    pub(crate) sent: usize,
    pub(crate) confirmed: usize,
    pub(crate) handled: usize,
    pub(crate) lost: Vec<Name>,
    pub(crate) unexpected: Vec<Name>,
    pub(crate) recovered: usize,
    pub(crate) duplicated: usize,
    /// Deliveries beyond the first of each event.
    pub(crate) extra: usize,
    /// Events that had their effect after a later one of their key.
    pub(crate) overtaken: Vec<Name>,
}

impl History {
    pub(crate) fn verdict(&self) -> Verdict {
        let mut seen = BTreeSet::new();
        let mut last: BTreeMap<u64, u64> = BTreeMap::new();
        let (mut duplicated, mut overtaken) = (0, Vec::new());
        for &(key, number) in &self.handled {
            if !seen.insert((key, number)) {
                duplicated += 1;
            } else if last.insert(key, number).is_some_and(|before| before > number) {
                overtaken.push((key, number));
            }
        }
        Verdict {
            sent: self.sent.len(),
            confirmed: self.confirmed.len(),
            handled: seen.len(),
            lost: self.confirmed.difference(&seen).copied().collect(),
            unexpected: seen.difference(&self.sent).copied().collect(),
            recovered: seen.difference(&self.confirmed).count(),
            duplicated,
            extra: self.deliveries.saturating_sub(seen.len()),
            overtaken,
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} sent, {} confirmed, {} handled, {} lost, {} unexpected, {} recovered, {} duplicated, {} extra deliveries, {} overtaken",
            self.sent,
            self.confirmed,
            self.handled,
            self.lost.len(),
            self.unexpected.len(),
            self.recovered,
            self.duplicated,
            self.extra,
            self.overtaken.len()
        )
    }
}

/// Where to write a row of each fault for `docs/faults.md`.
const FIGURES: &str = "CELERYSALT_FAULT_FIGURES";

impl Verdict {
    /// Says what became of the fault `fault`, with `more` that was measured, and fails the test where a promise is broken.
    pub(crate) fn hold(&self, fault: &str, promise: Promise, took: Duration, more: &str) {
        let order = if promise.order { "kept" } else { "-" };
        tell(
            fault,
            &format!(
                "{} | {} | {} | {} | {} | {} | {} | {} of {} | {} | {:.1} s | {more}",
                self.sent,
                self.confirmed,
                self.handled,
                self.lost.len(),
                self.unexpected.len(),
                self.recovered,
                self.duplicated,
                self.extra,
                promise.extra,
                if promise.order && !self.overtaken.is_empty() { "broken" } else { order },
                took.as_secs_f64(),
            ),
        );
        self.check(fault, promise);
    }

    fn check(&self, fault: &str, promise: Promise) {
        let some = |names: &[Name]| names[..names.len().min(10)].to_vec();
        assert!(self.lost.is_empty(), "{fault}: lost {:?}: {self}", some(&self.lost));
        assert!(self.unexpected.is_empty(), "{fault}: unexpected {:?}: {self}", some(&self.unexpected));
        assert!(self.duplicated <= promise.repeated, "{fault}: more than one effect: {self}");
        assert!(self.extra <= promise.extra, "{fault}: more than {} extra deliveries: {self}", promise.extra);
        assert!(!promise.order || self.overtaken.is_empty(), "{fault}: overtaken {:?}: {self}", some(&self.overtaken));
    }
}

/// Prints a row of the table, and writes it where [`FIGURES`] says.
pub(crate) fn tell(fault: &str, columns: &str) {
    println!("fault: {fault} | {columns}");
    if let Ok(path) = std::env::var(FIGURES) {
        let mut file = File::options().create(true).append(true).open(path).unwrap();
        // In one piece: others write too.
        file.write_all(format!("| {fault} | {columns} |\n").as_bytes()).unwrap();
    }
}

#[test]
fn every_kind_of_fault_is_seen() {
    let names = |numbers: &[u64]| numbers.iter().map(|number| (0, *number)).collect::<Vec<Name>>();
    let history = |sent: &[u64], confirmed: &[u64], handled: &[u64]| History {
        sent: names(sent).into_iter().collect(),
        confirmed: names(confirmed).into_iter().collect(),
        handled: names(handled),
        deliveries: handled.len(),
    };
    let verdict = history(&[1, 2, 3], &[1, 2], &[1, 2, 3]).verdict();
    assert_eq!((verdict.recovered, verdict.extra), (1, 0));
    verdict.check("nothing", Promise { order: true, ..Promise::default() });
    let lost = history(&[1, 2, 3], &[1, 2], &[1, 3]).verdict();
    assert_eq!((lost.lost.clone(), lost.recovered), (names(&[2]), 1));
    let unexpected = history(&[1], &[1], &[1, 7]).verdict();
    assert_eq!(unexpected.unexpected, names(&[7]));
    let duplicated = history(&[1, 2], &[1, 2], &[1, 2, 1]).verdict();
    assert_eq!((duplicated.duplicated, duplicated.extra, duplicated.overtaken.len()), (1, 1, 0));
    let overtaken = history(&[1, 2], &[1, 2], &[2, 1]).verdict();
    assert_eq!(overtaken.overtaken, names(&[1]));
    for broken in [lost, unexpected, duplicated, overtaken] {
        let hold = || broken.check("broken", Promise { order: true, extra: 1, repeated: 0 });
        assert!(std::panic::catch_unwind(hold).is_err(), "{broken}");
    }
}
