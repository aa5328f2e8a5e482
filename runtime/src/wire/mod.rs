//! The wire of celery-salt and tchu-tchu: what an event looks like as a message, both ways.
//!
//! Pure: bytes in, values out. `celery` holds requests and events (Celery's message protocols 1 and 2), `result` the
//! replies of RPCs (Celery's result documents).

mod body;
pub(crate) mod celery;
pub(crate) mod result;
pub(crate) mod trace;

pub(crate) use celery::{Incoming, Meta, Outgoing, decode, encode};
pub use celery::{TaskName, WireError};
pub use trace::{TraceContext, TraceContextError};

#[cfg(test)]
mod properties {
    //! What holds for every message.

    use bytes::Bytes;
    use proptest::{collection, option, prelude::*};
    use serde_json::{Map, Value};

    use super::{Meta, Outgoing, celery::TCHU_TCHU, decode, encode, result};
    use crate::transport::Message;

    fn json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<u64>().prop_map(Value::from),
            proptest::num::f64::NORMAL.prop_map(Value::from),
            any::<String>().prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 32, 6, |inner| {
            prop_oneof![
                collection::vec(inner.clone(), 0..6).prop_map(Value::from),
                collection::btree_map(any::<String>(), inner, 0..6)
                    .prop_map(|fields| Value::Object(fields.into_iter().collect())),
            ]
        })
    }

    fn object() -> impl Strategy<Value = Map<String, Value>> {
        collection::btree_map(any::<String>(), json(), 0..6)
            .prop_map(|fields| fields.into_iter().filter(|(name, _)| name != "_tchu_meta").collect())
    }

    fn meta() -> impl Strategy<Value = Meta> {
        let text = || option::of(any::<String>());
        (any::<bool>(), text(), text(), text(), text()).prop_map(
            |(is_rpc, version, correlation_id, traceparent, tracestate)| Meta {
                is_rpc: Some(is_rpc),
                version,
                correlation_id,
                traceparent,
                tracestate,
            },
        )
    }

    proptest! {
        #[test]
        fn every_event_is_read_as_it_was_written(payload in object(), meta in meta(), topic in "[a-z_-]{1,9}(\\.[a-z0-9]{1,9}){0,3}") {
            let message = encode(Outgoing {
                task: TCHU_TCHU,
                id: "1".to_owned(),
                exchange: String::new(),
                routing_key: topic.clone(),
                topic: &topic,
                payload: &Value::Object(payload.clone()).to_string(),
                meta: meta.clone(),
                priority: 5,
                expiration: None,
                reply_to: None,
                headers: Map::new(),
                origin: "here",
                now: jiff::Timestamp::UNIX_EPOCH,
            });
            let read = decode(&message).unwrap();
            prop_assert_eq!(read.payload, Value::Object(payload).to_string());
            prop_assert_eq!(read.meta, Some(meta));
            prop_assert_eq!(read.topic, Some(topic));
        }

        #[test]
        fn no_bytes_and_no_json_make_a_reader_panic(bytes in collection::vec(any::<u8>(), 0..200), body in json(), headers in object()) {
            for body in [Bytes::from(bytes), Bytes::from(body.to_string())] {
                let message = Message { body, headers: headers.clone().into(), ..Message::default() };
                drop(decode(&message));
                drop(result::decode(&message));
            }
        }

        #[test]
        fn every_reply_is_read_as_it_was_given(value in json(), handler in any::<String>()) {
            // What looks like one of kombu's typed values is taken for one.
            prop_assume!(!value.to_string().contains("__type__"));
            let value = value.to_string();
            let answer = result::Answer::Value { handler, value: value.clone() };
            let document = result::document(&answer, "7", "rpc.a", jiff::Timestamp::UNIX_EPOCH);
            let message = result::message(document, "7", "queue");
            prop_assert_eq!(result::decode(&message).unwrap(), ("7".to_owned(), result::Reply::Value(value)));
        }
    }
}
