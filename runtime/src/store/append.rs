//! Messages become rows of the event store, in the order in which they are given.

use sqlx::PgConnection;

use crate::{
    database::{DatabaseError, columns},
    transport::Message,
    wire,
};

/// Rows that one statement writes, and about how many bytes of bodies.
const CHUNK: (usize, usize) = (1_000, 8 * 1024 * 1024);

/// Appends messages, each with its topic.
///
/// # Errors
/// [`DatabaseError`].
pub(crate) async fn append(
    connection: &mut PgConnection,
    messages: Vec<(&str, &Message)>,
) -> Result<(), DatabaseError> {
    let mut rest = &messages[..];
    while !rest.is_empty() {
        let mut bytes = 0;
        let fits = |(_, message): &&(&str, &Message)| {
            bytes += message.body.len();
            bytes <= CHUNK.1
        };
        let count = rest.iter().take(CHUNK.0).take_while(fits).count().max(1);
        let (chunk, later) = rest.split_at(count);
        rest = later;
        insert(connection, chunk).await?;
    }
    Ok(())
}

async fn insert(connection: &mut PgConnection, chunk: &[(&str, &Message)]) -> Result<(), DatabaseError> {
    let mut payloads = Vec::with_capacity(chunk.len());
    let mut metas = Vec::with_capacity(chunk.len());
    let mut versions = Vec::with_capacity(chunk.len());
    for (topic, message) in chunk {
        let incoming = wire::decode(message)
            .map_err(|error| DatabaseError::refused(format!("{topic}: the event store can't read it: {error}")))?;
        let meta = incoming.meta.unwrap_or_default();
        metas.push(meta.to_text());
        versions.push(meta.version);
        payloads.push(incoming.payload);
    }
    let of = |text: fn(&Message) -> String| chunk.iter().map(|(_, message)| text(message)).collect::<Vec<String>>();
    sqlx::query(
        "INSERT INTO celerysalt_events
             (event_id, topic, version, exchange, routing_key, properties, headers, meta, payload)
         SELECT e.event_id, e.topic, e.version, e.exchange, e.routing_key, e.properties::json, e.headers::json, e.meta::json,
                e.payload::json
         FROM UNNEST($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[],
                     $9::text[])
             WITH ORDINALITY AS e (event_id, topic, version, exchange, routing_key, properties, headers, meta, payload, place)
         ORDER BY e.place",
    )
    .bind(of(|message| message.properties.message_id.clone().unwrap_or_default()))
    .bind(chunk.iter().map(|(topic, _)| *topic).collect::<Vec<&str>>())
    .bind(versions)
    .bind(of(|message| message.exchange.clone()))
    .bind(of(|message| message.routing_key.clone()))
    .bind(of(|message| columns::properties_to_text(&message.properties)))
    .bind(of(|message| columns::headers_to_text(&message.headers)))
    .bind(metas)
    .bind(payloads)
    .execute(connection)
    .await?;
    Ok(())
}
