//! Python expressions and how they are laid out: as black and ruff would leave them.
//!
//! What does not fit into a line is opened at its outermost bracket, one item a line, each with a comma after it: both
//! formatters leave that alone. Text gets into Python only as a literal made here, so nothing in it is ever code.

use std::{collections::BTreeSet, fmt::Write};

/// Black's.
const WIDTH: usize = 88;

/// A Python expression.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Expr {
    /// A name, made by this crate.
    Name(String),
    /// A name in quotes: something that is defined further down.
    Forward(String),
    /// A literal.
    Literal(String),
    /// `head(a, b)`
    Call(String, Vec<Expr>),
    /// `head[a, b]`
    Index(String, Vec<Expr>),
    /// `key=value`, in a call.
    Keyword(&'static str, Box<Expr>),
    /// `a | b`
    Union(Vec<Expr>),
    /// `[a, b]`
    List(Vec<Expr>),
    /// `{"a": b}`
    Dict(Vec<(String, Expr)>),
    /// `lambda: a`
    Lambda(Box<Expr>),
}

impl Expr {
    pub(super) fn name(name: &str) -> Self {
        Self::Name(name.to_owned())
    }

    pub(super) fn text(text: &str) -> Self {
        Self::Literal(string(text))
    }

    pub(super) fn call(head: &str, arguments: Vec<Expr>) -> Self {
        Self::Call(head.to_owned(), arguments)
    }

    pub(super) fn index(head: &str, arguments: Vec<Expr>) -> Self {
        Self::Index(head.to_owned(), arguments)
    }

    pub(super) fn keyword(key: &'static str, value: Expr) -> Self {
        Self::Keyword(key, Box::new(value))
    }

    /// `a | b`, without repetitions, null last.
    pub(super) fn union(members: impl IntoIterator<Item = Expr>) -> Self {
        let none = Self::name("None");
        let mut flat: Vec<Expr> = Vec::new();
        for member in members {
            let inner = if let Self::Union(inner) = member { inner } else { vec![member] };
            for one in inner {
                if !flat.contains(&one) {
                    flat.push(one);
                }
            }
        }
        if let Some(at) = flat.iter().position(|member| *member == none) {
            flat.remove(at);
            flat.push(none);
        }
        match flat.as_slice() {
            [only] => only.clone(),
            _ => Self::Union(flat),
        }
    }

    /// Whether brackets nest deeper than a reader, or Python's own parser, likes.
    pub(super) fn is_deep(&self) -> bool {
        const MOST: usize = 8;
        self.depth() > MOST
    }

    fn depth(&self) -> usize {
        let deepest = |inner: &[Expr]| inner.iter().map(Expr::depth).max().unwrap_or(0) + 1;
        match self {
            Self::Name(_) | Self::Forward(_) | Self::Literal(_) => 0,
            Self::Call(_, inner) | Self::Index(_, inner) | Self::Union(inner) | Self::List(inner) => deepest(inner),
            Self::Keyword(_, inner) | Self::Lambda(inner) => inner.depth(),
            Self::Dict(inner) => inner.iter().map(|(_, value)| value.depth()).max().unwrap_or(0) + 1,
        }
    }

    /// Every name that it takes from elsewhere.
    pub(super) fn names(&self, found: &mut BTreeSet<String>) {
        match self {
            Self::Name(name) => drop(found.insert(name.clone())),
            Self::Forward(_) | Self::Literal(_) => {}
            Self::Call(head, inner) | Self::Index(head, inner) => {
                found.insert(head.clone());
                for expr in inner {
                    expr.names(found);
                }
            }
            Self::Union(inner) => {
                if !self.has_operator() {
                    found.insert("Union".to_owned());
                }
                for expr in inner {
                    expr.names(found);
                }
            }
            Self::List(inner) => inner.iter().for_each(|expr| expr.names(found)),
            Self::Keyword(_, inner) | Self::Lambda(inner) => inner.names(found),
            Self::Dict(inner) => inner.iter().for_each(|(_, expr)| expr.names(found)),
        }
    }

    /// Whether `|` may join the members: Python has no `|` for a name in quotes, nor does a formatter break a long one
    /// in a way that stays.
    fn has_operator(&self) -> bool {
        match self {
            Self::Union(inner) => {
                !inner.iter().any(|member| matches!(member, Self::Forward(_))) && joined(inner).chars().count() <= 60
            }
            _ => true,
        }
    }

    /// On one line.
    pub(super) fn flat(&self) -> String {
        match self {
            Self::Name(text) | Self::Literal(text) => text.clone(),
            Self::Forward(name) => string(name),
            Self::Call(head, inner) => format!("{head}({})", list(inner)),
            Self::Index(head, inner) => format!("{head}[{}]", list(inner)),
            Self::Union(inner) if self.has_operator() => joined(inner),
            Self::Union(inner) => format!("Union[{}]", list(inner)),
            Self::List(inner) => format!("[{}]", list(inner)),
            Self::Keyword(key, value) => format!("{key}={}", value.flat()),
            Self::Lambda(value) => format!("lambda: {}", value.flat()),
            Self::Dict(inner) => {
                let inner: Vec<String> =
                    inner.iter().map(|(key, value)| format!("{}: {}", string(key), value.flat())).collect();
                format!("{{{}}}", inner.join(", "))
            }
        }
    }

    /// After `before` columns, with `after` columns to follow on the last line; lines further down start at `indent`.
    fn lay_out(&self, indent: usize, before: usize, after: usize) -> String {
        let flat = self.flat();
        if before + flat.chars().count() + after <= WIDTH {
            return flat;
        }
        match self {
            Self::Name(_) | Self::Forward(_) | Self::Literal(_) => flat,
            Self::Call(head, inner) => open(&format!("{head}("), inner, ")", indent),
            Self::Index(head, inner) => open(&format!("{head}["), inner, "]", indent),
            Self::Union(inner) if self.has_operator() => joined(inner),
            Self::Union(inner) => open("Union[", inner, "]", indent),
            Self::List(inner) => open("[", inner, "]", indent),
            Self::Keyword(key, value) => {
                format!("{key}={}", value.lay_out(indent, before + key.len() + 1, after))
            }
            Self::Lambda(value) => format!("lambda: {}", value.lay_out(indent, before + 8, after)),
            Self::Dict(inner) => {
                let pad = " ".repeat(indent + 4);
                let mut text = "{\n".to_owned();
                for (key, value) in inner {
                    let key = string(key);
                    let start = indent + 4 + key.chars().count() + 2;
                    let _ = writeln!(text, "{pad}{key}: {},", value.lay_out(indent + 4, start, 1));
                }
                text + &" ".repeat(indent) + "}"
            }
        }
    }
}

fn list(inner: &[Expr]) -> String {
    inner.iter().map(Expr::flat).collect::<Vec<_>>().join(", ")
}

fn joined(inner: &[Expr]) -> String {
    inner.iter().map(Expr::flat).collect::<Vec<_>>().join(" | ")
}

fn open(head: &str, inner: &[Expr], close: &str, indent: usize) -> String {
    if inner.is_empty() {
        return format!("{head}{close}");
    }
    let pad = " ".repeat(indent + 4);
    let mut text = format!("{head}\n");
    // `list[int,]` is another type than `list[int]`.
    let comma = if close == "]" && !head.starts_with('[') && inner.len() == 1 { "" } else { "," };
    for expr in inner {
        let _ = writeln!(text, "{pad}{}{comma}", expr.lay_out(indent + 4, indent + 4, comma.len()));
    }
    text + &" ".repeat(indent) + close
}

/// `target = value`, starting at column `indent`, with a newline.
pub(super) fn assign(indent: usize, target: &str, value: &Expr) -> String {
    let pad = " ".repeat(indent);
    let before = indent + target.chars().count() + 3;
    let flat = value.flat();
    let is_atom = matches!(value, Expr::Name(_) | Expr::Forward(_) | Expr::Literal(_));
    if is_atom && before + flat.chars().count() > WIDTH && indent + 4 + flat.chars().count() <= WIDTH {
        return format!("{pad}{target} = (\n{pad}    {flat}\n{pad})\n");
    }
    format!("{pad}{target} = {}\n", value.lay_out(indent, before, 0))
}

/// `name: ty = default`, starting at column `indent`, with a newline.
pub(super) fn field(indent: usize, name: &str, ty: &Expr, default: Option<&Expr>) -> String {
    let pad = " ".repeat(indent);
    let before = indent + name.chars().count() + 2;
    let Some(default) = default else {
        return format!("{pad}{name}: {}\n", ty.lay_out(indent, before, 0));
    };
    let (flat, value) = (ty.flat(), default.flat());
    let start = before + flat.chars().count() + 3;
    // The bracket at the end is the one that formatters open first.
    let head = match default {
        Expr::Call(head, _) => head.chars().count() + 1,
        Expr::Dict(_) | Expr::List(_) => 1,
        _ => value.chars().count(),
    };
    if start + head <= WIDTH {
        return format!("{pad}{name}: {flat} = {}\n", default.lay_out(indent, start, 0));
    }
    // One thing in a bracket has no comma that would keep it open: formatters then open the other side.
    let is_single = matches!(ty, Expr::Index(_, inner) if inner.len() == 1);
    if is_single && start < WIDTH {
        let value = default.lay_out(indent + 4, indent + 4, 0);
        return format!("{pad}{name}: {flat} = (\n{pad}    {value}\n{pad})\n");
    }
    // Opened in any case, so that its commas keep it open.
    let ty = match ty {
        Expr::Index(head, inner) => open(&format!("{head}["), inner, "]", indent),
        Expr::Union(inner) => open("Union[", inner, "]", indent),
        _ => flat,
    };
    format!("{pad}{name}: {ty} = {}\n", default.lay_out(indent, indent + 4, 0))
}

/// A string literal, in the quotes that formatters choose.
pub(super) fn string(text: &str) -> String {
    let count = |wanted: char| text.chars().filter(|c| *c == wanted).count();
    let quote = if count('"') > count('\'') { '\'' } else { '"' };
    let mut literal = String::with_capacity(text.len() + 2);
    literal.push(quote);
    for c in text.chars() {
        match c {
            '\\' => literal.push_str("\\\\"),
            '\n' => literal.push_str("\\n"),
            '\r' => literal.push_str("\\r"),
            '\t' => literal.push_str("\\t"),
            c if c == quote => {
                literal.push('\\');
                literal.push(c);
            }
            c => push_visible(&mut literal, c),
        }
    }
    literal.push(quote);
    literal
}

/// `c` as it is where a reader sees what it is, else as an escape.
fn push_visible(text: &mut String, c: char) {
    let code = u32::from(c);
    // What the standard library calls alphanumeric is visible and has no direction tricks.
    let _ = match c {
        ' '..='~' => write!(text, "{c}"),
        c if c.is_alphanumeric() => write!(text, "{c}"),
        _ if code <= 0xff => write!(text, "\\x{code:02x}"),
        _ if code <= 0xffff => write!(text, "\\u{code:04x}"),
        _ => write!(text, "\\U{code:08x}"),
    };
}

/// A line of a comment: whatever could end it is escaped.
pub(super) fn comment(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    text.chars().for_each(|c| push_visible(&mut line, c));
    line.trim_end().to_owned()
}

/// A docstring at column `indent`, with a newline.
pub(super) fn docstring(indent: usize, text: &str) -> String {
    let pad = " ".repeat(indent);
    let lines: Vec<String> = text
        .replace("\r\n", "\n")
        .split(['\n', '\r'])
        .map(|line| {
            let mut shown = String::with_capacity(line.len());
            for c in line.chars() {
                match c {
                    '\\' => shown.push_str("\\\\"),
                    '\t' => shown.push_str("    "),
                    c => push_visible(&mut shown, c),
                }
            }
            shown.trim_end().to_owned()
        })
        .collect();
    // Lines below the first keep how they are indented among each other.
    let margin = lines.iter().skip(1).filter(|line| !line.is_empty());
    let margin = margin.map(|line| line.len() - line.trim_start().len()).min().unwrap_or(0);
    let mut text = String::new();
    for (i, line) in lines.iter().enumerate() {
        match (i, line.is_empty()) {
            (0, _) => text.push_str(line.trim_start()),
            (_, true) => text.push('\n'),
            _ => {
                let _ = write!(text, "\n{pad}{}", line.get(margin..).unwrap_or_default());
            }
        }
    }
    // Escaped ones at the end are where formatters disagree.
    let mut text = text.trim().replace("\"\"\"", "'''");
    if text.starts_with('"') {
        text.insert(0, ' ');
    }
    if text.ends_with('"') {
        text.push(' ');
    }
    if text.is_empty() {
        return String::new();
    }
    let several = text.contains('\n');
    let last = text.rsplit('\n').next().unwrap_or_default().chars().count();
    // Where the closing quotes do not fit behind the last line, they get one of their own.
    let first = if several { 0 } else { indent + 3 };
    if several && first + last + 3 > WIDTH {
        return format!("{pad}\"\"\"{text}\n{pad}\"\"\"\n");
    }
    format!("{pad}\"\"\"{text}\"\"\"\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_a_literal_whatever_it_holds() {
        for (text, literal) in [
            ("plain", r#""plain""#),
            (r#"say "hi""#, r#"'say "hi"'"#),
            ("it's \"", r#""it's \"""#),
            ("a\\b\n\r\t\0\u{2028}\u{202e}é\u{1f600}", "\"a\\\\b\\n\\r\\t\\x00\\u2028\\u202eé\\U0001f600\""),
        ] {
            assert_eq!(string(text), literal);
        }
        assert_eq!(comment("a\nimport os\r\u{c}\u{85}"), "a\\x0aimport os\\x0d\\x0c\\x85");
    }

    #[test]
    fn docstrings_end_where_they_are_meant_to() {
        assert_eq!(docstring(4, "ends with \""), "    \"\"\"ends with \" \"\"\"\n");
        assert_eq!(docstring(0, "\"\"\"\nimport os"), "\"\"\"'''\nimport os\"\"\"\n");
        assert_eq!(docstring(0, "slash\\"), "\"\"\"slash\\\\\"\"\"\n");
        assert_eq!(docstring(0, " \n "), "");
    }

    #[test]
    fn what_does_not_fit_is_opened() {
        let long = Expr::call("f", vec![Expr::text(&"a".repeat(60)), Expr::text(&"b".repeat(60))]);
        let expected = format!("x = f(\n    \"{}\",\n    \"{}\",\n)\n", "a".repeat(60), "b".repeat(60));
        assert_eq!(assign(0, "x", &long), expected);
        assert_eq!(assign(0, "x", &Expr::call("f", vec![])), "x = f()\n");
    }
}
