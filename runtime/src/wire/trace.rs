//! W3C trace context: which trace a message belongs to, and how it goes on from handler to handler.

use std::{fmt, future::Future};

use super::{
    Meta,
    celery::{TRACEPARENT, TRACESTATE},
};
use crate::Headers;

/// In bytes: what the specification asks everyone to carry at least, and more than anyone needs.
const LONGEST_STATE: usize = 512;
/// Of `tracestate`.
const MOST_MEMBERS: usize = 32;

/// The place of a message in a distributed trace, as [W3C Trace Context](https://www.w3.org/TR/trace-context/) has it.
///
/// It travels in `_tchu_meta`, where celery-salt puts it too. What a handler publishes and calls carries the context of the
/// message that it handles, unless told otherwise by `.trace_context(..)`.
///
/// ```
/// use celerysalt::TraceContext;
///
/// let context = TraceContext::new("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", Some("vendor=1"))?;
/// assert_eq!(context.trace_id(), "0af7651916cd43dd8448eb211c80319c");
/// assert_eq!(context.parent_id(), "b7ad6b7169203331");
/// assert!(context.is_sampled());
/// # Ok::<(), celerysalt::TraceContextError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TraceContext {
    traceparent: String,
    tracestate: Option<String>,
}

/// Why a text is no trace context. Holds none of it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no W3C trace context: {part}: expected {expected}")]
pub struct TraceContextError {
    part: &'static str,
    expected: &'static str,
}

impl TraceContext {
    /// A context from the two headers `traceparent` and `tracestate`. An empty `tracestate` is none.
    ///
    /// # Errors
    /// [`TraceContextError`] when one of them is not of the form that the specification gives it.
    pub fn new(traceparent: impl Into<String>, tracestate: Option<&str>) -> Result<Self, TraceContextError> {
        let traceparent = traceparent.into();
        check_parent(&traceparent).map_err(|expected| TraceContextError { part: "traceparent", expected })?;
        let tracestate = tracestate.map(str::trim).filter(|state| !state.is_empty());
        tracestate
            .map_or(Ok(()), check_state)
            .map_err(|expected| TraceContextError { part: "tracestate", expected })?;
        Ok(Self { traceparent, tracestate: tracestate.map(str::to_owned) })
    }

    /// The header `traceparent`.
    pub fn traceparent(&self) -> &str {
        &self.traceparent
    }

    /// The header `tracestate`.
    pub fn tracestate(&self) -> Option<&str> {
        self.tracestate.as_deref()
    }

    /// Of the whole trace: 32 hexadecimal digits.
    pub fn trace_id(&self) -> &str {
        self.traceparent.get(3..35).unwrap_or_default()
    }

    /// Of the span that sent the message: 16 hexadecimal digits.
    pub fn parent_id(&self) -> &str {
        self.traceparent.get(36..52).unwrap_or_default()
    }

    /// Whether the sender records the trace.
    pub fn is_sampled(&self) -> bool {
        self.traceparent.get(53..55).and_then(|flags| u8::from_str_radix(flags, 16).ok()).is_some_and(|f| f & 1 == 1)
    }

    /// What a message says, as far as it can be read: in `_tchu_meta`, as celery-salt has it, else in the headers, as
    /// OpenTelemetry's instrumentation of Celery has it.
    pub(crate) fn of_message(meta: &Meta, headers: &Headers) -> Option<Self> {
        Self::of(meta).or_else(|| Self::read(headers.text(TRACEPARENT)?, headers.text(TRACESTATE)))
    }

    fn of(meta: &Meta) -> Option<Self> {
        Self::read(meta.traceparent.as_deref()?, meta.tracestate.as_deref())
    }

    /// A sender's mistake in its tracing is no reason to refuse its event.
    fn read(parent: &str, state: Option<&str>) -> Option<Self> {
        let ignored = |error: TraceContextError| tracing::debug!(%error, "a message's trace context is ignored");
        match Self::new(parent, state) {
            Ok(context) => Some(context),
            // The specification: what is wrong with the state does not concern the parent.
            Err(error) if error.part == "tracestate" => {
                ignored(error);
                Self::new(parent, None).ok()
            }
            Err(error) => {
                ignored(error);
                None
            }
        }
    }
}

impl fmt::Display for TraceContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.traceparent)
    }
}

/// `00-<32 digits>-<16 digits>-<2 digits>`; later versions may have more behind another dash.
fn check_parent(text: &str) -> Result<(), &'static str> {
    let is_hex = |part: &str| part.bytes().all(|c| c.is_ascii_digit() || (b'a'..=b'f').contains(&c));
    let form = "`00-<32 hexadecimal digits>-<16>-<2>`, in lower case";
    let (fixed, more) = (text.get(..55).ok_or(form)?, text.get(55..).ok_or(form)?);
    let parts: Vec<&str> = fixed.split('-').collect();
    let &[version, trace, parent, flags] = parts.as_slice() else { return Err(form) };
    if [version.len(), trace.len(), parent.len(), flags.len()] != [2, 32, 16, 2] || !parts.iter().all(|p| is_hex(p)) {
        return Err(form);
    }
    let is_zero = |digits: &str| digits.bytes().all(|digit| digit == b'0');
    match version {
        _ if is_zero(trace) || is_zero(parent) => Err("ids that are not all zeros"),
        "ff" => Err("a version, which `ff` is not"),
        "00" if !more.is_empty() => Err(form),
        // Of versions to come only the beginning is known.
        _ if text.len() > LONGEST_STATE || (!more.is_empty() && !more.starts_with('-')) => Err(form),
        _ => Ok(()),
    }
}

/// `key=value` up to 32 times, with commas between.
fn check_state(text: &str) -> Result<(), &'static str> {
    if text.len() > LONGEST_STATE {
        return Err("at most 512 bytes");
    }
    if text.split(',').count() > MOST_MEMBERS {
        return Err("at most 32 members");
    }
    let is_key = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || b"_-*/@".contains(&c);
    let is_value = |c: u8| (b' '..=b'~').contains(&c) && c != b'=';
    let fine = text.split(',').map(str::trim).filter(|member| !member.is_empty()).all(|member| {
        member.split_once('=').is_some_and(|(key, value)| {
            !key.is_empty() && key.bytes().all(is_key) && !value.is_empty() && value.bytes().all(is_value)
        })
    });
    if fine { Ok(()) } else { Err("members `key=value` with commas between") }
}

tokio::task_local! {
    /// The context of the message that this task handles.
    static CURRENT: TraceContext;
}

/// Runs what a handler does, so that what it publishes belongs to the same trace.
pub(crate) async fn within<T>(context: Option<TraceContext>, running: impl Future<Output = T>) -> T {
    match context {
        Some(context) => CURRENT.scope(context, running).await,
        None => running.await,
    }
}

/// The context of the message that this task handles, if it handles one that has one.
pub(crate) fn current() -> Option<TraceContext> {
    CURRENT.try_with(Clone::clone).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    #[test]
    fn contexts_of_the_specification_are_read() {
        let context = TraceContext::new(PARENT, Some(" rojo=00f067aa0ba902b7,congo=t61rcWkgMzE ")).unwrap();
        assert_eq!(context.tracestate(), Some("rojo=00f067aa0ba902b7,congo=t61rcWkgMzE"));
        assert!(context.is_sampled());
        assert!(!TraceContext::new(PARENT.replace("-01", "-00"), Some("")).unwrap().is_sampled());
        let later = format!("cc{}-what-comes", &PARENT[2..]);
        assert_eq!(TraceContext::new(later, None).unwrap().parent_id(), "b7ad6b7169203331");
    }

    #[test]
    fn everything_else_is_none() {
        let zeros = "0".repeat(32);
        for wrong in [
            "",
            "00",
            &PARENT.to_uppercase(),
            &PARENT[..54],
            &format!("{PARENT}-more"),
            &PARENT.replacen("00-", "ff-", 1),
            &PARENT.replace("0af7651916cd43dd8448eb211c80319c", &zeros),
            &PARENT.replace("b7ad6b7169203331", "0000000000000000"),
            &PARENT.replace('7', "\u{fc}"),
            &PARENT.replace('-', "_"),
        ] {
            assert!(TraceContext::new(wrong, None).is_err(), "{wrong}");
        }
        for wrong in
            ["a", "=b", "a=", "a=b=c", "A=b", "a=\u{fc}", &"a=b,".repeat(33), &format!("a={}", "b".repeat(511))]
        {
            assert!(TraceContext::new(PARENT, Some(wrong)).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_bad_state_leaves_the_parent_and_a_bad_parent_nothing() {
        let meta = |parent: &str, state: &str| Meta {
            traceparent: Some(parent.to_owned()),
            tracestate: Some(state.to_owned()),
            ..Meta::default()
        };
        let context = TraceContext::of(&meta(PARENT, "nonsense")).unwrap();
        assert_eq!((context.traceparent(), context.tracestate()), (PARENT, None));
        assert_eq!(TraceContext::of(&meta("nonsense", "a=b")), None);
        assert_eq!(TraceContext::of(&Meta::default()), None);
    }

    #[test]
    fn headers_count_where_the_envelope_says_nothing() {
        const OTHER: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00";
        let headers = serde_json::json!({"traceparent": OTHER, "tracestate": "a=b"});
        let headers = Headers::from(headers.as_object().unwrap().clone());
        let read = |parent: Option<&str>| {
            let meta = Meta { traceparent: parent.map(str::to_owned), ..Meta::default() };
            TraceContext::of_message(&meta, &headers).unwrap().to_string()
        };
        assert_eq!(read(None), OTHER);
        assert_eq!(read(Some("nonsense")), OTHER);
        assert_eq!(read(Some(PARENT)), PARENT);
        assert_eq!(TraceContext::of_message(&Meta::default(), &Headers::default()), None);
    }
}
