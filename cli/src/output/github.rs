//! Findings as the workflow commands that GitHub shows beside the lines of a pull request.

use std::fmt::Write as _;

use super::annotation::{Annotation, Level};

/// One command a line.
pub(crate) fn commands(annotations: &[Annotation]) -> String {
    annotations.iter().map(command).collect()
}

fn command(annotation: &Annotation) -> String {
    let name = match annotation.level {
        Level::Error => "error",
        Level::Warning => "warning",
        Level::Note => "notice",
    };
    let mut properties = vec![format!("file={}", property(&annotation.spot.path))];
    if let Some(span) = annotation.spot.span {
        properties.push(format!("line={}", span.line));
        properties.push(format!("col={}", span.column));
    }
    properties.push(format!("title={}", property(&annotation.rule)));
    let mut message = annotation.message.clone();
    for (spot, what) in &annotation.related {
        let place = spot.span.map(|span| format!(":{}:{}", span.line, span.column)).unwrap_or_default();
        let _ = write!(message, "\n{what}: {}{place}", spot.path);
    }
    format!("::{name} {}::{}\n", properties.join(","), data(&message))
}

fn data(text: &str) -> String {
    let kept: String = text.chars().filter(|c| !c.is_control() || matches!(c, '\n' | '\r' | '\t')).collect();
    kept.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

#[cfg(test)]
mod tests {
    use celerysalt_contract::Span;

    use super::{super::annotation::Spot, *};

    #[test]
    fn nothing_in_a_message_ends_the_command() {
        let annotation = Annotation {
            rule: "A:B,C".to_owned(),
            level: Level::Warning,
            spot: Spot { path: "a,b:c%.json".to_owned(), span: Some(Span { offset: 0, len: 1, line: 3, column: 7 }) },
            message: "50 %\n::error::x\u{1b}[2J".to_owned(),
            related: vec![(Spot { path: "old.json".to_owned(), span: None }, "earlier".to_owned())],
        };
        assert_eq!(
            commands(&[annotation]),
            "::warning file=a%2Cb%3Ac%25.json,line=3,col=7,title=A%3AB%2CC::50 %25%0A::error::x[2J%0Aearlier: old.json\n"
        );
    }
}
