//! A relay as a process of its own, for tests to kill.
//!
//! `outbox-relay DATABASE BROKER EVENTS-IN-FLIGHT` says `ready` before it starts, and what it has done when it ends.

use std::{env, error::Error, time::Duration};

use celerysalt::{
    outbox::{Outbox, Relay},
    transport,
};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [database, broker, batch] = &arguments[..] else {
        return Err("expected a database, a broker and a number".into());
    };
    let transport = transport::connect(broker, "outbox-relay").await?;
    let relay = Relay::with_transport(Outbox::connect(database)?.pool().clone(), transport.clone());
    println!("ready");
    let relayed = relay.batch(batch.parse()?).poll(Duration::from_millis(200)).run_until_signal().await?;
    transport.close().await;
    println!("published {}", relayed.published);
    Ok(())
}
