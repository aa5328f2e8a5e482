//! URLs of servers: `scheme://user:password@host:port/path?query`.

use std::{
    io,
    net::{TcpStream, ToSocketAddrs},
    time::Duration,
};

/// How long a server may take to answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// A URL in parts, with percent encoding undone.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Url {
    pub(super) scheme: String,
    pub(super) user: Option<String>,
    pub(super) password: Option<String>,
    pub(super) host: String,
    pub(super) port: Option<u16>,
    /// Behind the first slash; `None` when there is not even the slash, or nothing behind it.
    pub(super) path: Option<String>,
    /// As it stands there, behind the question mark.
    pub(super) query: String,
}

impl Url {
    /// # Errors
    /// A clause that says what is wrong, without the URL, which may hold a password.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let (scheme, rest) = text.split_once("://").ok_or("is no URL: it has no `://`")?;
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (authority, path) = match rest.split_once('/') {
            Some((authority, path)) => (authority, Some(path)),
            None => (rest, None),
        };
        let (login, address) = match authority.rsplit_once('@') {
            Some((login, address)) => (Some(login), address),
            None => (None, authority),
        };
        let (user, password) = match login.map(|login| login.split_once(':')) {
            Some(Some((user, password))) => (Some(user), Some(password)),
            _ => (login, None),
        };
        let (host, port) = host_and_port(address)?;
        let decoded = |part: Option<&str>| {
            let part = part.filter(|part| !part.is_empty());
            part.map(decode).transpose()
        };
        Ok(Self {
            scheme: scheme.to_owned(),
            user: decoded(user)?,
            password: decoded(password)?,
            host,
            port,
            path: decoded(path)?,
            query: query.to_owned(),
        })
    }

    /// The URL without its password.
    pub(super) fn shown(text: &str) -> String {
        let Some((scheme, rest)) = text.split_once("://") else {
            return "(no URL)".to_owned();
        };
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        match rest[..end].rsplit_once('@') {
            Some((login, host)) => {
                let user = login.split(':').next().unwrap_or_default();
                let tail = rest[end..].split('?').next().unwrap_or_default();
                format!("{scheme}://{user}@{host}{tail}")
            }
            None => text.split('?').next().unwrap_or_default().to_owned(),
        }
    }

    /// A connection to the server.
    ///
    /// # Errors
    /// A clause that says how it failed.
    pub(super) fn connect(&self, default_port: u16) -> Result<TcpStream, String> {
        let port = self.port.unwrap_or(default_port);
        let addresses =
            (self.host.as_str(), port).to_socket_addrs().map_err(|why| format!("cannot be resolved: {why}"))?;
        let mut last = "has no address".to_owned();
        for address in addresses {
            match TcpStream::connect_timeout(&address, PATIENCE) {
                Ok(stream) => {
                    let limit = Some(PATIENCE);
                    stream.set_read_timeout(limit).map_err(broken)?;
                    stream.set_write_timeout(limit).map_err(broken)?;
                    return Ok(stream);
                }
                Err(why) => last = format!("is not reachable: {why}"),
            }
        }
        Err(last)
    }
}

/// What a failed read or write says about a server.
#[allow(clippy::needless_pass_by_value, reason = "it is given to `map_err`, which passes by value")]
pub(super) fn broken(why: io::Error) -> String {
    match why.kind() {
        io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset => "closes the connection".to_owned(),
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => {
            format!("is silent for {} seconds", PATIENCE.as_secs())
        }
        _ => format!("breaks the connection: {why}"),
    }
}

fn host_and_port(address: &str) -> Result<(String, Option<u16>), String> {
    let (host, port) = if let Some(rest) = address.strip_prefix('[') {
        let (host, rest) = rest.split_once(']').ok_or("has an open bracket")?;
        (host, rest.strip_prefix(':'))
    } else {
        match address.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (address, None),
        }
    };
    if host.is_empty() {
        return Err("names no host".to_owned());
    }
    let port = match port {
        Some(port) => Some(port.parse().map_err(|_| "has a port that is no number")?),
        None => None,
    };
    Ok((decode(host)?, port))
}

fn decode(text: &str) -> Result<String, String> {
    const WRONG: &str = "has a `%` that is no percent encoding";
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let digits = [rest.next().ok_or(WRONG)?, rest.next().ok_or(WRONG)?];
        let digits = std::str::from_utf8(&digits).map_err(|_| WRONG)?;
        bytes.push(u8::from_str_radix(digits, 16).map_err(|_| WRONG)?);
    }
    String::from_utf8(bytes).map_err(|_| WRONG.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_parts_are_read() {
        let url = Url::parse("amqp://us%40er:pa:ss@broker.example:5673/%2f?heartbeat=5").unwrap();
        assert_eq!(
            url,
            Url {
                scheme: "amqp".to_owned(),
                user: Some("us@er".to_owned()),
                password: Some("pa:ss".to_owned()),
                host: "broker.example".to_owned(),
                port: Some(5673),
                path: Some("/".to_owned()),
                query: "heartbeat=5".to_owned(),
            }
        );
    }

    #[test]
    fn parts_may_be_missing() {
        let url = Url::parse("postgres://[::1]").unwrap();
        assert_eq!((url.host.as_str(), url.port, url.path), ("::1", None, None));
        let url = Url::parse("postgres://me@[::1]:5433/").unwrap();
        assert_eq!((url.user, url.port), (Some("me".to_owned()), Some(5433)));
        assert_eq!((url.password, url.path), (None, None));
        assert_eq!(Url::parse("amqp://h?x=/y").unwrap().host, "h");
    }

    #[test]
    fn nonsense_is_refused() {
        for text in ["", "memory:", "amqp://", "amqp://h:x/", "amqp://[::1/", "amqp://h/%2"] {
            assert!(Url::parse(text).is_err(), "`{text}` was accepted");
        }
    }

    #[test]
    fn passwords_are_not_shown() {
        assert_eq!(Url::shown("amqp://me:se@cret@h:1/%2f?password=x"), "amqp://me@h:1/%2f");
        assert_eq!(Url::shown("postgres://h/db?password=x"), "postgres://h/db");
        assert_eq!(Url::shown("secret"), "(no URL)");
    }
}
