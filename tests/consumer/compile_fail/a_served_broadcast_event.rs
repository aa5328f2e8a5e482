use celerysalt::Salt;
use celerysalt_reference::events::RiskAssessmentCreated;

async fn handle(_: RiskAssessmentCreated) -> Result<(), celerysalt::RpcError> {
    Ok(())
}

fn service(salt: Salt) {
    let _ = salt.service().serve(handle);
}

fn main() {}
