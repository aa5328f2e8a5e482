use celerysalt::Salt;
use celerysalt_reference::events::GetRiskAssessment;

async fn tell(request: GetRiskAssessment, salt: Salt) {
    request.publish(&salt).await;
}

fn main() {}
