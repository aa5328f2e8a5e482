//! URLs as they may be shown: what connects to a broker or a registry holds a password, what is printed never does.

/// `url` with its password, and every query parameter that names one, replaced by `***`.
///
/// Takes any text: what is no URL is often one with a typing error, with a password inside. Where it is unclear what
/// belongs to the password, all of it does.
pub(crate) fn redact_url(url: &str) -> String {
    let is_scheme = |text: &str| text.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c));
    let (scheme, rest) = match url.split_once("://") {
        Some((scheme, rest)) if is_scheme(scheme) => (format!("{scheme}://"), rest),
        _ => (String::new(), url),
    };
    // An `@` may stand in a password of the query as well; nothing tells the two cases apart.
    if let Some((before, _)) = rest.rsplit_once('@')
        && before.split(['?', '&']).skip(1).any(is_secret)
    {
        return format!("{scheme}***");
    }
    // The last `@`, not the first: an unescaped one is part of the password.
    let (user, rest) = match rest.rsplit_once('@') {
        Some((credentials, rest)) => match credentials.split_once(':') {
            Some((user, _)) => (format!("{user}:***@"), rest),
            None => (format!("{credentials}@"), rest),
        },
        None => (String::new(), rest),
    };
    let rest = match rest.split_once('?') {
        Some((path, query)) => {
            let parameters: Vec<String> = query.split('&').map(redact_parameter).collect();
            format!("{path}?{}", parameters.join("&"))
        }
        None => rest.to_owned(),
    };
    format!("{scheme}{user}{rest}")
}

/// How a URL that is shown begins a sentence: nothing leaves no hole.
pub(crate) fn named(shown: &str) -> &str {
    if shown.trim().is_empty() { "an empty text (of a variable that is not set?)" } else { shown }
}

fn redact_parameter(parameter: &str) -> String {
    match parameter.split_once('=') {
        Some((name, _)) if is_secret(parameter) => format!("{name}=***"),
        _ => parameter.to_owned(),
    }
}

fn is_secret(parameter: &str) -> bool {
    let name = parameter.split_once('=').map(|(name, _)| name.to_ascii_lowercase());
    name.is_some_and(|name| ["pass", "secret", "token"].iter().any(|word| name.contains(word)))
}

#[cfg(test)]
mod tests {
    use super::redact_url;

    #[test]
    fn passwords_are_gone_and_the_rest_is_as_it_was() {
        for (url, shown) in [
            ("postgres://ann:s3cret@db:5432/app", "postgres://ann:***@db:5432/app"),
            ("amqp://ann:s3@cr:et@mq/%2f", "amqp://ann:***@mq/%2f"),
            ("amqp://ann:s3/cret@mq/v", "amqp://ann:***@mq/v"),
            ("postgres://db/app?user=ann&password=s3cret&x=1", "postgres://db/app?user=ann&password=***&x=1"),
            ("postgres://ann@db/app?options=-csearch_path%3Da", "postgres://ann@db/app?options=-csearch_path%3Da"),
            ("ann:s3cret@db", "ann:***@db"),
            ("ann:s3://cret@db", "ann:***@db"),
            ("postgres://db:5432/app?user=ann&password=s3@cret&x=1", "postgres://***"),
            ("memory:orders", "memory:orders"),
            ("", ""),
        ] {
            assert_eq!(redact_url(url), shown);
        }
    }
}
