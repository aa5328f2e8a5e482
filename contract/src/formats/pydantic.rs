//! The formats that pydantic 2 writes for its types, and which texts those types read.
//!
//! Held against pydantic itself by `tests/python/formats.rs`.

use speedate::{
    Date, DateTime, DateTimeConfig, Duration, MicrosecondsPrecisionOverflowBehavior as Overflow, Time, TimeConfig,
};
use uuid::{Uuid, Variant};

use super::addresses::{self, Family, Part};

/// How texts of that format are read; none where they are just texts (`binary`, `password`, `path`) or no format of
/// pydantic's.
pub(super) fn reader(format: &str) -> Option<fn(&str) -> bool> {
    Some(match format {
        "date-time" => date_time,
        "date" => date,
        "time" => |text| Time::parse_bytes_with_config(text.as_bytes(), &lenient()).is_ok(),
        "duration" => |text| Duration::parse_bytes_with_config(text.as_bytes(), &lenient()).is_ok(),
        "uuid" => |text| uuid(text).is_some(),
        "uuid1" => |text| is_version(text, 1),
        "uuid3" => |text| is_version(text, 3),
        "uuid4" => |text| is_version(text, 4),
        "uuid5" => |text| is_version(text, 5),
        "uuid6" => |text| is_version(text, 6),
        "uuid7" => |text| is_version(text, 7),
        "uuid8" => |text| is_version(text, 8),
        "ipv4" => |text| addresses::is(text, Family::V4, Part::Address),
        "ipv6" => |text| addresses::is(text, Family::V6, Part::Address),
        "ipvanyaddress" => |text| addresses::is(text, Family::Any, Part::Address),
        "ipv4network" => |text| addresses::is(text, Family::V4, Part::Network),
        "ipv6network" => |text| addresses::is(text, Family::V6, Part::Network),
        "ipvanynetwork" => |text| addresses::is(text, Family::Any, Part::Network),
        "ipv4interface" => |text| addresses::is(text, Family::V4, Part::Interface),
        "ipv6interface" => |text| addresses::is(text, Family::V6, Part::Interface),
        "ipvanyinterface" => |text| addresses::is(text, Family::Any, Part::Interface),
        "uri" => addresses::is_url,
        "email" => addresses::is_email,
        "json-string" => |text| serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok(),
        _ => return None,
    })
}

/// Digits behind microseconds are dropped.
fn lenient() -> TimeConfig {
    TimeConfig { microseconds_precision_overflow_behavior: Overflow::Truncate, ..TimeConfig::default() }
}

/// A time of a day, in seconds or milliseconds since 1970 too.
fn parsed(text: &str) -> Option<DateTime> {
    let config = DateTimeConfig { time_config: lenient(), ..DateTimeConfig::default() };
    // Python's dates begin with the year 1.
    DateTime::parse_bytes_with_config(text.as_bytes(), &config).ok().filter(|parsed| parsed.date.year > 0)
}

/// A date stands for its midnight.
fn date_time(text: &str) -> bool {
    parsed(text).is_some() || Date::parse_str_rfc3339(text).is_ok_and(|parsed| parsed.year > 0)
}

/// A date, or a time of day that is midnight.
fn date(text: &str) -> bool {
    Date::parse_str(text).is_ok_and(|parsed| parsed.year > 0)
        || parsed(text).is_some_and(|parsed| {
            let time = &parsed.time;
            (time.hour, time.minute, time.second, time.microsecond) == (0, 0, 0, 0)
        })
}

/// As pydantic reads it: the prefix of a URN in small letters only.
fn uuid(text: &str) -> Option<Uuid> {
    let is_other = text.contains(':') && !text.starts_with("urn:uuid:");
    if is_other { None } else { Uuid::parse_str(text).ok() }
}

fn is_version(text: &str, version: usize) -> bool {
    let is = |parsed: Uuid| parsed.get_version_num() == version && parsed.get_variant() == Variant::RFC4122;
    uuid(text).is_some_and(is)
}
