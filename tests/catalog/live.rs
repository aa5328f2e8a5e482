//! `celerysalt serve`, beside a real PostgreSQL and a real RabbitMQ, and with both away.

use std::{net::SocketAddr, sync::Arc};

use celerysalt::{
    HandlerError,
    letters::DeadLetters,
    registry::{self, Registry},
    service::Retry,
};
use celerysalt_catalog::serve::{Live, Server};
use celerysalt_contract::Status;
use celerysalt_reference::events::UserSignup;
use celerysalt_tests::{World, broker_url, postgres::in_fresh_schema, within};
use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::JoinHandle,
};

async fn serve(live: Live) -> (SocketAddr, JoinHandle<()>) {
    let server = Server::bind("127.0.0.1:0".parse().unwrap(), live).await.unwrap();
    (server.address(), tokio::spawn(server.run()))
}

/// One request: the whole response.
async fn ask(address: SocketAddr, request: &str, host: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!("{request} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut response = String::new();
    within(stream.read_to_string(&mut response)).await.unwrap();
    response
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registry_and_a_broker_are_shown_as_they_are() {
    in_fresh_schema(|schema| async move {
        let registry = Arc::new(schema.registry());
        let records: Vec<_> = crate::reference().iter().map(|release| release.record().clone()).collect();
        registry.sync(&records, false).await.unwrap();
        let (topic, v1) = ("auth.user.signup".parse().unwrap(), "v1".parse().unwrap());
        registry.set_status(&topic, &v1, Status::Deprecated, "use v2 <now>").await.unwrap();

        // A service that can't handle its one message.
        let world = World::rabbitmq();
        let salt = world.builder("mail").await.registry(registry.clone()).connect().await.unwrap();
        let refuse = async |_: UserSignup| -> Result<(), HandlerError> { Err(HandlerError::reject("no")) };
        let running = salt.service().retry(Retry::never()).on(refuse).start().await.unwrap();
        let payload = json!({"user_id": "7", "email": "a@example.com", "user_name": "a"});
        world.send_event("auth.user.signup", json!({"version": "v2"}), &payload).await;
        let letters = Arc::new(DeadLetters::new(world.transport("reader").await, world.service_name("mail")));
        within(running.counted(|counts| counts.dead_lettered == 1)).await;
        // Who closes has told the registry that it was there.
        running.shutdown().await;
        salt.close().await;
        assert_eq!((letters.look(0).await.unwrap().more, registry.everyone().await.unwrap().len()), (1, 1));

        let live = Live::new("Live", registry::connect(&schema.url).unwrap()).broker(broker_url());
        let (address, serving) = serve(live).await;
        let page = ask(address, "GET /topics/auth.user.signup/v1.html", "localhost").await;
        assert!(page.starts_with("HTTP/1.1 200"), "{page}");
        assert!(page.contains("use v2 &lt;now&gt;") && page.contains("Nobody was seen handling it."), "{page}");
        let service = world.service_name("mail");
        let page = ask(address, "GET /topics/auth.user.signup/v2.html?x=1", "127.0.0.1").await;
        assert!(page.contains(&service) && page.contains("<strong class=\"bad\">1</strong>"), "{page}");
        let page = ask(address, "GET /history.html", "localhost").await;
        assert!(page.contains("deprecated") && page.contains("released"), "{page}");
        for (request, host, status) in [
            ("GET /topics/none/v1.html", "localhost", "404"),
            ("GET /../../etc/passwd", "localhost", "404"),
            ("POST /", "localhost", "405"),
            ("GET /", "attacker.example", "421"),
            ("GET /topics/auth.user.signup/", "localhost", "200"),
            ("GET /assets/catalog.css", "localhost", "200"),
        ] {
            let response = ask(address, request, host).await;
            assert!(response.starts_with(&format!("HTTP/1.1 {status}")), "{request} {host}: {response}");
            assert!(response.to_lowercase().contains("content-security-policy: default-src 'none'"), "{response}");
        }
        let response = ask(address, "HEAD /", "localhost").await;
        assert!(response.starts_with("HTTP/1.1 200") && response.ends_with("\r\n\r\n"), "{response}");
        let asked = json!({"site": format!("http://{address}/"), "topics": 10, "rpc": 2, "pages":
            ["services.html", "history.html", "topics/auth.user.signup/v1.html", "topics/auth.user.signup/v2.html"],
            "searches": [{"query": "signup", "first": "auth.user.signup", "count": 1}]});
        tokio::task::spawn_blocking(move || crate::walk("live", asked)).await.unwrap();
        serving.abort();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_away_is_said_without_a_password() {
    let nobody = "postgres://ann:s3cret@127.0.0.1:1/contracts";
    let (address, serving) = serve(Live::new("Away", registry::connect(nobody).unwrap())).await;
    let page = ask(address, "GET /", "localhost").await;
    assert!(page.starts_with("HTTP/1.1 503"), "{page}");
    assert!(page.contains("The registry can't be read") && page.contains("is unavailable"), "{page}");
    assert!(!page.contains("s3cret"), "{page}");
    serving.abort();

    // A broker that is away takes nothing but its numbers.
    in_fresh_schema(|schema| async move {
        let registry = schema.registry();
        registry.sync(&[crate::reference()[0].record().clone()], false).await.unwrap();
        let sighting = registry::Sighting {
            side: registry::Side::Subscriber,
            contracts: "auth.#".parse().unwrap(),
            service: "audit".to_owned(),
            handler: "log".to_owned(),
            host: "web-1".to_owned(),
        };
        registry.observe(&[sighting]).await.unwrap();
        let live = Live::new("Away", registry::connect(&schema.url).unwrap()).broker("amqp://ann:s3cret@127.0.0.1:1/");
        let (address, serving) = serve(live).await;
        let page = ask(address, "GET /services.html", "localhost").await;
        assert!(page.starts_with("HTTP/1.1 200") && page.contains("unknown"), "{page}");
        assert!(!page.contains("s3cret"), "{page}");
        serving.abort();
    })
    .await;
}
