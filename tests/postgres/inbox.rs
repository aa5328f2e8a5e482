//! The inbox on a real PostgreSQL: a message is handled once, whatever comes together with whatever.

#![allow(clippy::unwrap_used, clippy::panic, missing_docs, reason = "tests")]

use std::time::Duration;

use celerysalt::{
    HandlerError, Meta,
    inbox::{Inbox, InboxError},
    sqlx,
    transport::Message,
};
use celerysalt_reference::events::RiskAssessmentCreated;
use celerysalt_tests::{
    World,
    outbox::{event, meta, pool},
    postgres::in_fresh_schema,
    within,
};
use tokio::sync::mpsc;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_is_first_once_for_each_handler_and_replay() {
    in_fresh_schema(|schema| async move {
        let pool = pool(&schema.url).await;
        let tables = tokio::join!(Inbox::migrate(&pool), Inbox::migrate(&pool));
        assert_eq!(tables, (Ok(()), Ok(())));
        let (charge, mail) = (Inbox::of("charge"), Inbox::of("mail"));
        let first = async |inbox: &Inbox, meta: &Meta| {
            let mut transaction = pool.begin().await.unwrap();
            let first = inbox.is_first(&mut transaction, meta).await.unwrap();
            transaction.commit().await.unwrap();
            first
        };
        let message = meta("m-1", None);
        let mut lost = pool.begin().await.unwrap();
        assert!(charge.is_first(&mut lost, &message).await.unwrap());
        assert!(!charge.is_first(&mut lost, &message).await.unwrap());
        lost.rollback().await.unwrap();
        assert!(first(&charge, &message).await, "what was rolled back was not handled");
        assert!(!first(&charge, &message).await);
        assert!(first(&mail, &message).await, "another handler");
        assert!(first(&charge, &meta("m-2", None)).await, "another message");
        for replay in ["r-1", "r-2"] {
            assert!(first(&charge, &meta("m-1", Some(replay))).await);
            assert!(!first(&charge, &meta("m-1", Some(replay))).await);
        }

        let mut transaction = pool.begin().await.unwrap();
        let error = charge.is_first(&mut transaction, &Meta::default()).await.unwrap_err();
        assert!(matches!(error, InboxError::NoId { .. }) && error.to_string().contains("`charge`"), "{error}");
        drop(transaction);
        assert_eq!(Inbox::prune(&pool, Duration::from_hours(1)).await.unwrap(), 0);
        assert_eq!(Inbox::prune(&pool, Duration::ZERO).await.unwrap(), 5);
        assert!(first(&charge, &message).await, "forgotten");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_at_once_the_second_waits_for_the_first() {
    in_fresh_schema(|schema| async move {
        let pool = pool(&schema.url).await;
        Inbox::migrate(&pool).await.unwrap();
        for commits in [true, false] {
            let id = format!("m-{commits}");
            let mut first = pool.begin().await.unwrap();
            assert!(Inbox::of("h").is_first(&mut first, &meta(&id, None)).await.unwrap());
            let (second_pool, second_id) = (pool.clone(), id.clone());
            let second = tokio::spawn(async move {
                let mut second = second_pool.begin().await.unwrap();
                let is_first = Inbox::of("h").is_first(&mut second, &meta(&second_id, None)).await.unwrap();
                second.commit().await.unwrap();
                is_first
            });
            schema.blocked().await;
            if commits {
                first.commit().await.unwrap();
            } else {
                first.rollback().await.unwrap();
            }
            assert_eq!(within(second).await.unwrap(), !commits);
        }
    })
    .await;
}

/// Each of a hundred messages comes three times, to two instances, whose handlers fail now and then after they have done
/// their work: each has one effect.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_message_has_one_effect() {
    const EVENTS: usize = 100;
    in_fresh_schema(|schema| async move {
        let pool = pool(&schema.url).await;
        Inbox::migrate(&pool).await.unwrap();
        schema.execute("CREATE TABLE effects (name TEXT NOT NULL)").await;
        let world = World::rabbitmq();
        let (telling, mut told) = mpsc::unbounded_channel();
        let mut instances = Vec::new();
        for _ in 0..2 {
            let salt = world.salt("billing").await;
            let (pool, telling) = (pool.clone(), telling.clone());
            let handler = move |event: RiskAssessmentCreated, meta: Meta| {
                let (pool, telling) = (pool.clone(), telling.clone());
                async move {
                    let mut transaction = pool.begin().await?;
                    let first = Inbox::of("charge").is_first(&mut transaction, &meta).await?;
                    if first {
                        let insert = sqlx::query("INSERT INTO effects VALUES ($1)").bind(&event.assessment_id);
                        insert.execute(&mut *transaction).await?;
                    }
                    if first && meta.tries == 1 && event.assessment_id.ends_with('7') {
                        return Err(HandlerError::new("after the work, before the commit"));
                    }
                    transaction.commit().await?;
                    telling.send(()).unwrap();
                    Ok(())
                }
            };
            let retry = celerysalt::service::Retry::exponential(Duration::from_millis(10));
            let running = salt.service().retry(retry).on(handler).start().await.unwrap();
            instances.push((salt, running));
        }
        let publisher = world.salt("shop").await;
        let sender = world.transport("sender").await;
        let copies = world.transport("copies").await;
        // The messages as they are published, to be sent thrice.
        let all = celerysalt_tests::outbox::queue(&world, "copies");
        let mut seen = celerysalt_tests::outbox::Seen::on(&*copies, &all).await;
        for number in 0..EVENTS {
            event(format!("e{number}")).publish(&publisher).await.unwrap();
            let message: Message = seen.next().await;
            for _ in 0..2 {
                let mut again = message.clone();
                again.exchange = String::new();
                again.routing_key = format!("celerysalt.{}.events", world.service_name("billing"));
                sender.send(again).await.unwrap().await.unwrap();
            }
        }
        for _ in 0..3 * EVENTS {
            within(told.recv()).await.unwrap();
        }
        let effects: Vec<String> = sqlx::query_scalar("SELECT name FROM effects").fetch_all(&pool).await.unwrap();
        let mut distinct = effects.clone();
        distinct.sort();
        distinct.dedup();
        assert_eq!((effects.len(), distinct.len()), (EVENTS, EVENTS));
        for (salt, running) in instances {
            running.shutdown().await;
            salt.close().await;
        }
        for transport in [sender, copies] {
            transport.close().await;
        }
        publisher.close().await;
    })
    .await;
}
