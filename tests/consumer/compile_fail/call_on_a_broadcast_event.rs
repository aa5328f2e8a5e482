use celerysalt::Salt;
use celerysalt_reference::events::RiskAssessmentCreated;

async fn ask(event: RiskAssessmentCreated, salt: Salt) {
    event.call(&salt).await;
}

fn main() {}
