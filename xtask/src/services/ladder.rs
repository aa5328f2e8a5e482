//! The ways to get a server, tried in order.

use std::{
    fmt::Write as _,
    fs,
    os::unix::fs::PermissionsExt,
    path::Path,
    process::{Command, Stdio},
};

use super::{
    Service,
    keeper::{Duty, Keeper},
    launch::{Launch, free_port, is_root, last_lines, program},
    state::{Entry, State},
    url::Url,
};
use crate::cargo;

/// A way to get a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    /// One of `services up`, or one on the default port.
    Running,
    /// Start installed programs.
    Installed,
    /// Install packages of the system, then start them.
    Packages,
    /// `docker compose`.
    Compose,
}

impl Way {
    pub(crate) const ALL: [Self; 4] = [Self::Running, Self::Installed, Self::Packages, Self::Compose];

    pub(crate) fn named(name: &str) -> Result<Self, String> {
        let way = Self::ALL.into_iter().find(|way| way.name() == name);
        way.ok_or_else(|| {
            let all = Self::ALL.map(Self::name).join(",");
            format!("`{name}` is no way to get a server; there are {all}")
        })
    }

    fn name(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Installed => "installed",
            Self::Packages => "packages",
            Self::Compose => "compose",
        }
    }
}

/// Gets one server, by the URL that the environment gives or else by the first way that works.
///
/// # Errors
/// The given URL does not work, which no other way makes up for; or none of the ways works.
pub(super) fn climb(service: &dyn Service, ways: &[Way], state: &State, keeper: &mut Keeper) -> Result<Entry, String> {
    let name = service.name();
    if let Some(url) = service.given() {
        return given(service, url);
    }
    let mut tried = String::new();
    // What a failed way left behind is cleared up together with what a later one started.
    let mut duties = Vec::new();
    for way in ways {
        let outcome = match way {
            Way::Running => running(service, state),
            Way::Installed => installed(service, keeper, &mut duties),
            Way::Packages => packages(service, keeper).and_then(|()| installed(service, keeper, &mut duties)),
            Way::Compose => compose(service, keeper, &mut duties),
        };
        match outcome {
            Ok(url) => {
                eprintln!("{name}: {} at {}", way.name(), Url::shown(&url));
                let key = service.key().to_owned();
                return Ok(Entry { key, url, duties });
            }
            Err(why) => {
                eprintln!("{name}: not {}: {why}", way.name());
                let _ = write!(tried, "\n  {}: {why}", way.name());
            }
        }
    }
    Err(format!(
        "the tests need {name}, and no way to get it works.{tried}\n\
         Install {}, or give the URL of a server: export {}={}",
        service.packages().join(" and "),
        service.variable(),
        service.url(service.default_port()),
    ))
}

fn given(service: &dyn Service, url: String) -> Result<Entry, String> {
    let shown = Url::shown(&url);
    match service.probe_text(&url) {
        Ok(()) => {
            eprintln!("{}: {shown}, given by {}", service.name(), service.variable());
            Ok(Entry { key: service.key().to_owned(), url, duties: Vec::new() })
        }
        Err(why) => Err(format!(
            "{} gives {shown}, which {why}. Unset it to have xtask find or start a server",
            service.variable()
        )),
    }
}

fn running(service: &dyn Service, state: &State) -> Result<String, String> {
    if let Some(entry) = state.entry(service.key())
        && service.probe_text(&entry.url).is_ok()
    {
        return Ok(entry.url.clone());
    }
    let url = service.url(service.default_port());
    match service.probe_text(&url) {
        Ok(()) => Ok(url),
        Err(why) => Err(format!("{} {why}", Url::shown(&url))),
    }
}

fn installed(service: &dyn Service, keeper: &mut Keeper, duties: &mut Vec<Duty>) -> Result<String, String> {
    let mut launch = Launch::prepare(service.key(), keeper, duties)?;
    service.launch(&mut launch)?;
    Ok(service.url(launch.port()))
}

/// Installs the packages without starting what is in them.
pub(super) fn packages(service: &dyn Service, keeper: &mut Keeper) -> Result<(), String> {
    if program("apt-get", &[]).is_none() {
        return Err("there is no apt-get here".to_owned());
    }
    if !is_root() {
        return Err("apt-get needs root".to_owned());
    }
    deny_autostart(Path::new("/usr/sbin/policy-rc.d"), keeper)?;
    let packages = service.packages();
    eprintln!("{}: apt-get installs {}", service.name(), packages.join(" "));
    apt(&["update"])?;
    let mut args = vec!["install", "--yes", "--no-install-recommends"];
    args.extend(packages);
    apt(&args)
}

/// Debian asks this script before a package starts its server; 101 says no.
fn deny_autostart(script: &Path, keeper: &mut Keeper) -> Result<(), String> {
    if script.exists() {
        // Somebody has an opinion already, mostly the same one.
        return Ok(());
    }
    keeper.take(&Duty::File(script.to_owned()));
    fs::write(script, "#!/bin/sh\nexit 101\n")
        .and_then(|()| fs::set_permissions(script, fs::Permissions::from_mode(0o755)))
        .map_err(|why| format!("{} cannot be written: {why}", script.display()))
}

fn apt(args: &[&str]) -> Result<(), String> {
    let mut command = Command::new("apt-get");
    command
        .args(["--quiet", "--option", "DPkg::Lock::Timeout=120"])
        .args(["--option", "Acquire::Retries=3"])
        .args(args)
        .env("DEBIAN_FRONTEND", "noninteractive");
    quietly(command)
}

fn compose(service: &dyn Service, keeper: &mut Keeper, duties: &mut Vec<Duty>) -> Result<String, String> {
    if program("docker", &[]).is_none() {
        return Err("there is no docker here".to_owned());
    }
    let port = free_port()?;
    let project = format!("celerysalt-{}-{}", service.key(), std::process::id());
    let file = cargo::root().join("docker-compose.yml");
    let variable = format!("CELERYSALT_{}_PORT", service.key().to_uppercase());

    let mut command = Command::new("docker");
    command
        .args(["compose", "--project-name", &project, "--file"])
        .arg(&file)
        .args(["up", "--detach", "--wait", service.key()])
        .env(variable, port.to_string());
    let duty = Duty::Compose { project, file };
    keeper.take(&duty);
    duties.push(duty);
    quietly(command)?;

    let url = service.url(port);
    service.probe_text(&url).map_err(|why| format!("the server of docker-compose.yml {why}"))?;
    Ok(url)
}

/// Runs a command; its output is shown only when it fails.
fn quietly(mut command: Command) -> Result<(), String> {
    let words: Vec<_> = std::iter::once(command.get_program())
        .chain(command.get_args())
        .map(|word| word.to_string_lossy().into_owned())
        .collect();
    let line = words.join(" ");
    let output = command.stdin(Stdio::null()).output().map_err(|why| format!("`{line}` did not start: {why}"))?;
    if output.status.success() {
        return Ok(());
    }
    let said = [output.stdout, output.stderr].concat();
    let said = last_lines(&String::from_utf8_lossy(&said));
    Err(format!("`{line}` failed ({}){said}", output.status))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A server that can be there or can be launched, as its fields say.
    struct Fake {
        running: bool,
        installed: bool,
    }

    impl Service for Fake {
        fn name(&self) -> &'static str {
            "Fake"
        }
        fn key(&self) -> &'static str {
            "fake"
        }
        fn variable(&self) -> &'static str {
            "CELERYSALT_TEST_NO_SUCH_VARIABLE"
        }
        fn schemes(&self) -> &'static [&'static str] {
            &["fake"]
        }
        fn default_port(&self) -> u16 {
            1
        }
        fn url(&self, port: u16) -> String {
            format!("fake://127.0.0.1:{port}")
        }
        fn packages(&self) -> &'static [&'static str] {
            &["fake-server"]
        }
        fn probe(&self, url: &Url) -> Result<(), String> {
            match url.port {
                Some(2) => Ok(()),
                Some(1) if self.running => Ok(()),
                _ => Err("refuses".to_owned()),
            }
        }
        fn launch(&self, launch: &mut Launch<'_>) -> Result<(), String> {
            launch.write("conf", "").map(|_| ())?;
            if self.installed { Ok(()) } else { Err("fake-server is not installed".to_owned()) }
        }
    }

    fn climbed(fake: &Fake, ways: &[Way], state: &State) -> Result<Entry, String> {
        let mut keeper = Keeper::start().unwrap();
        climb(fake, ways, state, &mut keeper)
    }

    #[test]
    fn the_first_way_that_works_is_taken() {
        let ways = [Way::Running, Way::Installed];
        let [running, installed] = [(true, true), (false, true)].map(|(running, installed)| {
            let fake = Fake { running, installed };
            climbed(&fake, &ways, &State::default()).unwrap()
        });
        assert_eq!(running.url, "fake://127.0.0.1:1");
        assert!(running.duties.is_empty());
        let [Duty::Folder(folder)] = installed.duties.as_slice() else {
            panic!("not one folder: {:?}", installed.duties);
        };
        assert!(!folder.exists(), "the keeper left {}", folder.display());
    }

    #[test]
    fn a_server_of_services_up_comes_before_the_default_port() {
        let fake = Fake { running: true, installed: false };
        let entry = |url: &str| Entry { key: "fake".to_owned(), url: url.to_owned(), duties: Vec::new() };
        let state = |url| State { entries: vec![entry(url)] };
        let url = |state| climbed(&fake, &[Way::Running], &state).unwrap().url;
        assert_eq!(url(state("fake://127.0.0.1:2")), "fake://127.0.0.1:2");
        assert_eq!(url(state("fake://127.0.0.1:3")), "fake://127.0.0.1:1");
    }

    #[test]
    fn a_failure_says_what_was_tried_and_what_helps() {
        let fake = Fake { running: false, installed: false };
        let ways = [Way::Running, Way::Installed];
        assert_eq!(
            climbed(&fake, &ways, &State::default()).unwrap_err(),
            "the tests need Fake, and no way to get it works.\
             \n  running: fake://127.0.0.1:1 refuses\
             \n  installed: fake-server is not installed\
             \nInstall fake-server, or give the URL of a server: \
             export CELERYSALT_TEST_NO_SUCH_VARIABLE=fake://127.0.0.1:1"
        );
    }

    #[test]
    fn ways_have_names() {
        for way in Way::ALL {
            assert_eq!(Way::named(way.name()), Ok(way));
        }
        assert!(Way::named("magic").is_err());
    }
}
