//! What `services up` remembers for `services down` and for later tests: `.services/state`.

use std::{fmt::Write as _, fs, io::ErrorKind, path::PathBuf};

use super::keeper::Duty;
use crate::cargo;

/// The servers of the last `services up`.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct State {
    pub(super) entries: Vec<Entry>,
}

/// A server that tests can use, and how to end it. No duties: it was there before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    /// [`Service::key`](super::Service::key).
    pub(super) key: String,
    pub(super) url: String,
    pub(super) duties: Vec<Duty>,
}

impl State {
    pub(super) fn load() -> Result<Self, String> {
        match fs::read_to_string(file()) {
            Ok(text) => {
                Self::parse(&text).ok_or_else(|| format!("{} cannot be understood; delete it", file().display()))
            }
            Err(why) if why.kind() == ErrorKind::NotFound => Ok(Self::default()),
            Err(why) => Err(format!("{} cannot be read: {why}", file().display())),
        }
    }

    pub(super) fn save(&self) -> Result<(), String> {
        fs::create_dir_all(folder())
            .and_then(|()| fs::write(file(), self.render()))
            .map_err(|why| format!("{} cannot be written: {why}", file().display()))
    }

    pub(super) fn forget() -> Result<(), String> {
        match fs::remove_dir_all(folder()) {
            Err(why) if why.kind() != ErrorKind::NotFound => {
                Err(format!("{} cannot be deleted: {why}", folder().display()))
            }
            _ => Ok(()),
        }
    }

    pub(super) fn entry(&self, key: &str) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.key == key)
    }

    fn render(&self) -> String {
        let mut text = String::new();
        for entry in &self.entries {
            let _ = writeln!(text, "service {} {}", entry.key, entry.url);
            for duty in &entry.duties {
                let _ = writeln!(text, "{duty}");
            }
        }
        text
    }

    fn parse(text: &str) -> Option<Self> {
        let mut entries: Vec<Entry> = Vec::new();
        for line in text.lines() {
            if let Some(rest) = line.strip_prefix("service ") {
                let (key, url) = rest.split_once(' ')?;
                entries.push(Entry { key: key.to_owned(), url: url.to_owned(), duties: Vec::new() });
            } else {
                entries.last_mut()?.duties.push(Duty::parse(line)?);
            }
        }
        Some(Self { entries })
    }
}

fn folder() -> PathBuf {
    cargo::root().join(".services")
}

fn file() -> PathBuf {
    folder().join("state")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_again() {
        let found = Entry {
            key: "postgres".to_owned(),
            url: "postgres://postgres@127.0.0.1:5432/test".to_owned(),
            duties: Vec::new(),
        };
        let started = Entry {
            key: "rabbitmq".to_owned(),
            url: "amqp://guest:guest@127.0.0.1:4001/%2f".to_owned(),
            duties: vec![
                Duty::Folder("/tmp/with space/celerysalt-rabbitmq-1".into()),
                Duty::File("/usr/sbin/policy-rc.d".into()),
                Duty::Group { signal: "TERM", id: 12, birth: "345".to_owned() },
                Duty::Compose { project: "celerysalt-rabbitmq-1".to_owned(), file: "/w x/docker-compose.yml".into() },
            ],
        };
        let state = State { entries: vec![found, started] };
        assert_eq!(State::parse(&state.render()), Some(state));
    }

    #[test]
    fn nonsense_is_not_read() {
        for text in ["group TERM 1 2", "service rabbitmq", "service r u\nflood /"] {
            assert_eq!(State::parse(text), None, "`{text}` was accepted");
        }
    }
}
