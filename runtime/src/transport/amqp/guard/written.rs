//! What lapin writes, followed from byte to byte: content headers that carry a message's properties
//! ([`convert::carried`](super::super::convert::carried)) become content headers that have them.

use super::{
    super::convert::CARRIED,
    frames::{CONTENT_HEADER, END, FRAME_HEADER},
    repair::PREFIX,
};

/// The flags of properties that are headers only.
const HEADERS_ONLY: [u8; 2] = [0x20, 0];
/// What lapin says before anything else: the protocol's header, which is no frame.
const PROTOCOL_HEADER: usize = 8;

/// What is to be written to the broker.
#[derive(Debug, Default)]
pub(super) struct Written {
    /// `out[gone..]` is to be written.
    out: Vec<u8>,
    gone: usize,
    /// The beginning of a frame that is not whole.
    held: Vec<u8>,
    /// How much of what comes is the rest of a frame that goes out as it is.
    pass: usize,
}

impl Written {
    /// What is to be written next.
    pub(super) fn ready(&self) -> &[u8] {
        self.out.get(self.gone..).unwrap_or_default()
    }

    /// The first `count` bytes of what is ready were written.
    pub(super) fn gone(&mut self, count: usize) {
        self.gone += count;
        if self.gone >= self.out.len() {
            self.out.clear();
            self.gone = 0;
        }
    }

    /// Takes what comes next, all of it.
    pub(super) fn take(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            if self.pass > 0 {
                let (passing, rest) = bytes.split_at(self.pass.min(bytes.len()));
                self.out.extend_from_slice(passing);
                self.pass -= passing.len();
                bytes = rest;
                continue;
            }
            let begun = if self.held.is_empty() { bytes } else { &self.held };
            match begun.split_first_chunk::<FRAME_HEADER>() {
                None => bytes = self.hold(bytes, FRAME_HEADER),
                Some((&[b'A', ..], _)) => self.let_pass(PROTOCOL_HEADER),
                Some((&[kind, _, _, s3, s2, s1, s0], _)) => {
                    let whole = FRAME_HEADER + u32::from_be_bytes([s3, s2, s1, s0]) as usize + 1;
                    if kind != CONTENT_HEADER {
                        self.let_pass(whole);
                    } else if self.held.is_empty()
                        && let Some((frame, rest)) = bytes.split_at_checked(whole)
                    {
                        self.content_header(frame);
                        bytes = rest;
                    } else {
                        bytes = self.hold(bytes, whole);
                        if self.held.len() == whole {
                            let frame = std::mem::take(&mut self.held);
                            self.content_header(&frame);
                        }
                    }
                }
            }
        }
    }

    /// So many bytes go out as they are, those that are held first.
    fn let_pass(&mut self, whole: usize) {
        self.pass = whole.saturating_sub(self.held.len());
        self.out.append(&mut self.held);
    }

    /// Holds as much as there is of so many bytes. Gives what comes after them.
    fn hold<'b>(&mut self, bytes: &'b [u8], whole: usize) -> &'b [u8] {
        let (more, rest) = bytes.split_at(bytes.len().min(whole.saturating_sub(self.held.len())));
        self.held.extend_from_slice(more);
        rest
    }

    fn content_header(&mut self, frame: &[u8]) {
        let Some(properties) = carried(frame) else {
            self.out.extend_from_slice(frame);
            return;
        };
        let (kind_and_channel, prefix) = (frame.get(..3), frame.get(FRAME_HEADER..FRAME_HEADER + PREFIX));
        let size = u32::try_from(PREFIX + properties.len()).unwrap_or(u32::MAX);
        self.out.extend_from_slice(kind_and_channel.unwrap_or_default());
        self.out.extend_from_slice(&size.to_be_bytes());
        self.out.extend_from_slice(prefix.unwrap_or_default());
        self.out.extend_from_slice(properties);
        self.out.push(END);
    }
}

/// The properties that a whole content header carries, if it does.
fn carried(frame: &[u8]) -> Option<&[u8]> {
    let list = frame.get(FRAME_HEADER + PREFIX..)?.strip_prefix(&HEADERS_ONLY)?;
    let (table, rest) = long(list)?;
    let (name, value) = table.split_first().and_then(|(length, rest)| rest.split_at_checked(usize::from(*length)))?;
    let (properties, more) = long(value.strip_prefix(b"S")?)?;
    (rest == [END] && name == CARRIED.as_bytes() && more.is_empty()).then_some(properties)
}

/// What its length stands before, and what follows.
fn long(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first_chunk()?;
    rest.split_at_checked(u32::from_be_bytes(*length) as usize)
}
