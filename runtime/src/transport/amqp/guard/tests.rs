//! The guard against lapin's own parser: what it took before comes out unchanged, and what it did not take before it
//! takes now. And the other way against lapin's own generator.

use std::{
    future::poll_fn,
    pin::Pin,
    task::{Context, Poll, Waker},
    time::Duration,
};

use amq_protocol::{
    frame::{AMQPContentHeader, AMQPFrame, ProtocolVersion, gen_frame, parse_frame},
    protocol::{AMQPClass, basic},
    types::{AMQPValue, ShortString},
};
use async_rs::{Tokio, traits::Reactor};
use futures_io::AsyncWrite;
use proptest::{collection, prelude::*};

use super::{
    super::convert::{DEPTH, carried, packed},
    GuardedTokio,
    frames::Frames,
    written::Written,
};
use crate::transport::{Headers, Properties, UNREADABLE};

/// Reads `bytes` through the guard, in pieces of the given sizes, over and over.
fn through(bytes: &[u8], pieces: &[usize]) -> Vec<u8> {
    let (mut frames, mut out, mut rest) = (Frames::new(), Vec::new(), bytes);
    let mut pieces = pieces.iter().cycle();
    while !rest.is_empty() {
        let space = frames.space();
        let count = rest.len().min(space.len()).min(*pieces.next().unwrap());
        space[..count].copy_from_slice(&rest[..count]);
        rest = &rest[count..];
        frames.filled(count).unwrap();
        while !frames.ready().is_empty() {
            let count = frames.ready().len().min(*pieces.next().unwrap());
            out.extend_from_slice(&frames.ready()[..count]);
            frames.gone(count);
        }
    }
    out
}

/// All frames, or `None` when lapin would drop the connection.
fn parsed(mut bytes: &[u8]) -> Option<Vec<AMQPFrame>> {
    let mut frames = Vec::new();
    while !bytes.is_empty() {
        let (rest, frame) = parse_frame(bytes).ok()?;
        frames.push(frame);
        bytes = rest;
    }
    Some(frames)
}

fn frame(kind: u8, channel: u16, payload: &[u8]) -> Vec<u8> {
    let size = u32::try_from(payload.len()).unwrap();
    [&[kind], &channel.to_be_bytes()[..], &size.to_be_bytes(), payload, &[0xce]].concat()
}

fn short(text: &[u8]) -> Vec<u8> {
    [&[u8::try_from(text.len()).unwrap()], text].concat()
}

fn long(bytes: &[u8]) -> Vec<u8> {
    [&u32::try_from(bytes.len()).unwrap().to_be_bytes()[..], bytes].concat()
}

fn header(flags: u16, list: &[u8]) -> Vec<u8> {
    let body_size = 5u64.to_be_bytes();
    frame(2, 1, &[&[0, 60, 0, 0], &body_size[..], &flags.to_be_bytes(), list].concat())
}

fn deliver(exchange: &[u8], routing_key: &[u8]) -> Vec<u8> {
    let tag_and_redelivered = [0, 0, 0, 0, 0, 0, 0, 7, 0];
    let payload = [&[0, 60, 0, 60], &short(b"tag")[..], &tag_and_redelivered, &short(exchange), &short(routing_key)];
    frame(1, 1, &payload.concat())
}

/// What the repaired content header says, and the properties that it has.
fn marked(frame: &AMQPFrame) -> (String, basic::AMQPProperties) {
    let AMQPFrame::Header(_, header) = frame else { panic!("a content header, not {frame}") };
    let headers = header.properties.headers().as_ref().unwrap().inner();
    let AMQPValue::LongString(note) = &headers[UNREADABLE] else { panic!("a text") };
    (note.to_string(), header.properties.clone())
}

fn nested(levels: usize) -> Vec<u8> {
    let mut value = vec![b'V'];
    for level in 0..levels {
        value = if level % 2 == 0 {
            [b"A", &long(&value)[..]].concat()
        } else {
            [b"F", &long(&[short(b"k"), value].concat())[..]].concat()
        };
    }
    value
}

#[test]
fn what_is_at_fault_is_left_out_and_the_rest_is_kept() {
    let table = [
        short(b"task"),
        [b"S", &long(b"t")[..]].concat(),
        short(b"deep"),
        nested(10_000),
        short(b"la\xfftin"),
        b"t\x01".to_vec(),
        short(b"id"),
        [b"S", &long(b"1")[..]].concat(),
    ]
    .concat();
    let list = [short(b"application/json"), long(&table), short(b"\xff\xfe"), short(b"m-1")].concat();
    let bytes =
        [deliver(b"x", b"a.b"), header(0x8000 | 0x2000 | 0x0400 | 0x0080, &list), frame(3, 1, b"hello")].concat();
    let frames = parsed(&through(&bytes, &[1, 500, 7])).unwrap();
    assert_eq!(frames.len(), 3);
    let (note, properties) = marked(&frames[1]);
    let deep = format!("the header `deep` is nested deeper than {DEPTH} levels");
    let texts = "the header `la\u{fffd}tin` is not UTF-8; the property `correlation_id` is not UTF-8";
    assert_eq!(note, format!("{deep}; {texts}"));
    assert!(properties.correlation_id().is_none());
    assert_eq!(properties.content_type().as_ref().unwrap().as_str(), "application/json");
    assert_eq!(properties.message_id().as_ref().unwrap().as_str(), "m-1");
    let names: Vec<&str> = properties.headers().as_ref().unwrap().inner().keys().map(ShortString::as_str).collect();
    assert_eq!(names, ["id", "task", UNREADABLE]);
    assert!(matches!(&frames[2], AMQPFrame::Body(1, body) if body == b"hello"));
}

#[test]
fn the_depth_that_is_read_is_the_depth_that_passes() {
    for (levels, passes) in [(DEPTH, true), (DEPTH + 1, false)] {
        let bytes = header(0x2000, &long(&[short(b"k"), nested(levels)].concat()));
        assert_eq!(through(&bytes, &[11]) == bytes, passes, "{levels}");
    }
}

#[test]
fn a_routing_key_that_is_no_text_is_told_of_by_the_content_header() {
    let bytes = [deliver(b"x", b"a.\xff"), header(0, b""), frame(3, 1, b"hello"), header(0, b"")].concat();
    let frames = parsed(&through(&bytes, &[3])).unwrap();
    let AMQPFrame::Method(1, AMQPClass::Basic(basic::AMQPMethod::Deliver(deliver))) = &frames[0] else { panic!() };
    assert_eq!((deliver.routing_key.as_str(), deliver.delivery_tag), ("a.\u{fffd}", 7));
    assert_eq!(marked(&frames[1]).0, "the routing key is not UTF-8");
    let AMQPFrame::Header(1, last) = &frames[3] else { panic!() };
    assert!(last.properties.headers().is_none(), "the next message is another one");
}

#[test]
fn a_returned_message_has_no_body_and_the_next_one_has_its_own() {
    let code = 312u16.to_be_bytes();
    let returned = [&[0, 60, 0, 50], &code[..], &short(b"NO_ROUTE"), &short(b"x"), &short(b"k")].concat();
    let header_of = |size: u64| frame(2, 1, &[&[0, 60, 0, 0], &size.to_be_bytes()[..], &[0, 0]].concat());
    let other =
        [frame(2, 2, &[&[0, 60, 0, 0], &3u64.to_be_bytes()[..], &[0, 0]].concat()), frame(3, 2, b"two")].concat();
    let bytes = [
        frame(1, 1, &returned),
        header_of(9),
        frame(3, 1, b"sec"),
        other.clone(),
        frame(3, 1, b"ret..."),
        // Without a body, there is nothing to wait for.
        frame(1, 1, &returned),
        header_of(0),
        deliver(b"x", b"k"),
        header_of(5),
        frame(3, 1, b"hello"),
    ];
    for pieces in [&[1_000][..], &[1, 5, 3]] {
        let out = through(&bytes.concat(), pieces);
        let expected =
            [&bytes[0], &header_of(0)[..], &other, &bytes[5], &bytes[6], &bytes[7], &bytes[8], &bytes[9]].concat();
        assert_eq!(out, expected);
        assert_eq!(parsed(&out).unwrap().len(), 9);
    }
}

#[test]
fn a_repaired_frame_is_not_larger_than_it_was() {
    let filler = [b"S", &long(&vec![b'a'; 130_900])[..]].concat();
    let bytes = header(0x2000 | 0x0400, &[long(&[short(b"k"), filler].concat()), short(b"\xff")].concat());
    let repaired = through(&bytes, &[1_000]);
    assert!(repaired.len() <= bytes.len(), "{} of {}", repaired.len(), bytes.len());
    let (note, _) = marked(&parsed(&repaired).unwrap()[0]);
    assert_eq!(note, "the property `correlation_id` is not UTF-8; the headers are left out");
}

#[test]
fn a_content_header_without_end_is_not_held() {
    let filler = [short(b"k"), [b"S", &long(&vec![0; 5_000_000])[..]].concat()].concat();
    let bytes = [header(0x2000, &long(&filler)), frame(3, 1, b"hello"), header(0, b"")].concat();
    for pieces in [&[1_000_000][..], &[8, 13, 40_000]] {
        let frames = parsed(&through(&bytes, pieces)).unwrap();
        assert_eq!(frames.len(), 3);
        assert!(marked(&frames[0]).0.contains("the properties are left out"));
    }
    let mut held = Frames::new();
    let mut largest = 0;
    for chunk in bytes.chunks(10_000) {
        held.space()[..chunk.len()].copy_from_slice(chunk);
        held.filled(chunk.len()).unwrap();
        held.gone(held.ready().len());
        largest = largest.max(held.space().len());
    }
    assert!(largest < 2_000_000, "{largest}");
}

#[test]
fn a_broker_that_nests_its_own_properties_is_refused() {
    let start =
        |levels| frame(1, 0, &[&[0, 10, 0, 10, 0, 9], &long(&[short(b"k"), nested(levels)].concat())[..]].concat());
    let mut frames = Frames::new();
    for (levels, is_ok) in [(3, true), (20_000, false)] {
        let bytes = start(levels);
        for chunk in bytes.chunks(1_000) {
            frames.space()[..chunk.len()].copy_from_slice(chunk);
            if let Err(error) = frames.filled(chunk.len()) {
                assert!(!is_ok && error.to_string().contains("nested deeper"), "{error}");
                return;
            }
        }
        assert!(is_ok);
    }
}

fn text() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        8 => "[a-zä]{0,9}".prop_map(String::into_bytes),
        1 => collection::vec(any::<u8>(), 0..5),
    ]
}

fn value() -> impl Strategy<Value = Vec<u8>> {
    let fixed =
        |kind: u8, size| collection::vec(any::<u8>(), size).prop_map(move |bytes| [&[kind], &bytes[..]].concat());
    let leaf = prop_oneof![
        Just(b"V".to_vec()),
        fixed(b't', 1..2),
        fixed(b's', 2..3),
        fixed(b'I', 4..5),
        fixed(b'D', 5..6),
        fixed(b'T', 8..9),
        collection::vec(any::<u8>(), 0..9).prop_map(|bytes| [b"S", &long(&bytes)[..]].concat()),
        (60..80usize).prop_map(nested),
        // Most of these are no type, or are cut off.
        fixed(b'?', 0..9),
        collection::vec(any::<u8>(), 1..6),
    ];
    leaf.prop_recursive(3, 20, 4, |inner| {
        prop_oneof![
            collection::vec(inner.clone(), 0..4).prop_map(|items| [b"A", &long(&items.concat())[..]].concat()),
            table(inner).prop_map(|table| [b"F", &table[..]].concat()),
        ]
    })
}

fn table(value: impl Strategy<Value = Vec<u8>>) -> impl Strategy<Value = Vec<u8>> {
    collection::vec((text(), value), 0..4).prop_map(|entries| {
        long(&entries.into_iter().map(|(k, v)| [short(&k), v].concat()).collect::<Vec<_>>().concat())
    })
}

/// The list of properties of any kind, most of them well formed.
fn properties() -> impl Strategy<Value = Vec<u8>> {
    (any::<u16>(), collection::vec(text(), 14), table(value()), any::<u64>(), collection::vec(any::<u8>(), 0..2))
        .prop_map(|(flags, texts, table, number, rest)| {
            let mut list = Vec::new();
            for (index, text) in texts.iter().enumerate().filter(|(index, _)| flags & (0x8000 >> index) != 0) {
                match index {
                    2 => list.extend_from_slice(&table),
                    3 | 4 => list.push(1),
                    9 => list.extend_from_slice(&number.to_be_bytes()),
                    _ => list.extend_from_slice(&short(text)),
                }
            }
            if rest == [0] {
                list.push(0);
            }
            header(flags, &list)
        })
}

fn any_frame() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        4 => properties(),
        1 => (12..60usize).prop_flat_map(|size| collection::vec(any::<u8>(), size)).prop_map(|bytes| frame(2, 1, &bytes)),
        2 => (text(), text()).prop_map(|(exchange, key)| deliver(&exchange, &key)),
        2 => collection::vec(any::<u8>(), 0..300).prop_map(|body| frame(3, 1, &body)),
        1 => Just(frame(8, 0, b"")),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn what_lapin_takes_is_unchanged_and_what_it_does_not_it_takes_now(
        frames in collection::vec(any_frame(), 1..6),
        pieces in collection::vec(1..80usize, 1..9),
    ) {
        let bytes = frames.concat();
        let passed = through(&bytes, &pieces);
        let read = parsed(&passed);
        prop_assert!(read.is_some(), "lapin would drop the connection");
        prop_assert_eq!(read.unwrap().len(), frames.len());
        // Of the tables that nest beyond the limit, these are shallow enough for lapin to take them too.
        let is_deep = bytes.windows(5).filter(|w| matches!(w[0], b'A' | b'F') && w[1] == 0 && w[2] == 0).count() > DEPTH;
        if parsed(&bytes).is_some() && !is_deep {
            prop_assert_eq!(passed, bytes);
        }
    }
}

/// What the broker is sent of what lapin writes in pieces of the given sizes.
fn written(bytes: &[u8], pieces: &[usize]) -> Vec<u8> {
    let (mut written, mut out, mut rest) = (Written::default(), Vec::new(), bytes);
    let mut pieces = pieces.iter().cycle();
    while !rest.is_empty() {
        let (piece, more) = rest.split_at(rest.len().min(*pieces.next().unwrap()));
        written.take(piece);
        rest = more;
        let count = written.ready().len().min(*pieces.next().unwrap());
        out.extend_from_slice(&written.ready()[..count]);
        written.gone(count);
    }
    [&out, written.ready()].concat()
}

/// As lapin writes frames.
fn generated(frames: &[AMQPFrame]) -> Vec<u8> {
    let write = |bytes: Vec<u8>, frame| gen_frame(frame)(bytes.into()).unwrap().write;
    frames.iter().fold(Vec::new(), write)
}

fn content(properties: basic::AMQPProperties) -> AMQPFrame {
    AMQPFrame::Header(7, AMQPContentHeader { class_id: 60, body_size: 5, properties })
}

fn publish() -> AMQPFrame {
    let publish = basic::Publish { exchange: "x".into(), routing_key: "a.b".into(), mandatory: true, immediate: false };
    AMQPFrame::Method(7, AMQPClass::Basic(basic::AMQPMethod::Publish(publish)))
}

proptest! {
    /// Properties that are carried are put in their place, other frames are not touched, however they are cut.
    #[test]
    fn what_is_carried_is_what_the_broker_gets(
        id in "[a-z0-9-]{1,255}",
        tenant in ".{0,400}",
        messages in collection::vec(0..4_u8, 0..12),
        pieces in collection::vec(1..900_usize, 1..9),
    ) {
        let properties = Properties { message_id: Some(id.clone()), persistent: true, ..Properties::default() };
        let headers = Headers::default().with("tenant", tenant.as_str()).with("id", id.as_str());
        let packed = packed(&properties, &headers).unwrap();
        let (_, read) = basic::parse_properties(packed.as_slice()).unwrap();
        let (mut given, mut expected) = (vec![AMQPFrame::ProtocolHeader(ProtocolVersion::amqp_0_9_1())], Vec::new());
        expected.clone_from(&given);
        for kind in messages {
            let (carried, has) = match kind {
                0 => (carried(&packed), read.clone()),
                1 => (read.clone(), read.clone()),
                2 => Default::default(),
                _ => {
                    given.push(AMQPFrame::Heartbeat);
                    expected.push(AMQPFrame::Heartbeat);
                    continue;
                }
            };
            given.extend([publish(), content(carried), AMQPFrame::Body(7, b"hello".to_vec())]);
            expected.extend([publish(), content(has), AMQPFrame::Body(7, b"hello".to_vec())]);
        }
        prop_assert_eq!(written(&generated(&given), &pieces), generated(&expected));
    }
}

/// Only what is carried as the publisher has lapin carry it: a header of that name beside others is a header.
#[test]
fn a_header_of_that_name_among_others_is_one_of_them() {
    let packed = packed(&Properties::default(), &Headers::default()).unwrap();
    let mut table = carried(&packed).headers().clone().unwrap();
    let alone = basic::AMQPProperties::default().with_headers(table.clone());
    table.insert("id".into(), AMQPValue::Void);
    let among = basic::AMQPProperties::default().with_headers(table);
    let persistent = alone.clone().with_delivery_mode(2);
    for (properties, passes) in [(alone, false), (among, true), (persistent, true)] {
        let frame = generated(&[content(properties)]);
        assert_eq!(written(&frame, &[3]) == frame, passes);
    }
}

/// A broker that stops reading for a while: what lapin was told is written goes on once it reads again, though lapin writes
/// nothing more.
#[tokio::test]
async fn what_was_taken_goes_on_when_the_broker_reads_again() {
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let connecting = GuardedTokio(Tokio::current()).tcp_connect_addr(listener.local_addr().unwrap());
    let (guarded, accepted) = tokio::join!(connecting, listener.accept());
    let (mut guarded, (broker, _)) = (guarded.unwrap(), accepted.unwrap());
    let body = generated(&[AMQPFrame::Body(7, vec![b'x'; 100_000])]);
    let (mut expected, mut context) = (Vec::new(), Context::from_waker(Waker::noop()));
    // Until neither the socket nor the guard takes more.
    while let Poll::Ready(taken) = Pin::new(&mut guarded).poll_write(&mut context, &body) {
        assert_eq!(taken.unwrap(), body.len());
        expected.extend_from_slice(&body);
    }
    assert!(!guarded.written.ready().is_empty());
    let reading = tokio::spawn(async move {
        let (mut read, mut room) = (Vec::new(), vec![0; 64 * 1024]);
        while read.len() < expected.len() {
            broker.readable().await.unwrap();
            match broker.try_read(&mut room) {
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
                count => match count.unwrap() {
                    0 => panic!("the guard is gone after {} bytes", read.len()),
                    count => read.extend_from_slice(&room[..count]),
                },
            }
        }
        assert!(read == expected);
    });
    poll_fn(|context| Pin::new(&mut guarded).poll_flush(context)).await.unwrap();
    tokio::time::timeout(Duration::from_mins(1), reading).await.unwrap().unwrap();
}
