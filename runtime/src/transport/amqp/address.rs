//! A broker's URL, and the text of it that may be shown.

use std::fmt;

use lapin::uri::{AMQPScheme, AMQPUri};

use crate::{transport::TransportError, url::redact_url};

/// Where a broker is. Shown without its password.
#[derive(Clone)]
pub(super) struct Address {
    uri: AMQPUri,
    shown: String,
}

impl Address {
    pub(super) fn parse(url: &str) -> Result<Self, TransportError> {
        let refuse = |reason: &str| TransportError::Url { url: redact_url(url), reason: reason.to_owned() };
        let url = url.trim();
        let mut uri: AMQPUri = url.parse().map_err(|_| {
            // Not the parser's own words: they repeat the URL.
            refuse(
                "it is not of the form amqp://user:password@host:port/vhost, with `%` escapes for special characters",
            )
        })?;
        if uri.scheme == AMQPScheme::AMQPS && !cfg!(feature = "tls") {
            return Err(refuse("amqps:// needs the feature `tls` of the crate `celerysalt`"));
        }
        // The parser takes an IPv6 address for no host at all, and then goes to localhost.
        if let Some(host) = ipv6_host(url) {
            uri.authority.host = host;
        }
        // As kombu and Celery do: `amqp://host/` and `amqp://host//` are the virtual host `/`.
        if uri.vhost.is_empty() {
            "/".clone_into(&mut uri.vhost);
        }
        if uri.vhost.len() > 255 {
            return Err(refuse("its virtual host is longer than 255 bytes"));
        }
        let scheme = if uri.scheme == AMQPScheme::AMQPS { "amqps" } else { "amqp" };
        let (user, host, port) = (&uri.authority.userinfo.username, &uri.authority.host, uri.authority.port);
        let host = if host.contains(':') { format!("[{host}]") } else { host.clone() };
        let shown = format!("{scheme}://{user}@{host}:{port}/{}", uri.vhost.trim_start_matches('/'));
        Ok(Self { uri, shown })
    }

    /// For people.
    pub(super) fn shown(&self) -> &str {
        &self.shown
    }

    pub(super) fn uri(&self) -> &AMQPUri {
        &self.uri
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Address").field(&self.shown).finish()
    }
}

fn ipv6_host(url: &str) -> Option<String> {
    let (_, rest) = url.split_once("://")?;
    let authority = rest.split(['/', '?', '#']).next()?;
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    host.strip_prefix('[')?.split_once(']').map(|(host, _)| host.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_shows_a_password() {
        for url in [
            "amqp://user:s3cret@host:5672/%2f",
            "amqp://user:s3cret@host:notaport/%2f",
            "amqp://user:s3c@ret:s3cret@ho st/",
            "http://user:s3cret@host/",
            "amqp:user:s3cret@host",
            "user:s3cret@host",
            "amqps://user:s3cret@host/?heartbeat=x",
            "amqp://user:s3cret/x@host/",
        ] {
            let shown = match Address::parse(url) {
                Ok(address) => format!("{address:?} {}", address.shown()),
                Err(error) => format!("{error} {error:?}"),
            };
            assert!(!shown.contains("s3cret"), "{shown}");
        }
    }

    #[test]
    fn reads_hosts_and_virtual_hosts() {
        for (url, shown, vhost) in [
            ("amqp://guest:guest@localhost:5672//", "amqp://guest@localhost:5672/", "/"),
            ("amqp://localhost", "amqp://guest@localhost:5672/", "/"),
            ("amqp://localhost/", "amqp://guest@localhost:5672/", "/"),
            ("amqp://a:b@[::1]:5673/%2f", "amqp://a@[::1]:5673/", "/"),
            ("amqp://a:b%40@10.0.0.1/team", "amqp://a@10.0.0.1:5672/team", "team"),
        ] {
            let address = Address::parse(url).unwrap();
            assert_eq!((address.shown(), address.uri().vhost.as_str()), (shown, vhost), "{url}");
        }
        assert_eq!(Address::parse("amqp://x:p%40@h/").unwrap().uri().authority.userinfo.password, "p@");
    }

    #[test]
    fn says_what_a_tls_url_needs() {
        let parsed = Address::parse("amqps://localhost/");
        if cfg!(feature = "tls") {
            assert_eq!(parsed.unwrap().uri().authority.port, 5671);
        } else {
            assert!(parsed.unwrap_err().to_string().contains("feature `tls`"));
        }
    }
}
