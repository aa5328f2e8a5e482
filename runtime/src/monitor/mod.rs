//! Whether a service is well, for whoever asks over HTTP: a tower service for a web framework, or a small server.
//!
//! | path ends with | answer |
//! | --- | --- |
//! | `/live` | 200 as long as the process answers at all |
//! | `/ready` | 200, or 503 while the broker is away or a queue is not consumed; JSON that says which |
//! | `/metrics` | with the feature `prometheus`, and once it was given a [`Prometheus`] |
//!
//! A registry that is away does not make a service unready: it goes on with what it knows, and what it has to register
//! waits. Nothing here asks for a password, so let it be reached by those who look after the service alone.
//!
//! ```
//! use celerysalt::{Salt, monitor::Monitor};
//!
//! # tokio::runtime::Runtime::new().unwrap().block_on(async {
//! let salt = Salt::builder("pulse").broker_url("memory:").registry_url("memory:").connect().await?;
//! let monitor = Monitor::new(&salt);
//! // With axum: Router::new().nest_service("/ops", monitor.clone())
//! assert!(monitor.health().is_ready());
//! assert_eq!(monitor.answer("/ops/ready").await.status(), 200);
//! # Ok::<(), celerysalt::ConnectError>(())
//! # }).unwrap();
//! ```

mod health;
#[cfg(feature = "prometheus")]
mod prometheus;
#[cfg(feature = "monitor-server")]
mod server;

use std::{
    convert::Infallible,
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};

use http::{Method, Request, Response, StatusCode, header};

pub use self::health::{Consuming, Health};
#[cfg(feature = "prometheus")]
pub use self::prometheus::{Prometheus, PrometheusError};
use crate::Salt;

/// The health of one service, and its metrics, over HTTP. Cloning is cheap.
#[derive(Clone, Debug)]
pub struct Monitor {
    salt: Salt,
    #[cfg(feature = "prometheus")]
    prometheus: Option<Prometheus>,
    #[cfg(feature = "outbox")]
    outbox: Option<crate::outbox::Outbox>,
}

impl Monitor {
    /// Of the service that has this handle, and of the handlers that it runs.
    pub fn new(salt: &Salt) -> Self {
        Self {
            salt: salt.clone(),
            #[cfg(feature = "prometheus")]
            prometheus: None,
            #[cfg(feature = "outbox")]
            outbox: None,
        }
    }

    /// Answers `/metrics` too.
    #[cfg(feature = "prometheus")]
    #[must_use]
    pub fn prometheus(mut self, prometheus: Prometheus) -> Self {
        self.prometheus = Some(prometheus);
        self
    }

    /// Has the metrics say how this outbox stands. It is looked at whenever they are asked for, for two seconds at most;
    /// the levels are `NaN` when that fails.
    #[cfg(feature = "outbox")]
    #[must_use]
    pub fn outbox(mut self, outbox: crate::outbox::Outbox) -> Self {
        self.outbox = Some(outbox);
        self
    }

    /// How the service stands now.
    pub fn health(&self) -> Health {
        Health::of(&self.salt)
    }

    /// What is answered to a `GET` of this path; only its last part counts.
    pub async fn answer(&self, path: &str) -> Response<String> {
        match path.rsplit('/').next().unwrap_or_default() {
            "live" => response(StatusCode::OK, "application/json", r#"{"status":"live"}"#.to_owned()),
            "ready" => {
                let health = self.health();
                let status = if health.is_ready() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
                response(status, "application/json", health.to_json())
            }
            "metrics" => self.metrics().await,
            _ => response(StatusCode::NOT_FOUND, "text/plain; charset=utf-8", "try live, ready or metrics".to_owned()),
        }
    }

    #[cfg(feature = "prometheus")]
    async fn metrics(&self) -> Response<String> {
        let Some(prometheus) = &self.prometheus else {
            let advice = "this monitor was given no metrics: Monitor::new(&salt).prometheus(Prometheus::install()?)";
            return response(StatusCode::NOT_FOUND, "text/plain; charset=utf-8", advice.to_owned());
        };
        crate::telemetry::look(&self.salt);
        #[cfg(feature = "outbox")]
        if let Some(outbox) = &self.outbox {
            crate::telemetry::look_at_outbox(outbox).await;
        }
        #[cfg(not(feature = "outbox"))]
        std::future::ready(()).await;
        response(StatusCode::OK, "text/plain; version=0.0.4; charset=utf-8", prometheus.render())
    }

    #[cfg(not(feature = "prometheus"))]
    async fn metrics(&self) -> Response<String> {
        let _ = &self.salt;
        let advice = "this build has no metrics: enable the feature `prometheus` of `celerysalt`";
        std::future::ready(response(StatusCode::NOT_FOUND, "text/plain; charset=utf-8", advice.to_owned())).await
    }
}

fn response(status: StatusCode, kind: &'static str, body: String) -> Response<String> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, header::HeaderValue::from_static(kind));
    headers.insert(header::CACHE_CONTROL, header::HeaderValue::from_static("no-store"));
    response
}

impl<B> tower_service::Service<Request<B>> for Monitor {
    type Response = Response<String>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            let mut refused = response(StatusCode::METHOD_NOT_ALLOWED, "text/plain", String::new());
            refused.headers_mut().insert(header::ALLOW, header::HeaderValue::from_static("GET, HEAD"));
            return Box::pin(std::future::ready(Ok(refused)));
        }
        let (monitor, path) = (self.clone(), request.uri().path().to_owned());
        Box::pin(async move { Ok(monitor.answer(&path).await) })
    }
}

#[cfg(test)]
mod tests {
    use tower_service::Service as _;

    use super::*;

    async fn salt() -> Salt {
        Salt::builder("mail").broker_url("memory:").registry_url("memory:").connect().await.unwrap()
    }

    async fn asked(monitor: &Monitor, method: Method, path: &str) -> (u16, String) {
        let request = Request::builder().method(method).uri(path).body(()).unwrap();
        let response = monitor.clone().call(request).await.unwrap();
        (response.status().as_u16(), response.into_body())
    }

    #[tokio::test]
    async fn a_service_is_ready_while_its_queues_are_consumed() {
        let salt = salt().await;
        let monitor = Monitor::new(&salt);
        assert_eq!(asked(&monitor, Method::GET, "/live").await, (200, r#"{"status":"live"}"#.to_owned()));
        assert_eq!(asked(&monitor, Method::HEAD, "/anywhere/ready").await.0, 200, "a publisher has no queues");
        let running = salt.service().on_raw("a.#", async |_: crate::AnyEvent| {}).start().await.unwrap();
        let ready = r#"{"status":"ready","service":"mail","broker":"connected","consumers":{"celerysalt.mail.events":"running"},"registry":"reachable","registry_pending":0}"#;
        assert_eq!(asked(&monitor, Method::GET, "/ready").await, (200, ready.to_owned()));
        running.shutdown().await;
        let (status, body) = asked(&monitor, Method::GET, "/ready").await;
        assert_eq!(status, 503);
        assert!(body.contains(r#""status":"unready""#) && body.contains(r#""celerysalt.mail.events":"stopped""#));
    }

    #[tokio::test]
    async fn what_it_does_not_know_is_refused() {
        let monitor = Monitor::new(&salt().await);
        assert_eq!(asked(&monitor, Method::POST, "/live").await.0, 405);
        assert_eq!(asked(&monitor, Method::GET, "/").await.0, 404);
        assert_eq!(asked(&monitor, Method::GET, "/metrics").await.0, 404, "nobody gave it a recorder");
    }
}
