use celerysalt::Salt;

async fn handle(_: String) {}

fn service(salt: Salt) {
    let _ = salt.service().on(handle);
}

fn main() {}
