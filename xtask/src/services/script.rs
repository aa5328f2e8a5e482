//! A server for unit tests, whose answers are written down beforehand.

use std::io::{self, Cursor, Read, Write};

pub(super) struct Script {
    answers: Cursor<Vec<u8>>,
    pub(super) heard: Vec<u8>,
}

impl Script {
    pub(super) fn new(answers: Vec<u8>) -> Self {
        Self { answers: Cursor::new(answers), heard: Vec::new() }
    }
}

impl Read for Script {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        self.answers.read(bytes)
    }
}

impl Write for Script {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.heard.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
