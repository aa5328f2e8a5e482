//! What a handler's options promise: how many at a time, how fast, how long, in which order, how often.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use celerysalt::{
    AnyEvent, CallError, Dedupe, HandlerError, HandlerOptions, Meta, Rest, Salt, ServeError, service::Retry,
};
use celerysalt_reference::events::{
    GetRiskAssessment, GetRiskAssessmentError, GetRiskAssessmentResponse, RiskAssessmentCreated,
    RiskAssessmentInformationRequest, UserCreated,
};
use celerysalt_tests::{World, header, within};
use serde_json::json;
use tokio::sync::{Notify, mpsc};

use crate::on_each_broker;

on_each_broker!(
    a_handler_that_takes_too_long_has_failed,
    a_handler_that_hangs_stops_neither_the_others_nor_the_end,
    a_handler_that_hangs_leaves_its_messages_to_the_others,
    a_handler_runs_as_often_at_a_time_as_it_may,
    a_rate_is_kept,
    a_rate_of_one_handler_does_not_hold_up_the_others,
    events_of_one_key_come_one_after_the_other,
    an_event_that_fails_keeps_its_place_among_those_of_its_key,
    an_event_that_fails_for_good_makes_room_for_the_next_of_its_key,
    what_waits_for_its_turn_is_given_back_at_the_end,
    a_message_that_comes_twice_is_handled_once,
    a_message_that_failed_is_not_taken_for_handled,
    a_request_that_takes_too_long_fails,
    requests_wait_for_their_handler_alone,
    options_that_mean_nothing_are_refused,
);

fn user(user_id: i64) -> UserCreated {
    UserCreated { user_id: user_id.into(), email: "a@example.com".to_owned(), rest: Rest::default() }
}

async fn users(salt: &Salt, ids: std::ops::Range<i64>) {
    let events: Vec<UserCreated> = ids.map(user).collect();
    UserCreated::publish_batch(&events, salt).await.unwrap();
}

fn assessment(id: String) -> RiskAssessmentCreated {
    RiskAssessmentCreated::builder().assessment_id(id).company_id(456).risk_score(8.5).build().unwrap()
}

async fn a_handler_that_takes_too_long_has_failed(world: &World) {
    let (publisher, subscriber) = (world.publisher("auth").await, world.salt("mail").await);
    let (seen, mut seeing) = mpsc::unbounded_channel();
    let handler = move |_: UserCreated, meta: Meta| {
        seen.send(meta.tries).unwrap();
        std::future::pending::<()>()
    };
    let options = HandlerOptions::new().timeout(Duration::from_millis(100));
    let retry = Retry::exponential(Duration::from_millis(50)).tries(2);
    let running = subscriber.service().retry(retry).on_with(options, handler).start().await.unwrap();
    users(&publisher, 0..1).await;
    let letter = world.dead_letters("mail", 1).await.remove(0);
    assert_eq!(header(&letter, "x-celerysalt-reason"), "handler-timed-out");
    assert!(header(&letter, "x-celerysalt-detail").contains("100ms"));
    assert_eq!(letter.headers["x-celerysalt-tries"], 2);
    assert_eq!((within(seeing.recv()).await, within(seeing.recv()).await), (Some(1), Some(2)));
    assert_eq!(running.shutdown().await.counts.retried, 1);
}

/// More messages for the handler that hangs than the broker hands out, so that without mercy they would fill the service.
async fn a_handler_that_hangs_stops_neither_the_others_nor_the_end(world: &World) {
    const EVENTS: i64 = 60;
    let (publisher, subscriber) = (world.publisher("auth").await, world.salt("mail").await);
    let (seen, mut seeing) = mpsc::unbounded_channel();
    let hangs = |_: UserCreated| std::future::pending::<()>();
    let works = move |event: RiskAssessmentCreated| {
        seen.send(event.assessment_id).unwrap();
        async {}
    };
    let service = subscriber.service().prefetch(10).concurrency(4).drain_timeout(Duration::from_millis(100));
    let running = service.on(hangs).on(works).start().await.unwrap();
    for i in 0..EVENTS {
        user(i).publish(&publisher).await.unwrap();
        assessment(format!("RA-{i}")).publish(&publisher).await.unwrap();
    }
    let mut got = Vec::new();
    while got.len() < usize::try_from(EVENTS).unwrap() {
        got.push(within(seeing.recv()).await.unwrap());
    }
    let counts = running.counts();
    assert!(counts.put_aside > 0, "{counts:?}");
    let begun = Instant::now();
    let shutdown = within(running.shutdown()).await;
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    assert_eq!(shutdown.counts.dead_lettered, 0);

    // Nothing of what it could not take is lost, and none of it counts as a try.
    let (seen, mut seeing) = mpsc::unbounded_channel();
    let works = move |event: UserCreated, meta: Meta| {
        seen.send((event.user_id.as_i64().unwrap(), meta.tries, meta.routing_key)).unwrap();
        async {}
    };
    let running = subscriber.service().on(works).start().await.unwrap();
    let mut users = Vec::new();
    while users.len() < usize::try_from(EVENTS).unwrap() {
        let (user, tries, key) = within(seeing.recv()).await.unwrap();
        assert_eq!((tries, key.as_str()), (1, "auth.user.created"));
        users.push(user);
    }
    users.sort_unstable();
    assert_eq!(users, (0..EVENTS).collect::<Vec<_>>());
    running.shutdown().await;
}

async fn a_handler_that_hangs_leaves_its_messages_to_the_others(world: &World) {
    let (publisher, subscriber) = (world.publisher("auth").await, world.salt("mail").await);
    let (seen, mut seeing) = mpsc::unbounded_channel();
    let hangs = |_: AnyEvent| std::future::pending::<()>();
    let works = move |event: UserCreated| {
        seen.send(event.user_id).unwrap();
        async {}
    };
    let service = subscriber.service().drain_timeout(Duration::from_millis(100));
    let running = service.on_raw("auth.#", hangs).on(works).start().await.unwrap();
    users(&publisher, 0..1).await;
    assert_eq!(within(seeing.recv()).await, Some(0.into()));
    assert_eq!(within(running.shutdown()).await.abandoned, 1);
}

/// How many are at it, and how many there were at most.
#[derive(Default)]
struct Busy {
    now: AtomicUsize,
    most: AtomicUsize,
}

impl Busy {
    async fn while_doing(&self, work: impl Future<Output = ()>) {
        let now = self.now.fetch_add(1, Ordering::SeqCst) + 1;
        self.most.fetch_max(now, Ordering::SeqCst);
        work.await;
        self.now.fetch_sub(1, Ordering::SeqCst);
    }
}

async fn a_handler_runs_as_often_at_a_time_as_it_may(world: &World) {
    let (publisher, subscriber) = (world.publisher("auth").await, world.salt("mail").await);
    let (few, many) = (Arc::new(Busy::default()), Arc::new(Busy::default()));
    let (done, mut doing) = mpsc::unbounded_channel();
    let go_on = Arc::new(Notify::new());
    let handler = |busy: &Arc<Busy>| {
        let (busy, done, go_on) = (Arc::clone(busy), done.clone(), Arc::clone(&go_on));
        move |_: UserCreated| {
            let (busy, done, go_on) = (Arc::clone(&busy), done.clone(), Arc::clone(&go_on));
            async move {
                let wait = go_on.notified();
                let work = async {
                    done.send("begun").unwrap();
                    wait.await;
                };
                busy.while_doing(work).await;
                done.send("done").unwrap();
            }
        }
    };
    let service = subscriber.service().concurrency(12).on_with(HandlerOptions::new().concurrency(2), handler(&few));
    let running = service.on(handler(&many)).start().await.unwrap();
    users(&publisher, 0..20).await;
    let mut counts: HashMap<&str, usize> = HashMap::new();
    // Two of the one, and of the other what is left of the service's twelve.
    while counts.get("begun") < Some(&12) {
        *counts.entry(within(doing.recv()).await.unwrap()).or_default() += 1;
    }
    assert_eq!((few.now.load(Ordering::SeqCst), many.now.load(Ordering::SeqCst)), (2, 10));
    while counts.get("done") < Some(&40) {
        go_on.notify_waiters();
        while let Ok(what) = doing.try_recv() {
            *counts.entry(what).or_default() += 1;
        }
        tokio::task::yield_now().await;
    }
    assert_eq!(few.most.load(Ordering::SeqCst), 2);
    assert!(many.most.load(Ordering::SeqCst) <= 12);
    running.shutdown().await;
}

async fn a_rate_is_kept(world: &World) {
    const PER: Duration = Duration::from_millis(300);
    let (publisher, subscriber) = (world.publisher("auth").await, world.salt("mail").await);
    let (seen, mut seeing) = mpsc::unbounded_channel();
    let handler = move |_: UserCreated| {
        seen.send(Instant::now()).unwrap();
        async {}
    };
    let options = HandlerOptions::new().rate_limit(10, PER);
    let running = subscriber.service().on_with(options, handler).start().await.unwrap();
    users(&publisher, 0..40).await;
    let mut at = Vec::new();
    for _ in 0..40 {
        at.push(within(seeing.recv()).await.unwrap());
    }
    at.sort_unstable();
    // A bucket of ten, which ten more fill in each `PER`. Timers are in whole milliseconds.
    for (number, at_time) in (0_u32..).zip(&at) {
        let least = (PER / 10 * (number + 1).saturating_sub(10)).saturating_sub(Duration::from_millis(2));
        assert!(*at_time - at[0] >= least, "event {number} after {:?}", *at_time - at[0]);
    }
    assert_eq!(running.shutdown().await.counts.handled, 40);
}

async fn a_rate_of_one_handler_does_not_hold_up_the_others(world: &World) {
    let (publisher, subscriber) = (world.publisher("auth").await, world.salt("mail").await);
    let (seen, mut seeing) = mpsc::unbounded_channel();
    let works = move |event: RiskAssessmentCreated| {
        seen.send(event.assessment_id).unwrap();
        async {}
    };
    let options = HandlerOptions::new().rate_limit(1, Duration::from_secs(30));
    let service = subscriber.service().prefetch(5).on_with(options, |_: UserCreated| async {});
    let running = service.on(works).start().await.unwrap();
    users(&publisher, 0..50).await;
    assessment("RA-1".to_owned()).publish(&publisher).await.unwrap();
    assert_eq!(within(seeing.recv()).await.as_deref(), Some("RA-1"));
    let shutdown = within(running.shutdown()).await;
    assert!(shutdown.counts.put_aside > 0 && shutdown.counts.handled <= 3, "{shutdown:?}");
}

/// What a handler did, by key: the numbers in their order, and whether two of one key were ever at it together.
#[derive(Default)]
struct Diary {
    entries: Mutex<HashMap<String, Vec<i64>>>,
    at_it: Mutex<HashMap<String, usize>>,
    most: AtomicUsize,
}

impl Diary {
    fn begin(&self, key: &str) {
        let mut at_it = self.at_it.lock().unwrap();
        let of_key = at_it.entry(key.to_owned()).or_default();
        *of_key += 1;
        assert_eq!(*of_key, 1, "two of one key at a time");
        self.most.fetch_max(at_it.values().sum(), Ordering::SeqCst);
    }

    fn end(&self, key: &str, number: i64) {
        *self.at_it.lock().unwrap().get_mut(key).unwrap() -= 1;
        self.entries.lock().unwrap().entry(key.to_owned()).or_default().push(number);
    }

    fn of(&self, key: &str) -> Vec<i64> {
        self.entries.lock().unwrap().get(key).cloned().unwrap_or_default()
    }
}

fn keyed(key: &str, number: i64) -> RiskAssessmentCreated {
    RiskAssessmentCreated { company_id: number.into(), ..assessment(key.to_owned()) }
}

async fn events_of_one_key_come_one_after_the_other(world: &World) {
    const EACH: i64 = 25;
    let keys = ["a", "b", "c", "d"];
    let publisher = world.publisher("pulse").await;
    let by_key = |event: &AnyEvent| event["assessment_id"].as_str().map(str::to_owned);
    let ways = [
        HandlerOptions::new().ordered_by("/assessment_id"),
        HandlerOptions::new().ordered_by_key(by_key).concurrency(3),
    ];
    for (way, options) in ways.into_iter().enumerate() {
        let subscriber = world.salt(&format!("mail-{way}")).await;
        let (diary, (done, mut doing)) = (Arc::new(Diary::default()), mpsc::unbounded_channel());
        let book = Arc::clone(&diary);
        let handler = move |event: RiskAssessmentCreated| {
            let (book, done) = (Arc::clone(&book), done.clone());
            async move {
                let number = event.company_id.as_i64().unwrap();
                book.begin(&event.assessment_id);
                // The first of each key takes the longest: without an order it would be overtaken.
                for _ in 0..(EACH - number) * 10 {
                    tokio::task::yield_now().await;
                }
                book.end(&event.assessment_id, number);
                done.send(()).unwrap();
            }
        };
        let running = subscriber.service().on_with(options, handler).start().await.unwrap();
        let events: Vec<RiskAssessmentCreated> =
            (0..EACH).flat_map(|number| keys.map(|key| keyed(key, number))).collect();
        RiskAssessmentCreated::publish_batch(&events, &publisher).await.unwrap();
        for _ in &events {
            within(doing.recv()).await.unwrap();
        }
        for key in keys {
            assert_eq!(diary.of(key), (0..EACH).collect::<Vec<_>>(), "{key}");
        }
        let most = diary.most.load(Ordering::SeqCst);
        assert!(most > 1 && (way == 0 || most <= 3), "{most} keys at a time");
        running.shutdown().await;
    }
}

async fn an_event_that_fails_keeps_its_place_among_those_of_its_key(world: &World) {
    let (publisher, subscriber) = (world.publisher("pulse").await, world.salt("mail").await);
    let (seen, mut seeing) = mpsc::unbounded_channel();
    let handler = move |event: RiskAssessmentCreated, meta: Meta| {
        let seen = seen.clone();
        async move {
            let number = event.company_id.as_i64().unwrap();
            seen.send((event.assessment_id.clone(), number, meta.tries)).unwrap();
            if event.assessment_id == "a" && number == 1 && meta.tries < 3 {
                return Err(HandlerError::new("not yet"));
            }
            Ok(())
        }
    };
    let options = HandlerOptions::new().ordered_by("/assessment_id");
    let retry = Retry::exponential(Duration::from_millis(200)).tries(4);
    let running = subscriber.service().retry(retry).on_with(options, handler).start().await.unwrap();
    let events: Vec<RiskAssessmentCreated> = (0..4).flat_map(|n| [keyed("a", n), keyed("b", n)]).collect();
    RiskAssessmentCreated::publish_batch(&events, &publisher).await.unwrap();
    let mut got: HashMap<String, Vec<(i64, u32)>> = HashMap::new();
    let mut order = Vec::new();
    for _ in 0..10 {
        let (key, number, tries) = within(seeing.recv()).await.unwrap();
        order.push((key.clone(), number, tries));
        got.entry(key).or_default().push((number, tries));
    }
    assert_eq!(got["a"], [(0, 1), (1, 1), (1, 2), (1, 3), (2, 1), (3, 1)]);
    assert_eq!(got["b"], [(0, 1), (1, 1), (2, 1), (3, 1)]);
    // The other key did not wait for it.
    let place = |what: &(String, i64, u32)| order.iter().position(|seen| seen == what).unwrap();
    assert!(place(&("b".to_owned(), 3, 1)) < place(&("a".to_owned(), 2, 1)), "{order:?}");
    let counts = running.shutdown().await.counts;
    assert_eq!((counts.received, counts.handled, counts.retried), (8, 8, 2));
}

async fn an_event_that_fails_for_good_makes_room_for_the_next_of_its_key(world: &World) {
    let (publisher, subscriber) = (world.publisher("pulse").await, world.salt("mail").await);
    let (seen, mut seeing) = mpsc::unbounded_channel();
    let handler = move |event: RiskAssessmentCreated| {
        let seen = seen.clone();
        async move {
            if event.company_id == 0 {
                return Err(HandlerError::new("poison"));
            }
            seen.send(event.company_id).unwrap();
            Ok(())
        }
    };
    let options = HandlerOptions::new().ordered_by("/assessment_id");
    let retry = Retry::exponential(Duration::from_millis(20)).tries(3);
    let running = subscriber.service().retry(retry).on_with(options, handler).start().await.unwrap();
    let events = [keyed("a", 0), keyed("a", 1)];
    RiskAssessmentCreated::publish_batch(&events, &publisher).await.unwrap();
    assert_eq!(within(seeing.recv()).await, Some(1.into()));
    let letter = world.dead_letters("mail", 1).await.remove(0);
    assert_eq!(letter.headers["x-celerysalt-tries"], 3);
    running.shutdown().await;
}

async fn what_waits_for_its_turn_is_given_back_at_the_end(world: &World) {
    let (publisher, subscriber) = (world.publisher("pulse").await, world.salt("mail").await);
    let (begun, mut beginning) = mpsc::unbounded_channel();
    let handler = move |_: RiskAssessmentCreated| {
        begun.send(()).unwrap();
        async { Err::<(), _>(HandlerError::new("not yet")) }
    };
    let options = HandlerOptions::new().ordered_by("/assessment_id");
    let retry = Retry::exponential(Duration::from_mins(5));
    let running = subscriber.service().retry(retry).on_with(options, handler).start().await.unwrap();
    let events: Vec<RiskAssessmentCreated> = (0..5).map(|n| keyed("a", n)).collect();
    RiskAssessmentCreated::publish_batch(&events, &publisher).await.unwrap();
    within(beginning.recv()).await.unwrap();
    // Neither the pause of five minutes nor the drain timeout of half a minute is waited for.
    let begun = Instant::now();
    let shutdown = within(running.shutdown()).await;
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
    assert_eq!((shutdown.abandoned, shutdown.counts.handled), (0, 0));
    let (seen, mut seeing) = mpsc::unbounded_channel();
    let handler = move |event: RiskAssessmentCreated| {
        seen.send(event.company_id.as_i64().unwrap()).unwrap();
        async {}
    };
    let running = subscriber.service().on(handler).start().await.unwrap();
    let mut got = Vec::new();
    for _ in 0..5 {
        got.push(within(seeing.recv()).await.unwrap());
    }
    got.sort_unstable();
    assert_eq!(got, [0, 1, 2, 3, 4]);
    running.shutdown().await;
}

/// An event as Python sends it, with this id.
async fn send_with_id(world: &World, id: &str, user_id: i64) {
    let inner = json!({"user_id": user_id, "email": "a@example.com", "_tchu_meta": {"is_rpc": false, "version": "v1"}});
    let body = json!([[inner.to_string()], {"routing_key": "auth.user.created"}, {}]).to_string();
    world.send_raw("auth.user.created", json!({"task": "celery_salt.dispatch_event", "id": id}), body).await;
}

async fn a_message_that_comes_twice_is_handled_once(world: &World) {
    let window = Dedupe::new(100, Duration::from_hours(1));
    let ways = [(None, Some(window)), (Some(window), None)];
    for (way, (own, of_service)) in ways.into_iter().enumerate() {
        let name = format!("mail-{way}");
        let subscriber = world.salt(&name).await;
        let (seen, mut seeing) = mpsc::unbounded_channel();
        let handler = move |event: UserCreated, meta: Meta| {
            seen.send((meta.message_id.unwrap(), event.user_id)).unwrap();
            async { tokio::task::yield_now().await }
        };
        let mut service = subscriber.service();
        if let Some(window) = of_service {
            service = service.dedupe(window);
        }
        let options = own.map_or_else(HandlerOptions::new, |window| HandlerOptions::new().dedupe(window));
        let running = service.on_with(options, handler).start().await.unwrap();
        let id = |number: i64| format!("{way}-{number}");
        for user_id in [1, 1, 2, 1, 3, 3] {
            send_with_id(world, &id(user_id), user_id).await;
        }
        let mut got = Vec::new();
        for _ in 0..3 {
            got.push(within(seeing.recv()).await.unwrap());
        }
        // The last one: all before it have been settled or are about to be.
        send_with_id(world, &id(9), 9).await;
        assert_eq!(within(seeing.recv()).await.unwrap().0, id(9));
        got.sort();
        assert_eq!(got, [(id(1), 1.into()), (id(2), 2.into()), (id(3), 3.into())]);
        // One that still waited for the first of its id would go back to the queue at shutdown.
        within(running.counted(|counts| counts.duplicates >= 3)).await;
        let counts = running.shutdown().await.counts;
        assert_eq!((counts.received, counts.handled, counts.duplicates), (7, 4, 3));
        assert!(seeing.try_recv().is_err());
    }
}

async fn a_message_that_failed_is_not_taken_for_handled(world: &World) {
    let subscriber = world.salt("mail").await;
    let (seen, mut seeing) = mpsc::unbounded_channel();
    let tries = Arc::new(AtomicUsize::new(0));
    let handler = move |_: UserCreated| {
        let (seen, number) = (seen.clone(), tries.fetch_add(1, Ordering::SeqCst));
        async move {
            seen.send(number).unwrap();
            if number == 0 { Err(HandlerError::reject("not this time")) } else { Ok(()) }
        }
    };
    let options = HandlerOptions::new().dedupe(Dedupe::new(100, Duration::from_hours(1)));
    let running = subscriber.service().on_with(options, handler).start().await.unwrap();
    for _ in 0..3 {
        send_with_id(world, "same", 1).await;
    }
    world.dead_letters("mail", 1).await;
    assert_eq!((within(seeing.recv()).await, within(seeing.recv()).await), (Some(0), Some(1)));
    let counts = running.shutdown().await.counts;
    assert_eq!((counts.handled, counts.dead_lettered), (1, 1));
    assert!(seeing.try_recv().is_err());
}

fn get(id: &str) -> GetRiskAssessment {
    GetRiskAssessment { assessment_id: id.to_owned(), rest: Rest::default() }
}

async fn serve(request: GetRiskAssessment) -> Result<GetRiskAssessmentResponse, GetRiskAssessmentError> {
    if request.assessment_id == "hangs" {
        std::future::pending::<()>().await;
    }
    Ok(GetRiskAssessmentResponse {
        assessment_id: request.assessment_id,
        risk_score: 8.5,
        status: "approved".to_owned(),
        rest: Rest::default(),
    })
}

async fn a_request_that_takes_too_long_fails(world: &World) {
    let (caller, server) = (world.salt("caller").await, world.publisher("pulse").await);
    let options = HandlerOptions::new().timeout(Duration::from_millis(100));
    let running = server.service().serve_with(options, serve).start().await.unwrap();
    match get("hangs").call(&caller).await {
        Err(CallError::HandlerFailed { message, .. }) => assert!(message.contains("100ms"), "{message}"),
        other => panic!("{other:?}"),
    }
    assert!(get("RA-1").call(&caller).await.is_ok());
    assert_eq!(running.shutdown().await.counts.handled, 2);
}

async fn requests_wait_for_their_handler_alone(world: &World) {
    let (caller, server) = (world.salt("caller").await, world.publisher("pulse").await);
    let inform = |_: RiskAssessmentInformationRequest| async {
        let response = serde_json::from_value(json!({"information": {}}));
        response.map_err(|error| ServeError::Failed(HandlerError::from(error)))
    };
    let options = HandlerOptions::new().concurrency(1);
    let service = server.service().prefetch(10).drain_timeout(Duration::ZERO).serve_with(options, serve);
    let running = service.serve(inform).start().await.unwrap();
    let mut calls = tokio::task::JoinSet::new();
    for _ in 0..20 {
        let caller = caller.clone();
        calls.spawn(async move { get("hangs").call(&caller).timeout(Duration::from_secs(2)).await.map(drop) });
    }
    let request = RiskAssessmentInformationRequest::builder().identifier("RA-1").assessment_type("a").build().unwrap();
    // Those before it expire, and make room.
    request.call(&caller).await.unwrap();
    for call in calls.join_all().await {
        // Who of the two is the first to say that it is too late is anyone's guess.
        assert!(matches!(call, Err(CallError::Timeout { .. } | CallError::TaskFailed { .. })), "{call:?}");
    }
    within(running.shutdown()).await;
}

async fn options_that_mean_nothing_are_refused(world: &World) {
    let salt = world.salt("mail").await;
    let ordered = || HandlerOptions::new().ordered_by("/a");
    let dedupe = HandlerOptions::new().dedupe(Dedupe::new(1, Duration::from_secs(1)));
    let pointer = HandlerOptions::new().ordered_by("order_id");
    let newer = HandlerOptions::new().accept_newer_majors();
    let nothing = |_: AnyEvent| async {};
    let error = salt.service().serve_with(ordered(), serve).start().await.unwrap_err().to_string();
    assert!(error.contains("in no order"), "{error}");
    let error = salt.service().serve_with(dedupe, serve).start().await.unwrap_err().to_string();
    assert!(error.contains("none is passed over"), "{error}");
    let error = salt.service().on_raw_with(pointer, "a.b", nothing).start().await.unwrap_err().to_string();
    assert!(error.contains("`order_id`") && error.contains("/order_id"), "{error}");
    let error = salt.service().on_topic_with(newer, "a.b", nothing).start().await.unwrap_err().to_string();
    assert!(error.contains("@v1"), "{error}");
    let fine = salt.service().on_raw_with(ordered(), "a.b", nothing).start().await.unwrap();
    fine.shutdown().await;
}
