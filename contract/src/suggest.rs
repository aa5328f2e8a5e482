//! "Did you mean ...?": the name closest to a misspelt one.

/// The candidate nearest to `name`, when it is near enough to be what was meant.
pub(crate) fn similar<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let limit = (name.chars().count() / 3).clamp(1, 4);
    candidates
        .into_iter()
        .filter(|candidate| candidate.len().abs_diff(name.len()) <= 8 && candidate.len() < 128)
        .map(|candidate| (distance(name, candidate), candidate))
        .filter(|(distance, _)| *distance <= limit)
        .min_by_key(|(distance, candidate)| (*distance, *candidate))
        .map(|(_, candidate)| candidate)
}

/// Up to `most` names in backquotes, and how many are left out.
pub(crate) fn listed<'a>(names: impl IntoIterator<Item = &'a str>, most: usize) -> String {
    let names: Vec<&str> = names.into_iter().collect();
    let mut out: Vec<String> = names.iter().take(most).map(|name| format!("`{name}`")).collect();
    if names.len() > most {
        out.push(format!("and {} more", names.len() - most));
    }
    out.join(", ")
}

/// How many characters must be changed, added, removed or swapped with their neighbour, capitals aside.
fn distance(a: &str, b: &str) -> usize {
    let fold = |text: &str| text.chars().take(128).flat_map(char::to_lowercase).collect::<Vec<_>>();
    let (a, b) = (fold(a), fold(b));
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for i in 1..=a.len() {
        let mut row = vec![i];
        for j in 1..=b.len() {
            let change = usize::from(a[i - 1] != b[j - 1]);
            let mut best = (last[j] + 1).min(row[j - 1] + 1).min(last[j - 1] + change);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                best = best.min(before[j - 2] + 1);
            }
            row.push(best);
        }
        before = std::mem::replace(&mut last, row);
    }
    last[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_names_are_found_and_far_ones_are_not() {
        let types = ["array", "boolean", "integer", "null", "number", "object", "string"];
        for (typo, meant) in [("strin", "string"), ("sting", "string"), ("Integer", "integer"), ("nubmer", "number")] {
            assert_eq!(similar(typo, types), Some(meant));
        }
        assert_eq!(similar("date", types), None);
        assert_eq!(similar("", types), None);
        assert_eq!(listed(["a", "b", "c"], 2), "`a`, `b`, and 1 more");
    }
}
