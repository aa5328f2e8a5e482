//! A body as its headers say that it is wrapped: base64 around compression around JSON, each of them or none.

use std::{borrow::Cow, io::Read};

use base64::{Engine as _, alphabet, engine};
use flate2::read::{MultiGzDecoder, ZlibDecoder};

use super::WireError;
use crate::transport::Message;

/// What a compressed body may come to, in bytes: as much as a service publishes unless told otherwise. A few kilobytes can
/// say that they are gigabytes.
const LARGEST_UNPACKED: usize = 16 * 1024 * 1024;

/// With or without the padding.
const BASE64: engine::GeneralPurpose = engine::GeneralPurpose::new(
    &alphabet::STANDARD,
    engine::GeneralPurposeConfig::new().with_decode_padding_mode(engine::DecodePaddingMode::Indifferent),
);

/// The body without its wrappings.
///
/// # Errors
/// [`WireError::Encoding`] for what is not read here, [`WireError::Packed`] for what is not what the header says.
pub(super) fn unpacked(message: &Message) -> Result<Cow<'_, [u8]>, WireError> {
    let mut body = Cow::Borrowed(message.body.as_ref());
    match header(message, "body_encoding") {
        None => {}
        Some("base64") => body = Cow::Owned(from_base64(&body)?),
        Some(other) => return Err(unknown(other)),
    }
    match header(message, "compression") {
        None => {}
        Some("application/x-gzip" | "gzip" | "zlib") => body = Cow::Owned(inflated(&body)?),
        Some(other) => return Err(unknown(other)),
    }
    Ok(body)
}

fn header<'a>(message: &'a Message, name: &str) -> Option<&'a str> {
    message.headers.text(name).filter(|value| !value.is_empty())
}

fn unknown(encoding: &str) -> WireError {
    WireError::Encoding { encoding: encoding.chars().take(40).collect() }
}

fn from_base64(body: &[u8]) -> Result<Vec<u8>, WireError> {
    let refuse = |_| WireError::Packed { encoding: "base64", reason: "it is none" };
    BASE64.decode(body.trim_ascii()).map_err(refuse)
}

/// kombu calls a zlib stream gzip; others send what they call it.
fn inflated(body: &[u8]) -> Result<Vec<u8>, WireError> {
    let is_gzip = body.starts_with(&[0x1f, 0x8b]);
    let encoding = if is_gzip { "gzip" } else { "zlib" };
    let unpacking: &mut dyn Read = if is_gzip { &mut MultiGzDecoder::new(body) } else { &mut ZlibDecoder::new(body) };
    let mut unpacked = Vec::new();
    let read = unpacking.take(LARGEST_UNPACKED as u64 + 1).read_to_end(&mut unpacked);
    if unpacked.len() > LARGEST_UNPACKED {
        return Err(WireError::Packed { encoding, reason: "unpacked it has more than 16 MiB" });
    }
    read.map(|_| unpacked).map_err(|_| WireError::Packed { encoding, reason: "it is damaged or cut off" })
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::{Compression, write::GzEncoder, write::ZlibEncoder};
    use serde_json::{Value, json};

    use super::*;

    fn message(headers: Value, body: impl Into<bytes::Bytes>) -> Message {
        let Value::Object(headers) = headers else { unreachable!() };
        Message { headers: headers.into(), body: body.into(), ..Message::default() }
    }

    fn zlib(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn every_wrapping_comes_off() {
        let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
        gzip.write_all(b"[1]").unwrap();
        let gzip = gzip.finish().unwrap();
        let kombu = json!({"compression": "application/x-gzip"});
        let both = json!({"compression": "gzip", "body_encoding": "base64"});
        for (headers, body) in [
            (json!({"compression": "", "body_encoding": null}), b"[1]".to_vec()),
            (json!({"body_encoding": "base64"}), b"WzFd\n".to_vec()),
            (kombu.clone(), zlib(b"[1]")),
            (kombu, gzip),
            (both, BASE64.encode(zlib(b"[1]")).trim_end_matches('=').into()),
        ] {
            assert_eq!(unpacked(&message(headers.clone(), body)).unwrap(), &b"[1]"[..], "{headers}");
        }
    }

    #[test]
    fn what_is_not_what_it_says_is_refused() {
        let gzip = || json!({"compression": "application/x-gzip"});
        let bomb = zlib(&vec![b' '; LARGEST_UNPACKED + 1]);
        assert!(bomb.len() < 20_000);
        for (headers, body, words) in [
            (gzip(), bomb, "more than 16 MiB"),
            (gzip(), zlib(b"[[1, 2, 3]]")[..9].to_vec(), "damaged"),
            (gzip(), b"[[]]".to_vec(), "damaged"),
            (gzip(), vec![0x1f, 0x8b], "damaged"),
            (gzip(), vec![], "damaged"),
            (json!({"body_encoding": "base64"}), b"[[]]".to_vec(), "base64"),
            (json!({"compression": "application/x-bz2"}), vec![], "application/x-bz2"),
            (json!({"body_encoding": "hex"}), vec![], "hex"),
        ] {
            let error = unpacked(&message(headers, body)).unwrap_err();
            assert!(error.to_string().contains(words), "{words}: {error}");
        }
        assert!(unpacked(&message(gzip(), zlib(&vec![b' '; LARGEST_UNPACKED]))).is_ok());
    }
}
