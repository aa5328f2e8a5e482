//! Ten thousand users in one call: all of them are checked before the first is sent, and many are in flight at once.
//!
//! ```text
//! cargo run --example batch
//! ```
//!
//! With `--features amqp,postgres` and `CELERYSALT_BROKER_URL`, the broker is RabbitMQ.

use std::{collections::BTreeSet, time::Instant};

use celerysalt::{Rest, Salt, State};
use celerysalt_reference::events::{self, UserCreated};
use tokio::sync::mpsc;

const USERS: i64 = 10_000;

/// The ids that were seen: each of them once.
async fn note(user: UserCreated, State(seen): State<mpsc::UnboundedSender<Option<i64>>>) {
    // Nobody listens any more when the program ends.
    let _ = seen.send(user.user_id.as_i64());
}

fn user(id: i64) -> UserCreated {
    UserCreated { user_id: id.into(), email: format!("user{id}@example.com"), rest: Rest::default() }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (seen, mut seeing) = mpsc::unbounded_channel::<Option<i64>>();
    let crm = Salt::connect_env("batch-crm").await?;
    let running = crm.service().state(seen).on(note).start().await?;
    let counted = tokio::spawn(async move {
        let mut all = BTreeSet::new();
        while all.len() < usize::try_from(USERS).unwrap_or_default() {
            let Some(id) = seeing.recv().await else { break };
            all.extend(id);
        }
        all
    });

    let auth = Salt::builder("batch-auth").contracts(events::contracts()).connect().await?;
    let users: Vec<UserCreated> = (1..=USERS).map(user).collect();
    let start = Instant::now();
    let receipts = UserCreated::publish_batch(&users, &auth).window(100).await?;
    println!("{} users confirmed, at most 100 in flight, in {:.1?}", receipts.len(), start.elapsed());
    let all = counted.await?;
    println!("{} users handled, {:?} to {:?}", all.len(), all.first(), all.last());
    running.shutdown().await;
    Ok(())
}
