use celerysalt::{HandlerError, Salt};
use celerysalt_reference::events::UserCreated;

async fn number(_: UserCreated) -> u32 {
    7
}

async fn numbers(_: UserCreated) -> Result<Vec<u32>, HandlerError> {
    Ok(Vec::new())
}

fn service(salt: Salt) {
    let _ = salt.service().on(number);
    let _ = salt.service().on(numbers);
}

fn main() {}
