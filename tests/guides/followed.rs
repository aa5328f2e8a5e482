//! Pages that are followed to the letter, in an empty folder, as by somebody who copies each command.

use celerysalt_tests::{
    node::Node,
    page::{Page, root},
    postgres::in_fresh_schema,
    reader::Reader,
};

#[tokio::test(flavor = "multi_thread")]
async fn the_tutorial() {
    in_fresh_schema(|schema| async move {
        let url = schema.url.clone();
        tokio::task::spawn_blocking(move || {
            let node = Node::start();
            let mut reader = Reader::new("salt-tutorial");
            reader.instead("amqp://guest:guest@127.0.0.1:5672/%2f", &node.url());
            reader.instead("postgres://postgres@127.0.0.1/test", &url);
            reader.keep("target", &root().join("target/tutorial"));
            reader.follow(&Page::read("docs/tutorial.md"));
        })
        .await
        .unwrap();
    })
    .await;
}

#[test]
fn evolving() {
    Reader::new("evolving").follow(&Page::read("docs/evolving.md"));
}
