//! Taking what waits in a queue, without a consumer.

use lapin::options::{BasicGetOptions, QueueDeclareOptions};
use lapin::types::FieldTable;
use tokio::sync::{mpsc, watch};

use super::{
    link::{Link, close_channel},
    settling::Settling,
    topology::{Failure, reply_code, short},
};
use crate::transport::{Delivery, Taken, TransportError};

/// Takes up to `most`; the channel stays open until all of them are settled. `Ok(None)` when the connection was lost on
/// the way, and what was taken is back in the queue.
pub(super) async fn take(
    link: &Link,
    queue: &str,
    most: usize,
    closing: watch::Receiver<bool>,
    guard: mpsc::Sender<()>,
) -> Result<Option<Taken>, TransportError> {
    let channel = link.channel().await?;
    let what = format!("taking from queue `{queue}`");
    // Says how many there are; fails when the queue is not there.
    let passive = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
    let declared = match channel.queue_declare(short(queue), passive, FieldTable::default()).await {
        Ok(declared) => declared,
        Err(error) => return refused(link, Failure { what, error }).await,
    };
    let mut more = u64::from(declared.message_count());
    let mut got = Vec::new();
    while got.len() < most {
        match channel.basic_get(short(queue), BasicGetOptions { no_ack: false }).await {
            Ok(Some(message)) => {
                more = u64::from(message.message_count);
                got.push(message.delivery);
            }
            Ok(None) => {
                more = 0;
                break;
            }
            Err(error) => return refused(link, Failure { what, error }).await,
        }
    }
    if got.is_empty() {
        close_channel(&channel).await;
        return Ok(Some(Taken { deliveries: Vec::new(), more }));
    }
    let settling = Settling::start(link, channel, 1, closing, guard);
    let deliveries = got
        .into_iter()
        .map(|got| {
            let settle = Box::new(settling.delivery(got.delivery_tag));
            let message = super::convert::from_amqp(got.exchange, got.routing_key, got.properties, got.data);
            Delivery::new(message, got.redelivered, settle)
        })
        .collect();
    Ok(Some(Taken { deliveries, more }))
}

/// Whether asking again may help.
async fn refused(link: &Link, failure: Failure) -> Result<Option<Taken>, TransportError> {
    match reply_code(&failure.error) {
        Some(404) => Err(TransportError::Refused {
            broker: link.broker().to_owned(),
            what: failure.what,
            reason: "there is no such queue".to_owned(),
        }),
        Some(405) => Err(TransportError::Refused {
            broker: link.broker().to_owned(),
            what: failure.what,
            reason: "it is exclusive to another connection".to_owned(),
        }),
        _ if failure.is_final() => Err(failure.explain(link.broker())),
        _ => {
            link.lost(&failure.error).await;
            Ok(None)
        }
    }
}
