//! Calling and serving.

use std::time::{Duration, Instant};

use celerysalt::{CallError, HandlerError, Meta, Rest, Salt, ServeError};
use celerysalt_reference::events::{
    GetRiskAssessment, GetRiskAssessmentError, GetRiskAssessmentResponse, RiskAssessmentInformationRequest,
};
use celerysalt_tests::World;

use crate::on_each_broker;

on_each_broker!(
    a_call_is_answered,
    a_declared_error_comes_typed,
    a_handler_that_fails_or_panics_tells_its_caller_and_lives_on,
    a_topic_that_nobody_serves_fails_at_once,
    a_handler_that_hangs_is_a_timeout,
    a_request_that_the_contract_refuses_is_not_sent,
    a_response_that_the_contract_refuses_is_not_sent,
    many_calls_at_once_each_get_their_own_reply,
    calls_within_handlers_do_not_deadlock,
);

fn get(id: &str) -> GetRiskAssessment {
    GetRiskAssessment { assessment_id: id.to_owned(), rest: Rest::default() }
}

fn found(id: String) -> GetRiskAssessmentResponse {
    GetRiskAssessmentResponse {
        assessment_id: id,
        risk_score: 8.5,
        status: "approved".to_owned(),
        rest: Rest::default(),
    }
}

async fn serve(request: GetRiskAssessment) -> Result<GetRiskAssessmentResponse, ServeError<GetRiskAssessmentError>> {
    match request.assessment_id.as_str() {
        "fails" => Err(HandlerError::new("the database is away").into()),
        "parse" => {
            let parsed = "x".parse::<u8>().map_err(HandlerError::from)?;
            Ok(found(parsed.to_string()))
        }
        "panics" => panic!("at the disco"),
        "hangs" => std::future::pending().await,
        "declined" => Err(GetRiskAssessmentError {
            error_code: "NOT_FOUND".to_owned(),
            error_message: "no such assessment".to_owned(),
            details: None,
            rest: Rest::default(),
        }
        .into()),
        _ => Ok(found(request.assessment_id)),
    }
}

async fn both(world: &World) -> (Salt, celerysalt::Running) {
    let server = world.publisher("pulse").await;
    let running = server.service().serve(serve).start().await.unwrap();
    (world.salt("caller").await, running)
}

async fn a_call_is_answered(world: &World) {
    let (caller, running) = both(world).await;
    let reply = get("RA-1").call(&caller).timeout(Duration::from_secs(30)).priority(3).await.unwrap();
    assert_eq!((reply.assessment_id.as_str(), reply.risk_score), ("RA-1", 8.5));
    assert_eq!(reply.into_inner(), found("RA-1".to_owned()));
    running.shutdown().await;
}

async fn a_declared_error_comes_typed(world: &World) {
    let (caller, running) = both(world).await;
    match get("declined").call(&caller).await {
        Err(CallError::Declared(error)) => assert_eq!(error.error_code, "NOT_FOUND"),
        other => panic!("{other:?}"),
    }
    running.shutdown().await;
}

async fn a_handler_that_fails_or_panics_tells_its_caller_and_lives_on(world: &World) {
    let (caller, running) = both(world).await;
    for (id, text) in [("fails", "the database is away"), ("parse", "invalid digit"), ("panics", "panicked")] {
        match get(id).call(&caller).await {
            Err(CallError::HandlerFailed { message, topic }) => {
                assert!(message.contains(text), "{message}");
                assert_eq!(topic, "rpc.pulse.risk.get");
            }
            other => panic!("{id}: {other:?}"),
        }
    }
    assert!(get("RA-1").call(&caller).await.is_ok());
    assert_eq!(running.shutdown().await.counts.handled, 4);
}

async fn a_topic_that_nobody_serves_fails_at_once(world: &World) {
    let (caller, running) = both(world).await;
    let request =
        RiskAssessmentInformationRequest::builder().identifier("RA-1").assessment_type("audit").build().unwrap();
    let started = Instant::now();
    let error = request.call(&caller).timeout(Duration::from_mins(1)).await.unwrap_err();
    assert!(matches!(error, CallError::NoHandler { .. }), "{error:?}");
    assert!(started.elapsed() < Duration::from_secs(30));
    running.shutdown().await;
}

async fn a_handler_that_hangs_is_a_timeout(world: &World) {
    let (caller, server) = (world.salt("caller").await, world.publisher("pulse").await);
    let running = server.service().serve(serve).drain_timeout(Duration::ZERO).start().await.unwrap();
    let error = get("hangs").call(&caller).timeout(Duration::from_millis(300)).await.unwrap_err();
    assert!(matches!(error, CallError::Timeout { timeout, .. } if timeout == Duration::from_millis(300)), "{error:?}");
    assert_eq!(running.shutdown().await.abandoned, 1);
}

async fn a_request_that_the_contract_refuses_is_not_sent(world: &World) {
    let caller = world.salt("caller").await;
    let request = RiskAssessmentInformationRequest {
        identifier: "x".repeat(1025),
        assessment_type: "audit".to_owned(),
        include_history: false,
        rest: Rest::default(),
    };
    match request.call(&caller).await {
        Err(CallError::Invalid(invalid)) => assert_eq!(invalid.violations()[0].pointer, "/identifier"),
        other => panic!("{other:?}"),
    }
}

async fn a_response_that_the_contract_refuses_is_not_sent(world: &World) {
    let server = world.publisher("pulse").await;
    let handler = |request: GetRiskAssessment| async move {
        Ok::<_, GetRiskAssessmentError>(GetRiskAssessmentResponse {
            risk_score: f64::INFINITY,
            ..found(request.assessment_id)
        })
    };
    let running = server.service().serve(handler).start().await.unwrap();
    match get("RA-1").call(&world.salt("caller").await).await {
        Err(CallError::HandlerFailed { message, .. }) => assert!(message.contains("/risk_score"), "{message}"),
        other => panic!("{other:?}"),
    }
    running.shutdown().await;
}

async fn many_calls_at_once_each_get_their_own_reply(world: &World) {
    let (caller, running) = both(world).await;
    let mut calls = tokio::task::JoinSet::new();
    for i in 0..200 {
        let caller = caller.clone();
        calls.spawn(async move {
            let reply = get(&format!("RA-{i}")).call(&caller).await.unwrap();
            assert_eq!(reply.assessment_id, format!("RA-{i}"));
        });
    }
    assert_eq!(calls.join_all().await.len(), 200);
    running.shutdown().await;
}

async fn calls_within_handlers_do_not_deadlock(world: &World) {
    let (caller, running) = both(world).await;
    let middle = world.salt("middle").await;
    let inner = middle.clone();
    let handler = move |request: RiskAssessmentInformationRequest, _: Meta| {
        let inner = inner.clone();
        async move {
            let reply = get(&request.identifier).call(&inner).await.map_err(|e| HandlerError::new(e.to_string()))?;
            let information = serde_json::json!({"score": reply.risk_score});
            let response = serde_json::from_value(serde_json::json!({"information": information}));
            response.map_err(|e| ServeError::Failed(e.into()))
        }
    };
    let outer = middle.service().concurrency(1).serve(handler).start().await.unwrap();
    let request =
        RiskAssessmentInformationRequest::builder().identifier("RA-9").assessment_type("audit").build().unwrap();
    let reply = request.call(&caller).await.unwrap();
    assert_eq!(reply.information["score"], 8.5);
    outer.shutdown().await;
    running.shutdown().await;
}
