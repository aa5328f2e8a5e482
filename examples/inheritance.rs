//! A family of events: what they share is written once, and each member must say what only it can know.
//!
//! ```text
//! cargo run --example inheritance
//! ```
//!
//! The fields come from `schemas/_common/risk_base.json`, to which both contracts refer; the generator makes a trait of their
//! accessors. A member without a template of its own does not compile. With `--features amqp,postgres` and
//! `CELERYSALT_BROKER_URL`, the broker is RabbitMQ.

use celerysalt::{Broadcast, HandlerError, Salt, State};
use celerysalt_reference::{
    RiskLevel,
    events::{self, RiskAssessmentCreated, RiskAssessmentUpdated, shared::common_risk_base::RiskEvent},
};
use tokio::sync::mpsc;

/// The seeds' `BaseRiskEvent`: shared logic over the fragment's accessors, and one method that each event has to have.
trait Notice: RiskEvent {
    /// Which e-mail template tells of it.
    fn notification_template(&self) -> &'static str;

    /// What only some members have to add.
    fn remark(&self) -> String {
        String::new()
    }

    fn is_urgent(&self) -> bool {
        self.risk_score() >= 7.0
    }

    fn letter(&self) -> String {
        let (level, urgent) = (RiskLevel::of(self.risk_score()), if self.is_urgent() { "urgent, " } else { "" });
        format!(
            "{}: {urgent}{level:?} risk of company {}{}",
            self.notification_template(),
            self.company_id(),
            self.remark()
        )
    }
}

impl Notice for RiskAssessmentCreated {
    fn notification_template(&self) -> &'static str {
        "risk_created"
    }
}

impl Notice for RiskAssessmentUpdated {
    fn notification_template(&self) -> &'static str {
        "risk_updated"
    }

    fn remark(&self) -> String {
        let direction = if self.score_increased() { "up" } else { "down" };
        format!(", {direction} from {}", self.previous_score)
    }
}

/// One handler for the whole family.
async fn notify<E: Broadcast + Notice>(
    event: E,
    State(outbox): State<mpsc::UnboundedSender<String>>,
) -> Result<(), HandlerError> {
    outbox.send(event.letter())?;
    Ok(())
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (outbox, mut letters) = mpsc::unbounded_channel::<String>();
    let mail = Salt::connect_env("inheritance-mail").await?;
    let mailing = mail
        .service()
        .state(outbox)
        .on(notify::<RiskAssessmentCreated>)
        .on(notify::<RiskAssessmentUpdated>)
        .start()
        .await?;

    let pulse = Salt::builder("inheritance-pulse").contracts(events::contracts()).connect().await?;
    let created = RiskAssessmentCreated::builder()
        .assessment_id("RA-123")
        .company_id(456)
        .risk_score(8.5)
        .created_by("analyst@company.com")
        .build()?;
    if created.is_high_risk() {
        created.publish(&pulse).await?;
    }
    println!("{}", letters.recv().await.unwrap_or_default());
    let updated = RiskAssessmentUpdated::builder()
        .assessment_id("RA-123")
        .company_id(456)
        .risk_score(5.0)
        .previous_score(8.5)
        .updated_by("analyst@company.com")
        .build()?;
    updated.publish(&pulse).await?;
    println!("{}", letters.recv().await.unwrap_or_default());
    mailing.shutdown().await;
    Ok(())
}
