//! What lapin's parser can't take of a message's properties, found and cut out.
//!
//! The parser recurses into tables without a limit (a deep one overflows the stack), and takes a string that is not UTF-8
//! for the end of the connection. Both are a peer's to send, for RabbitMQ passes properties on unread. Here they are
//! walked without recursion, and what is at fault is left out, with a header that says so:
//! [`UNREADABLE`](crate::transport::UNREADABLE).

use std::fmt;

use super::super::convert::DEPTH;
use crate::transport::UNREADABLE;

/// A payload of this size fits into a frame of whatever size was negotiated: AMQP allows no limit below 4,096 bytes.
const ALWAYS_FITS: usize = 4_000;
/// What [`UNREADABLE`] is cut to, in bytes.
const NOTES: usize = 512;
/// Of a header's name in a note, in characters.
const NAME: usize = 60;
/// Class, weight and body size: what stands before a content header's properties.
pub(super) const PREFIX: usize = 12;

/// The properties in their order on the wire; the first has the highest bit of the flags.
const PROPERTIES: [(&str, Kind); 14] = [
    ("content_type", Kind::Short),
    ("content_encoding", Kind::Short),
    ("headers", Kind::Table),
    ("delivery_mode", Kind::Fixed(1)),
    ("priority", Kind::Fixed(1)),
    ("correlation_id", Kind::Short),
    ("reply_to", Kind::Short),
    ("expiration", Kind::Short),
    ("message_id", Kind::Short),
    ("timestamp", Kind::Fixed(8)),
    ("type", Kind::Short),
    ("user_id", Kind::Short),
    ("app_id", Kind::Short),
    ("cluster_id", Kind::Short),
];
const HEADERS: usize = 2;

/// Class and method of a message that the broker returns.
pub(super) const BASIC_RETURN: [u8; 4] = [0, 60, 0, 50];
const RETURN: [(&str, Kind); 4] = [
    ("reply code", Kind::Fixed(2)),
    ("reply text", Kind::Short),
    ("exchange", Kind::Short),
    ("routing key", Kind::Short),
];
const DELIVER: [(&str, Kind); 4] =
    [("consumer tag", Kind::Short), ("tag", Kind::Fixed(9)), ("exchange", Kind::Short), ("routing key", Kind::Short)];
const GET_OK: [(&str, Kind); 4] =
    [("tag", Kind::Fixed(9)), ("exchange", Kind::Short), ("routing key", Kind::Short), ("count", Kind::Fixed(4))];

#[derive(Clone, Copy)]
enum Kind {
    Short,
    Table,
    Fixed(usize),
}

/// Why something is left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    Deep,
    NotUtf8,
    Malformed,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Deep => write!(f, "is nested deeper than {DEPTH} levels"),
            Self::NotUtf8 => f.write_str("is not UTF-8"),
            Self::Malformed => f.write_str("is malformed"),
        }
    }
}

/// The payload of a content header frame as it may go on; `None` when it may as it is. `notes` tell what was wrong with
/// the frame before it.
pub(super) fn content_header(payload: &[u8], notes: Vec<String>) -> Option<Vec<u8>> {
    if (notes.is_empty() && check_properties(payload).is_ok()) || payload.len() < PREFIX {
        return None;
    }
    Some(repair(payload, notes))
}

/// Has a content header say that no body follows: how long the one is that does.
pub(super) fn take_body(header: &mut [u8]) -> u64 {
    match header.get_mut(4..PREFIX).and_then(|size| <&mut [u8; 8]>::try_from(size).ok()) {
        Some(size) => u64::from_be_bytes(std::mem::take(size)),
        None => 0,
    }
}

/// The payload that stands for a content header of `size` bytes, of which only the prefix was read.
pub(super) fn oversized(prefix: &[u8], size: u32, mut notes: Vec<String>) -> Vec<u8> {
    notes.push(format!("the properties are left out: they have {size} bytes"));
    let mut properties = Properties::default();
    properties.mark(&notes);
    properties.payload(prefix)
}

/// A method as it may go on.
pub(super) struct Method {
    pub(super) payload: Vec<u8>,
    /// What was wrong, for the content header that follows.
    pub(super) notes: Vec<String>,
}

/// As [`content_header`], for the methods that carry what a peer chose.
///
/// # Errors
/// What is wrong with a table of the broker's own.
pub(super) fn method(payload: &[u8]) -> Result<Option<Method>, Fault> {
    let layout = match payload.first_chunk() {
        Some([0, 10, 0, 10]) => {
            let mut rest = payload.get(6..).ok_or(Fault::Malformed)?;
            return check_table(&mut rest).map(|()| None);
        }
        Some(&BASIC_RETURN) => RETURN,
        Some([0, 60, 0, 60]) => DELIVER,
        Some([0, 60, 0, 71]) => GET_OK,
        _ => return Ok(None),
    };
    let (head, mut rest) = payload.split_at(4);
    let (mut repaired, mut notes) = (head.to_vec(), Vec::new());
    for (name, kind) in layout {
        match kind {
            Kind::Short => {
                let text = short(&mut rest)?;
                if let Err(fault) = utf8(text) {
                    notes.push(format!("the {name} {fault}"));
                }
                push_short(&mut repaired, &String::from_utf8_lossy(text));
            }
            Kind::Fixed(size) => repaired.extend_from_slice(take(&mut rest, size)?),
            Kind::Table => {}
        }
    }
    repaired.extend_from_slice(rest);
    Ok((!notes.is_empty()).then_some(Method { payload: repaired, notes }))
}

/// Whether lapin can take a content header.
fn check_properties(payload: &[u8]) -> Result<(), Fault> {
    let mut rest = payload;
    take(&mut rest, PREFIX)?;
    let flags = u16::from_be_bytes(*take_chunk(&mut rest)?);
    for (_, kind) in present(flags) {
        match kind {
            Kind::Short => utf8(short(&mut rest)?)?,
            Kind::Table => check_table(&mut rest)?,
            Kind::Fixed(size) => drop(take(&mut rest, size)?),
        }
    }
    if rest.is_empty() { Ok(()) } else { Err(Fault::Malformed) }
}

fn present(flags: u16) -> impl Iterator<Item = (usize, Kind)> {
    PROPERTIES
        .iter()
        .enumerate()
        .filter(move |(index, _)| flags & bit(*index) != 0)
        .map(|(index, (_, kind))| (index, *kind))
}

fn bit(index: usize) -> u16 {
    0x8000 >> index
}

fn repair(payload: &[u8], mut notes: Vec<String>) -> Vec<u8> {
    let (prefix, mut rest) = payload.split_at(PREFIX);
    let mut properties = Properties::default();
    if properties.read(&mut rest, &mut notes).is_err() || !rest.is_empty() {
        notes.push("the rest of the properties is malformed".to_owned());
    }
    properties.mark(&notes);
    let repaired = properties.payload(prefix);
    if repaired.len() <= payload.len().max(ALWAYS_FITS) {
        return repaired;
    }
    // The note made it larger than a frame may be.
    properties.table.clear();
    notes.push("the headers are left out".to_owned());
    properties.mark(&notes);
    properties.payload(prefix)
}

/// What is kept of a message's properties.
#[derive(Default)]
struct Properties {
    flags: u16,
    before_headers: Vec<u8>,
    table: Vec<u8>,
    after_headers: Vec<u8>,
}

impl Properties {
    /// Reads as far as it goes.
    fn read(&mut self, rest: &mut &[u8], notes: &mut Vec<String>) -> Result<(), Fault> {
        let flags = u16::from_be_bytes(*take_chunk(rest)?);
        for (index, kind) in present(flags) {
            let before = *rest;
            match kind {
                Kind::Short => {
                    if let Err(fault) = utf8(short(rest)?) {
                        notes.push(format!("the property `{}` {fault}", PROPERTIES[index].0));
                        continue;
                    }
                }
                Kind::Fixed(size) => drop(take(rest, size)?),
                Kind::Table => {
                    let size = length(rest)?;
                    let mut table = take(rest, size)?;
                    if self.read_table(&mut table, notes).is_err() {
                        notes.push("the rest of the headers is malformed".to_owned());
                    }
                    continue;
                }
            }
            let property = &before[..before.len() - rest.len()];
            let list = if index < HEADERS { &mut self.before_headers } else { &mut self.after_headers };
            list.extend_from_slice(property);
            self.flags |= bit(index);
        }
        Ok(())
    }

    fn read_table(&mut self, rest: &mut &[u8], notes: &mut Vec<String>) -> Result<(), Fault> {
        while !rest.is_empty() {
            let before = *rest;
            let name = short(rest)?;
            let value = step_over(rest)?;
            match utf8(name).and_then(|()| check_value(value)) {
                Ok(()) => self.table.extend_from_slice(&before[..before.len() - rest.len()]),
                Err(fault) => notes.push(format!("the header {} {fault}", shown(name))),
            }
        }
        Ok(())
    }

    /// Adds the header that says what was left out. The last of a name is the one that counts.
    fn mark(&mut self, notes: &[String]) {
        let mut text = notes.join("; ");
        let end = (0..=NOTES.min(text.len())).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
        text.truncate(end);
        push_short(&mut self.table, UNREADABLE);
        self.table.push(b'S');
        push_long(&mut self.table, text.as_bytes());
    }

    fn payload(&self, prefix: &[u8]) -> Vec<u8> {
        let mut payload = prefix.to_vec();
        payload.extend_from_slice(&(self.flags | bit(HEADERS)).to_be_bytes());
        payload.extend_from_slice(&self.before_headers);
        push_long(&mut payload, &self.table);
        payload.extend_from_slice(&self.after_headers);
        payload
    }
}

/// A header's name, cut, with what is not printable escaped.
fn shown(name: &[u8]) -> String {
    let name = String::from_utf8_lossy(name);
    format!("`{}`", name.chars().take(NAME).collect::<String>().escape_debug())
}

fn push_short(to: &mut Vec<u8>, text: &str) {
    let end = (0..=text.len().min(255)).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
    to.push(u8::try_from(end).unwrap_or(0));
    to.extend_from_slice(&text.as_bytes()[..end]);
}

fn push_long(to: &mut Vec<u8>, bytes: &[u8]) {
    // What is written here comes from one frame, whose size has 32 bits.
    to.extend_from_slice(&u32::try_from(bytes.len()).unwrap_or(0).to_be_bytes());
    to.extend_from_slice(bytes);
}

fn take<'a>(rest: &mut &'a [u8], size: usize) -> Result<&'a [u8], Fault> {
    let (taken, after) = rest.split_at_checked(size).ok_or(Fault::Malformed)?;
    *rest = after;
    Ok(taken)
}

fn take_chunk<'a, const N: usize>(rest: &mut &'a [u8]) -> Result<&'a [u8; N], Fault> {
    let (taken, after) = rest.split_first_chunk().ok_or(Fault::Malformed)?;
    *rest = after;
    Ok(taken)
}

fn length(rest: &mut &[u8]) -> Result<usize, Fault> {
    usize::try_from(u32::from_be_bytes(*take_chunk(rest)?)).map_err(|_| Fault::Malformed)
}

fn short<'a>(rest: &mut &'a [u8]) -> Result<&'a [u8], Fault> {
    let [size] = *take_chunk(rest)?;
    take(rest, usize::from(size))
}

fn utf8(text: &[u8]) -> Result<(), Fault> {
    std::str::from_utf8(text).map(drop).map_err(|_| Fault::NotUtf8)
}

fn check_table(rest: &mut &[u8]) -> Result<(), Fault> {
    let size = length(rest)?;
    let mut table = take(rest, size)?;
    while !table.is_empty() {
        utf8(short(&mut table)?)?;
        check_value(step_over(&mut table)?)?;
    }
    Ok(())
}

/// How many bytes a value has after its type, of those types that hold no others.
fn scalar(kind: u8, rest: &mut &[u8]) -> Result<usize, Fault> {
    Ok(match kind {
        b'V' => 0,
        b't' | b'b' | b'B' => 1,
        b's' | b'U' | b'u' => 2,
        b'I' | b'i' | b'f' => 4,
        b'D' => 5,
        b'L' | b'l' | b'd' | b'T' => 8,
        b'S' | b'x' => length(rest)?,
        _ => return Err(Fault::Malformed),
    })
}

/// The bytes of one value, not looked into.
fn step_over<'a>(rest: &mut &'a [u8]) -> Result<&'a [u8], Fault> {
    let before = *rest;
    let [kind] = *take_chunk(rest)?;
    let size = if matches!(kind, b'A' | b'F') { length(rest)? } else { scalar(kind, rest)? };
    take(rest, size)?;
    Ok(&before[..before.len() - rest.len()])
}

/// Whether lapin can take a value, with all that is in it. No recursion: the open tables and arrays are a list.
fn check_value(value: &[u8]) -> Result<(), Fault> {
    // What follows each open one in the one around it, and whether that is a table.
    let mut open: Vec<(&[u8], bool)> = Vec::new();
    let (mut rest, mut in_table) = (value, false);
    loop {
        if in_table {
            utf8(short(&mut rest)?)?;
        }
        let [kind] = *take_chunk(&mut rest)?;
        if matches!(kind, b'A' | b'F') {
            let size = length(&mut rest)?;
            let inner = take(&mut rest, size)?;
            if open.len() == DEPTH {
                return Err(Fault::Deep);
            }
            open.push((rest, in_table));
            (rest, in_table) = (inner, kind == b'F');
        } else {
            let size = scalar(kind, &mut rest)?;
            take(&mut rest, size)?;
        }
        while rest.is_empty() {
            let Some(outer) = open.pop() else { return Ok(()) };
            (rest, in_table) = outer;
        }
    }
}
