//! HTTP for the pages: GET and HEAD, the files of the site, and nothing else.

use std::{convert::Infallible, net::SocketAddr, sync::Arc, time::Duration};

use http_body_util::Full;
use hyper::{
    Method, Request, Response, StatusCode,
    body::{Bytes, Incoming},
    header::{self, HeaderValue},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{net::TcpListener, sync::Semaphore, time};

use super::Live;
use crate::{Page, Site, pages::POLICY};

/// Who has said nothing for that long after connecting, or between requests, is hung up on.
const SILENCE: Duration = Duration::from_secs(30);
/// Connections at a time; more wait.
const CONNECTIONS: usize = 256;

pub(super) async fn run(listener: &TcpListener, address: SocketAddr, live: &Arc<Live>) {
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
        let Ok((stream, _)) = listener.accept().await else {
            // Out of file descriptors, mostly: some will be free again.
            time::sleep(Duration::from_millis(100)).await;
            continue;
        };
        let live = Arc::clone(live);
        tokio::spawn(async move {
            let answer = service_fn(|request| {
                let live = Arc::clone(&live);
                async move { Ok::<_, Infallible>(answer(&request, address, &live).await) }
            });
            let mut http = http1::Builder::new();
            http.timer(TokioTimer::new()).header_read_timeout(SILENCE);
            // A client that went away is nobody's concern.
            let _ = http.serve_connection(TokioIo::new(stream), answer).await;
            drop(place);
        });
    }
}

async fn answer(request: &Request<Incoming>, address: SocketAddr, live: &Arc<Live>) -> Response<Full<Bytes>> {
    let is_head = request.method() == Method::HEAD;
    let (status, page) = if !is_host(request, address, &live.hosts) {
        let text = "This catalog answers to the names of this machine only; `--host` allows further ones.";
        (StatusCode::MISDIRECTED_REQUEST, Site::problem("Another host's page", text))
    } else if request.method() != Method::GET && !is_head {
        (StatusCode::METHOD_NOT_ALLOWED, Site::problem("Only to be read", "This catalog changes nothing."))
    } else {
        page(request.uri().path().to_owned(), live).await
    };
    let length = page.text.len();
    let body = if is_head { Bytes::new() } else { Bytes::from(page.text) };
    let mut response = Response::new(Full::new(body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    for (name, value) in [
        (header::CONTENT_TYPE, page.content_type),
        (header::CACHE_CONTROL, "no-cache"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CONTENT_SECURITY_POLICY, POLICY),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    if status == StatusCode::METHOD_NOT_ALLOWED {
        headers.insert(header::ALLOW, HeaderValue::from_static("GET, HEAD"));
    }
    response
}

async fn page(path: String, live: &Arc<Live>) -> (StatusCode, Page) {
    let asset = path.starts_with("/assets/");
    if asset && let Some(page) = Site::asset(&path) {
        return (StatusCode::OK, page);
    }
    let site = match live.site().await {
        Ok(site) => site,
        Err(error) => {
            return (StatusCode::SERVICE_UNAVAILABLE, Site::problem("The registry can't be read", &error.to_string()));
        }
    };
    // Comparing and writing may take a moment, and others want to be answered meanwhile.
    let made = tokio::task::spawn_blocking(move || site.page(&path)).await;
    match made {
        Ok(Some(page)) => (StatusCode::OK, page),
        Ok(None) => {
            (StatusCode::NOT_FOUND, Site::problem("There is no such page", "The list of topics has what there is."))
        }
        Err(_) => (
            StatusCode::INTERNAL_SERVER_ERROR,
            Site::problem("This page could not be made", "That is a fault of celerysalt; please report it."),
        ),
    }
}

/// Whether the request names a host that this is: a page of the web whose name leads to 127.0.0.1 must not read it.
fn is_host(request: &Request<Incoming>, address: SocketAddr, hosts: &[String]) -> bool {
    if !address.ip().is_loopback() {
        return true;
    }
    let named = request.headers().get(header::HOST).and_then(|value| value.to_str().ok());
    named.is_some_and(|named| is_known(named, hosts))
}

fn is_known(named: &str, hosts: &[String]) -> bool {
    let named = named.to_ascii_lowercase();
    let name = match named.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => named.as_str(),
    };
    let is_loopback = |name: &str| name.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback());
    name == "localhost"
        || is_loopback(name.trim_start_matches('[').trim_end_matches(']'))
        || hosts.iter().any(|host| host == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_this_machine_are_known() {
        let hosts = ["catalog.example.com".to_owned()];
        for (named, known) in [
            ("localhost:8180", true),
            ("127.0.0.1", true),
            ("[::1]:8180", true),
            ("Catalog.Example.com:443", true),
            ("attacker.example:8180", false),
            ("localhost.attacker.example", false),
            ("192.168.1.2", false),
            ("", false),
        ] {
            assert_eq!(is_known(named, &hosts), known, "{named}");
        }
    }
}
