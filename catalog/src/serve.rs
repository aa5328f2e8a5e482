//! The catalog live from a registry, over HTTP: read only, for people.
//!
//! What the registry has is read again by the first request that comes more than five seconds after the last time; a page is
//! made when it is asked for. While the registry is away, pages say so and why.

mod http;
mod letters;

use std::{
    io,
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use celerysalt::registry::{Registry, RegistryError, Side};
use celerysalt_contract::evolution::Release;
use tokio::{net::TcpListener, sync::Mutex};

use self::letters::Broker;
use crate::{Comparisons, Known, Site};

/// How old what is shown may be.
const FRESH: Duration = Duration::from_secs(5);

/// What is served.
///
/// ```no_run
/// use celerysalt::registry;
/// use celerysalt_catalog::serve::{Live, Server};
///
/// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
/// let registry = registry::connect("postgres://reader@db/contracts")?;
/// let server = Server::bind("127.0.0.1:8180".parse()?, Live::new("Event contracts", registry)).await?;
/// println!("http://{}/", server.address());
/// server.run().await;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Live {
    title: String,
    registry: Arc<dyn Registry>,
    broker: Option<Broker>,
    hosts: Vec<String>,
    comparisons: Comparisons,
    last: Mutex<Option<(Instant, Arc<Site>)>>,
}

impl Live {
    /// The contracts of a registry.
    pub fn new(title: impl Into<String>, registry: Arc<dyn Registry>) -> Self {
        Self {
            title: title.into(),
            registry,
            broker: None,
            hosts: Vec::new(),
            comparisons: Comparisons::default(),
            last: Mutex::new(None),
        }
    }

    /// With counts of dead letters, from the broker of that URL. Queues are looked at, and nothing is taken from them.
    #[must_use]
    pub fn broker(mut self, url: impl Into<String>) -> Self {
        self.broker = Some(Broker::new(url.into()));
        self
    }

    /// Under a further name, such as that of a proxy in front of it. A server on a loopback address answers to the names of
    /// this machine only, so that no page of the web can read it by a name of its own.
    #[must_use]
    pub fn host(mut self, name: impl Into<String>) -> Self {
        self.hosts.push(name.into().to_ascii_lowercase());
        self
    }

    /// What there is now, or was a moment ago. Requests that come at the same time read it once.
    async fn site(&self) -> Result<Arc<Site>, RegistryError> {
        let mut last = self.last.lock().await;
        if let Some((at, site)) = &*last
            && at.elapsed() < FRESH
        {
            return Ok(Arc::clone(site));
        }
        let records = self.registry.list(None).await?;
        let mut known = Known::of(&*self.registry).await?;
        if let Some(broker) = &self.broker {
            let services = known.services(Side::Subscriber).into_iter().map(str::to_owned).collect();
            let counts = broker.count(services).await;
            known = known.with_dead_letters(counts);
        }
        let site = Site::new(self.title.clone(), records.into_iter().map(Release::from_record));
        let site = Arc::new(site.with_known(known).live(self.comparisons.clone()));
        *last = Some((Instant::now(), Arc::clone(&site)));
        Ok(site)
    }
}

/// A server that listens.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
    live: Arc<Live>,
}

impl Server {
    /// Listens; port 0 is one that is free.
    ///
    /// # Errors
    /// What the system says, such as that the address is in use.
    pub async fn bind(address: SocketAddr, live: Live) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        Ok(Self { listener, address, live: Arc::new(live) })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers, until it is dropped.
    pub async fn run(self) {
        http::run(&self.listener, self.address, &self.live).await;
    }
}
