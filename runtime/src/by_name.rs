//! Calling a topic that is named at run time, and what such payloads and replies are: JSON without a type.
//!
//! `salt.call_json(topic, request)` → the registry's contract → validate → as a typed call goes on.

use std::{borrow::Cow, fmt, future::IntoFuture, time::Duration};

use celerysalt_contract::{Topic, Version};
use serde::de::IgnoredAny;
use serde_json::Value;

use crate::{
    Salt,
    call::{DEFAULT_TIMEOUT, Reply, Request, answer},
    error::CallError,
    event::DeclaredError,
    json::{self, Json, Mismatch, Reader, Writer},
    publish::{Options, Sending, common_options},
    telemetry::{Subject, calling},
};

/// A payload without a type.
#[derive(Clone, Debug)]
pub(crate) enum Untyped<'a> {
    Tree(Value),
    Text(&'a str),
}

impl Untyped<'_> {
    /// # Errors
    /// A sentence when it is no JSON object. It names places, never values.
    pub(crate) fn text(&self) -> Result<Cow<'_, str>, String> {
        let text = match self {
            Self::Tree(tree) => Cow::Owned(tree.to_string()),
            Self::Text(text) => {
                serde_json::from_str::<IgnoredAny>(text).map_err(|error| format!("the payload is no JSON: {error}"))?;
                Cow::Borrowed(*text)
            }
        };
        if text.trim_start().starts_with('{') { Ok(text) } else { Err("the payload is a JSON object".to_owned()) }
    }
}

/// A request of a topic named at run time, about to be made: add options, then `.await` it for the [`Reply`].
///
/// Request and reply are checked against the registry's contract of the topic: the version named by
/// [`version`](Self::version), else the newest.
///
/// # Errors
/// [`CallError`]; [`CallError::UnknownContract`] when the registry has no such RPC.
#[must_use = "nothing is called before it is awaited"]
#[derive(Debug)]
pub struct CallJson<'a> {
    topic: &'a str,
    payload: Untyped<'a>,
    salt: &'a Salt,
    version: Option<&'a str>,
    timeout: Duration,
    options: Options,
}

impl<'a> CallJson<'a> {
    pub(crate) fn new(topic: &'a str, payload: Untyped<'a>, salt: &'a Salt) -> Self {
        Self { topic, payload, salt, version: None, timeout: DEFAULT_TIMEOUT, options: Options::default() }
    }

    /// The contract's version, such as `v1`.
    pub fn version(mut self, version: &'a str) -> Self {
        self.version = Some(version);
        self
    }

    /// How long to wait for the reply, 30 seconds unless set. The request expires on the broker after that time too.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    common_options!();

    async fn run(self) -> Result<Reply<AnyReply>, CallError<AnyReply>> {
        let refused = |reason: String| CallError::Option { topic: self.topic.to_owned(), reason };
        let topic: Topic = self.topic.parse().map_err(|error| refused(format!("{error}")))?;
        let version: Option<Version> =
            self.version.map(str::parse).transpose().map_err(|error| refused(format!("{error}")))?;
        let payload = self.payload.text().map_err(refused)?;
        let unknown = |reason: String| CallError::UnknownContract { topic: self.topic.to_owned(), reason };
        let known = self.salt.schemas().known(&topic, version.as_ref()).await?.ok_or_else(|| {
            let asked = version.map_or_else(|| "any version".to_owned(), |version| version.to_string());
            unknown(format!("the registry has no contract of {asked}"))
        })?;
        if !known.is_rpc() {
            return Err(unknown(format!("{} is a broadcast: it is published, and nobody answers it", known.version)));
        }
        known.check(&payload)?;
        let request = Request {
            salt: self.salt,
            topic: self.topic,
            version: &known.version,
            exchange: known.exchange(),
            payload: &payload,
            timeout: self.timeout,
        };
        let options = request.options(&self.options).await?;
        let (id, reply) = request.ask(options).await?;
        Ok(Reply::new(answer(self.topic, &*known, reply, self.timeout)?, id))
    }
}

impl<'a> IntoFuture for CallJson<'a> {
    type Output = Result<Reply<AnyReply>, CallError<AnyReply>>;
    type IntoFuture = Sending<'a, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        let subject = Subject::Named { topic: self.topic, version: self.version };
        Box::pin(calling(self.salt, subject, self.run()))
    }
}

/// A reply without a type: the JSON value, and the text that it came as. `Debug` does not show it.
#[derive(Clone, PartialEq)]
pub struct AnyReply {
    value: Value,
    text: String,
}

impl AnyReply {
    /// The value. Numbers beyond 64 bits are rounded, which [`AnyReply::text`] does not.
    pub fn value(&self) -> &Value {
        &self.value
    }

    /// The JSON text, with every digit.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The value.
    pub fn into_json(self) -> Value {
        self.value
    }
}

impl fmt::Debug for AnyReply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AnyReply({} bytes)", self.text.len())
    }
}

impl Json for AnyReply {
    fn read(reader: &mut Reader<'_>) -> Result<Self, Mismatch> {
        let text = reader.skip()?;
        Ok(Self { value: json::from_text(text)?, text: text.to_owned() })
    }

    fn write(&self, writer: &mut Writer) {
        writer.push(&self.text);
    }
}

impl DeclaredError for AnyReply {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_payload_is_an_object_and_errors_do_not_quote_it() {
        let text = |text: &'static str| Untyped::Text(text).text().map(Cow::into_owned);
        assert_eq!(text(" {\"a\": 1.10}").unwrap(), " {\"a\": 1.10}");
        for refused in ["[\"s3cret\"]", "\"s3cret\"", "{\"a\": s3cret}", ""] {
            let error = text(refused).unwrap_err();
            assert!(!error.contains("s3cret"), "{error}");
        }
        assert!(Untyped::Tree(Value::Null).text().is_err());
    }

    #[test]
    fn a_reply_keeps_its_digits_and_is_not_shown() {
        let text = "{\"amount\":100000000000000000000000001}";
        let reply: AnyReply = json::from_text(text).unwrap();
        assert_eq!((reply.text(), json::to_text(&reply).unwrap().as_str()), (text, text));
        assert!(!format!("{reply:?}").contains("amount"));
    }
}
