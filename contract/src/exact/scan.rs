//! The grammar of JSON over bytes: where a string, a number or a whole value ends.
//!
//! Nothing is copied. Each function takes the place at which a token starts and gives the place behind it, or none
//! where the bytes are no JSON. All work on a text that is known to be UTF-8, and places are in bytes.

/// The deepest that containers may nest.
pub(super) const MAX_DEPTH: usize = 128;

const ONES: u64 = 0x0101_0101_0101_0101;
const HIGHS: u64 = 0x8080_8080_8080_8080;

/// A string, between its quotes.
#[derive(Clone, Copy, Debug)]
pub struct Span {
    /// Behind the opening quote.
    pub start: usize,
    /// At the closing quote.
    pub end: usize,
    /// Whether there is a backslash in it.
    pub escaped: bool,
}

/// A number as it is written.
#[derive(Clone, Copy, Debug)]
pub struct Digits {
    /// Behind the last digit.
    pub end: usize,
    /// No fraction and no exponent.
    pub plain: bool,
    /// The value as `mantissa / 10^scale` where it has few digits and no exponent.
    pub short: Option<Short>,
}

/// `mantissa / 10^scale`, with at most 18 digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Short {
    /// All digits as one integer.
    pub mantissa: i64,
    /// How many of them stand behind the point.
    pub scale: u8,
}

/// Behind white space.
#[inline]
#[must_use]
pub fn space(text: &[u8], mut at: usize) -> usize {
    // Most texts have none, or one blank.
    if text.get(at).is_some_and(|byte| *byte > b' ') {
        return at;
    }
    while let Some(b' ' | b'\n' | b'\r' | b'\t') = text.get(at) {
        at += 1;
    }
    at
}

/// The eight bytes at `at`, the first one lowest.
#[inline]
fn eight(text: &[u8], at: usize) -> Option<u64> {
    text.get(at..)?.first_chunk().map(|chunk| u64::from_le_bytes(*chunk))
}

/// Which of eight bytes are a quote, a backslash or a control character: the high bit of each, exact up to the first.
#[inline]
fn special(chunk: u64) -> u64 {
    // With its second bit turned, the quote comes right behind the control characters, and what was there behind it.
    let low = (chunk ^ (ONES * 0x02)).wrapping_sub(ONES * 0x21);
    let backslash = (chunk ^ (ONES * 0x5C)).wrapping_sub(ONES);
    (low | backslash) & !chunk & HIGHS
}

/// Strings of fewer bytes end soon.
const SOON: usize = 48;

/// A place behind which the next quote, backslash or control character from `at` on is near.
fn far(text: &[u8], mut at: usize) -> usize {
    while let Some([a, b, c, d]) = text
        .get(at..)
        .and_then(|text| text.first_chunk::<32>())
        .map(|chunk| std::array::from_fn(|part| eight(chunk, part * 8).map_or(u64::MAX, special)))
    {
        if a | b | c | d != 0 {
            break;
        }
        at += 32;
    }
    at
}

/// The next quote, backslash or control character from `at` on, or the end of the text.
#[inline]
#[must_use]
pub fn plain(text: &[u8], mut at: usize) -> usize {
    // Most strings end soon; in those that don't, four times as much is looked at at once.
    let soon = at.saturating_add(SOON);
    while let Some(chunk) = eight(text, at) {
        let found = special(chunk);
        if found != 0 {
            return at + (found.trailing_zeros() / 8) as usize;
        }
        at += 8;
        if at >= soon {
            at = far(text, at);
        }
    }
    while text.get(at).is_some_and(|byte| !matches!(byte, b'"' | b'\\' | 0..0x20)) {
        at += 1;
    }
    at
}

/// The string whose opening quote is at `at`.
#[inline]
#[must_use]
pub fn string(text: &[u8], at: usize) -> Option<Span> {
    let start = at + 1;
    let end = plain(text, start);
    match text.get(end)? {
        b'"' => Some(Span { start, end, escaped: false }),
        _ => escaped(text, start, end),
    }
}

/// The string of which the first escape is at `at`.
fn escaped(text: &[u8], start: usize, mut at: usize) -> Option<Span> {
    loop {
        match *text.get(at)? {
            b'"' => return Some(Span { start, end: at, escaped: true }),
            b'\\' => at = plain(text, if stands_for_itself(text, at + 1) { at + 2 } else { escape(text, at)? }),
            _ => return None,
        }
    }
}

/// Whether the byte behind a backslash is the character that both stand for: a JSON text within a string has many of them.
#[inline]
fn stands_for_itself(text: &[u8], at: usize) -> bool {
    matches!(text.get(at), Some(b'"' | b'\\' | b'/'))
}

/// Behind the escape that starts at `at`; both halves of a surrogate pair at once.
#[cold]
fn escape(text: &[u8], at: usize) -> Option<usize> {
    match text.get(at + 1)? {
        b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => Some(at + 2),
        b'u' => match unit(text, at + 2)? {
            0xDC00..=0xDFFF => None,
            0xD800..=0xDBFF => {
                let low = (text.get(at + 6) == Some(&b'\\') && text.get(at + 7) == Some(&b'u'))
                    .then(|| unit(text, at + 8))
                    .flatten()?;
                (0xDC00..=0xDFFF).contains(&low).then_some(at + 12)
            }
            _ => Some(at + 6),
        },
        _ => None,
    }
}

/// Four hexadecimal digits.
fn unit(text: &[u8], at: usize) -> Option<u32> {
    text.get(at..at + 4)?.iter().try_fold(0, |unit, byte| Some(unit * 16 + char::from(*byte).to_digit(16)?))
}

/// The text that an escaped string stands for. `raw` is what stands between its quotes, and known to be a string.
#[must_use]
pub fn unescape(raw: &str) -> String {
    let bytes = raw.as_bytes();
    let mut out = String::with_capacity(raw.len());
    let mut at = 0;
    let mut copied = 0;
    loop {
        at = plain(bytes, at);
        if at >= bytes.len() {
            break;
        }
        out.push_str(raw.get(copied..at).unwrap_or_default());
        if stands_for_itself(bytes, at + 1) {
            // Copied with what follows.
            copied = at + 1;
            at += 2;
            continue;
        }
        let next = escape(bytes, at).unwrap_or(bytes.len());
        out.push(match bytes.get(at + 1) {
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => {
                let high = unit(bytes, at + 2).unwrap_or_default();
                let code = match unit(bytes, at + 8).filter(|_| next == at + 12) {
                    Some(low) => 0x10000 + ((high & 0x3FF) << 10) + (low & 0x3FF),
                    None => high,
                };
                char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER)
            }
            Some(other) => char::from(*other),
            None => break,
        });
        at = next;
        copied = next;
    }
    out.push_str(raw.get(copied..).unwrap_or_default());
    out
}

/// How many characters a text has.
#[inline]
pub(super) fn characters(bytes: &[u8]) -> u64 {
    // Further bytes of a character are no character.
    bytes.iter().filter(|byte| **byte & 0xC0 != 0x80).count() as u64
}

/// How many characters an escaped string stands for. `raw` is as for [`unescape`].
pub(super) fn length(bytes: &[u8]) -> u64 {
    let (mut at, mut length) = (0, 0);
    while let Some(byte) = bytes.get(at) {
        let escaped = if *byte == b'\\' { escape(bytes, at) } else { None };
        at = escaped.unwrap_or(at + 1);
        // Further bytes of a character are no character.
        length += u64::from(byte & 0xC0 != 0x80);
    }
    length
}

/// The number that starts at `at`.
#[inline]
#[must_use]
pub fn number(text: &[u8], start: usize) -> Option<Digits> {
    let negative = text.get(start) == Some(&b'-');
    let first = start + usize::from(negative);
    let (at, mantissa) = digits(text, first, 0);
    let whole = at - first;
    if whole == 0 || whole > 1 && text.get(first) == Some(&b'0') {
        return None;
    }
    if matches!(text.get(at), Some(b'.' | b'e' | b'E')) {
        return fraction(text, first, at, mantissa, negative);
    }
    let short = if whole <= MOST_SHORT { short(mantissa, 0, negative) } else { None };
    Some(Digits { end: at, plain: true, short })
}

/// The most digits of a [`Short`].
const MOST_SHORT: usize = 18;

/// Behind the digits at `at`, and the number that they go on.
#[inline]
fn digits(text: &[u8], mut at: usize, mut mantissa: u64) -> (usize, u64) {
    while let Some(chunk) = eight(text, at) {
        let count = leading_digits(chunk);
        mantissa = mantissa.wrapping_mul(power(count)).wrapping_add(number_of(chunk, count));
        at += count;
        if count < 8 {
            return (at, mantissa);
        }
    }
    while let Some(byte @ b'0'..=b'9') = text.get(at) {
        mantissa = mantissa.wrapping_mul(10).wrapping_add(u64::from(byte - b'0'));
        at += 1;
    }
    (at, mantissa)
}

/// A power of ten that eight digits reach.
#[inline]
fn power(digits: usize) -> u64 {
    const POWERS: [u64; 9] = [1, 10, 100, 1_000, 10_000, 100_000, 1_000_000, 10_000_000, 100_000_000];
    POWERS.get(digits).copied().unwrap_or_default()
}

/// An integer of at most fifteen digits that is written with nothing else, and where it ends. None says nothing:
/// [`number`] knows.
#[inline]
#[must_use]
pub fn short_integer(text: &[u8], start: usize) -> Option<(i64, usize)> {
    let negative = text.get(start) == Some(&b'-');
    let first = start + usize::from(negative);
    let chunk = eight(text, first)?;
    let mut count = leading_digits(chunk);
    let mut value = number_of(chunk, count);
    if count == 8 {
        let chunk = eight(text, first + 8)?;
        let more = leading_digits(chunk);
        if more == 8 {
            return None;
        }
        value = value * power(more) + number_of(chunk, more);
        count += more;
    }
    let is_zero = chunk & 0xFF == u64::from(b'0');
    if count == 0 || is_zero && (count > 1 || negative) || matches!(text.get(first + count), Some(b'.' | b'e' | b'E')) {
        return None;
    }
    let value = i64::try_from(value).ok()?;
    Some((if negative { -value } else { value }, first + count))
}

/// A number other than zero of at most seven digits before and behind the point, without an exponent, and where it
/// ends. None says nothing: [`number`] knows.
#[inline]
#[must_use]
pub fn short_fraction(text: &[u8], start: usize) -> Option<(Short, usize)> {
    let negative = text.get(start) == Some(&b'-');
    let first = start + usize::from(negative);
    let chunk = eight(text, first)?;
    let whole = leading_digits(chunk);
    let is_zero = chunk & 0xFF == u64::from(b'0');
    if whole == 0 || is_zero && whole > 1 || text.get(first + whole) != Some(&b'.') {
        return None;
    }
    let point = first + whole + 1;
    let behind = eight(text, point)?;
    let scale = leading_digits(behind);
    if scale == 0 || scale == 8 || whole == 8 || matches!(text.get(point + scale), Some(b'e' | b'E')) {
        return None;
    }
    let mantissa = number_of(chunk, whole) * power(scale) + number_of(behind, scale);
    let short = short(mantissa, u8::try_from(scale).ok()?, negative).filter(|short| short.mantissa != 0)?;
    Some((short, point + scale))
}

/// With how many digits eight bytes start.
#[inline]
fn leading_digits(chunk: u64) -> usize {
    // The high bit of each byte that is no digit, exact up to the first.
    let others = (chunk.wrapping_add(ONES * 0x46) | chunk.wrapping_sub(ONES * 0x30)) & HIGHS;
    (others.trailing_zeros() / 8) as usize
}

/// The number that the first digits of eight bytes are.
#[inline]
fn number_of(chunk: u64, count: usize) -> u64 {
    // As eight digits with zeros in front; in pairs, then all pairs at once.
    let shift = u32::try_from(64 - 8 * count).unwrap_or_default();
    let digits = (chunk ^ (ONES * 0x30)).checked_shl(shift).unwrap_or_default();
    let pairs = digits.wrapping_mul(10).wrapping_add(digits >> 8);
    let first = (pairs & 0x0000_00FF_0000_00FF).wrapping_mul(0x000F_4240_0000_0064);
    let second = (pairs >> 16 & 0x0000_00FF_0000_00FF).wrapping_mul(0x0000_2710_0000_0001);
    first.wrapping_add(second) >> 32
}

#[inline]
fn short(mantissa: u64, scale: u8, negative: bool) -> Option<Short> {
    let mantissa = i64::try_from(mantissa).ok()?;
    Some(Short { mantissa: if negative { -mantissa } else { mantissa }, scale })
}

/// The rest of a number whose whole part ends at `at`.
#[inline]
fn fraction(text: &[u8], first: usize, mut at: usize, mut mantissa: u64, negative: bool) -> Option<Digits> {
    let whole = at - first;
    let mut scale = 0;
    if text.get(at) == Some(&b'.') {
        let point = at + 1;
        (at, mantissa) = digits(text, point, mantissa);
        scale = at - point;
        if scale == 0 {
            return None;
        }
    }
    let exponent = matches!(text.get(at), Some(b'e' | b'E'));
    if exponent {
        at += 1;
        at += usize::from(matches!(text.get(at), Some(b'+' | b'-')));
        let digits = at;
        while text.get(at).is_some_and(u8::is_ascii_digit) {
            at += 1;
        }
        if at == digits {
            return None;
        }
    }
    let short = match u8::try_from(scale) {
        Ok(scale) if !exponent && whole + usize::from(scale) <= MOST_SHORT => short(mantissa, scale, negative),
        _ => None,
    };
    Some(Digits { end: at, plain: false, short })
}

/// Behind one of the three words.
#[inline]
pub(super) fn word(text: &[u8], at: usize, word: &[u8]) -> Option<usize> {
    text.get(at..at + word.len()).filter(|found| *found == word).map(|_| at + word.len())
}

/// Behind the value that starts at `at`, inside `depth` containers. Without recursion.
#[inline]
pub(super) fn value(text: &[u8], at: usize, depth: usize) -> Option<usize> {
    match text.get(at)? {
        b'"' => string(text, at).map(|span| span.end + 1),
        b'-' | b'0'..=b'9' => number(text, at).map(|digits| digits.end),
        b'{' | b'[' => container(text, at, depth),
        b't' => word(text, at, b"true"),
        b'f' => word(text, at, b"false"),
        b'n' => word(text, at, b"null"),
        _ => None,
    }
}

fn container(text: &[u8], mut at: usize, depth: usize) -> Option<usize> {
    // One bit for each container that is open: whether it is an object.
    let mut objects: u128 = 0;
    let mut open = 0;
    loop {
        // Here a value starts.
        match text.get(at)? {
            bracket @ (b'{' | b'[') => {
                let object = *bracket == b'{';
                open += 1;
                if depth + open > MAX_DEPTH {
                    return None;
                }
                objects = objects << 1 | u128::from(object);
                at = space(text, at + 1);
                if text.get(at) != Some(&if object { b'}' } else { b']' }) {
                    if object {
                        at = colon(text, string_at(text, at)?.end + 1)?;
                    }
                    continue;
                }
            }
            b'"' => at = string(text, at)?.end + 1,
            _ => {
                at = value(text, at, depth)?;
            }
        }
        // Here one ended, or a container has nothing in it.
        loop {
            if !matches!(text.get(at), Some(b',' | b'}' | b']')) {
                at = space(text, at);
            }
            let object = objects & 1 == 1;
            match text.get(at)? {
                b',' => {
                    at = space(text, at + 1);
                    if object {
                        at = colon(text, string_at(text, at)?.end + 1)?;
                    }
                    break;
                }
                b'}' if object => {}
                b']' if !object => {}
                _ => return None,
            }
            at += 1;
            open -= 1;
            objects >>= 1;
            if open == 0 {
                return Some(at);
            }
        }
    }
}

/// The string that must start at `at`.
#[inline]
#[must_use]
pub fn string_at(text: &[u8], at: usize) -> Option<Span> {
    if text.get(at) == Some(&b'"') { string(text, at) } else { None }
}

/// Behind a colon and the white space around it.
#[inline]
pub(super) fn colon(text: &[u8], at: usize) -> Option<usize> {
    let at = if text.get(at) == Some(&b':') { at } else { space(text, at) };
    if text.get(at) == Some(&b':') { Some(space(text, at + 1)) } else { None }
}

/// Behind the comma that leads to a further member or item, or behind the bracket that closes; and which it is.
#[inline]
pub(super) fn next(text: &[u8], at: usize, close: u8) -> Option<(usize, bool)> {
    let at = if matches!(text.get(at), Some(b',')) { at } else { space(text, at) };
    match *text.get(at)? {
        b',' => Some((space(text, at + 1), true)),
        byte if byte == close => Some((at + 1, false)),
        _ => None,
    }
}

/// What a text is that may be none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    Json,
    TooDeep,
    Broken,
}

/// Whether a text is JSON, and if not, whether nesting is the reason.
pub(super) fn form(text: &[u8]) -> Form {
    let start = space(text, 0);
    if value(text, start, 0).is_some_and(|end| space(text, end) == text.len()) {
        return Form::Json;
    }
    let mut open: usize = 0;
    let mut at = 0;
    while let Some(byte) = text.get(at) {
        match byte {
            b'"' => match string(text, at) {
                Some(span) => at = span.end,
                None => return Form::Broken,
            },
            b'{' | b'[' => {
                open += 1;
                if open > MAX_DEPTH {
                    return Form::TooDeep;
                }
            }
            b'}' | b']' => open = open.saturating_sub(1),
            _ => {}
        }
        at += 1;
    }
    Form::Broken
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The container walk has the end that the item before it would not show.
    #[test]
    fn values_end_where_they_end() {
        for (text, end) in [
            ("[]", 2),
            ("[ ]x", 3),
            ("[[],{}]", 7),
            (r#"{"a":[1,{"b":"}"}] , "c":null}"#, 30),
            ("-0.5e+7,", 7),
            (r#""a\"b" "#, 6),
            ("true]", 4),
        ] {
            assert_eq!(value(text.as_bytes(), 0, 0), Some(end), "{text}");
        }
        for text in [
            "",
            "[",
            "[,]",
            "[1,]",
            "{,}",
            r#"{"a"}"#,
            r#"{"a":}"#,
            r#"{"a":1,}"#,
            "[1}",
            "01",
            "1.",
            "-",
            "1e",
            ".5",
            "+1",
            "tru",
            r#""\x""#,
            r#""\ud800""#,
            r#""\udc00""#,
            r#""\ud800\u0041""#,
            "\"\t\"",
            "\"\u{1f}abcdefgh\"",
            "\"",
            r#""\"#,
            r#""\u12"#,
            "NaN",
        ] {
            assert_eq!(value(text.as_bytes(), 0, 0), None, "{text}");
        }
    }

    #[test]
    fn nesting_is_counted() {
        let nested = |levels: usize| "[".repeat(levels) + &"]".repeat(levels);
        assert_eq!(form(nested(128).as_bytes()), Form::Json);
        assert_eq!(form(nested(129).as_bytes()), Form::TooDeep);
        assert_eq!(form("[".repeat(100).as_bytes()), Form::Broken);
        assert_eq!(form(r#""[[[" 1"#.as_bytes()), Form::Broken);
        assert_eq!(value(nested(2).as_bytes(), 0, 127), None);
    }

    #[test]
    fn escapes_are_what_serde_json_makes_of_them() {
        for text in [r#""\"\\\/\b\f\n\r\t""#, r#""a\u00e9b""#, r#""\ud83d\ude00x""#, r#""\u0000é""#, r#""plain é""#] {
            let span = string(text.as_bytes(), 0).unwrap();
            let plain = serde_json::from_str::<String>(text).unwrap();
            let raw = &text[span.start..span.end];
            assert_eq!((unescape(raw), length(raw.as_bytes())), (plain.clone(), plain.chars().count() as u64));
        }
    }

    #[test]
    fn digits_are_read_eight_at_a_time() {
        for count in 0..=20 {
            for end in ["", ",", "}", ".", "e", "/", ":", "é", "\u{1}", ",12345678", "}]}]}]}]}"] {
                let number = "98765432109876543210".get(..count).unwrap_or_default();
                let wanted = number
                    .bytes()
                    .fold(7, |all: u64, digit| all.wrapping_mul(10).wrapping_add(u64::from(digit - b'0')));
                assert_eq!(digits(format!("{number}{end}").as_bytes(), 0, 7), (count, wanted), "{number}{end}");
            }
        }
        for byte in 0..=u8::MAX {
            let chunk = u64::from_le_bytes([b'1', b'2', byte, b'4', b'5', b'6', b'7', b'8']);
            assert_eq!(leading_digits(chunk), if byte.is_ascii_digit() { 8 } else { 2 }, "{byte}");
        }
    }

    /// What is told of short numbers is what is told of all.
    #[test]
    fn short_numbers_are_numbers() {
        let parts =
            ["", "-", "0", "7", "00", "12", "1234567", "12345678", "123456789012345", "9999999999999999", ".", "e5"];
        let ends = ["", ",      12", "}]}]}]}]}", "e1,      "];
        let (mut integers, mut fractions) = (0, 0);
        for at in 0..parts.len().pow(3) * ends.len() {
            let part = |step: usize| parts[at / ends.len() / step % parts.len()];
            let text = [part(1), part(parts.len()), part(parts.len().pow(2)), ends[at % ends.len()]].concat();
            let known = number(text.as_bytes(), 0);
            if let Some((value, end)) = short_integer(text.as_bytes(), 0) {
                let known = known.unwrap_or_else(|| panic!("{text}"));
                assert_eq!((known.end, known.plain, known.short.unwrap().mantissa), (end, true, value), "{text}");
                assert_eq!(text[..end].parse(), Ok(value), "{text}");
                assert!(value != 0 || !text.starts_with('-'));
                integers += 1;
            }
            if let Some((short, end)) = short_fraction(text.as_bytes(), 0) {
                let known = known.unwrap_or_else(|| panic!("{text}"));
                assert_eq!((known.end, known.plain, known.short), (end, false, Some(short)), "{text}");
                fractions += 1;
            }
        }
        assert!(integers > 500 && fractions > 30, "{integers} {fractions}");
    }

    #[test]
    fn special_bytes_are_seen_wherever_they_stand() {
        for byte in 0..=255u8 {
            for place in 0..8 {
                let mut chunk = [b'a'; 8];
                chunk[place] = byte;
                let found = special(u64::from_le_bytes(chunk));
                let wanted = byte < 0x20 || byte == b'"' || byte == b'\\';
                assert_eq!(found != 0, wanted, "{byte}");
                assert!(!wanted || (found.trailing_zeros() / 8) as usize == place, "{byte} at {place}");
                for length in (1..=9).chain(40..=100) {
                    let text = [vec![b'a'; length], chunk.to_vec(), vec![0xC3; 3]].concat();
                    let end = if wanted { length + place } else { text.len() };
                    assert_eq!(plain(&text, 0), end, "{byte} at {place} behind {length}");
                }
            }
        }
    }
}
