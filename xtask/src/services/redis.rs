//! Redis: recognised by its answer to PING, started without any persistence.

use std::{
    io::{Read, Write},
    time::Duration,
};

use super::{
    Service,
    launch::{self, Launch},
    url::{Url, broken},
};

pub(super) struct Redis;

impl Service for Redis {
    fn name(&self) -> &'static str {
        "Redis"
    }

    fn key(&self) -> &'static str {
        "redis"
    }

    fn variable(&self) -> &'static str {
        "CELERYSALT_TEST_REDIS_URL"
    }

    fn schemes(&self) -> &'static [&'static str] {
        &["redis", "rediss"]
    }

    fn default_port(&self) -> u16 {
        6379
    }

    fn url(&self, port: u16) -> String {
        format!("redis://127.0.0.1:{port}/0")
    }

    fn packages(&self) -> &'static [&'static str] {
        &["redis-server"]
    }

    fn probe(&self, url: &Url) -> Result<(), String> {
        let mut stream = url.connect(self.default_port())?;
        if url.scheme == "rediss" {
            // xtask speaks no TLS; the tests will say what is wrong behind it.
            return Ok(());
        }
        log_in(&mut stream, url.user.as_deref(), url.password.as_deref())
    }

    fn launch(&self, launch: &mut Launch<'_>) -> Result<(), String> {
        let server = launch::program("redis-server", &PLACES).ok_or("redis-server is not installed")?;
        launch.leave_root(&["redis", "nobody"])?;
        let mut command = launch.command(&server)?;
        command
            .args(["--bind", "127.0.0.1", "--port", &launch.port().to_string()])
            // Nothing has to survive.
            .args(["--save", "", "--appendonly", "no"]);
        let server = launch.spawn(command, "TERM")?;
        let url = self.url(launch.port());
        launch.wait(&server, Duration::from_secs(30), || self.probe_text(&url))
    }
}

const PLACES: [&str; 4] = ["/usr/bin", "/usr/local/bin", "/opt/homebrew/opt/redis/bin", "/usr/local/opt/redis/bin"];

const STRANGE: &str = "speaks something other than the protocol of Redis";

/// Logs in where there is a password, and asks for a sign of life.
fn log_in(stream: &mut (impl Read + Write), user: Option<&str>, password: Option<&str>) -> Result<(), String> {
    if let Some(password) = password {
        let login: Vec<&str> = ["AUTH"].into_iter().chain(user).chain([password]).collect();
        match ask(stream, &login)?.as_str() {
            "+OK" => {}
            refused if refused.starts_with('-') => return Err("refuses the password".to_owned()),
            _ => return Err(STRANGE.to_owned()),
        }
    }
    match ask(stream, &["PING"])?.as_str() {
        "+PONG" => Ok(()),
        refused if refused.starts_with("-NOAUTH") => Err("wants a password".to_owned()),
        refused if refused.starts_with('-') => Err(format!("refuses: {}", &refused[1..])),
        _ => Err(STRANGE.to_owned()),
    }
}

/// One command, and the line that answers it.
fn ask(stream: &mut (impl Read + Write), words: &[&str]) -> Result<String, String> {
    let words: Vec<String> = words.iter().map(|word| format!("${}\r\n{word}\r\n", word.len())).collect();
    let command = format!("*{}\r\n{}", words.len(), words.concat());
    stream.write_all(command.as_bytes()).map_err(broken)?;
    let mut line = Vec::new();
    while !line.ends_with(b"\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).map_err(broken)?;
        line.extend(byte);
        if line.len() > 1024 {
            return Err(STRANGE.to_owned());
        }
    }
    Ok(String::from_utf8_lossy(line.trim_ascii_end()).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::services::script::Script;

    #[test]
    fn a_password_goes_first_and_its_refusal_is_told() {
        let ping = b"*1\r\n$4\r\nPING\r\n";
        let script = |answers: &[u8]| Script::new(answers.to_vec());
        let mut open = script(b"+PONG\r\n");
        assert_eq!(log_in(&mut open, None, None), Ok(()));
        assert_eq!(open.heard, ping);
        let mut known = script(b"+OK\r\n+PONG\r\n");
        assert_eq!(log_in(&mut known, Some("ann"), Some("secret")), Ok(()));
        assert!(known.heard.starts_with(b"*3\r\n$4\r\nAUTH\r\n$3\r\nann\r\n$6\r\nsecret\r\n"));
        assert_eq!(
            log_in(&mut script(b"-NOAUTH Authentication required.\r\n"), None, None),
            Err("wants a password".into())
        );
        assert_eq!(log_in(&mut script(b"-WRONGPASS\r\n"), None, Some("a")), Err("refuses the password".into()));
        assert_eq!(log_in(&mut script(b"HTTP/1.1 400\r\n"), None, None), Err(STRANGE.into()));
    }
}
