//! What a broker refuses for good: a wrong password, an authority that nobody knows, another host's certificate. Said within
//! seconds, once, and without the password.

use std::time::{Duration, Instant};

use celerysalt::transport::{
    Transport, TransportError,
    amqp::{AmqpOptions, AmqpTransport},
};
use celerysalt_tests::{certificate::Certificate, proxy::Proxy};
use tokio::task::block_in_place;

use crate::{checker::tell, node::Own};

const SECRET: &str = "s3cret-of-ours";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wrong_passwords_authorities_and_hosts() {
    let node = Own::node().await;
    let other = block_in_place(|| {
        let path = Certificate::of(node.folder(), "elsewhere").authority;
        std::fs::read_to_string(path).unwrap()
    });
    let ours = || AmqpOptions::new().ca_certificates(node.authority());
    AmqpTransport::connect(&node.tls_url("localhost"), ours()).await.unwrap().close().await;
    let guest = |url: String| url.replace("guest:guest", &format!("guest:{SECRET}"));
    let cases = [
        ("wrong password", guest(node.url()), ours(), "guest"),
        ("wrong password, by TLS", guest(node.tls_url("localhost")), ours(), "guest"),
        ("unknown authority", node.tls_url("localhost"), AmqpOptions::new().ca_certificates(&other), "TLS"),
        ("another host's certificate", node.tls_url("127.0.0.1"), ours(), "TLS"),
        ("no such virtual host", node.url().replace("/%2f", "/nowhere"), ours(), "nowhere"),
    ];
    for (case, url, options, what) in cases {
        // Counts who connects. The certificate is for a name, so the proxy has to have one, too.
        let target = url.rsplit_once('@').unwrap().1.split('/').next().unwrap().replace("localhost", "127.0.0.1");
        let host = if url.contains("localhost") { "localhost" } else { "127.0.0.1" };
        let proxy = Proxy::start(&target).await;
        let through = proxy.through(&url).replace("127.0.0.1", host);
        let start = Instant::now();
        let error = AmqpTransport::connect(&through, options).await.unwrap_err();
        let took = start.elapsed();
        // Whoever went on trying would do so within this time: the longest pause between tries is two seconds.
        tokio::time::sleep(Duration::from_millis(2_500)).await;
        let taken = proxy.taken();
        tell(case, &format!("refused after {:.2} s | {taken} connections | {error}", took.as_secs_f64()));
        assert!(matches!(&error, TransportError::Refused { .. }), "{case}: {error:?}");
        assert!(error.to_string().contains(what), "{case}: {error}");
        assert!(took < Duration::from_secs(5), "{case}: {took:?}");
        // One to publish and one to consume.
        assert!(taken <= 2, "{case}: {taken} connections");
        assert!(!format!("{error} {error:?}").contains(SECRET), "{case}: {error:?}");
    }
}
