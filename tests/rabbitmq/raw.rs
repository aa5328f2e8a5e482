//! A client that writes frames by hand, and so can send what no library would.

use lapin::uri::AMQPUri;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// Flags of a content header.
pub(crate) const HEADERS: u16 = 0x2000;
pub(crate) const CORRELATION_ID: u16 = 0x0400;

/// A connection with one channel, whose publishings are confirmed.
pub(crate) struct Raw {
    stream: TcpStream,
}

impl Raw {
    pub(crate) async fn connect(url: &str) -> Self {
        let uri: AMQPUri = url.parse().unwrap();
        let authority = &uri.authority;
        let mut stream = TcpStream::connect((authority.host.as_str(), authority.port)).await.unwrap();
        stream.write_all(b"AMQP\0\0\x09\x01").await.unwrap();
        let mut raw = Self { stream };
        raw.expect([0, 10, 0, 10]).await;
        let plain = format!("\0{}\0{}", authority.userinfo.username, authority.userinfo.password);
        let start_ok = [long(b""), short(b"PLAIN"), long(plain.as_bytes()), short(b"en_US")].concat();
        raw.method(0, [0, 10, 0, 11], &start_ok).await;
        let tune = raw.expect([0, 10, 0, 30]).await;
        // As large as the server offers, and no heartbeat.
        raw.method(0, [0, 10, 0, 31], &[&tune[..6], &[0, 0]].concat()).await;
        raw.method(0, [0, 10, 0, 40], &[short(uri.vhost.as_bytes()), vec![0, 0]].concat()).await;
        raw.expect([0, 10, 0, 41]).await;
        raw.method(1, [0, 20, 0, 10], &[0]).await;
        raw.expect([0, 20, 0, 11]).await;
        raw.method(1, [0, 85, 0, 10], &[0]).await;
        raw.expect([0, 85, 0, 11]).await;
        raw
    }

    /// Publishes a message with this list of properties, and waits until the broker has it.
    pub(crate) async fn publish(
        &mut self,
        exchange: &str,
        routing_key: &[u8],
        flags: u16,
        properties: &[u8],
        body: &[u8],
    ) {
        let publish = [&[0, 0], &short(exchange.as_bytes())[..], &short(routing_key), &[0]].concat();
        self.method(1, [0, 60, 0, 40], &publish).await;
        let size = u64::try_from(body.len()).unwrap().to_be_bytes();
        self.frame(2, 1, &[&[0, 60, 0, 0], &size[..], &flags.to_be_bytes(), properties].concat()).await;
        self.frame(3, 1, body).await;
        self.expect([0, 60, 0, 80]).await;
    }

    async fn method(&mut self, channel: u16, id: [u8; 4], arguments: &[u8]) {
        self.frame(1, channel, &[&id, arguments].concat()).await;
    }

    async fn frame(&mut self, kind: u8, channel: u16, payload: &[u8]) {
        let size = u32::try_from(payload.len()).unwrap().to_be_bytes();
        let frame = [&[kind], &channel.to_be_bytes()[..], &size, payload, &[0xce]].concat();
        self.stream.write_all(&frame).await.unwrap();
    }

    /// The arguments of the next method, which must be this one.
    async fn expect(&mut self, id: [u8; 4]) -> Vec<u8> {
        loop {
            let mut head = [0; 7];
            self.stream.read_exact(&mut head).await.unwrap();
            let size = u32::from_be_bytes(head[3..].try_into().unwrap()) as usize;
            let mut payload = vec![0; size + 1];
            self.stream.read_exact(&mut payload).await.unwrap();
            payload.pop();
            if head[0] == 1 {
                assert_eq!(payload[..4], id, "{}", String::from_utf8_lossy(&payload));
                return payload.split_off(4);
            }
        }
    }
}

pub(crate) fn short(text: &[u8]) -> Vec<u8> {
    [&[u8::try_from(text.len()).unwrap()], text].concat()
}

pub(crate) fn long(bytes: &[u8]) -> Vec<u8> {
    [&u32::try_from(bytes.len()).unwrap().to_be_bytes()[..], bytes].concat()
}

/// A header of text.
pub(crate) fn text(name: &[u8], value: &str) -> Vec<u8> {
    [short(name), b"S".to_vec(), long(value.as_bytes())].concat()
}

/// A header that is an array in an array in an array, without recursion: each only says how long it is.
pub(crate) fn nested(name: &[u8], levels: u32) -> Vec<u8> {
    let mut header = short(name);
    for level in (0..levels).rev() {
        header.push(b'A');
        header.extend_from_slice(&(level * 5).to_be_bytes());
    }
    header
}
