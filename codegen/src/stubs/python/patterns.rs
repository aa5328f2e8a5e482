//! ECMA's regular expressions, as the engines that Python's side has understand them.

/// What looks for a pattern.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Engine {
    /// pydantic's own, which takes linear time; it is the one that Rust has.
    Linear(String),
    /// Python's `re`, for what looks around.
    Backtracking(String),
}

/// None for what neither understands, or would understand otherwise.
pub(super) fn engine(pattern: &str) -> Option<Engine> {
    if let Ok(rust) = jsonschema_regex::to_rust_regex(pattern)
        && regex::Regex::new(&rust).is_ok()
    {
        return Some(Engine::Linear(rust.into_owned()));
    }
    python(pattern).map(Engine::Backtracking)
}

/// For `re` with `re.ASCII`, where it means the same.
fn python(pattern: &str) -> Option<String> {
    const ESCAPES: &str = "dDwWbBnrtfv\\/.*+?()[]{}|^$-";
    // What ECMA calls white space.
    const SPACE: &str = "\\t\\n\\v\\f\\r \\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000\\ufeff";
    let mut text = String::with_capacity(pattern.len());
    let mut characters = pattern.chars().peekable();
    let (mut in_class, mut after_quantifier) = (false, false);
    let mut groups = 0_usize;
    while let Some(c) = characters.next() {
        let quantifier = !in_class && matches!(c, '*' | '+' | '?' | '}');
        match c {
            '(' if !in_class => groups += 1,
            ')' if !in_class => groups = groups.checked_sub(1)?,
            _ => {}
        }
        match c {
            '\\' if characters.next_if_eq(&'s').is_some() => {
                text.extend(if in_class { ["", SPACE, ""] } else { ["[", SPACE, "]"] });
            }
            '\\' if !in_class && characters.next_if_eq(&'S').is_some() => text.extend(["[^", SPACE, "]"]),
            '\\' => {
                let escaped = characters.next().filter(|c| ESCAPES.contains(*c))?;
                if escaped != '/' {
                    text.push('\\');
                }
                text.push(escaped);
            }
            '[' if in_class => text.push_str("\\["),
            '[' => {
                in_class = true;
                text.push('[');
                if characters.next_if_eq(&'^').is_some() {
                    text.push('^');
                }
                // `[]` is empty in ECMA's, and not closed in Python's.
                if characters.peek() == Some(&']') {
                    return None;
                }
            }
            ']' if in_class => {
                in_class = false;
                text.push(']');
            }
            '$' if !in_class => text.push_str("\\Z"),
            // Only a newline ends a line in Python.
            '.' if !in_class => text.push_str("[^\\n\\r\\u2028\\u2029]"),
            '(' if !in_class && characters.next_if_eq(&'?').is_some() => match characters.next()? {
                kind @ (':' | '=' | '!') => {
                    text.push_str("(?");
                    text.push(kind);
                }
                // Look-behind must have a fixed width in Python; names are written otherwise.
                _ => return None,
            },
            // `x++` and `x?+` mean something else in Python, or nothing in its older versions.
            '+' if after_quantifier => return None,
            '{' if !in_class && !characters.peek().is_some_and(char::is_ascii_digit) => return None,
            c => text.push(c),
        }
        after_quantifier = quantifier && !(c == '?' && after_quantifier);
    }
    (!in_class && groups == 0).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_linear_engine_comes_first() {
        assert_eq!(engine("^[A-Z]{2}-\\d{3}$"), Some(Engine::Linear("^[A-Z]{2}-[0-9]{3}$".to_owned())));
        assert_eq!(engine("^(?!a).$"), Some(Engine::Backtracking("^(?!a)[^\\n\\r\\u2028\\u2029]\\Z".to_owned())));
        for refused in ["(?<=a+)b", "(?<name>a)(?=b)", "(?=a)[]", "(?=a)b++", "(?=a){,3}", "(a)\\1", "(?=\\p{L})", "("]
        {
            assert_eq!(engine(refused), None, "{refused}");
        }
    }
}
