use celerysalt_reference::events::UserCreated;

fn main() {
    let _ = UserCreated { user_id: 1.into(), rest: Default::default() };
}
