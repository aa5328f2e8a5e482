//! `celerysalt serve`: the catalog, live from a registry.

use std::{
    io::{self, Write},
    net::SocketAddr,
    time::Duration,
};

use celerysalt::registry::{self, Actor};
use celerysalt_catalog::serve::{Live, Server};
use clap::Args;

use crate::{
    contracts::REGISTRY_URL,
    output::{Report, Stop},
};

/// Pages should rather say that the registry has no connection to give than wait for one.
const PATIENCE: Duration = Duration::from_secs(5);

/// Show the catalog of a registry in the browser, always as it is now
///
/// As `docs`, with who was last seen when, dead letters, and the audit log. Pages are read from the registry when they are
/// asked for; nothing is ever written. Runs until it is told to end (Ctrl-C).
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  celerysalt serve --registry postgres://reader@db/contracts\n  \
    celerysalt serve --registry postgres://reader@db/contracts --broker amqp://ops@broker/ --address 127.0.0.1:9000\n\n\
    It asks nobody for a password: on another address than 127.0.0.1, put a proxy in front of it that does.")]
pub(crate) struct Serve {
    /// Registry that has the contracts, such as postgres://user:password@host/database
    #[arg(long, value_name = "URL", env = REGISTRY_URL, hide_env_values = true)]
    registry: String,
    /// Broker whose dead letters are counted, such as amqp://user:password@host:5672/vhost
    #[arg(long, value_name = "URL", env = celerysalt::BROKER_URL_VARIABLE, hide_env_values = true)]
    broker: Option<String>,
    /// Where to listen; port 0 is one that is free
    #[arg(long, value_name = "IP:PORT", default_value = "127.0.0.1:8180")]
    address: SocketAddr,
    /// A name that it is reached by besides localhost, such as that of a proxy; may be given several times
    #[arg(long, value_name = "NAME")]
    host: Vec<String>,
    /// What the catalog is called
    #[arg(long, value_name = "TEXT", default_value = "Event contracts")]
    title: String,
}

impl Serve {
    pub(crate) async fn run(self) -> Result<Report, Stop> {
        let registry = registry::connect_patiently(&self.registry, Actor::here("celerysalt serve"), PATIENCE)?;
        let mut live = Live::new(self.title, registry);
        if let Some(broker) = self.broker {
            live = live.broker(broker);
        }
        for name in self.host {
            live = live.host(name);
        }
        let address = self.address;
        let server = Server::bind(address, live)
            .await
            .map_err(|error| Stop::failed("address", format!("can't listen on {address}: {error}")))?;
        // Whoever started it may want to know, and does not have to.
        let _ = writeln!(io::stdout(), "http://{}/", server.address());
        server.run().await;
        Err(Stop::failed("address", "can't listen any more"))
    }
}
