use celerysalt::Salt;

struct Note;

async fn handle(_: Note) {}

fn service(salt: Salt) {
    let _ = salt.service().on(handle);
}

fn main() {}
