//! Calls that take too long: the caller is told in time, and a reply that comes later is dropped and counted.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use celerysalt::{CallError, Rest, ServeError};
use celerysalt_reference::events::{GetRiskAssessment, GetRiskAssessmentError, GetRiskAssessmentResponse};
use celerysalt_tests::{World, within};
use futures_util::{StreamExt, stream};

use crate::{checker::tell, events, stand::limit};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replies_that_come_too_late() {
    const CALLERS: usize = 100;
    // A debug build on a machine that does other things too takes its time for good calls as well.
    const TIMEOUT: Duration = Duration::from_secs(2);
    let world = World::rabbitmq();
    let (server, caller, began) = (world.publisher("pulse").await, world.salt("caller").await, Instant::now());
    let late = events() / 50;
    let asked = Arc::new(AtomicUsize::new(0));
    let times = Arc::clone(&asked);
    let handler = move |request: GetRiskAssessment| {
        let number: usize = request.assessment_id.parse().unwrap();
        times.fetch_add(1, Ordering::SeqCst);
        async move {
            if number % 50 == 7 {
                tokio::time::sleep(TIMEOUT + Duration::from_millis(500)).await;
            }
            Ok::<_, ServeError<GetRiskAssessmentError>>(GetRiskAssessmentResponse {
                assessment_id: request.assessment_id,
                risk_score: 8.5,
                status: "approved".to_owned(),
                rest: Rest::default(),
            })
        }
    };
    let running = server.service().prefetch(500).concurrency(500).serve(handler).start().await.unwrap();
    let calls = stream::iter(0..events()).map(|number| {
        let caller = caller.clone();
        async move {
            let request = GetRiskAssessment { assessment_id: number.to_string(), rest: Rest::default() };
            let start = Instant::now();
            let outcome = match request.call(&caller).timeout(TIMEOUT).await {
                Ok(reply) => {
                    assert_eq!(reply.assessment_id, number.to_string(), "another's reply");
                    true
                }
                Err(CallError::Timeout { .. }) => false,
                Err(error) => panic!("{error}"),
            };
            (outcome, start.elapsed())
        }
    });
    let outcomes: Vec<(bool, Duration)> =
        tokio::time::timeout(limit(), calls.buffer_unordered(CALLERS).collect()).await.unwrap();
    let answered = outcomes.iter().filter(|(answered, _)| *answered).count();
    let slowest = outcomes.iter().map(|(_, took)| *took).max().unwrap();
    // Every reply that was sent has come by then.
    within(async {
        while caller.late_replies() < late as u64 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await;
    let counts = running.shutdown().await.counts;
    tell(
        "RPC timeout, late reply",
        &format!(
            "{} calls | {answered} answered | {} timed out | {} late replies dropped | {} handled | told after at most {:.1} s | {:.1} s",
            events(),
            events() - answered,
            caller.late_replies(),
            asked.load(Ordering::SeqCst),
            slowest.as_secs_f64(),
            began.elapsed().as_secs_f64()
        ),
    );
    assert_eq!((answered, caller.late_replies()), (events() - late, late as u64));
    assert_eq!(counts.received, events() as u64, "a call that timed out is not made again");
    assert!(slowest < TIMEOUT + Duration::from_secs(2), "{slowest:?}");
    caller.close().await;
    server.close().await;
}
