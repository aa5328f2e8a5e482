//! Events that follow from events: what handlers and hooks hand back to be published, and how far that may go.
//!
//! Each message that is sent while another one is handled, or after another one was published, says in a header how many
//! stand before it. Python ignores the header, and what it publishes begins anew.

use std::{fmt, future::Future, pin::Pin};

use serde_json::{Map, Value};

use crate::{Headers, Salt, error::PublishError, event::Broadcast, publish::Publish};

/// On a message that another one led to: how many stand before it in the chain, a number.
pub(crate) const DEPTH: &str = "x-celerysalt-depth";
/// How long a chain may be unless the service says otherwise.
pub(crate) const DEFAULT_LIMIT: u32 = 32;

type Publishing<'a> = Pin<Box<dyn Future<Output = Result<(), PublishError>> + Send + 'a>>;

/// An event that is to be published next, of whichever type.
pub struct FollowUp(Box<dyn Sendable>);

impl FollowUp {
    /// An event that follows, to be collected with others of other types.
    ///
    /// ```
    /// # use celerysalt::{Broadcast, FollowUp};
    /// # fn both<A: Broadcast, B: Broadcast>(a: A, b: B) -> Vec<FollowUp> {
    /// vec![FollowUp::new(a), FollowUp::new(b)]
    /// # }
    /// ```
    pub fn new<E: Broadcast>(event: E) -> Self {
        Self(Box::new(event))
    }

    /// Publishes it.
    ///
    /// # Errors
    /// [`PublishError`], as by the event's own `publish`.
    pub(crate) async fn publish(&self, salt: &Salt) -> Result<(), PublishError> {
        self.0.publish(salt).await
    }
}

impl fmt::Debug for FollowUp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("FollowUp").field(&self.0.contract()).finish()
    }
}

/// An event whose type was forgotten.
trait Sendable: Send + Sync {
    fn publish<'a>(&'a self, salt: &'a Salt) -> Publishing<'a>;
    fn contract(&self) -> String;
}

impl<E: Broadcast> Sendable for E {
    fn publish<'a>(&'a self, salt: &'a Salt) -> Publishing<'a> {
        Box::pin(async move { Publish::new(self, salt).await.map(drop) })
    }

    fn contract(&self) -> String {
        E::contract().to_string()
    }
}

/// What a handler or a hook may hand back to be published: nothing, an event, an `Option`, a `Vec` or an array of them, a
/// tuple of up to six; [`FollowUp`]s where the types are known at run time only.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is nothing that can be published",
    note = "return `()`, an event, or events in an `Option`, a `Vec` or a tuple; or `Result<those, HandlerError>`"
)]
pub trait FollowUps: Send + 'static {
    /// Adds them to `to`, in their order.
    fn collect_into(self, to: &mut Vec<FollowUp>);
}

impl FollowUps for () {
    fn collect_into(self, _: &mut Vec<FollowUp>) {}
}

#[diagnostic::do_not_recommend]
impl<E: Broadcast> FollowUps for E {
    fn collect_into(self, to: &mut Vec<FollowUp>) {
        to.push(FollowUp::new(self));
    }
}

impl FollowUps for FollowUp {
    fn collect_into(self, to: &mut Vec<FollowUp>) {
        to.push(self);
    }
}

impl<F: FollowUps> FollowUps for Option<F> {
    fn collect_into(self, to: &mut Vec<FollowUp>) {
        if let Some(each) = self {
            each.collect_into(to);
        }
    }
}

impl<F: FollowUps> FollowUps for Vec<F> {
    fn collect_into(self, to: &mut Vec<FollowUp>) {
        for each in self {
            each.collect_into(to);
        }
    }
}

impl<F: FollowUps, const N: usize> FollowUps for [F; N] {
    fn collect_into(self, to: &mut Vec<FollowUp>) {
        for each in self {
            each.collect_into(to);
        }
    }
}

macro_rules! tuples {
    ($(($($each:ident)+))+) => {
        $(
            impl<$($each: FollowUps),+> FollowUps for ($($each,)+) {
                #[allow(non_snake_case, reason = "one name for the type and the value")]
                fn collect_into(self, to: &mut Vec<FollowUp>) {
                    let ($($each,)+) = self;
                    $($each.collect_into(to);)+
                }
            }
        )+
    };
}
tuples!((A B) (A B C) (A B C D) (A B C D G) (A B C D G H));

tokio::task_local! {
    /// How many messages stand before the one that this task sends.
    static BEFORE: u32;
}

/// Runs what the message of that depth led to, so that what it sends is one deeper.
pub(crate) async fn after<T>(depth: u32, running: impl Future<Output = T>) -> T {
    BEFORE.scope(depth.saturating_add(1), running).await
}

/// The depth of what this task sends now.
pub(crate) fn depth() -> u32 {
    BEFORE.try_with(|depth| *depth).unwrap_or(0)
}

/// The depth that a message says; 0 when it says none.
pub(crate) fn depth_of(headers: &Headers) -> u32 {
    let said = headers.value(DEPTH).and_then(Value::as_u64);
    said.map_or(0, |depth| u32::try_from(depth).unwrap_or(u32::MAX))
}

/// Puts the depth of what this task sends now into its headers, where there is any.
pub(crate) fn mark(headers: &mut Map<String, Value>) {
    match depth() {
        0 => {}
        depth => drop(headers.insert(DEPTH.to_owned(), depth.into())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn each_step_is_one_deeper_and_the_first_says_nothing() {
        let said = || {
            let mut headers = Map::new();
            mark(&mut headers);
            (headers.len(), depth_of(&headers.into()))
        };
        assert_eq!(said(), (0, 0));
        assert_eq!(after(0, async { said() }).await, (1, 1));
        assert_eq!(after(7, async { said() }).await, (1, 8));
        assert_eq!(after(u32::MAX, async { depth() }).await, u32::MAX);
        assert_eq!(depth_of(&Headers::default().with(DEPTH, u64::MAX)), u32::MAX);
        assert_eq!(depth_of(&Headers::default().with(DEPTH, "seven")), 0);
    }
}
