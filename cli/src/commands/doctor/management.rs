//! What queues are bound to, as RabbitMQ's management plugin tells it over HTTP: AMQP has no way to ask.

use std::{collections::BTreeSet, time::Duration};

use base64::{Engine, engine::general_purpose::STANDARD};
use percent_encoding::percent_decode_str;
use serde::Deserialize;
use ureq::Agent;
use url::Url;

/// How long a request takes at most.
const PATIENCE: Duration = Duration::from_secs(10);

/// The management plugin of one node. Only read.
pub(super) struct Management {
    agent: Agent,
    /// Without user and password.
    url: Url,
    authorization: Option<String>,
}

/// A binding of a queue.
#[derive(Debug, Deserialize, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Bound {
    /// The exchange.
    pub(super) source: String,
    pub(super) routing_key: String,
}

impl Management {
    /// # Errors
    /// A sentence that does not repeat the URL, which may hold a password.
    pub(super) fn of(text: &str) -> Result<Self, String> {
        let refused = || "it is not of the form http://user:password@host:15672".to_owned();
        let mut url = Url::parse(text).map_err(|_| refused())?;
        if !["http", "https"].contains(&url.scheme()) || url.cannot_be_a_base() || !url.has_host() {
            return Err(refused());
        }
        let decoded = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
        let (user, password) = (decoded(url.username()), decoded(url.password().unwrap_or_default()));
        let authorization =
            (!user.is_empty()).then(|| format!("Basic {}", STANDARD.encode(format!("{user}:{password}"))));
        // A URL with a host can be without both.
        let _ = url.set_username("").and_then(|()| url.set_password(None));
        let config = Agent::config_builder().timeout_global(Some(PATIENCE)).http_status_as_error(false).build();
        Ok(Self { agent: config.into(), url, authorization })
    }

    /// Where it is.
    pub(super) fn place(&self) -> &str {
        self.url.as_str()
    }

    /// The bindings of a queue, but for the one to the default exchange, which every queue has.
    ///
    /// # Errors
    /// What came instead.
    pub(super) fn bindings(&self, virtual_host: &str, queue: &str) -> Result<BTreeSet<Bound>, String> {
        let mut url = self.url.clone();
        url.path_segments_mut().map_err(|()| "it has no path".to_owned())?.pop_if_empty().extend([
            "api",
            "queues",
            virtual_host,
            queue,
            "bindings",
        ]);
        let mut request = self.agent.get(url.as_str());
        if let Some(authorization) = &self.authorization {
            request = request.header("Authorization", authorization);
        }
        let mut response = request.call().map_err(|error| error.to_string())?;
        match response.status().as_u16() {
            200 => {}
            401 => {
                return Err(
                    "it does not take this user and password, or the user has not the tag `management`".to_owned()
                );
            }
            404 => return Ok(BTreeSet::new()),
            status => return Err(format!("it answered with status {status}")),
        }
        let text = response.body_mut().read_to_string().map_err(|error| error.to_string())?;
        let bound: Vec<Bound> =
            serde_json::from_str(&text).map_err(|error| format!("its answer is no list of bindings: {error}"))?;
        Ok(bound.into_iter().filter(|bound| !bound.source.is_empty()).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_password_is_shown() {
        let management = Management::of("http://ann:s3c%20ret@host:15672").unwrap();
        assert_eq!(management.place(), "http://host:15672/");
        assert_eq!(management.authorization.as_deref(), Some("Basic YW5uOnMzYyByZXQ="));
        for refused in ["host", "amqp://ann:s3cret@host", "http://", "mailto:s3cret@host"] {
            assert!(!Management::of(refused).err().unwrap().contains("s3cret"));
        }
    }
}
