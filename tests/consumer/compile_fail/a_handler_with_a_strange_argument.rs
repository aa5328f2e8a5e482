use celerysalt::{Meta, Salt, State};
use celerysalt_reference::events::{GetRiskAssessment, GetRiskAssessmentError, GetRiskAssessmentResponse, UserCreated};

struct Pool;

async fn handle(_: UserCreated, _: Meta, _: Pool) {}

/// State is cloned for each message.
async fn stateful(_: UserCreated, _: State<Pool>) {}

async fn swapped(_: Meta, _: UserCreated) {}

async fn answer(_: GetRiskAssessment, _: Pool) -> Result<GetRiskAssessmentResponse, GetRiskAssessmentError> {
    std::future::pending().await
}

fn service(salt: Salt) {
    let _ = salt.service().on(handle);
    let _ = salt.service().on(stateful);
    let _ = salt.service().on(swapped);
    let _ = salt.service().serve(answer);
}

fn main() {}
