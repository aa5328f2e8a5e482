//! One event, two services that share no code: the publisher has the contract's type, the subscriber a type of its own.
//!
//! ```text
//! cargo run --example broadcast
//! ```
//!
//! Both halves run here in one program. As two programs they would each call `Salt::connect_env`, with
//! `CELERYSALT_BROKER_URL` and `CELERYSALT_REGISTRY_URL` set to the real ones.

use celerysalt::{AnyEvent, Event, HandlerError, Salt};
use celerysalt_reference::events::{self, RiskAssessmentCreated};
use serde::Deserialize;

/// What the e-mail service wants to know of an assessment: fields of its own choice, no code of the publisher's.
#[derive(Deserialize)]
struct Notice {
    assessment_id: String,
    company_id: i64,
    risk_score: f64,
}

async fn send_email(event: AnyEvent) -> Result<(), HandlerError> {
    let notice: Notice = event.deserialize()?;
    println!(
        "e-mail to compliance of company {}: risk assessment {} scored {}",
        notice.company_id, notice.assessment_id, notice.risk_score
    );
    Ok(())
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    // Service A: pulse.
    let pulse = Salt::builder("pulse").contracts(events::contracts()).connect().await?;
    // Service B: the e-mail service. It names a topic, and the registry has the contract.
    let mail = Salt::builder("mail").connect().await?;
    let subscriber = mail.service().on_topic("pulse.risk.created", send_email).start().await?;

    let event = RiskAssessmentCreated::builder().assessment_id("RA-123").company_id(456).risk_score(7.5).build()?;
    println!("publishing {} ({})", event.cache_key(), RiskAssessmentCreated::contract());
    let receipt = event.publish(&pulse).await?;
    println!("published as {receipt}");

    // Shutting down waits for what the broker has handed out.
    subscriber.counted(|counts| counts.handled > 0).await;
    subscriber.shutdown().await;
    Ok(())
}
