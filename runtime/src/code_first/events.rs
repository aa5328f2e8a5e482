//! Which types are code-first events, alone and as lists.

use crate::event::{Event, EventContract};

/// An event that is written in Rust, and whose schema file is made of it: what `SaltEvent` implements.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not written in code: its schema file is the source",
    note = "the schema files of types with `#[derive(SaltEvent)]` are exported; generated types come from theirs"
)]
pub trait CodeFirst: Event {}

/// A code-first event, or a tuple of them (or of tuples, for more than twelve).
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no event that is written in code, and no tuple of such events",
    note = "the schema files of types with `#[derive(SaltEvent)]` are exported; generated types come from theirs",
    note = "more than twelve events are a tuple of tuples: `((A, B), (C, D))`"
)]
pub trait Events {
    /// Adds the contract of each.
    fn add_contracts(all: &mut Vec<&'static EventContract>);
}

impl<E: CodeFirst> Events for E {
    fn add_contracts(all: &mut Vec<&'static EventContract>) {
        all.push(E::contract());
    }
}

/// The contracts of code-first events, such as [`SaltBuilder::contracts`](crate::SaltBuilder::contracts) takes.
///
/// ```
/// # use celerysalt::{SaltEvent, code_first::contracts, schemars::JsonSchema};
/// # macro_rules! event { ($name:ident, $topic:literal) => {
/// # #[derive(Debug, serde::Serialize, serde::Deserialize, JsonSchema, SaltEvent)]
/// # #[schemars(crate = "celerysalt::schemars")]
/// # #[salt(topic = $topic, version = "v1")]
/// # struct $name {}
/// # } }
/// # event!(OrderPlaced, "orders.placed");
/// # event!(OrderShipped, "orders.shipped");
/// let names: Vec<String> = contracts::<(OrderPlaced, OrderShipped)>().iter().map(|one| one.to_string()).collect();
/// assert_eq!(names, ["orders.placed@v1", "orders.shipped@v1"]);
/// ```
pub fn contracts<E: Events>() -> Vec<&'static EventContract> {
    let mut all = Vec::new();
    E::add_contracts(&mut all);
    all
}

macro_rules! tuples {
    ($($first:ident $($rest:ident)*)?) => {$(
        impl<$first: Events $(, $rest: Events)*> Events for ($first, $($rest,)*) {
            fn add_contracts(all: &mut Vec<&'static EventContract>) {
                $first::add_contracts(all);
                $($rest::add_contracts(all);)*
            }
        }
        tuples!($($rest)*);
    )?};
}

tuples!(A B C D E F G H I J K L);
