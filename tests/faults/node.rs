//! The one RabbitMQ node that the faults of brokers share, one test at a time: starting one takes seconds.

use std::ops::{Deref, DerefMut};

use celerysalt_tests::node::Node;
use tokio::{
    sync::{Mutex, MutexGuard},
    task::block_in_place,
};

static NODE: Mutex<Option<Node>> = Mutex::const_new(None);

/// The node, for one test.
pub(crate) struct Own(MutexGuard<'static, Option<Node>>);

impl Own {
    /// Waits for those before, and for the node, which is as new but for their queues.
    pub(crate) async fn node() -> Self {
        let mut node = NODE.lock().await;
        block_in_place(|| match &mut *node {
            Some(node) => node.mend(),
            None => *node = Some(Node::start()),
        });
        Self(node)
    }
}

impl Deref for Own {
    type Target = Node;

    fn deref(&self) -> &Node {
        self.0.as_ref().unwrap()
    }
}

impl DerefMut for Own {
    fn deref_mut(&mut self) -> &mut Node {
        self.0.as_mut().unwrap()
    }
}
