//! Formats as pydantic reads them, held against pydantic itself: for each of its types, texts that it writes and what
//! becomes of them when letters are changed, put in or left out.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests fail by panicking")]
#![allow(missing_docs, reason = "the names of the tests say it")]

#[path = "../../contract/tests/generator/mod.rs"]
mod generator;

use std::{
    collections::BTreeSet,
    io::Write,
    process::{Command, Stdio},
};

use celerysalt_contract::{
    Exact, Formats, Validator,
    compare::{Options, Verdict, contains},
};
use celerysalt_tests::python::{python, scripts};
use serde_json::{Value, json};

/// Each type of pydantic's with texts that it reads, or nearly.
const TYPES: [(&str, &[&str]); 19] = [
    (
        "datetime",
        &[
            "2024-05-01T12:30:00Z",
            "2024-05-01T12:30:00.123456+02:00",
            "2024-05-01 12:30",
            "2024-05-01t12:30:00z",
            "2024-05-01_12:30:00-0530",
            "2024-02-30T00:00:00Z",
            "2023-02-29T00:00:00",
            "2024-02-29",
            "0000-01-01T00:00:00",
            "0001-01-01T00:00:00",
            "9999-12-31T23:59:59.999999",
            "2024-05-01T24:00:00",
            "2024-05-01T12:60:00",
            "2024-05-01T12:30:60Z",
            "1714566600",
            "1714566600.5",
            "-1",
            "1e3",
            "2024-05-01T12:30:00.1234567",
            "2024-05-01T12:30:00+24:00",
            "2024-05-01T12:30:00+23:59",
            "2024-05-01T12:30:00 Z",
            "2024-5-1T12:30:00",
            "now",
            "20240501T123000Z",
            "2024-05-01T12",
            "2024-05-01T12:30:00,5",
            "infinity",
            "99999999999999",
            "",
        ],
    ),
    (
        "date",
        &[
            "2024-05-01",
            "2024-02-30",
            "0001-01-01",
            "0000-01-01",
            "2024-05-01T00:00:00",
            "2024-05-01T00:00:00Z",
            "2024-05-01T00:00:01",
            "1714521600",
            "1714521601",
            "2024-13-01",
            "2024-5-1",
            "20240501",
            " 2024-05-01",
            "",
        ],
    ),
    (
        "time",
        &[
            "12:30:00",
            "12:30",
            "12:30:00.5Z",
            "12:30:00+01:00",
            "24:00",
            "23:59:60",
            "12:30:00.1234567",
            "3600",
            "3600.5",
            "86400",
            "12",
            "1:30",
            "12:30:00 Z",
            "",
        ],
    ),
    (
        "timedelta",
        &[
            "PT1H",
            "P1DT2H",
            "-P1D",
            "+P1D",
            "P1W",
            "P1Y",
            "PT0.5S",
            "PT1H30M",
            "P1",
            "P",
            "PT",
            "1 day, 12:30:00",
            "3 days",
            "12:30:00",
            "12:30",
            "-12:30:00",
            "3600",
            "1.5",
            "P999999999D",
            "P1000000000D",
            "1d",
            "P1DT",
            "pt1h",
            "",
        ],
    ),
    (
        "UUID",
        &[
            "3fa85f64-5717-4562-b3fc-2c963f66afa6",
            "3FA85F64-5717-4562-B3FC-2C963F66AFA6",
            "3fa85f6457174562b3fc2c963f66afa6",
            "urn:uuid:3fa85f64-5717-4562-b3fc-2c963f66afa6",
            "{3fa85f64-5717-4562-b3fc-2c963f66afa6}",
            "3fa85f64-57174562-b3fc-2c963f66afa6",
            "zz",
            "",
        ],
    ),
    ("UUID1", &["ce1e2b20-1f6a-11ef-9d2b-0242ac120002", "3fa85f64-5717-4562-b3fc-2c963f66afa6"]),
    ("UUID3", &["6fa459ea-ee8a-3ca4-894e-db77e160355e", "3fa85f64-5717-4562-b3fc-2c963f66afa6"]),
    (
        "UUID4",
        &[
            "3fa85f64-5717-4562-b3fc-2c963f66afa6",
            "6fa459ea-ee8a-3ca4-894e-db77e160355e",
            "3fa85f64-5717-4562-03fc-2c963f66afa6",
        ],
    ),
    ("UUID5", &["886313e1-3b8a-5372-9b90-0c9aee199e5d", "3fa85f64-5717-4562-b3fc-2c963f66afa6"]),
    (
        "IPv4Address",
        &["10.0.0.1", "255.255.255.255", "256.0.0.1", "010.0.0.1", "10.0.0", "10.0.0.1/24", "10.0.0.1 ", ""],
    ),
    (
        "IPv4Network",
        &[
            "10.0.0.0/24",
            "10.0.0.1/24",
            "10.0.0.1",
            "10.0.0.0/33",
            "10.0.0.0/255.255.255.0",
            "10.0.0.0/0.0.0.255",
            "10.0.0.0/255.0.255.0",
            "0.0.0.0/0",
            "10.0.0.0/",
            "10.0.0.0/024",
            "10.0.0.0/24/8",
        ],
    ),
    ("IPv4Interface", &["10.0.0.1/24", "10.0.0.1", "10.0.0.1/33", "10.0.0.1/255.255.255.0", "10.0.0.1/x"]),
    (
        "IPv6Address",
        &[
            "::1",
            "fe80::1%eth0",
            "2001:db8::",
            "::ffff:10.0.0.1",
            "1:2:3:4:5:6:7:8",
            "1:2:3:4:5:6:7:8:9",
            ":::",
            "fe80::1%",
            "::1/64",
            "12345::",
            "::1%a%b",
        ],
    ),
    ("IPv6Network", &["2001:db8::/32", "2001:db8::1/32", "::/0", "::/129", "::1", "2001:db8::/ffff::"]),
    ("IPv6Interface", &["2001:db8::1/32", "::1", "::1/129"]),
    ("IPvAnyAddress", &["10.0.0.1", "::1", "x", "10.0.0.1/8"]),
    ("IPvAnyNetwork", &["10.0.0.0/8", "::/0", "10.0.0.1/8", "x"]),
    ("IPvAnyInterface", &["10.0.0.1/8", "::1/64", "x"]),
    (
        "AnyUrl",
        &[
            "https://a.b/c?q=1#f",
            "http://x",
            "urn:a:b",
            "mailto:a@b",
            "ftp://x",
            "not a url",
            "x",
            "http://",
            "http:///a",
            "https://user:pass@host:8080/p",
            "http://host:99999/",
            "http://host:80a/",
            "http://[::1]:80/",
            "http://[::1",
            "http://a b/",
            "http://1.2.3.4/",
            "http://1.2.3.256/",
            "http://1.2.3.4.5/",
            "http://0x7f.1/",
            "http://a_b.c/",
            "http:a",
            "file:///etc/hosts",
            "redis://localhost:6379/0",
            "postgres://u:p@h/db",
            "x://y",
            "x://",
            "x:///y",
            "1x://y",
            "http://a%20b/",
            "http://a%2fb/",
            "http://a<b/",
            "data:,",
            " http://x ",
            "http://x\ty",
            "HTTP://X",
            "http://host:/",
            "x://a b",
            "http://@/",
            "http://a@",
            "x://a@",
            "x://:80",
            "x://@:80",
            "x://a:b@",
            "",
        ],
    ),
];

/// Numbers that look like chance and are always the same.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % sides
    }
}

/// The texts, and each with one or two letters changed, put in or left out.
fn near(texts: &[&str], letters: &str, dice: &mut Dice) -> Vec<String> {
    let letters: Vec<char> = letters.chars().collect();
    let mut all: BTreeSet<String> = texts.iter().map(|text| (*text).to_owned()).collect();
    for text in texts {
        for _ in 0..60 {
            let mut changed: Vec<char> = text.chars().collect();
            for _ in 0..=dice.roll(2) {
                let letter = letters[dice.roll(letters.len())];
                let at = dice.roll(changed.len() + 1);
                match dice.roll(3) {
                    0 => changed.insert(at, letter),
                    1 if at < changed.len() => changed[at] = letter,
                    _ if at < changed.len() => drop(changed.remove(at)),
                    _ => {}
                }
            }
            all.insert(changed.into_iter().collect());
        }
    }
    all.into_iter().collect()
}

/// Asks pydantic which of the texts each type reads, and holds our own ways against it; says how many texts it were.
fn held_against_pydantic(asked: &[(&str, Vec<String>)]) -> usize {
    let mut child = Command::new(python())
        .arg(scripts().join("formats_check.py"))
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    let lines: String =
        asked.iter().map(|(name, texts)| json!({"type": name, "texts": texts}).to_string() + "\n").collect();
    let writer = std::thread::spawn(move || input.write_all(lines.as_bytes()));
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert_eq!(said.lines().count(), asked.len(), "{}", output.status);
    let (mut differ, mut total) = (Vec::new(), 0);
    for (line, (name, texts)) in said.lines().zip(asked) {
        let said: Value = serde_json::from_str(line).unwrap();
        let (exact, library) = (Exact::new(&said["schema"]).unwrap(), Validator::new(&said["schema"]).unwrap());
        let verdicts = said["verdicts"].as_array().unwrap();
        let read = verdicts.iter().filter(|verdict| verdict.as_bool().unwrap()).count();
        assert!(read > 0 && read < verdicts.len(), "{name}: {read} of {} texts are read", verdicts.len());
        for (text, verdict) in texts.iter().zip(verdicts) {
            let value = Value::from(text.as_str());
            let ours = exact.accepts(value.to_string().as_bytes());
            assert_eq!(ours, library.is_valid(&value), "{name}: {text:?} by both of our own ways");
            total += 1;
            if ours != verdict.as_bool().unwrap() {
                differ.push(format!("{name} under {}: {text:?}: pydantic says {verdict}", said["schema"]));
            }
        }
    }
    eprintln!("{total} texts of {} types, {} differ", asked.len(), differ.len());
    assert!(differ.is_empty(), "{} of {total}:\n{}", differ.len(), differ.join("\n"));
    total
}

#[test]
fn formats_are_read_as_pydantic_reads_them() {
    let mut dice = Dice(20_261_127);
    let asked: Vec<(&str, Vec<String>)> = TYPES
        .iter()
        .map(|(name, texts)| {
            let letters = if *name == "AnyUrl" { "a0.:/@[]?#% -_\\ZÉ" } else { "0123456789TZP:-+. fD/" };
            (*name, near(texts, letters, &mut dice))
        })
        .collect();
    assert!(held_against_pydantic(&asked) > 9_000);
}

/// The texts inside a value, names among them.
fn texts(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::String(text) => drop(found.insert(text.clone())),
        Value::Array(items) => items.iter().for_each(|item| texts(item, found)),
        Value::Object(members) => {
            found.extend(members.keys().cloned());
            members.values().for_each(|member| texts(member, found));
        }
        _ => {}
    }
}

/// The suites of the comparison confirm what it says by the validator, which reads pydantic's formats in our own way: here
/// are the same random pairs, and pydantic itself is asked about every text that tells schemas apart. (`EmailStr` asks a
/// package that is not among the pinned ones, and `Json` reads more than JSON: these two stay with the validator alone.)
#[test]
fn texts_that_tell_schemas_apart_are_read_as_pydantic_reads_them() {
    let mut found: BTreeSet<String> =
        generator::FORMATTED.iter().chain(&generator::TEXTS).map(|&text| text.to_owned()).collect();
    let few = found.len();
    for seed in generator::seeds(generator::pairs(2_000)) {
        let (old, new, _) = generator::pair(seed);
        let pydantic = [&old, &new].into_iter().any(|schema| Formats::of(schema) == Formats::Pydantic);
        if !pydantic || [&old, &new].into_iter().any(|schema| Validator::new(schema).is_err()) {
            continue;
        }
        if let Verdict::Breaking { witness, .. } = contains(&old, &new, &Options::default()) {
            texts(witness.value(), &mut found);
        }
    }
    assert!(found.len() > few + 10, "witnesses have {} texts that are not the generator's", found.len() - few);
    // Each type's own beside them: all have some that they read.
    let asked: Vec<(&str, Vec<String>)> = TYPES
        .iter()
        .map(|(name, own)| (*name, found.iter().cloned().chain(own.iter().map(|&text| text.to_owned())).collect()))
        .collect();
    held_against_pydantic(&asked);
}
