//! Addresses of machines, people and resources, as Python's `ipaddress`, email-validator and the URL standard read them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Family {
    V4,
    V6,
    Any,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    Address,
    /// An address with all bits behind its prefix at zero.
    Network,
    /// An address with a prefix.
    Interface,
}

/// Whether a text is an IP address, network or interface, as Python's module `ipaddress` reads it.
pub(super) fn is(text: &str, family: Family, part: Part) -> bool {
    let (address, prefix) = match text.split_once('/') {
        Some(_) if part == Part::Address => return false,
        Some((address, prefix)) => (address, Some(prefix)),
        None => (text, None),
    };
    let address: IpAddr = match (address.parse::<Ipv4Addr>(), v6(address)) {
        (Ok(address), _) if family != Family::V6 => address.into(),
        (_, Some(address)) if family != Family::V4 => address.into(),
        _ => return false,
    };
    let (bits, size) = match address {
        IpAddr::V4(address) => (u128::from(address.to_bits()), 32),
        IpAddr::V6(address) => (address.to_bits(), 128),
    };
    let Some(prefix) = prefix else { return true };
    match length(prefix, size) {
        Some(length) if part == Part::Network => {
            let host = u32::from(size - length);
            // Shifted by all its bits, nothing is left of it.
            bits & !u128::MAX.checked_shl(host).unwrap_or(0) == 0
        }
        length => length.is_some(),
    }
}

/// An IPv6 address, with a zone behind `%` or not.
fn v6(text: &str) -> Option<Ipv6Addr> {
    match text.split_once('%') {
        Some((_, zone)) if zone.is_empty() || zone.contains('%') => None,
        Some((address, _)) => address.parse().ok(),
        None => text.parse().ok(),
    }
}

/// The bits of a prefix: a number, or for IPv4 a mask of them or of the others.
fn length(prefix: &str, size: u8) -> Option<u8> {
    if !prefix.is_empty() && prefix.bytes().all(|byte| byte.is_ascii_digit()) {
        return prefix.parse().ok().filter(|length| *length <= size);
    }
    let mask = prefix.parse::<Ipv4Addr>().ok().filter(|_| size == 32)?.to_bits();
    let ones = u8::try_from(mask.leading_ones()).ok()?;
    if mask.leading_ones() + mask.trailing_zeros() >= 32 {
        return Some(ones);
    }
    (mask.leading_zeros() + mask.trailing_ones() >= 32).then(|| u8::try_from(mask.leading_zeros()).unwrap_or(0))
}

/// Schemes whose URLs name a host, by the URL standard.
const WITH_HOST: [&str; 5] = ["ftp", "http", "https", "ws", "wss"];

/// Whether a text is a URL, as far as the URL standard (<https://url.spec.whatwg.org/>) refuses any: it has a scheme, and
/// after one of the web a host and a port that can be ones. How the host's letters beyond ASCII are encoded is not looked
/// at.
pub(super) fn is_url(text: &str) -> bool {
    // The standard strips these first, wherever they stand.
    let text: String =
        text.trim_matches(|c: char| c <= ' ').chars().filter(|c| !matches!(c, '\t' | '\n' | '\r')).collect();
    let Some((scheme, rest)) = text.split_once(':') else { return false };
    let is_scheme = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.'));
    if !is_scheme {
        return false;
    }
    let scheme = scheme.to_ascii_lowercase();
    if WITH_HOST.contains(&scheme.as_str()) {
        let rest = rest.trim_start_matches(['/', '\\']);
        let authority = rest.split(['/', '\\', '?', '#']).next().unwrap_or_default();
        return is_authority(authority, true);
    }
    let Some(rest) = rest.strip_prefix("//").filter(|_| scheme != "file") else { return true };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    // The second is what pydantic's parser takes for an empty host, and only at the very end.
    authority.is_empty() || rest == "@" || is_authority(authority, false)
}

/// Characters that no host has.
const FORBIDDEN: &str = "\0\t\n\r #/:<>?@[\\]^|";

/// A host, behind a user and before a port where there are any.
fn is_authority(authority: &str, web: bool) -> bool {
    let host_and_port = authority.rsplit_once('@').map_or(authority, |(_, rest)| rest);
    if let Some(inside) = host_and_port.strip_prefix('[') {
        let Some((address, port)) = inside.split_once(']') else { return false };
        return address.parse::<Ipv6Addr>().is_ok() && (port.is_empty() || port.strip_prefix(':').is_some_and(is_port));
    }
    let (host, port) = host_and_port.split_once(':').unwrap_or((host_and_port, ""));
    if !is_port(port) || host.chars().any(|c| FORBIDDEN.contains(c)) {
        return false;
    }
    if !web || host.is_empty() {
        return !host.is_empty();
    }
    let bad = |c: char| c == '%' || c.is_ascii_control();
    let decoded = percent_decoded(host);
    !decoded.chars().any(|c| FORBIDDEN.contains(c) || bad(c)) && is_web_host(&decoded)
}

fn is_port(port: &str) -> bool {
    port.is_empty() || (port.bytes().all(|byte| byte.is_ascii_digit()) && port.parse::<u16>().is_ok())
}

fn percent_decoded(host: &str) -> String {
    crate::uri::decode(host)
}

/// A host whose last label is a number must be an IPv4 address, each part in any of the ways of C.
fn is_web_host(host: &str) -> bool {
    let labels: Vec<&str> = host.strip_suffix('.').unwrap_or(host).split('.').collect();
    let number = |label: &str| -> Option<u64> {
        match label.strip_prefix("0x").or_else(|| label.strip_prefix("0X")) {
            Some("") => Some(0),
            Some(digits) => u64::from_str_radix(digits, 16).ok(),
            None if label.len() > 1 && label.starts_with('0') => u64::from_str_radix(label, 8).ok(),
            None => label.parse().ok(),
        }
    };
    let Some(last) = labels.last() else { return false };
    let is_numeric = (!last.is_empty() && last.bytes().all(|byte| byte.is_ascii_digit()))
        || (last.starts_with("0x") || last.starts_with("0X")) && number(last).is_some();
    if !is_numeric {
        return true;
    }
    let numbers: Option<Vec<u64>> = labels.iter().map(|label| number(label)).collect();
    let Some(numbers) = numbers.filter(|numbers| numbers.len() <= 4) else { return false };
    let Some((last, first)) = numbers.split_last() else { return false };
    let room = 256_u64.pow(u32::try_from(5 - numbers.len()).unwrap_or(0));
    first.iter().all(|number| *number < 256) && *last < room
}

/// Whether a text is an e-mail address by its form, as far as email-validator refuses any: a local part of allowed
/// characters, and a domain of at least two labels. Which domains exist is not asked.
pub(super) fn is_email(text: &str) -> bool {
    let Some((local, domain)) = text.trim().rsplit_once('@') else { return false };
    let is_atom = |c: char| c.is_alphanumeric() || "!#$%&'*+-/=?^_`{|}~".contains(c) || !c.is_ascii();
    let local_fits = !local.is_empty()
        && local.len() <= 64
        && local.split('.').all(|atom| !atom.is_empty() && atom.chars().all(|c| is_atom(c) && !c.is_whitespace()));
    let is_label = |label: &str| {
        !label.is_empty()
            && label.chars().count() <= 63
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || (!c.is_ascii() && !c.is_whitespace()))
    };
    local_fits
        && domain.len() <= 253
        && domain.contains('.')
        && domain.split('.').all(is_label)
        && domain.rsplit('.').next().is_some_and(|last| !last.bytes().all(|byte| byte.is_ascii_digit()))
}
