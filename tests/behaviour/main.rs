//! What services see, on each broker: every case runs on the in-process one and on RabbitMQ.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests fail by panicking")]
#![allow(missing_docs, reason = "the names of the tests say it")]

mod cascades;
mod dead_letters;
mod events;
mod flow;
mod hooks;
mod hostile;
mod names_and_traces;
mod registration;
mod retries;
mod rpc;
mod shutdown;
mod versions;

/// Each case as one test a broker.
macro_rules! on_each_broker {
    ($($case:ident),* $(,)?) => {
        mod memory {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $case() {
                    super::$case(&celerysalt_tests::World::memory()).await;
                }
            )*
        }
        mod rabbitmq {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $case() {
                    super::$case(&celerysalt_tests::World::rabbitmq()).await;
                }
            )*
        }
    };
}
pub(crate) use on_each_broker;
