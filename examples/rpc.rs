//! A request with a typed response and a typed, declared error.
//!
//! ```text
//! cargo run --example rpc
//! ```

use std::time::Duration;

use celerysalt::{CallError, HandlerError, Rest, Salt, ServeError};
use celerysalt_reference::events::{self, GetRiskAssessment, GetRiskAssessmentError, GetRiskAssessmentResponse};

/// Service B answers. Declared errors reach the caller typed; any other error reaches it as a text.
async fn get_risk(request: GetRiskAssessment) -> Result<GetRiskAssessmentResponse, ServeError<GetRiskAssessmentError>> {
    let Some(number) = request.assessment_id.strip_prefix("RA-") else {
        return Err(GetRiskAssessmentError {
            error_code: "NOT_FOUND".to_owned(),
            error_message: format!("assessment {} not found", request.assessment_id),
            details: None,
            rest: Rest::default(),
        }
        .into());
    };
    let number: u32 = number.parse().map_err(HandlerError::from)?;
    Ok(GetRiskAssessmentResponse {
        risk_score: f64::from(number % 11),
        status: "approved".to_owned(),
        assessment_id: request.assessment_id,
        rest: Rest::default(),
    })
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let server = Salt::builder("risk").contracts(events::contracts()).connect().await?;
    let running = server.service().serve(get_risk).start().await?;

    // Service A asks.
    let caller = Salt::builder("dashboard").connect().await?;
    for id in ["RA-123", "XX-1", "RA-many"] {
        let request = GetRiskAssessment { assessment_id: id.to_owned(), rest: Rest::default() };
        match request.call(&caller).timeout(Duration::from_secs(10)).await {
            Ok(reply) => println!("{id}: score {}, {}", reply.risk_score, reply.status),
            Err(CallError::Declared(error)) => println!("{id}: {}: {}", error.error_code, error.error_message),
            Err(error) => println!("{id}: {error}"),
        }
    }
    running.shutdown().await;
    Ok(())
}
