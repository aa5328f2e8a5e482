//! CelerySalt at work: typed events, checked against their contract, in Celery's envelope.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Instant,
};

use celerysalt::{Event, HandlerError, RpcError, Running, Salt};
use tokio::sync::Notify;

use crate::{
    Outcome,
    events::{OrderRecorded, QuoteRequest, QuoteResponse},
    figures::{Figures, Watch, of_calls},
    job::{self, Job},
};

/// The service of a job: its name is the job's, and so is its exchange.
///
/// # Errors
/// The broker's.
pub async fn salt(job: &Job) -> Outcome<Salt> {
    let builder = Salt::builder(&job.name).broker_url(&job.url).registry_url("memory:").exchange(&job.name);
    Ok(builder.connect().await?)
}

/// The events of a job.
///
/// # Errors
/// That a payload is not what the contract allows.
pub fn events(count: usize) -> Outcome<Vec<OrderRecorded>> {
    Ok((0..count).map(|number| OrderRecorded::decode(job::payload(number).as_bytes())).collect::<Result<_, _>>()?)
}

/// Publishes with [`job::WINDOW`] in flight.
///
/// # Errors
/// That an event was not published.
pub async fn publish(job: &Job) -> Outcome<Figures> {
    let salt = salt(job).await?;
    let events = events(job.count.max(job.warm))?;
    OrderRecorded::publish_batch(&events[..job.warm], &salt).window(job::WINDOW).await?;
    let watch = Watch::start();
    let receipts = OrderRecorded::publish_batch(&events[..job.count], &salt).window(job::WINDOW).await?;
    let figures = watch.took(receipts.len());
    salt.close().await;
    Ok(figures)
}

/// Starts the consuming service of a job. `each` is told of each event.
///
/// # Errors
/// The broker's.
pub async fn service(salt: &Salt, each: impl Fn(OrderRecorded) + Clone + Send + Sync + 'static) -> Outcome<Running> {
    let handler = move |event: OrderRecorded| {
        each(event);
        async { Ok::<(), HandlerError>(()) }
    };
    let service = salt.service().prefetch(job::PREFETCH).concurrency(job::PREFETCH.into());
    Ok(service.on(handler).start().await?)
}

/// Consumes what waits in the service's queue.
///
/// # Errors
/// The broker's.
pub async fn consume(job: &Job) -> Outcome<Figures> {
    let salt = salt(job).await?;
    let counting = Arc::new(Counting::new(job));
    let running = service(&salt, {
        let counting = Arc::clone(&counting);
        move |event| {
            drop(event);
            counting.one();
        }
    })
    .await?;
    let figures = counting.done().await;
    let counts = running.shutdown().await.counts;
    salt.close().await;
    if counts.dead_lettered > 0 {
        return Err(format!("{} events were dead-lettered", counts.dead_lettered).into());
    }
    Ok(figures)
}

/// Answers until the process is killed.
///
/// # Errors
/// The broker's.
pub async fn serve(job: &Job) -> Outcome<()> {
    let salt = salt(job).await?;
    let running = salt
        .service()
        .serve(|request: QuoteRequest| async move {
            let total_cents = request.pieces * 250;
            Ok::<_, RpcError>(QuoteResponse { sku: request.sku, total_cents, rest: celerysalt::Rest::default() })
        })
        .start()
        .await?;
    println!("ready");
    running.until(std::future::pending()).await?;
    Ok(())
}

/// Calls one after the other.
///
/// # Errors
/// That a call failed.
pub async fn call(job: &Job) -> Outcome<Figures> {
    let caller = Job { name: format!("{}.caller", job.name), ..job.clone() };
    let salt = Salt::builder(&caller.name).broker_url(&job.url).registry_url("memory:").exchange(&job.name);
    let salt = salt.connect().await?;
    let request = |pieces| QuoteRequest { sku: "ABC-1234".to_owned(), pieces, rest: celerysalt::Rest::default() };
    for _ in 0..job.warm {
        request(1).call(&salt).await?;
    }
    let watch = Watch::start();
    let mut times = Vec::with_capacity(job.count);
    for number in 0..job.count {
        let start = Instant::now();
        let pieces = i64::try_from(1 + number % 9)?;
        let reply = request(pieces).call(&salt).await?;
        times.push(start.elapsed().as_secs_f64() * 1e3);
        if reply.total_cents != pieces * 250 {
            return Err("another call's answer".into());
        }
    }
    let figures = of_calls(watch, times);
    salt.close().await;
    Ok(figures)
}

/// Counts what handlers are given, and takes the time from the end of the warm-up to the last one.
pub struct Counting {
    warm: usize,
    count: usize,
    seen: AtomicUsize,
    watch: Mutex<(Option<Watch>, Option<Figures>)>,
    done: Notify,
}

impl Counting {
    /// For a job's events.
    pub fn new(job: &Job) -> Self {
        Self {
            warm: job.warm,
            count: job.count,
            seen: AtomicUsize::new(0),
            watch: Mutex::default(),
            done: Notify::new(),
        }
    }

    /// One more.
    pub fn one(&self) {
        self.more(1);
    }

    /// So many more.
    pub fn more(&self, more: usize) {
        let before = self.seen.fetch_add(more, Ordering::Relaxed);
        let passed = |mark: usize| before < mark && before + more >= mark;
        if passed(self.warm) {
            self.watch.lock().unwrap_or_else(PoisonError::into_inner).0 = Some(Watch::start());
        }
        if passed(self.warm + self.count) {
            let mut watch = self.watch.lock().unwrap_or_else(PoisonError::into_inner);
            watch.1 = watch.0.map(|watch| watch.took(self.count));
            self.done.notify_one();
        }
    }

    /// What it took, once all have come.
    pub async fn done(&self) -> Figures {
        self.done.notified().await;
        self.watch.lock().unwrap_or_else(PoisonError::into_inner).1.unwrap_or_default()
    }
}
