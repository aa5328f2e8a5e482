use std::rc::Rc;

use celerysalt::Salt;
use celerysalt_reference::events::UserCreated;

async fn handle(_: UserCreated) {
    let count = Rc::new(1);
    std::future::ready(()).await;
    drop(count);
}

fn service(salt: Salt) {
    let _ = salt.service().on(handle);
}

fn main() {}
