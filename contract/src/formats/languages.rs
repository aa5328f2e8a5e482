//! What a comparison knows of a format's texts: a pattern around all of them, one inside, and wider formats.
//!
//! Where both patterns are one, the format is no more than that. Otherwise what lies between them is left to asking of one
//! text at a time.

/// The texts of a format, as far as they are known.
#[derive(Clone, Debug, Default)]
pub(crate) struct Language {
    /// A pattern that every text of the format matches.
    pub(crate) around: Option<String>,
    /// A pattern of which every text is one of the format.
    pub(crate) inside: Option<String>,
    /// Formats that take all its texts, in the same reading; not those whose texts are a pattern.
    pub(crate) wider: &'static [&'static str],
    /// Texts that formats beside it tell apart.
    pub(crate) examples: &'static [&'static str],
}

impl Language {
    /// Whether the format is its pattern.
    pub(crate) fn is_exact(&self) -> bool {
        self.around.is_some() && self.around == self.inside
    }

    fn exact(pattern: String) -> Self {
        Self { around: Some(pattern.clone()), inside: Some(pattern), ..Self::default() }
    }

    fn between(inside: impl Into<String>, around: impl Into<String>) -> Self {
        Self { around: Some(around.into()), inside: Some(inside.into()), ..Self::default() }
    }

    fn within(mut self, wider: &'static [&'static str]) -> Self {
        self.wider = wider;
        self
    }

    fn such_as(mut self, examples: &'static [&'static str]) -> Self {
        self.examples = examples;
        self
    }
}

const HOUR: &str = "([01][0-9]|2[0-3])";
const OCTET: &str = "(25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])";
/// Days that every month of every year has, in years that all readings know.
const DAY: &str = "[1-9][0-9]{3}-(0[1-9]|1[0-2])-(0[1-9]|1[0-9]|2[0-8])";
const V6_INSIDE: &str = "(([0-9A-Fa-f]{1,4}:){7}[0-9A-Fa-f]{1,4}|::([0-9A-Fa-f]{1,4}(:[0-9A-Fa-f]{1,4}){0,5})?)";
/// The scope of an IPv6 address, of letters that nothing else is made of.
const SCOPE: &str = "(%[0-9A-Za-z]+)?";
const V6_AROUND: &str = "[0-9A-Fa-f]{0,4}(:[0-9A-Fa-f.]{0,15}){2,8}";
/// What times and dates are written with, seconds with an exponent and the minus sign of typesetters among them.
const MOMENT: &str = "^[0-9TtZz_:.,+eE −-]*[0-9][0-9TtZz_:.,+eE −-]*$";
const POINTER: &str = "(/([^~/]|~[01])*)*";
const URI_INSIDE: &str = "^(https://[a-z]+[.][a-z]+/[a-z0-9/]*|urn:[a-z0-9]+)$";

/// What both readings know of the texts of an IPv4 address.
fn v4() -> String {
    format!("{OCTET}([.]{OCTET}){{3}}")
}

fn offset() -> String {
    format!("[+-]{HOUR}:[0-5][0-9]")
}

/// The texts of a format that pydantic reads.
pub(super) fn pydantic(name: &str) -> Language {
    let (v4, offset) = (v4(), offset());
    let clock = format!("{HOUR}:[0-5][0-9](:[0-5][0-9]([.][0-9]+)?)?");
    if let Some(version @ ("1" | "3" | "4" | "5" | "6" | "7" | "8")) = name.strip_prefix("uuid") {
        return uuid(version, "[89ABab]");
    }
    match name {
        "date-time" => {
            Language::between(format!("^({DAY}([T ]{clock}(Z|{offset})?)?|[0-9]{{1,9}})$"), MOMENT).such_as(&["0"])
        }
        "date" => Language::between(format!("^{DAY}([T ]00:00(:00([.]0+)?)?Z?)?$"), MOMENT)
            .within(&["date-time"])
            .such_as(&["0"]),
        "time" => Language::between(format!("^{clock}(Z|{offset})?$"), MOMENT),
        "duration" => Language::between(
            format!("^-?(P([0-9]{{1,3}}D(T[0-9]{{1,3}}[HMS])?|T[0-9]{{1,3}}[HMS])|{HOUR}:[0-5][0-9](:[0-5][0-9])?)$"),
            "[0-9]",
        )
        .such_as(&["1 day, 10:30:00"]),
        "uuid" => uuid("[0-9A-Fa-f]", "[0-9A-Fa-f]"),
        "ipv4" => Language::exact(format!("^{v4}$")),
        "ipv6" => Language::between(format!("^{V6_INSIDE}{SCOPE}$"), format!("^{V6_AROUND}(%[^%/]+)?$"))
            .within(&["ipvanyaddress", "ipv6network", "ipv6interface", "ipvanynetwork", "ipvanyinterface"])
            .such_as(&["::1%1"]),
        "ipvanyaddress" => {
            Language::between(format!("^({v4}|{V6_INSIDE}{SCOPE})$"), format!("^({v4}|{V6_AROUND}(%[^%/]+)?)$"))
                .within(&["ipvanynetwork", "ipvanyinterface"])
                .such_as(&["::1%1"])
        }
        "ipv4network" => Language::between(format!("^{v4}(/32)?$"), format!("^{v4}(/[0-9.]+)?$"))
            .within(&["ipv4interface", "ipvanynetwork", "ipvanyinterface"])
            .such_as(&["10.0.0.0/8", "0.0.0.0/0"]),
        "ipv4interface" => Language::between(format!("^{v4}(/([12]?[0-9]|3[0-2]))?$"), format!("^{v4}(/[0-9.]+)?$"))
            .within(&["ipvanyinterface"])
            .such_as(&["10.0.0.1/8", "10.0.0.1/255.0.0.0"]),
        "ipv6network" => {
            Language::between(format!("^{V6_INSIDE}{SCOPE}(/128)?$"), format!("^{V6_AROUND}(%[^%/]+)?(/[0-9]+)?$"))
                .within(&["ipv6interface", "ipvanynetwork", "ipvanyinterface"])
                .such_as(&["::/0", "::1%1"])
        }
        "ipv6interface" => Language::between(
            format!("^{V6_INSIDE}{SCOPE}(/([1-9]?[0-9]|1[01][0-9]|12[0-8]))?$"),
            format!("^{V6_AROUND}(%[^%/]+)?(/[0-9]+)?$"),
        )
        .within(&["ipvanyinterface"])
        .such_as(&["::1/0", "::1%1"]),
        "ipvanynetwork" => Language::between(
            format!("^({v4}(/32)?|{V6_INSIDE}{SCOPE}(/128)?)$"),
            format!("^({v4}(/[0-9.]+)?|{V6_AROUND}(%[^%/]+)?(/[0-9]+)?)$"),
        )
        .within(&["ipvanyinterface"])
        .such_as(&["10.0.0.0/8", "0.0.0.0/0", "::/0", "::1%1"]),
        "ipvanyinterface" => Language::between(
            format!("^({v4}(/([12]?[0-9]|3[0-2]))?|{V6_INSIDE}{SCOPE}(/([1-9]?[0-9]|1[01][0-9]|12[0-8]))?)$"),
            format!("^({v4}(/[0-9.]+)?|{V6_AROUND}(%[^%/]+)?(/[0-9]+)?)$"),
        )
        .such_as(&["10.0.0.1/8", "::1/0", "::1%1"]),
        "uri" => Language::between(URI_INSIDE, ":").such_as(&["x:", " x:"]),
        "email" => Language::between("^[a-z0-9]{1,30}@[a-z]{1,30}([.][a-z]{1,30}){1,3}$", "[^@]@[^@.]+[.][^@]+$")
            .such_as(&["é@b.co"]),
        "json-string" => Language::between(
            r#"^([1-9][0-9]{0,9}|0|null|true|false|"[ !#-\[\]-~]*"|\[([1-9]|null)?\]|\{\})$"#,
            r#"^[ \t\n\r]*(-?[0-9][0-9.eE+-]*|null|true|false|"[\s\S]*"|\[[\s\S]*\]|\{[\s\S]*\})[ \t\n\r]*$"#,
        ),
        _ => Language::default(),
    }
}

/// The texts of a format as its standard has them.
pub(super) fn standard(name: &str) -> Language {
    let (v4, offset) = (v4(), offset());
    let clock = |second: &str| format!("{HOUR}:[0-5][0-9]:{second}([.][0-9]+)?([Zz]|{offset})");
    // What is inside leaves out leap seconds: which there are depends on the offset.
    let (plain, leaping) = (clock("[0-5][0-9]"), clock("([0-5][0-9]|60)"));
    match name {
        "date" => Language::exact(format!("^{}$", date())),
        "date-time" => Language::between(format!("^{}[Tt]{plain}$", date()), format!("^{}[Tt]{leaping}$", date()))
            .such_as(&["1998-12-31T23:59:60Z"]),
        "time" => Language::between(format!("^{plain}$"), format!("^{leaping}$")).such_as(&["23:59:60Z"]),
        "duration" => {
            let day = "([0-9]+Y([0-9]+M([0-9]+D)?)?|[0-9]+M([0-9]+D)?|[0-9]+D)";
            let time = "T([0-9]+H([0-9]+M([0-9]+S)?)?|[0-9]+M([0-9]+S)?|[0-9]+S)";
            Language::exact(format!("^P([0-9]+W|{day}({time})?|{time})$"))
        }
        "uuid" => Language::exact("^[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}$".to_owned()),
        "ipv4" => Language::exact(format!("^{v4}$")),
        "ipv6" => Language::between(format!("^{V6_INSIDE}$"), format!("^{V6_AROUND}$")),
        "email" => Language::between("^[a-z0-9]{1,30}@[a-z]{1,30}([.][a-z]{1,30}){0,3}$", "[^@]@[^@]+$")
            .such_as(&["\"a b\"@b.co", "a@[127.0.0.1]"]),
        "hostname" => {
            Language::between("^[a-z]{1,30}([.][a-z]{1,30}){0,3}$", "^[0-9A-Za-z]([0-9A-Za-z.-]*[0-9A-Za-z])?$")
                .such_as(&["1a", "a-b", "1", "ab--c"])
        }
        "json-pointer" => Language::exact(format!("^{POINTER}$")),
        "relative-json-pointer" => Language::exact(format!("^(0|[1-9][0-9]*)(#|{POINTER})$")),
        "uri" => Language::between(URI_INSIDE, "^[A-Za-z][0-9A-Za-z+.-]*:")
            .within(&["uri-reference", "iri", "iri-reference"])
            .such_as(&["x:"]),
        "iri" => {
            Language::between(URI_INSIDE, "^[A-Za-z][0-9A-Za-z+.-]*:").within(&["iri-reference"]).such_as(&["x:é"])
        }
        "uri-reference" => Language::between("^[a-z0-9]*$", "^[!#-;=?-\\[\\]_a-z~%]*$")
            .within(&["iri-reference"])
            .such_as(&["/a", "x:a"]),
        "iri-reference" => Language::between("^[a-z0-9]*$", "^[^ <>\"{}|\\\\^`]*$").such_as(&["/a", "x:a", "é"]),
        "uri-template" => Language::between("^[a-z0-9]*$", "^[^ <>\"\\\\^`]*$").such_as(&["{a}"]),
        // Groups that are opened are closed.
        "regex" => Language::between("^[a-z0-9]*$", "^$|[^(]").such_as(&["(a)"]),
        _ => Language::default(),
    }
}

/// Every day of every year, leap days among them.
fn date() -> String {
    let leap = "([0-9][0-9](0[48]|[2468][048]|[13579][26])|([02468][048]|[13579][26])00)";
    format!(
        "([0-9]{{4}}-((0[13578]|1[02])-(0[1-9]|[12][0-9]|3[01])|(0[469]|11)-(0[1-9]|[12][0-9]|30)|\
         02-(0[1-9]|1[0-9]|2[0-8]))|{leap}-02-29)"
    )
}

/// With hyphens, and then behind `urn:uuid:` or in braces, or without: of a version and variants, or any.
fn uuid(version: &str, variant: &str) -> Language {
    let any = "[0-9A-Fa-f]";
    let parted = format!("{any}{{8}}-{any}{{4}}-{version}{any}{{3}}-{variant}{any}{{3}}-{any}{{12}}");
    Language::exact(format!(
        "^((urn:uuid:)?{parted}|\\{{{parted}\\}}|{any}{{12}}{version}{any}{{3}}{variant}{any}{{15}})$"
    ))
}

#[cfg(test)]
mod tests {
    use regex_syntax::hir::{Class, Hir, HirKind};
    use serde_json::json;

    use super::super::{Format, Formats};
    use crate::Draft;

    /// Numbers that look like chance and are always the same.
    struct Dice(u64);

    impl Dice {
        fn roll(&mut self, sides: usize) -> usize {
            self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            usize::try_from(self.0 >> 33).unwrap() % sides
        }
    }

    /// A text that a pattern matches from end to end.
    fn sample(hir: &Hir, dice: &mut Dice, out: &mut String) {
        match hir.kind() {
            HirKind::Empty | HirKind::Look(_) => {}
            HirKind::Literal(literal) => out.push_str(std::str::from_utf8(&literal.0).unwrap()),
            HirKind::Class(Class::Unicode(class)) => {
                let range = class.ranges()[dice.roll(class.ranges().len())];
                let span = (u32::from(range.end()) - u32::from(range.start())).min(200) as usize;
                let code = u32::from(range.start()) + u32::try_from(dice.roll(span + 1)).unwrap();
                out.push(char::from_u32(code).unwrap_or(range.start()));
            }
            HirKind::Class(Class::Bytes(class)) => out.push(char::from(class.ranges()[0].start())),
            HirKind::Repetition(repetition) => {
                let min = repetition.min as usize;
                let most = repetition.max.map_or(min + 3, |max| max as usize);
                for _ in 0..min + dice.roll(most - min + 1) {
                    sample(&repetition.sub, dice, out);
                }
            }
            HirKind::Capture(capture) => sample(&capture.sub, dice, out),
            HirKind::Concat(parts) => parts.iter().for_each(|part| sample(part, dice, out)),
            HirKind::Alternation(parts) => sample(&parts[dice.roll(parts.len())], dice, out),
        }
    }

    fn changed(text: &str, dice: &mut Dice) -> String {
        let letters: Vec<char> = "0123456789TZPDHMS:-+. /@%[]{}\"uabcdef~#é\n".chars().collect();
        let mut changed: Vec<char> = text.chars().collect();
        for _ in 0..=dice.roll(2) {
            let (letter, at) = (letters[dice.roll(letters.len())], dice.roll(changed.len() + 1));
            match dice.roll(3) {
                0 => changed.insert(at, letter),
                1 if at < changed.len() => changed[at] = letter,
                _ if at < changed.len() => drop(changed.remove(at)),
                _ => {}
            }
        }
        changed.into_iter().collect()
    }

    const TEXTS: [&str; 48] = [
        "2026-11-27T10:30:00Z",
        "2026-11-27T00:00:00.00000000000000000000Z",
        "2026-11-27",
        "0000-02-29",
        "2100-02-29",
        "2000-02-29",
        "2024-02-29",
        "10:30",
        "23:59:60Z",
        "00:59:60+01:00",
        "1 day, 10:30:00",
        "PT",
        "P1D",
        "-P1D",
        "P1Y2M3DT4H5M6S",
        "P1Y3D",
        "P",
        "17",
        "-1.5e3",
        "a@b.co",
        "\"a@b\"@[IPv6:::1]",
        "::",
        "::1",
        "1:2:3:4:5:6:7::",
        "::2:3:4:5:6:7:8",
        "::ffff:1.2.3.4%eth0/12",
        "10.0.0.1",
        "10.0.0.0/8",
        "10.0.0.0/255.0.0.0",
        "::/0",
        "x:",
        "urn:a",
        "\tht\ntp://a",
        "a.b",
        "xn--a.b",
        "null",
        "\"\"",
        "[ {\"a\": -1}]",
        "nan",
        "infinity",
        "",
        "3fa85f64-5717-4562-b3fc-2c963f66afa6",
        "3FA85F6457174562B3FC2C963F66AFA6",
        "urn:uuid:3fa85f64-5717-4562-b3fc-2c963f66afa6",
        "a{+b,c}",
        "(a)[b]?",
        "0/a~1#",
        "/a~0/~1",
    ];

    /// What a comparison takes for so is so, of all texts that were thought of and of many that look like them.
    #[test]
    fn patterns_lie_around_and_inside_of_their_formats() {
        let names = [
            "date-time date time duration uuid uuid1 uuid3 uuid4 uuid5 uuid6 uuid7 uuid8 ipv4 ipv6 ipvanyaddress ipv4network",
            "ipv6network ipvanynetwork ipv4interface ipv6interface ipvanyinterface uri email json-string hostname regex iri",
            "json-pointer relative-json-pointer uri-reference iri-reference uri-template",
        ];
        let mut dice = Dice(20_261_127);
        let mut told = [0; 3];
        for name in names.iter().flat_map(|names| names.split(' ')) {
            for formats in [Formats::Assertion, Formats::Pydantic] {
                let schema = json!({"type": "string", "format": name});
                let Some(format) = Format::of(formats, Draft::Draft202012, schema.as_object().unwrap()) else {
                    continue;
                };
                let language = format.language();
                let compiled = |pattern: &Option<String>| {
                    let rust = jsonschema_regex::to_rust_regex(pattern.as_ref()?).unwrap().into_owned();
                    Some((regex::Regex::new(&rust).unwrap(), regex_syntax::parse(&rust).unwrap()))
                };
                let (around, inside) = (compiled(&language.around), compiled(&language.inside));
                let mut texts: Vec<String> =
                    TEXTS.iter().chain(language.examples).map(|&text| text.to_owned()).collect();
                for (_, hir) in around.iter().chain(&inside) {
                    for _ in 0..60 {
                        let mut text = String::new();
                        sample(hir, &mut dice, &mut text);
                        texts.push(text);
                    }
                }
                for at in 0..texts.len() {
                    for _ in 0..6 {
                        let text = changed(&texts[at], &mut dice);
                        texts.push(text);
                    }
                }
                for text in &texts {
                    let allows = format.allows(text);
                    if let Some((around, _)) = &around {
                        assert!(!allows || around.is_match(text), "{name} as {formats} takes {text:?}");
                    }
                    if let Some((inside, _)) = &inside {
                        assert!(allows || !inside.is_match(text), "{name} as {formats} refuses {text:?}");
                    }
                    told[0] += usize::from(allows);
                }
                let refused = language.examples.iter().filter(|text| !format.allows(text)).count();
                assert_eq!(refused, usize::from(name == "hostname"), "{name} as {formats}: {:?}", language.examples);
                for wider in format.wider(formats, Draft::Draft202012) {
                    told[1] += 1;
                    assert!(!wider.language().is_exact(), "{wider:?}");
                    for text in texts.iter().filter(|text| format.allows(text)) {
                        told[2] += 1;
                        assert!(wider.allows(text), "{name} as {formats}: {wider:?} refuses {text:?}");
                    }
                }
            }
        }
        println!("{told:?}");
        assert!(told[0] > 5_000 && told[1] > 20 && told[2] > 2_000, "{told:?}");
    }
}
