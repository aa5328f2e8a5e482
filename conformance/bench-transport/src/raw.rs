//! lapin by hand, doing the same: what it costs to have neither contracts nor an envelope nor a net.

use std::{collections::VecDeque, time::Instant};

use futures_util::{StreamExt, future::join_all};
use lapin::{
    BasicProperties, Channel, Connection, ConnectionProperties, Consumer,
    options::{
        BasicAckOptions, BasicConsumeOptions, BasicGetOptions, BasicPublishOptions, BasicQosOptions,
        ConfirmSelectOptions, QueueBindOptions, QueueDeclareOptions,
    },
    types::FieldTable,
};

use crate::{
    Outcome,
    figures::{Figures, Watch, of_calls},
    job::{self, Job},
    ours::{self, Counting},
};

/// How many publishes are written together.
const BATCH: usize = 100;

async fn channel(job: &Job) -> Outcome<(Connection, Channel)> {
    let connection = Connection::connect(&job.url, ConnectionProperties::default()).await?;
    let channel = connection.create_channel().await?;
    Ok((connection, channel))
}

/// A message as CelerySalt sends it: its properties and its body.
async fn sample(job: &Job, channel: &Channel) -> Outcome<(BasicProperties, Vec<u8>)> {
    let queue = format!("{}.sample", job.name);
    let exclusive = QueueDeclareOptions { exclusive: true, auto_delete: true, ..QueueDeclareOptions::default() };
    channel.queue_declare(queue.as_str().into(), exclusive, FieldTable::default()).await?;
    let exchange = format!("{}.sample", job.name);
    let salt = ours::salt(&Job { name: exchange.clone(), ..job.clone() }).await?;
    let event = ours::events(1)?.remove(0);
    // Declares the exchange.
    event.publish(&salt).allow_unrouted().await?;
    let bind = QueueBindOptions::default();
    channel
        .queue_bind(queue.as_str().into(), exchange.as_str().into(), "#".into(), bind, FieldTable::default())
        .await?;
    event.publish(&salt).await?;
    salt.close().await;
    let got = channel.basic_get(queue.as_str().into(), BasicGetOptions { no_ack: true }).await?;
    let got = got.ok_or("the sample is not there")?;
    channel.exchange_delete(exchange.as_str().into(), lapin::options::ExchangeDeleteOptions::default()).await?;
    Ok((got.delivery.properties, got.delivery.data))
}

/// Publishes the same bytes with [`job::WINDOW`] in flight; `headers` says whether with Celery's headers, or persistent and
/// no more.
///
/// # Errors
/// The broker's; a message that was not acked.
pub async fn publish(job: &Job, headers: bool) -> Outcome<Figures> {
    let (_connection, channel) = channel(job).await?;
    let (properties, body) = sample(job, &channel).await?;
    let properties = if headers {
        properties
    } else {
        let id = properties.message_id().clone().unwrap_or_default();
        BasicProperties::default().with_delivery_mode(2).with_message_id(id)
    };
    channel.confirm_select(ConfirmSelectOptions::default()).await?;
    send(job, &channel, &properties, &body, job.warm).await?;
    let watch = Watch::start();
    send(job, &channel, &properties, &body, job.count).await?;
    Ok(watch.took(job.count))
}

async fn send(job: &Job, channel: &Channel, properties: &BasicProperties, body: &[u8], count: usize) -> Outcome<()> {
    let options = BasicPublishOptions { mandatory: true, immediate: false };
    let mut in_flight = VecDeque::with_capacity(job::WINDOW);
    let mut left = count;
    while left > 0 || !in_flight.is_empty() {
        let more = left.min(BATCH).min(job::WINDOW - in_flight.len());
        left -= more;
        let written = (0..more).map(|_| {
            channel.basic_publish(job.name.as_str().into(), job::TOPIC.into(), options, body, properties.clone())
        });
        for written in join_all(written).await {
            in_flight.push_back(written?);
        }
        let settle = if left == 0 { in_flight.len() } else { in_flight.len().saturating_sub(job::WINDOW - BATCH) };
        for confirm in in_flight.drain(..settle) {
            let confirmed = confirm.await?;
            if !confirmed.is_ack() || confirmed.take_message().is_some() {
                return Err("a message was refused or returned".into());
            }
        }
    }
    Ok(())
}

/// Consumes from the queue named after the job, one ack for `group` messages.
///
/// # Errors
/// The broker's.
pub async fn consume(job: &Job, group: usize) -> Outcome<Figures> {
    let (_connection, channel) = channel(job).await?;
    let mut consumer = consumer(&channel, &job.name, false).await?;
    let counting = Counting::new(job);
    let all = job.warm + job.count;
    for number in 1..=all {
        let delivery = consumer.next().await.ok_or("the consumer ended")??;
        counting.one();
        if number % group == 0 || number == all {
            channel.basic_ack(delivery.delivery_tag, BasicAckOptions { multiple: group > 1 }).await?;
        }
    }
    let figures = counting.done().await;
    // Answered after the acks were read.
    channel.basic_qos(1, BasicQosOptions::default()).await?;
    Ok(figures)
}

async fn consumer(channel: &Channel, queue: &str, no_ack: bool) -> Outcome<Consumer> {
    channel.basic_qos(job::PREFETCH, BasicQosOptions::default()).await?;
    let options = BasicConsumeOptions { no_ack, ..BasicConsumeOptions::default() };
    Ok(channel.basic_consume(queue.into(), "".into(), options, FieldTable::default()).await?)
}

/// A connection for publishing, so that a broker that is out of memory still takes acks; with confirms.
async fn confirming(job: &Job) -> Outcome<(Connection, Channel)> {
    let (connection, channel) = channel(job).await?;
    channel.confirm_select(ConfirmSelectOptions::default()).await?;
    Ok((connection, channel))
}

/// Answers until the process is killed; `confirms` says whether requests are acked once their answer is confirmed.
///
/// # Errors
/// The broker's.
pub async fn serve(job: &Job, confirms: bool) -> Outcome<()> {
    let (_connection, channel) = channel(job).await?;
    let confirming = if confirms { Some(confirming(job).await?) } else { None };
    let answering = confirming.as_ref().map_or(&channel, |(_, channel)| channel);
    let mut consumer = consumer(&channel, &job.name, false).await?;
    println!("ready");
    while let Some(delivery) = consumer.next().await {
        let delivery = delivery?;
        let reply_to = delivery.properties.reply_to().clone().ok_or("no reply_to")?;
        let id = delivery.properties.correlation_id().clone().ok_or("no correlation_id")?;
        let properties = BasicProperties::default().with_correlation_id(id);
        let options = BasicPublishOptions { mandatory: confirms, immediate: false };
        let confirm = answering.basic_publish("".into(), reply_to, options, &delivery.data, properties).await?;
        if confirms {
            confirm.await?;
        }
        channel.basic_ack(delivery.delivery_tag, BasicAckOptions::default()).await?;
    }
    Ok(())
}

/// Calls one after the other, with an exclusive queue for the replies; `confirms` says whether requests are mandatory and
/// confirmed, for which no answer waits.
///
/// # Errors
/// The broker's; an answer to another call.
pub async fn call(job: &Job, confirms: bool) -> Outcome<Figures> {
    let (_connection, channel) = channel(job).await?;
    let confirming = if confirms { Some(confirming(job).await?) } else { None };
    let asking = confirming.as_ref().map_or(&channel, |(_, channel)| channel);
    let replies = format!("{}.replies", job.name);
    let exclusive = QueueDeclareOptions { exclusive: true, auto_delete: true, ..QueueDeclareOptions::default() };
    channel.queue_declare(replies.as_str().into(), exclusive, FieldTable::default()).await?;
    let mut consumer = consumer(&channel, &replies, true).await?;
    let body = [b'x'; job::PAYLOAD];
    let mut times = Vec::with_capacity(job.count);
    let mut watch = Watch::start();
    for number in 0..job.warm + job.count {
        if number == job.warm {
            watch = Watch::start();
        }
        let start = Instant::now();
        let id = number.to_string();
        let properties = BasicProperties::default()
            .with_delivery_mode(2)
            .with_reply_to(replies.as_str().into())
            .with_correlation_id(id.as_str().into());
        let options = BasicPublishOptions { mandatory: confirms, immediate: false };
        let (exchange, topic) = (job.name.as_str().into(), job::RPC_TOPIC.into());
        asking.basic_publish(exchange, topic, options, &body, properties).await?;
        let reply = consumer.next().await.ok_or("the consumer ended")??;
        if number >= job.warm {
            times.push(start.elapsed().as_secs_f64() * 1e3);
        }
        if reply.properties.correlation_id().as_ref().is_none_or(|of| of.as_str() != id) {
            return Err("another call's answer".into());
        }
    }
    Ok(of_calls(watch, times))
}
