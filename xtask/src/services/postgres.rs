//! PostgreSQL: recognised by a login to the database, started in a folder of its own.

use std::{
    fs::File,
    io::{Read, Write},
    time::Duration,
};

use super::{
    Service,
    launch::{self, Launch},
    url::{Url, broken},
};

pub(super) struct PostgreSql;

impl Service for PostgreSql {
    fn name(&self) -> &'static str {
        "PostgreSQL"
    }

    fn key(&self) -> &'static str {
        "postgres"
    }

    fn variable(&self) -> &'static str {
        "CELERYSALT_TEST_REGISTRY_URL"
    }

    fn schemes(&self) -> &'static [&'static str] {
        &["postgres", "postgresql"]
    }

    fn default_port(&self) -> u16 {
        5432
    }

    fn url(&self, port: u16) -> String {
        format!("postgres://postgres@127.0.0.1:{port}/test")
    }

    fn packages(&self) -> &'static [&'static str] {
        &["postgresql"]
    }

    fn lacks_own_program(&self) -> bool {
        launch::program("initdb", &PLACES).is_none()
    }

    fn probe(&self, url: &Url) -> Result<(), String> {
        let mut stream = url.connect(self.default_port())?;
        let tls = ["sslmode=require", "sslmode=verify"];
        if tls.iter().any(|mode| url.query.contains(mode)) {
            // xtask speaks no TLS; the tests will say what is wrong behind it.
            return Ok(());
        }
        let user = url.user.as_deref().unwrap_or("postgres");
        let database = url.path.as_deref().unwrap_or(user);
        log_in(&mut stream, user, url.password.as_deref(), database)
    }

    fn launch(&self, launch: &mut Launch<'_>) -> Result<(), String> {
        let initdb = launch::program("initdb", &PLACES).ok_or("initdb is not installed")?;
        // The two belong together; a link in PATH leads to both.
        let initdb = initdb.canonicalize().unwrap_or(initdb);
        let server = initdb.with_file_name("postgres");
        launch.leave_root(&["postgres", "nobody"])?;

        let data = launch.path("data");
        let mut command = launch.command(&initdb)?;
        command
            .args(["--username=postgres", "--auth=trust", "--encoding=UTF8"])
            .args(["--no-locale", "--no-sync", "--pgdata"])
            .arg(&data);
        launch.run(command)?;

        let sql = launch.write("create.sql", "CREATE DATABASE test\n")?;
        let sql = File::open(&sql).map_err(|why| format!("{} {why}", sql.display()))?;
        let mut command = launch.command(&server)?;
        command.args(["--single", "-D"]).arg(&data).arg("postgres").stdin(sql);
        launch.run(command)?;

        let mut command = launch.command(&server)?;
        command
            .arg("-D")
            .arg(&data)
            .args(["-h", "127.0.0.1", "-p", &launch.port().to_string()])
            // No socket file; nothing has to survive a power cut; room for tests in parallel.
            .args(["-c", "unix_socket_directories=", "-c", "fsync=off"])
            .args(["-c", "max_connections=200"]);
        // The signal for a fast shutdown, which does not wait for clients.
        let server = launch.spawn(command, "INT")?;
        let url = self.url(launch.port());
        launch.wait(&server, Duration::from_mins(1), || self.probe_text(&url))
    }
}

const PLACES: [&str; 4] = [
    "/usr/lib/postgresql/*/bin",
    "/usr/pgsql-*/bin",
    "/opt/homebrew/opt/postgresql@*/bin",
    "/usr/local/opt/postgresql@*/bin",
];

/// Logs in, as far as that goes without TLS and hashed passwords, and takes leave.
fn log_in(stream: &mut (impl Read + Write), user: &str, password: Option<&str>, database: &str) -> Result<(), String> {
    let mut hello = 196_608_u32.to_be_bytes().to_vec(); // protocol 3.0
    for text in ["user", user, "database", database, ""] {
        hello.extend(text.as_bytes());
        hello.push(0);
    }
    send(stream, None, &hello)?;
    loop {
        let (kind, body) = receive(stream)?;
        let code = body.first_chunk().map(|code| u32::from_be_bytes(*code));
        match (kind, code, password) {
            // Ready for queries.
            (b'Z', _, _) => return send(stream, Some(b'X'), &[]),
            (b'R', Some(3), Some(password)) => {
                send(stream, Some(b'p'), &[password.as_bytes(), b"\0"].concat())?;
            }
            // MD5 and SCRAM: the tests will find out whether the password is right.
            (b'R', Some(5 | 10), Some(_)) => return Ok(()),
            (b'R', Some(0), _) | (b'S' | b'K' | b'N' | b'v', _, _) => {}
            (b'R', Some(3 | 5 | 10), None) => {
                return Err(format!("wants a password of user {user}"));
            }
            (b'R', _, _) => return Err("wants a login that is no password".to_owned()),
            (b'E', _, _) => return Err(format!("refuses the login: {}", message(&body))),
            _ => return Err(STRANGE.to_owned()),
        }
    }
}

const STRANGE: &str = "speaks something other than the protocol of PostgreSQL";

/// Sends a message; the first one has no kind.
fn send(stream: &mut impl Write, kind: Option<u8>, body: &[u8]) -> Result<(), String> {
    let length = u32::try_from(4 + body.len()).unwrap_or(u32::MAX);
    let mut bytes: Vec<u8> = kind.into_iter().collect();
    bytes.extend(length.to_be_bytes());
    bytes.extend(body);
    stream.write_all(&bytes).map_err(broken)
}

fn receive(stream: &mut impl Read) -> Result<(u8, Vec<u8>), String> {
    let mut head = [0; 5];
    stream.read_exact(&mut head).map_err(broken)?;
    let [kind, length @ ..] = head;
    let length = u32::from_be_bytes(length);
    if !(4..1 << 20).contains(&length) {
        return Err(STRANGE.to_owned());
    }
    let mut body = vec![0; length as usize - 4];
    stream.read_exact(&mut body).map_err(broken)?;
    Ok((kind, body))
}

/// The text for people in an error: fields of a letter and a text, each ended by a zero.
fn message(body: &[u8]) -> String {
    let mut fields = body.split(|byte| *byte == 0);
    let text = fields.find_map(|field| field.strip_prefix(b"M"));
    String::from_utf8_lossy(text.unwrap_or_default()).into_owned()
}

#[cfg(test)]
mod tests {
    use super::super::script::Script;
    use super::*;

    fn spoken(password: Option<&str>, answers: &[(u8, &[u8])]) -> (Result<(), String>, Vec<u8>) {
        let mut bytes = Vec::new();
        for (kind, body) in answers {
            send(&mut bytes, Some(*kind), body).unwrap();
        }
        let mut script = Script::new(bytes);
        let result = log_in(&mut script, "me", password, "test");
        (result, script.heard)
    }

    #[test]
    fn trust_is_enough() {
        let answers: &[(u8, &[u8])] = &[(b'R', &[0; 4]), (b'S', b"a\0b\0"), (b'Z', b"I")];
        let (result, heard) = spoken(None, answers);
        assert_eq!(result, Ok(()));
        let hello = b"\0\0\0\x1f\0\x03\0\0user\0me\0database\0test\0\0X\0\0\0\x04";
        assert_eq!(heard, hello);
    }

    #[test]
    fn a_password_is_sent_only_when_there_is_one() {
        let answers: &[(u8, &[u8])] = &[(b'R', &[0, 0, 0, 3]), (b'R', &[0; 4]), (b'Z', b"I")];
        let (result, heard) = spoken(Some("secret"), answers);
        assert_eq!(result, Ok(()));
        assert!(heard.windows(12).any(|w| w == b"p\0\0\0\x0bsecret\0"));
        let (result, _) = spoken(None, answers);
        assert_eq!(result.unwrap_err(), "wants a password of user me");
        let (result, _) = spoken(Some("secret"), &[(b'R', &[0, 0, 0, 10])]);
        assert_eq!(result, Ok(()));
    }

    #[test]
    fn refusals_carry_the_message_of_the_server() {
        let error = b"SFATAL\0C3D000\0Mdatabase \"test\" does not exist\0\0";
        let (result, _) = spoken(None, &[(b'R', &[0; 4]), (b'E', error)]);
        assert_eq!(result.unwrap_err(), "refuses the login: database \"test\" does not exist");
    }
}
