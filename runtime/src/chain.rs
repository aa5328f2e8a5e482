//! Chains of hooks, however long, on a stack that does not grow.
//!
//! A hook after publishing may publish, and that waits for the hooks after it, which may publish in their turn. Were each
//! of them polled by the one that waits for it, the stack would be as deep as the chain is long. So the first publish polls
//! them all, side by side, and each waits for the next by a channel. They stay on the task that published first: what it
//! waits for, its task-locals, and that all ends when it is dropped are as if they were nested.

use std::{future::Future, pin::Pin};

use futures_util::{StreamExt, stream::FuturesUnordered};
use tokio::sync::{mpsc, oneshot};

use crate::{service::HandlerError, telemetry};

type Outcome = Result<(), HandlerError>;
type Step = Pin<Box<dyn Future<Output = ()> + Send>>;

tokio::task_local! {
    /// Where the steps of the chain go that is walked by this task. Whoever has it is a step, or makes one.
    static CHAIN: mpsc::UnboundedSender<Step>;
}

/// Does one step of a chain, with all that it leads to. Dropped before it is done, it is given up.
pub(crate) async fn walk(step: impl Future<Output = Outcome> + Send + 'static) -> Outcome {
    let (tell, told) = oneshot::channel();
    if let Ok(chain) = CHAIN.try_with(mpsc::UnboundedSender::clone) {
        add(chain, step, tell);
    } else {
        let (chain, further) = mpsc::unbounded_channel();
        add(chain, step, tell);
        all(further).await;
    }
    // Only a publish that a hook began and gave to another task outlives those who would poll what comes after it.
    told.await.unwrap_or_else(|_| Err(HandlerError::new("given up, as was the publish that it followed")))
}

fn add(
    chain: mpsc::UnboundedSender<Step>,
    step: impl Future<Output = Outcome> + Send + 'static,
    mut tell: oneshot::Sender<Outcome>,
) {
    let step = telemetry::carried(step);
    let until_told = async move {
        let outcome = tokio::select! {
            biased;
            outcome = step => Some(outcome),
            () = tell.closed() => None,
        };
        if let Some(outcome) = outcome {
            // Nobody listens any more when it was given up at this very moment.
            drop(tell.send(outcome));
        }
    };
    let step = Box::pin(CHAIN.scope(chain.clone(), until_told));
    // Who takes them goes on for as long as there is a sender. Were it gone, `tell` would be dropped, and that is told.
    drop(chain.send(step));
}

/// Polls the steps until none is left that could add another.
async fn all(mut further: mpsc::UnboundedReceiver<Step>) {
    let mut steps = FuturesUnordered::new();
    loop {
        tokio::select! {
            biased;
            Some(step) = further.recv() => steps.push(step),
            Some(()) = steps.next() => {}
            else => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        sync::{
            Arc,
            atomic::{AtomicU32, Ordering},
        },
        task::Poll,
        time::Duration,
    };

    use super::*;

    tokio::task_local! {
        static TENANT: &'static str;
    }

    /// As many steps as that, one after the other, and then what the last one says.
    fn steps(left: u32, last: Outcome) -> Pin<Box<dyn Future<Output = Outcome> + Send>> {
        Box::pin(async move {
            tokio::task::yield_now().await;
            if left == 0 { last } else { walk(steps(left - 1, last)).await }
        })
    }

    #[tokio::test]
    async fn a_long_chain_tells_how_it_ended() {
        // Nested, a tenth of it would overflow the stack of a test's thread.
        walk(steps(10_000, Ok(()))).await.unwrap();
        let error = walk(steps(10_000, Err(HandlerError::new("at the end")))).await.unwrap_err();
        assert_eq!(error.to_string(), "at the end");
    }

    #[tokio::test]
    async fn a_long_chain_that_is_dropped_is_given_up() {
        let alive = Arc::new(());
        let (reached, reaching) = oneshot::channel();
        let held = Arc::clone(&alive);
        let mut next: Pin<Box<dyn Future<Output = Outcome> + Send>> = Box::pin(async move {
            reached.send(()).unwrap();
            let outcome = std::future::pending().await;
            drop(held);
            outcome
        });
        for _ in 0..10_000 {
            next = Box::pin(walk(next));
        }
        tokio::select! {
            _ = walk(next) => unreachable!(),
            reached = reaching => reached.unwrap(),
        }
        assert_eq!(Arc::strong_count(&alive), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_step_that_gives_up_the_next_goes_on_without_it() {
        let ran = Arc::new(AtomicU32::new(0));
        let counted = Arc::clone(&ran);
        let step = async move {
            let next = walk(async move {
                let _dropped = Counting(counted);
                std::future::pending().await
            });
            assert!(tokio::time::timeout(Duration::from_secs(1), next).await.is_err());
            Ok(())
        };
        walk(step).await.unwrap();
        assert_eq!(ran.load(Ordering::Relaxed), 1);
    }

    /// Counts that it was dropped.
    struct Counting(Arc<AtomicU32>);

    impl Drop for Counting {
        fn drop(&mut self) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[tokio::test]
    async fn what_the_first_publish_runs_in_is_around_every_step() {
        let chain = walk(async {
            walk(async {
                assert_eq!(TENANT.get(), "acme");
                Ok(())
            })
            .await
        });
        TENANT.scope("acme", chain).await.unwrap();
    }

    #[tokio::test]
    async fn a_step_that_was_given_to_another_task_is_waited_for() {
        let (let_go, waiting) = oneshot::channel::<()>();
        let (end, ended) = oneshot::channel();
        let first = walk(async move {
            let mut next = Box::pin(walk(async move { Ok(waiting.await?) }));
            // It has begun here.
            assert!(std::future::poll_fn(|cx| Poll::Ready(next.as_mut().poll(cx))).await.is_pending());
            tokio::spawn(async move { end.send(next.await).unwrap() });
            Ok(())
        });
        let first = tokio::spawn(first);
        let_go.send(()).unwrap();
        ended.await.unwrap().unwrap();
        first.await.unwrap().unwrap();
    }
}
