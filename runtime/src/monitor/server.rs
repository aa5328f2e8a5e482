//! A server for programs that have no web framework: HTTP/1.1, health and metrics, nothing else.

use std::{convert::Infallible, future::Future, io, sync::Arc, time::Duration};

use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    task::JoinSet,
};

use super::Monitor;

/// More than ask after one service's health.
const MOST_CONNECTIONS: usize = 64;
/// How long a client may take over its request's head; then the connection ends.
const PATIENCE: Duration = Duration::from_secs(10);

impl Monitor {
    /// Answers at `address`, such as `0.0.0.0:9100`, for as long as this is polled: spawn it, or `select!` it with the
    /// service. At most 64 connections at a time; others wait.
    ///
    /// ```no_run
    /// # use celerysalt::{Salt, monitor::Monitor};
    /// # async fn main_(salt: Salt) -> Result<(), Box<dyn std::error::Error>> {
    /// let monitor = tokio::spawn(Monitor::new(&salt).listen("0.0.0.0:9100"));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// When it can't listen there.
    pub async fn listen(self, address: impl tokio::net::ToSocketAddrs) -> io::Result<Infallible> {
        Ok(self.serve(TcpListener::bind(address).await?).await)
    }

    /// As [`Monitor::listen`], on a listener that is bound already.
    pub async fn serve(self, listener: TcpListener) -> Infallible {
        let places = Arc::new(Semaphore::new(MOST_CONNECTIONS));
        // Dropped with this future: then nobody is answered any more.
        let mut connections = JoinSet::new();
        loop {
            while connections.try_join_next().is_some() {}
            let place = Arc::clone(&places).acquire_owned().await;
            match listener.accept().await {
                Ok((stream, _)) => {
                    let answering = self.clone().connection(stream);
                    connections.spawn(async move {
                        answering.await;
                        drop(place);
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "the monitor can't take a connection");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
        }
    }

    fn connection(self, stream: TcpStream) -> impl Future<Output = ()> + Send {
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(PATIENCE)
            .serve_connection(TokioIo::new(stream), TowerToHyperService::new(self));
        async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a connection to the monitor failed");
            }
        }
    }
}
