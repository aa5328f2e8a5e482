use celerysalt::{Meta, Salt};
use celerysalt_reference::events::UserCreated;

struct Pool;

async fn handle(_: UserCreated, _: Meta, _: Pool) {}

fn service(salt: Salt) {
    let _ = salt.service().on(handle);
}

fn main() {}
