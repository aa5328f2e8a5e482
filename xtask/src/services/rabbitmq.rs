//! RabbitMQ: recognised by opening an AMQP connection, started in a folder of its own.

use std::{
    io::{Read, Write},
    time::Duration,
};

use super::{
    Service,
    launch::{self, Launch},
    url::{Url, broken},
};

pub(super) struct RabbitMq;

impl Service for RabbitMq {
    fn name(&self) -> &'static str {
        "RabbitMQ"
    }

    fn key(&self) -> &'static str {
        "rabbitmq"
    }

    fn variable(&self) -> &'static str {
        "CELERYSALT_TEST_BROKER_URL"
    }

    fn schemes(&self) -> &'static [&'static str] {
        &["amqp", "amqps"]
    }

    fn default_port(&self) -> u16 {
        5672
    }

    fn url(&self, port: u16) -> String {
        format!("amqp://guest:guest@127.0.0.1:{port}/%2f")
    }

    fn packages(&self) -> &'static [&'static str] {
        &["rabbitmq-server"]
    }

    fn lacks_own_program(&self) -> bool {
        launch::program("rabbitmq-server", &PLACES).is_none()
    }

    fn probe(&self, url: &Url) -> Result<(), String> {
        if url.scheme == "amqps" {
            // xtask speaks no TLS; the tests will say what is wrong behind it.
            return url.connect(5671).map(|_| ());
        }
        let mut stream = url.connect(self.default_port())?;
        let user = url.user.as_deref().unwrap_or("guest");
        let password = url.password.as_deref().unwrap_or("guest");
        let vhost = url.path.as_deref().unwrap_or("/");
        open(&mut stream, user, password, vhost)
    }

    fn launch(&self, launch: &mut Launch<'_>) -> Result<(), String> {
        // Debian's script in /usr/sbin insists on its own user and folders: it comes last, in PATH.
        let server = launch::program("rabbitmq-server", &PLACES).ok_or("rabbitmq-server is not installed")?;
        launch.leave_root(&["rabbitmq"])?;

        let epmd_port = launch::free_port()?.to_string();
        // The name server of Erlang. Without ours, Erlang would start one that outlives us.
        if let Some(epmd) = launch::program("epmd", &["/usr/lib/erlang/bin"]) {
            let mut command = launch.command(&epmd)?;
            command.args(["-port", &epmd_port, "-address", "127.0.0.1"]);
            launch.spawn(command, "KILL")?;
        }

        let port = launch.port();
        let mut command = launch.command(&server)?;
        command
            .env("RABBITMQ_NODENAME", format!("celerysalt-{port}@localhost"))
            .env("RABBITMQ_NODE_IP_ADDRESS", "127.0.0.1")
            .env("RABBITMQ_NODE_PORT", port.to_string())
            .env("RABBITMQ_DIST_PORT", launch::free_port()?.to_string())
            .env("RABBITMQ_MNESIA_BASE", launch.path("data"))
            .env("RABBITMQ_LOG_BASE", launch.path("logs"))
            .env("RABBITMQ_LOGS", "-")
            .env("RABBITMQ_PID_FILE", launch.path("pid"))
            .env("RABBITMQ_GENERATED_CONFIG_DIR", launch.path("config"))
            // Not those of the machine.
            .env("RABBITMQ_ENABLED_PLUGINS_FILE", launch.write("plugins", "[].\n")?)
            .env("RABBITMQ_CONF_ENV_FILE", launch.write("environment", "")?)
            .env("RABBITMQ_CONFIG_FILE", launch.write("rabbitmq.conf", SETTINGS)?)
            .env("RABBITMQ_ADVANCED_CONFIG_FILE", launch.path("advanced.config"))
            .env("RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS", "-kernel inet_dist_use_interface {127,0,0,1}")
            .env("ERL_EPMD_PORT", epmd_port)
            .env("ERL_EPMD_ADDRESS", "127.0.0.1");
        // Leaving in order takes seconds, to save what is deleted right after.
        let server = launch.spawn(command, "KILL")?;
        let url = self.url(port);
        launch.wait(&server, Duration::from_mins(2), || self.probe_text(&url))
    }
}

const PLACES: [&str; 4] = [
    "/usr/lib/rabbitmq/bin",
    "/usr/lib/rabbitmq/lib/rabbitmq_server-*/sbin",
    "/opt/homebrew/opt/rabbitmq/sbin",
    "/usr/local/opt/rabbitmq/sbin",
];

const SETTINGS: &str = "\
# Tests publish little; a full disk shall not block them.
disk_free_limit.absolute = 10MB
";

/// Methods of an AMQP 0-9-1 connection: class, method.
const START: [u8; 4] = [0, 10, 0, 10];
const START_OK: [u8; 4] = [0, 10, 0, 11];
const TUNE: [u8; 4] = [0, 10, 0, 30];
const TUNE_OK: [u8; 4] = [0, 10, 0, 31];
const OPEN: [u8; 4] = [0, 10, 0, 40];
const OPEN_OK: [u8; 4] = [0, 10, 0, 41];
const CLOSE: [u8; 4] = [0, 10, 0, 50];

/// Opens a connection, as any client does, and closes it.
fn open(stream: &mut (impl Read + Write), user: &str, password: &str, vhost: &str) -> Result<(), String> {
    stream.write_all(b"AMQP\0\0\x09\x01").map_err(broken)?;
    expect(stream, START)?;

    let mut login = vec![0; 4]; // no properties of the client
    short(&mut login, "PLAIN");
    let secret = format!("\0{user}\0{password}");
    login.extend(u32::try_from(secret.len()).unwrap_or(0).to_be_bytes());
    login.extend(secret.as_bytes());
    short(&mut login, "en_US");
    send(stream, START_OK, &login)?;
    let limits = expect(stream, TUNE).map_err(|why| match why.as_str() {
        "closes the connection" => format!("refuses user {user} with this password"),
        _ => why,
    })?;

    send(stream, TUNE_OK, &limits)?;
    let mut host = Vec::new();
    short(&mut host, vhost);
    host.extend([0, 0]);
    send(stream, OPEN, &host)?;
    expect(stream, OPEN_OK)?;

    // Politely, so that nothing is logged.
    send(stream, CLOSE, &[0, 200, 0, 0, 0, 0, 0])
}

fn short(bytes: &mut Vec<u8>, text: &str) {
    let text = &text.as_bytes()[..text.len().min(255)];
    bytes.push(u8::try_from(text.len()).unwrap_or(255));
    bytes.extend(text);
}

/// Sends a method on channel 0.
fn send(stream: &mut impl Write, method: [u8; 4], arguments: &[u8]) -> Result<(), String> {
    let length = u32::try_from(4 + arguments.len()).unwrap_or(u32::MAX);
    let mut frame = vec![1, 0, 0];
    frame.extend(length.to_be_bytes());
    frame.extend(method);
    frame.extend(arguments);
    frame.push(0xce);
    stream.write_all(&frame).map_err(broken)
}

/// Reads a method and returns its arguments.
fn expect(stream: &mut impl Read, method: [u8; 4]) -> Result<Vec<u8>, String> {
    const STRANGE: &str = "speaks something other than AMQP 0-9-1";
    let mut head = [0; 7];
    stream.read_exact(&mut head).map_err(broken)?;
    let length = u32::from_be_bytes([head[3], head[4], head[5], head[6]]);
    if head[0] != 1 || !(4..1 << 20).contains(&length) {
        return Err(STRANGE.to_owned());
    }
    let mut body = vec![0; length as usize + 1];
    stream.read_exact(&mut body).map_err(broken)?;
    body.pop();
    let arguments = body.split_off(4);
    if body == CLOSE {
        // A code of two bytes, then a short text.
        let text = arguments.get(3..3 + usize::from(*arguments.get(2).unwrap_or(&0)));
        let text = String::from_utf8_lossy(text.unwrap_or_default());
        return Err(format!("refuses the connection: {text}"));
    }
    if body == method { Ok(arguments) } else { Err(STRANGE.to_owned()) }
}

#[cfg(test)]
mod tests {
    use super::super::script::Script;
    use super::*;

    fn spoken(answers: &[([u8; 4], &[u8])]) -> (Result<(), String>, Vec<u8>) {
        let mut bytes = Vec::new();
        for (method, arguments) in answers {
            send(&mut bytes, *method, arguments).unwrap();
        }
        let mut script = Script::new(bytes);
        let result = open(&mut script, "guest", "se", "/");
        (result, script.heard)
    }

    #[test]
    fn a_connection_is_opened_and_closed() {
        let tune = [7, 255, 0, 2, 0, 0, 0, 60];
        let (result, heard) = spoken(&[(START, &[0; 9]), (TUNE, &tune), (OPEN_OK, &[0])]);
        assert_eq!(result, Ok(()));
        assert!(heard.starts_with(b"AMQP\0\0\x09\x01"));
        let has = |part: &[u8]| heard.windows(part.len()).any(|window| window == part);
        assert!(has(b"\x05PLAIN\0\0\0\x09\0guest\0se\x05en_US\xce"));
        assert!(has(&[&TUNE_OK[..], &tune].concat()));
        assert!(has(&[&OPEN[..], b"\x01/\0\0\xce"].concat()));
    }

    #[test]
    fn refusals_say_what_is_refused() {
        let (result, _) = spoken(&[(START, &[0; 9])]);
        assert_eq!(result.unwrap_err(), "refuses user guest with this password");
        let close = b"\x02\x12\x0dNOT_ALLOWED -\0\0\0\0";
        let (result, _) = spoken(&[(START, &[]), (TUNE, &[0; 8]), (CLOSE, close)]);
        assert_eq!(result.unwrap_err(), "refuses the connection: NOT_ALLOWED -");
        let mut http = Script::new(b"HTTP/1.1 400 Bad Request\r\n".to_vec());
        assert_eq!(open(&mut http, "guest", "guest", "/").unwrap_err(), "speaks something other than AMQP 0-9-1");
    }
}
