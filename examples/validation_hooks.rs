//! What a schema can't say is checked before publishing: large payments wait for somebody's approval.
//!
//! ```text
//! cargo run --example validation_hooks
//! ```
//!
//! The seeds' overridden `publish` that returns `{"status": "pending_approval"}` is a hook with a veto. It acts on every way
//! out: by type, by name, in a batch, through the outbox. With `--features amqp,postgres` and `CELERYSALT_BROKER_URL`, the
//! broker is RabbitMQ.

use std::sync::{Arc, Mutex, PoisonError};

use celerysalt::{HandlerError, Headers, PublishError, Salt, SaltBuilder, State, Veto};
use celerysalt_reference::events::{self, PaymentProcessed, payments_processed::v1::PaymentProcessedCurrency};
use tokio::sync::mpsc;

/// Who may pay more than this must be asked.
const LIMIT: f64 = 10_000.0;

/// Payments that wait for somebody.
#[derive(Clone, Default)]
struct Approvals(Arc<Mutex<Vec<String>>>);

impl Approvals {
    fn request(&self, payment_id: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(payment_id.to_owned());
    }

    fn waiting(&self) -> Vec<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

async fn book(
    payment: PaymentProcessed,
    headers: Headers,
    State(booked): State<mpsc::UnboundedSender<String>>,
) -> Result<(), HandlerError> {
    let checked = headers.get("x-checked-by").map(ToString::to_string).unwrap_or_default();
    booked.send(format!("booked {} of {}, checked by {checked}", payment.payment_id, payment.amount))?;
    Ok(())
}

fn payment(id: &str, amount: f64) -> PaymentProcessed {
    PaymentProcessed {
        payment_id: id.to_owned(),
        amount,
        currency: PaymentProcessedCurrency::Eur,
        rest: celerysalt::Rest::default(),
    }
}

/// What the publisher's handle does besides. `main` and the tests share it.
fn publishing(payments: SaltBuilder, approvals: Approvals) -> SaltBuilder {
    payments.before_publish(move |payment: PaymentProcessed| {
        let approvals = approvals.clone();
        async move {
            if payment.amount > LIMIT {
                approvals.request(&payment.payment_id);
                return Err(Veto::new("pending_approval"));
            }
            Ok(Headers::default().with("x-checked-by", "limit"))
        }
    })
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let approvals = Approvals::default();
    let payments = Salt::builder("validation-payments").contracts(events::contracts());
    let payments = publishing(payments, approvals.clone()).connect().await?;
    let (telling, mut booked) = mpsc::unbounded_channel::<String>();
    let books = Salt::connect_env("validation-books").await?;
    let running = books.service().state(telling).on(book).start().await?;

    for (id, amount) in [("P-1", 99.5), ("P-2", 250_000.0), ("P-3", -1.0)] {
        match payment(id, amount).publish(&payments).await {
            Ok(_) => println!("{id}: published; {}", booked.recv().await.unwrap_or_default()),
            Err(error) if error.veto().is_some() => println!("{id}: {}", error.veto().unwrap_or_default()),
            // The schema comes first: the hook has not seen this one.
            Err(PublishError::Invalid(invalid)) => println!("{id}: {invalid}"),
            Err(error) => return Err(error.into()),
        }
    }
    println!("waiting for approval: {}", approvals.waiting().join(", "));
    running.shutdown().await;
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

    use celerysalt::testing::TestApp;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_large_payment_waits_and_a_batch_with_one_waits_whole() {
        let app = TestApp::new().await.unwrap();
        let approvals = Approvals::default();
        let payments = app.salt_with("payments", |builder| publishing(builder, approvals.clone())).await.unwrap();
        payment("P-1", LIMIT).publish(&payments).await.unwrap();
        let refused = payment("P-2", LIMIT + 0.01).publish(&payments).await.unwrap_err();
        assert_eq!(refused.veto(), Some("pending_approval"));
        let batch = [payment("P-3", 1.0), payment("P-4", 1e6)];
        assert!(PaymentProcessed::publish_batch(&batch, &payments).await.is_err());
        assert_eq!(app.published::<PaymentProcessed>(), [payment("P-1", LIMIT)]);
        assert_eq!(approvals.waiting(), ["P-2", "P-4"]);
    }
}
