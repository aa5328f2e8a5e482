// Runs payloads through generated events: `<program> REQUESTS START` reads the file of requests (`<event> <bytes>`, a line
// break, the payload, a line break) and answers each from the one with number START on by `<number> <verdict> <bytes>`,
// a line break, a text, a line break. A verdict is `refused` (the text says why), `kept` (the text is what the event is
// written as), `unwritable` (the text says why) or `panicked`.

use std::{
    io::Write,
    panic::{AssertUnwindSafe, catch_unwind},
};

type Answer = (&'static str, String);
type Probe = fn(&[u8]) -> Answer;

fn probe<E: celerysalt::Event>(payload: &[u8]) -> Answer {
    match E::decode(payload) {
        Err(error) => ("refused", error.to_string()),
        Ok(event) => match event.encode() {
            Ok(text) => ("kept", text),
            Err(error) => ("unwritable", error.to_string()),
        },
    }
}

fn serve(probes: &[Probe]) {
    let mut arguments = std::env::args().skip(1);
    let requests = std::fs::read(arguments.next().expect("a file of requests")).expect("a file that can be read");
    let start: usize = arguments.next().and_then(|start| start.parse().ok()).unwrap_or(0);
    let mut rest = requests.as_slice();
    let mut number = 0;
    let mut out = std::io::stdout().lock();
    while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
        let line = std::str::from_utf8(&rest[..end]).expect("two numbers");
        let (event, length) = line.split_once(' ').expect("two numbers");
        let (event, length): (usize, usize) = (event.parse().expect("a number"), length.parse().expect("a number"));
        let payload = &rest[end + 1..end + 1 + length];
        rest = &rest[end + length + 2..];
        if number >= start {
            let (verdict, text) =
                catch_unwind(AssertUnwindSafe(|| probes[event](payload))).unwrap_or(("panicked", String::new()));
            write!(out, "{number} {verdict} {}\n{text}\n", text.len()).expect("someone who listens");
            out.flush().expect("someone who listens");
        }
        number += 1;
    }
}
