//! The headers of a message.

use std::{
    borrow::Cow,
    fmt,
    ops::{Deref, DerefMut},
    sync::{Arc, LazyLock, OnceLock},
};

use serde_json::{Map, Value};

static NONE: LazyLock<Map<String, Value>> = LazyLock::new(Map::new);
static NULL: Value = Value::Null;

/// Headers: those of a message, those of the envelope included, as an argument of a handler; or those that a hook adds. Derefs
/// to the JSON map of them.
///
/// Clones share one map until one of them is changed. Those of a message from or for RabbitMQ become a map when somebody looks
/// at it: a message of Celery has eighteen, and few handlers ask for any.
///
/// ```
/// use celerysalt::Headers;
///
/// let mut headers = Headers::default().with("x-tenant", 7);
/// assert_eq!(headers.get("x-tenant").and_then(|value| value.as_u64()), Some(7));
/// headers.insert("x-region".to_owned(), "eu".into());
/// assert_eq!(headers.len(), 2);
/// ```
#[derive(Clone, Default)]
pub struct Headers {
    map: Option<Arc<Map<String, Value>>>,
    /// Only without a map.
    unread: Option<Arc<Lazy<dyn Unread>>>,
}

/// Headers as a transport has them, and the map of them once somebody looked.
struct Lazy<T: ?Sized> {
    map: OnceLock<Map<String, Value>>,
    source: T,
}

/// Headers in another form than a map: a transport's, or that of whoever wrote the message.
pub(crate) trait Unread: Send + Sync {
    /// One of them, without a look at the others.
    fn peek(&self, name: &str) -> Peek<'_>;

    /// Gives out each of them.
    fn each(&self, take: &mut dyn FnMut(&str, Field<'_>));
}

/// The value of a header.
#[derive(Clone, Debug)]
pub(crate) enum Field<'a> {
    Text(&'a str),
    Other(Cow<'a, Value>),
}

impl<'a> From<&'a Value> for Field<'a> {
    fn from(value: &'a Value) -> Self {
        value.as_str().map_or(Self::Other(Cow::Borrowed(value)), Self::Text)
    }
}

impl From<Field<'_>> for Value {
    fn from(field: Field<'_>) -> Self {
        match field {
            Field::Text(text) => Self::from(text),
            Field::Other(value) => value.into_owned(),
        }
    }
}

/// What can be said of a header without reading it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Peek<'a> {
    Absent,
    Null,
    Text(&'a str),
    /// Anything else.
    Other,
}

impl Headers {
    /// With one more, or another value of that name.
    #[must_use]
    pub fn with(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.insert(name.into(), value.into());
        self
    }

    /// Those of `source`, read when somebody looks.
    pub(crate) fn unread(source: impl Unread + 'static) -> Self {
        Self { map: None, unread: Some(Arc::new(Lazy { map: OnceLock::new(), source })) }
    }

    /// Gives out each of them, as they are: nothing becomes a map for it.
    #[cfg(any(feature = "amqp", test))]
    pub(crate) fn each(&self, take: &mut dyn FnMut(&str, Field<'_>)) {
        match &self.unread {
            Some(unread) if unread.map.get().is_none() => unread.source.each(take),
            _ => self.iter().for_each(|(name, value)| take(name, value.into())),
        }
    }

    fn peek(&self, name: &str) -> Peek<'_> {
        match &self.unread {
            Some(unread) if unread.map.get().is_none() => unread.source.peek(name),
            _ => match self.get(name) {
                None => Peek::Absent,
                Some(Value::Null) => Peek::Null,
                Some(Value::String(text)) => Peek::Text(text),
                Some(_) => Peek::Other,
            },
        }
    }

    /// As [`Map::get`]; one that is not there, or is null, is found out without reading the others.
    pub(crate) fn value(&self, name: &str) -> Option<&Value> {
        match self.peek(name) {
            Peek::Absent => None,
            Peek::Null => Some(&NULL),
            Peek::Text(_) | Peek::Other => self.get(name),
        }
    }

    /// The text of one that is a text, without reading the others.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        match self.peek(name) {
            Peek::Absent | Peek::Null => None,
            Peek::Text(text) => Some(text),
            Peek::Other => self.get(name)?.as_str(),
        }
    }
}

impl Deref for Headers {
    type Target = Map<String, Value>;

    fn deref(&self) -> &Map<String, Value> {
        match (&self.map, &self.unread) {
            (Some(map), _) => map,
            (None, Some(unread)) => unread.map.get_or_init(|| {
                let mut map = Map::new();
                unread.source.each(&mut |name, field| drop(map.insert(name.to_owned(), field.into())));
                map
            }),
            (None, None) => &NONE,
        }
    }
}

impl DerefMut for Headers {
    fn deref_mut(&mut self) -> &mut Map<String, Value> {
        if self.unread.is_some() {
            *self = Self::from((**self).clone());
        }
        Arc::make_mut(self.map.get_or_insert_default())
    }
}

impl From<Map<String, Value>> for Headers {
    fn from(headers: Map<String, Value>) -> Self {
        Self { map: Some(Arc::new(headers)), unread: None }
    }
}

impl From<Headers> for Map<String, Value> {
    fn from(headers: Headers) -> Self {
        match headers.map {
            Some(map) => Arc::unwrap_or_clone(map),
            None => (*headers).clone(),
        }
    }
}

impl PartialEq for Headers {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl Eq for Headers {}

impl fmt::Debug for Headers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// Headers of which each look at all of them is counted.
    #[derive(Default)]
    struct Counted(Arc<std::sync::atomic::AtomicUsize>);

    impl Unread for Counted {
        fn peek(&self, name: &str) -> Peek<'_> {
            match name {
                "task" => Peek::Text("a task"),
                "eta" => Peek::Null,
                "retries" => Peek::Other,
                _ => Peek::Absent,
            }
        }

        fn each(&self, take: &mut dyn FnMut(&str, Field<'_>)) {
            self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            take("task", Field::Text("a task"));
            take("eta", Field::Other(Cow::Owned(Value::Null)));
            take("retries", Field::Other(Cow::Owned(json!(3))));
        }
    }

    fn counted() -> (Headers, impl Fn() -> usize) {
        let count = Counted::default();
        let reads = Arc::clone(&count.0);
        (Headers::unread(count), move || reads.load(std::sync::atomic::Ordering::Relaxed))
    }

    #[test]
    fn one_header_is_found_without_the_others() {
        let (headers, reads) = counted();
        assert_eq!((headers.text("task"), headers.text("eta"), headers.text("id")), (Some("a task"), None, None));
        assert_eq!((headers.value("eta"), headers.value("id")), (Some(&Value::Null), None));
        assert_eq!(reads(), 0);
        assert_eq!((headers.value("retries"), headers.text("retries")), (Some(&json!(3)), None));
        assert_eq!((headers.value("task"), headers.text("task")), (Some(&json!("a task")), Some("a task")));
        assert_eq!(reads(), 1);
    }

    #[test]
    fn all_headers_are_read_once_for_all_who_share_them() {
        let (headers, reads) = counted();
        let shared = headers.clone();
        assert_eq!(headers.len() + shared.len(), 6);
        assert_eq!(headers, shared);
        let mut changed = shared.clone().with("more", 1);
        changed.remove("eta");
        assert_eq!((reads(), shared.len()), (1, 3));
        assert_eq!(
            changed,
            Headers::from(Map::from(headers).into_iter().filter(|(name, _)| name != "eta").collect::<Map<_, _>>())
                .with("more", 1)
        );
        assert_eq!(
            (changed.text("eta"), changed.value("eta"), changed.value("retries")),
            (None, None, Some(&json!(3)))
        );
    }

    #[test]
    fn each_is_given_out_the_same_before_and_after_they_became_a_map() {
        let (headers, _) = counted();
        let given = || {
            let mut given = Map::new();
            headers.each(&mut |name, field| {
                assert_eq!(matches!(field, Field::Text(_)), name == "task");
                given.insert(name.to_owned(), field.into());
            });
            given
        };
        let before = given();
        assert_eq!(before, *headers);
        assert_eq!(given(), before);
    }

    #[test]
    fn none_are_none() {
        let mut none = Headers::default();
        assert!(none.is_empty() && none.value("a").is_none() && Map::from(none.clone()).is_empty());
        none.insert("a".to_owned(), json!([1]));
        assert_eq!((none.value("a"), none.text("a")), (Some(&json!([1])), None));
    }
}
