//! Messages with properties that end lapin's connection, or the whole process: each is kept with the reason, and the
//! messages behind it are handled.

use celerysalt::Rest;
use celerysalt_reference::events::UserCreated;
use celerysalt_tests::{World, broker_url, header, within};
use serde_json::json;
use tokio::sync::mpsc;

use crate::raw::{CORRELATION_ID, HEADERS, Raw, long, nested, short, text};

const TOPIC: &str = "auth.user.created";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_that_cannot_be_read_is_kept_and_the_next_is_handled() {
    let world = World::rabbitmq();
    let (publisher, subscriber) = (world.publisher("auth").await, world.salt("mail").await);
    let (seen, mut seeing) = mpsc::unbounded_channel();
    let handler = move |event: UserCreated| {
        seen.send(event.user_id).unwrap();
        async {}
    };
    let running = subscriber.service().on(handler).start().await.unwrap();
    let mut raw = Raw::connect(&broker_url()).await;
    let body = json!([[r#"{"user_id":1,"email":"a@example.com"}"#], {"routing_key": TOPIC}, {}]).to_string();
    let envelope = [text(b"task", "celery_salt.dispatch_event"), text(b"id", "1")].concat();
    let carbon_copy = [short(b"CC"), b"A".to_vec(), long(&[b"S", &long(TOPIC.as_bytes())[..]].concat())].concat();
    let hostile = [
        // 100 kB of headers, which RabbitMQ takes.
        (TOPIC.as_bytes(), [&envelope[..], &nested(b"deep", 20_000)].concat(), vec![], "the header `deep` is nested"),
        (TOPIC.as_bytes(), envelope.clone(), short(b"\xff\xfe"), "the property `correlation_id` is not UTF-8"),
        (TOPIC.as_bytes(), [&envelope[..], &text(b"\xff", "")].concat(), vec![], "the header `\u{fffd}` is not UTF-8"),
        (b"\xff", [&envelope[..], &carbon_copy].concat(), vec![], "the routing key is not UTF-8"),
    ];
    for (number, (routing_key, headers, correlation_id, detail)) in hostile.into_iter().enumerate() {
        let flags = HEADERS | if correlation_id.is_empty() { 0 } else { CORRELATION_ID };
        let properties = [long(&headers), correlation_id].concat();
        raw.publish(&world.exchange(), routing_key, flags, &properties, body.as_bytes()).await;
        let letter = world.dead_letters("mail", 1).await.remove(0);
        assert_eq!(header(&letter, "x-celerysalt-reason"), "not-an-event");
        assert!(header(&letter, "x-celerysalt-detail").contains(detail), "{:?}", letter.headers);
        assert_eq!(letter.body, body.as_bytes());
        assert_eq!(header(&letter, "id"), "1", "what can be read is kept");
        let good = 100 + i64::try_from(number).unwrap();
        let event = UserCreated { user_id: good.into(), email: "a@example.com".to_owned(), rest: Rest::default() };
        event.publish(&publisher).await.unwrap();
        assert_eq!(within(seeing.recv()).await.unwrap(), good);
    }
    let counts = running.shutdown().await.counts;
    // None came twice: the connection was never lost.
    assert_eq!((counts.received, counts.dead_lettered, counts.handled), (8, 4, 4));
}
