//! The servers that the tests need: found, started from installed programs, or installed.
//!
//! A kind of server is one file with one [`Service`]; adding it to [`ALL`] (and to
//! `docker-compose.yml`) is all there is to it. [`ladder`] tries the ways to get one in order,
//! [`keeper`] stops what was started, [`state`] remembers it between `services up` and `down`.

mod keeper;
mod ladder;
mod launch;
mod postgres;
mod rabbitmq;
mod redis;
#[cfg(test)]
mod script;
mod state;
mod url;

pub(crate) use keeper::Keeper;
pub(crate) use ladder::Way;

use std::process::ExitCode;

use launch::Launch;
use state::{Entry, State};
use url::Url;

/// Every kind of server that the tests use.
const ALL: [&dyn Service; 3] = [&rabbitmq::RabbitMq, &postgres::PostgreSql, &redis::Redis];

/// A kind of server: how to recognise one and how to start one.
trait Service {
    /// What people call it.
    fn name(&self) -> &'static str;
    /// Its name in `docker-compose.yml` and in folder names.
    fn key(&self) -> &'static str;
    /// The environment variable by which tests learn its URL.
    fn variable(&self) -> &'static str;
    fn schemes(&self) -> &'static [&'static str];
    fn default_port(&self) -> u16;
    /// The URL of a server on this machine, as xtask starts it and as most machines have it.
    fn url(&self, port: u16) -> String;
    /// Debian packages that bring it.
    fn packages(&self) -> &'static [&'static str];
    /// Whether tests start servers of their own, to kill them, and the program for that is missing.
    fn lacks_own_program(&self) -> bool {
        false
    }
    /// Speaks with the server until it is certain that tests could use it.
    ///
    /// # Errors
    /// A clause without a subject that says what happened: "refuses the password".
    fn probe(&self, url: &Url) -> Result<(), String>;
    /// Starts installed programs in the folder and on the port of `launch`, until they are ready.
    ///
    /// # Errors
    /// What is missing, or what the programs said when they failed.
    fn launch(&self, launch: &mut Launch<'_>) -> Result<(), String>;

    /// [`probe`](Self::probe) for a URL that may not even be one.
    fn probe_text(&self, text: &str) -> Result<(), String> {
        let url = Url::parse(text)?;
        if !self.schemes().contains(&url.scheme.as_str()) {
            return Err(format!("is no URL of {}: it should start with {}://", self.name(), self.schemes()[0]));
        }
        self.probe(&url)
    }

    /// The URL that the environment gives. An empty variable gives none.
    fn given(&self) -> Option<String> {
        let value = std::env::var(self.variable()).ok();
        value.filter(|value| !value.is_empty())
    }
}

/// Gets every service; returns the environment variables for the tests.
pub(crate) fn find(ways: &[Way], keeper: &mut Keeper) -> Result<Vec<(&'static str, String)>, String> {
    let state = State::load()?;
    let mut urls = Vec::new();
    for service in ALL {
        let entry = ladder::climb(service, ways, &state, keeper)?;
        urls.push((service.variable(), entry.url));
    }
    Ok(urls)
}

/// Sees to it that the programs are installed with which tests start servers of their own. Without them those tests fail, and
/// say so.
pub(crate) fn install(ways: &[Way], keeper: &mut Keeper) {
    for service in ALL {
        if service.lacks_own_program() {
            let outcome = if ways.contains(&Way::Packages) {
                ladder::packages(service, keeper)
            } else {
                Err("`--ways` leaves out `packages`".to_owned())
            };
            if let Err(why) = outcome {
                eprintln!(
                    "{}: its programs are not installed, so tests that start one of their own fail: {why}",
                    service.name()
                );
            }
        }
    }
}

/// Gets every service and leaves it running.
pub(crate) fn up(ways: &[Way]) -> Result<(), String> {
    let old = State::load()?;
    let mut keeper = Keeper::start()?;
    let mut new = State::default();
    for service in ALL {
        let known = old.entry(service.key());
        let meant = known.filter(|entry| service.given().is_none_or(|url| url == entry.url));
        let running = meant.filter(|entry| service.probe_text(&entry.url).is_ok());
        let entry = match running {
            Some(entry) => {
                let shown = Url::shown(&entry.url);
                eprintln!("{}: already up at {shown}", service.name());
                entry.clone()
            }
            None => ladder::climb(service, ways, &State::default(), &mut keeper)?,
        };
        new.entries.push(entry);
    }
    // Leftovers of servers that no longer answer, before the file that remembers them is replaced.
    for entry in old.entries {
        if !new.entries.contains(&entry) {
            keeper::stop(entry.duties)?;
        }
    }
    new.save()?;
    keeper.release();
    for entry in &new.entries {
        if let Some(service) = ALL.iter().find(|service| service.key() == entry.key) {
            println!("export {}='{}'", service.variable(), entry.url);
        }
    }
    Ok(())
}

/// Stops what [`up`] started.
pub(crate) fn down() -> Result<(), String> {
    let state = State::load()?;
    if state.entries.is_empty() {
        println!("nothing to stop: `cargo xtask services up` has started nothing");
    }
    for entry in state.entries {
        let name = &entry.key;
        if entry.duties.is_empty() {
            println!("{name}: was not started by xtask, stays as it is");
        } else {
            keeper::stop(entry.duties)?;
            println!("{name}: stopped");
        }
    }
    State::forget()
}

/// Says which services answer; fails when one does not.
pub(crate) fn status() -> Result<ExitCode, String> {
    let state = State::load()?;
    let mut code = ExitCode::SUCCESS;
    for service in ALL {
        let name = service.name();
        let (origin, url) = if let Some(url) = service.given() {
            (service.variable().to_owned(), url)
        } else if let Some(Entry { url, .. }) = state.entry(service.key()) {
            ("cargo xtask services up".to_owned(), url.clone())
        } else {
            let port = service.default_port();
            (format!("port {port}"), service.url(port))
        };
        let shown = Url::shown(&url);
        match service.probe_text(&url) {
            Ok(()) => println!("{name}: answers at {shown} ({origin})"),
            Err(why) => {
                println!("{name}: {shown} ({origin}) {why}");
                code = ExitCode::FAILURE;
            }
        }
    }
    Ok(code)
}
