//! The frames that the broker sends, followed from byte to byte. Those that carry what a peer chose, other than bodies,
//! are held until they are whole, and go on as [`repair`] lets them; all others pass as they come. The bodies of messages that
//! the broker returns do not: nobody needs them, and lapin would log them.

use std::{collections::BTreeMap, io};

use super::repair;

const METHOD: u8 = 1;
pub(super) const CONTENT_HEADER: u8 = 2;
const BODY: u8 = 3;
const HEARTBEAT: u8 = 8;
pub(super) const END: u8 = 0xce;
/// Type, channel and size.
pub(super) const FRAME_HEADER: usize = 7;
/// The largest payload that is held. RabbitMQ's frames have 128 KiB unless told otherwise.
const LARGEST_HELD: u32 = 1024 * 1024;
/// How much is read at a time, about.
const READ: usize = 128 * 1024;

/// What was read from the broker: first what may go on, then what is not known to yet.
#[derive(Debug)]
pub(super) struct Frames {
    buffer: Vec<u8>,
    /// `buffer[start..checked]` may go on.
    start: usize,
    checked: usize,
    /// `buffer[checked..end]` was read and not looked at, or is part of a frame that is not whole.
    end: usize,
    /// How much of what comes passes unseen: the rest of a frame.
    pass: u64,
    /// How much of what comes is dropped.
    drop: u64,
    /// What was wrong with a method whose content header has not come yet, by channel.
    notes: BTreeMap<u16, Vec<String>>,
    /// The channels on which a message is coming back that was returned, and how much of its body is still to come.
    returned: BTreeMap<u16, Option<u64>>,
}

impl Frames {
    pub(super) fn new() -> Self {
        Self {
            buffer: vec![0; READ],
            start: 0,
            checked: 0,
            end: 0,
            pass: 0,
            drop: 0,
            notes: BTreeMap::new(),
            returned: BTreeMap::new(),
        }
    }

    /// What may go on.
    pub(super) fn ready(&self) -> &[u8] {
        &self.buffer[self.start..self.checked]
    }

    /// The first `count` bytes of what is ready have gone on.
    pub(super) fn gone(&mut self, count: usize) {
        self.start = self.checked.min(self.start + count);
    }

    /// Where to read to; never empty. Nothing may be ready.
    pub(super) fn space(&mut self) -> &mut [u8] {
        if self.start == self.checked && self.start > 0 {
            self.buffer.copy_within(self.checked..self.end, 0);
            self.end -= self.checked;
            (self.start, self.checked) = (0, 0);
        }
        // A frame that is held may fill the buffer; it is not asked for by its own word, but as it comes.
        if self.buffer.len() - self.end < READ / 8 {
            self.buffer.resize(self.end + READ, 0);
        }
        &mut self.buffer[self.end..]
    }

    /// `count` bytes were read to the front of [`Frames::space`].
    ///
    /// # Errors
    /// When the broker introduces itself in a way that lapin can't be given.
    pub(super) fn filled(&mut self, count: usize) -> io::Result<()> {
        self.end = self.buffer.len().min(self.end + count);
        while self.step()? {}
        Ok(())
    }

    /// One frame, or part of one; false when more has to come first.
    fn step(&mut self) -> io::Result<bool> {
        let unseen = self.end - self.checked;
        if self.pass > 0 {
            let count = unseen.min(usize::try_from(self.pass).unwrap_or(usize::MAX));
            self.checked += count;
            self.pass -= count as u64;
            return Ok(count > 0);
        }
        if self.drop > 0 {
            let count = unseen.min(usize::try_from(self.drop).unwrap_or(usize::MAX));
            self.replace(count, &[]);
            self.drop -= count as u64;
            return Ok(count > 0);
        }
        let bytes = &self.buffer[self.checked..self.end];
        let Some((&[kind, c1, c0, s3, s2, s1, s0], rest)) = bytes.split_first_chunk::<FRAME_HEADER>() else {
            return Ok(false);
        };
        let (channel, size) = (u16::from_be_bytes([c1, c0]), u32::from_be_bytes([s3, s2, s1, s0]));
        match kind {
            METHOD | CONTENT_HEADER if size <= LARGEST_HELD => {
                let Some((payload, &[end, ..])) = rest.split_at_checked(size as usize) else { return Ok(false) };
                if end != END {
                    // lapin says so, and ends the connection.
                    self.pass = u64::MAX;
                    return Ok(true);
                }
                let repaired = if kind == CONTENT_HEADER {
                    let repaired = repair::content_header(payload, self.notes.remove(&channel).unwrap_or_default());
                    match self.returned.get_mut(&channel) {
                        Some(body) => {
                            let mut header = repaired.unwrap_or_else(|| payload.to_vec());
                            *body = Some(repair::take_body(&mut header));
                            Some(header)
                        }
                        None => repaired,
                    }
                } else {
                    if payload.starts_with(&repair::BASIC_RETURN) {
                        self.returned.insert(channel, None);
                    }
                    let repaired = repair::method(payload).map_err(|fault| {
                        let told = format!("what the broker sent of itself, or of a delivery, {fault}");
                        io::Error::new(io::ErrorKind::InvalidData, told)
                    })?;
                    repaired.map(|method| {
                        self.notes.insert(channel, method.notes);
                        method.payload
                    })
                };
                let whole = FRAME_HEADER + size as usize + 1;
                match repaired {
                    None => self.checked += whole,
                    Some(payload) => {
                        let frame = frame(kind, channel, &payload);
                        self.replace(whole, &frame);
                        self.checked += frame.len();
                    }
                }
            }
            CONTENT_HEADER => {
                let Some((prefix, _)) = rest.split_at_checked(repair::PREFIX) else { return Ok(false) };
                let notes = self.notes.remove(&channel).unwrap_or_default();
                let mut header = repair::oversized(prefix, size, notes);
                if let Some(body) = self.returned.get_mut(&channel) {
                    *body = Some(repair::take_body(&mut header));
                }
                let frame = frame(kind, channel, &header);
                self.replace(FRAME_HEADER + repair::PREFIX, &frame);
                self.checked += frame.len();
                self.drop = u64::from(size) - repair::PREFIX as u64 + 1;
            }
            BODY if self.returned.contains_key(&channel) => self.drop = u64::from(size) + FRAME_HEADER as u64 + 1,
            METHOD | BODY | HEARTBEAT => self.pass = u64::from(size) + FRAME_HEADER as u64 + 1,
            // The broker speaks another version, or no AMQP at all: lapin says so, and ends the connection.
            _ => self.pass = u64::MAX,
        }
        if let Some(Some(left)) = self.returned.get_mut(&channel) {
            *left = left.saturating_sub(if kind == BODY { u64::from(size) } else { 0 });
            if *left == 0 {
                self.returned.remove(&channel);
            }
        }
        Ok(true)
    }

    /// Puts other bytes in the place of the next `count`.
    fn replace(&mut self, count: usize, bytes: &[u8]) {
        let next = self.checked..self.checked + count;
        self.buffer.splice(next, bytes.iter().copied());
        self.end = self.end - count + bytes.len();
    }
}

fn frame(kind: u8, channel: u16, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![kind];
    frame.extend_from_slice(&channel.to_be_bytes());
    // A repaired payload is of about the size of what it was made from.
    frame.extend_from_slice(&u32::try_from(payload.len()).unwrap_or(0).to_be_bytes());
    frame.extend_from_slice(payload);
    frame.push(END);
    frame
}
