//! An HTTP service whose requests change its database and tell of it, both or neither: axum, sqlx and the outbox.
//!
//! ```text
//! CELERYSALT_DATABASE_URL=postgres://postgres@127.0.0.1/test cargo run --example axum_outbox --features axum
//! ```
//!
//! The program asks itself over HTTP and ends; with an address as its argument (`-- 127.0.0.1:8080`) it serves until it is
//! told to end. The broker is in this process; with `--features axum,amqp` and `CELERYSALT_BROKER_URL` it is RabbitMQ.

use std::{env, error::Error, time::Duration};

use axum::{Json, Router, extract::State as Shared, http::StatusCode, routing::post};
use celerysalt::{
    Event, HandlerError, Salt, State,
    outbox::{Outbox, OutboxError, PublishIn, Relay},
    serde_json::{Value, json},
    sqlx::{self, PgPool},
};
use celerysalt_reference::events::{self, PaymentProcessed};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::{mpsc, oneshot},
};

/// What every request needs.
#[derive(Clone)]
struct App {
    pool: PgPool,
    salt: Salt,
}

/// What a client is told.
type Answer = (StatusCode, Json<Value>);

fn refused(status: StatusCode, why: impl ToString) -> Answer {
    (status, Json(json!({"error": why.to_string()})))
}

fn failed(error: sqlx::Error) -> Answer {
    refused(StatusCode::INTERNAL_SERVER_ERROR, error)
}

/// Takes a payment. The contract is what checks the request.
async fn pay(Shared(App { pool, salt }): Shared<App>, Json(body): Json<Value>) -> Result<Answer, Answer> {
    let payment =
        PaymentProcessed::from_json(body).map_err(|invalid| refused(StatusCode::UNPROCESSABLE_ENTITY, invalid))?;
    let mut transaction = pool.begin().await.map_err(failed)?;
    let taken = sqlx::query("INSERT INTO example_axum_payments VALUES ($1, $2) ON CONFLICT DO NOTHING")
        .bind(&payment.payment_id)
        .bind(payment.amount)
        .execute(&mut *transaction)
        .await
        .map_err(failed)?;
    if taken.rows_affected() == 0 {
        return Err(refused(StatusCode::CONFLICT, "this payment was taken before"));
    }
    let written = payment.publish_in(&salt, &mut transaction).key(&payment.payment_id).await;
    written.map_err(|error: OutboxError| refused(StatusCode::INTERNAL_SERVER_ERROR, error))?;
    transaction.commit().await.map_err(failed)?;
    Ok((StatusCode::CREATED, Json(json!({"payment_id": payment.payment_id}))))
}

fn router(app: App) -> Router {
    Router::new().route("/payments", post(pay)).with_state(app)
}

async fn book(
    payment: PaymentProcessed,
    State(seen): State<mpsc::UnboundedSender<String>>,
) -> Result<(), HandlerError> {
    seen.send(format!("booked {}", payment.amount))?;
    Ok(())
}

/// One request of a client: the status line that it gets, and the body.
async fn request(address: std::net::SocketAddr, body: &Value) -> Result<String, Box<dyn Error>> {
    let mut stream = TcpStream::connect(address).await?;
    let body = body.to_string();
    let request = format!(
        "POST /payments HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\ncontent-type: application/json\r\n\
         content-length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    Ok(format!("{}: {body}", head.lines().next().unwrap_or_default()))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let url = env::var("CELERYSALT_DATABASE_URL").map_err(
        |_| "CELERYSALT_DATABASE_URL names the service's own database, such as postgres://postgres@127.0.0.1/test",
    )?;
    let outbox = Outbox::connect(&url)?;
    let pool = outbox.pool().clone();
    outbox.migrate().await?;
    sqlx::raw_sql("CREATE TABLE IF NOT EXISTS example_axum_payments (payment_id TEXT PRIMARY KEY, amount FLOAT8)")
        .execute(&pool)
        .await?;

    let (seen, mut seeing) = mpsc::unbounded_channel::<String>();
    let books = Salt::connect_env("axum-books").await?;
    let running = books.service().state(seen).on(book).start().await?;
    let salt = Salt::builder("axum-payments").contracts(events::contracts()).connect().await?;
    let (end, ended) = oneshot::channel::<()>();
    let relay = Relay::new(pool.clone(), &salt).poll(Duration::from_millis(200));
    let relay = tokio::spawn(relay.run_until(async { drop(ended.await) }));

    let address = env::args().nth(1);
    let listener = TcpListener::bind(address.as_deref().unwrap_or("127.0.0.1:0")).await?;
    let bound = listener.local_addr()?;
    let app = router(App { pool, salt });
    if address.is_some() {
        println!("listening on {bound}");
        axum::serve(listener, app).with_graceful_shutdown(async { drop(tokio::signal::ctrl_c().await) }).await?;
    } else {
        let server = tokio::spawn(async move { axum::serve(listener, app).await });
        let id = format!("P-{}", jiff::Timestamp::now().as_nanosecond());
        for (what, amount) in [("a payment", 42.5), ("the same again", 42.5), ("none", -1.0)] {
            let body = json!({"payment_id": id, "amount": amount, "currency": "EUR"});
            println!("{what}: {}", request(bound, &body).await?.replace(&id, "P-1"));
        }
        println!("{}", seeing.recv().await.unwrap_or_default());
        server.abort();
    }
    drop(end);
    println!("{} event published from the outbox", relay.await??.published);
    running.shutdown().await;
    Ok(())
}
