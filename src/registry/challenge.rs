//! What a registry says when it wants to know who we are: the header `WWW-Authenticate` (RFC 9110, section 11.6.1).

use std::collections::BTreeMap;

/// One challenge: a scheme with its parameters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Challenge {
    /// The scheme in lower case.
    pub scheme: String,
    /// The parameters, with their names in lower case.
    pub parameters: BTreeMap<String, String>,
}

impl Challenge {
    /// Returns a parameter.
    pub fn parameter(&self, name: &str) -> Option<&str> {
        self.parameters.get(name).map(String::as_str)
    }
}

/// Reads the challenges of one header; what cannot be understood ends the list.
pub fn challenges(header: &str) -> Vec<Challenge> {
    let mut rest = header;
    let mut found: Vec<Challenge> = Vec::new();
    loop {
        rest = rest.trim_start_matches([' ', '\t', ',']);
        let Some((word, after)) = token(rest) else {
            return found;
        };
        if let Some((value, after)) = value(after) {
            let Some(last) = found.last_mut() else {
                return found;
            };
            last.parameters.insert(word.to_ascii_lowercase(), value);
            rest = after;
        } else {
            found.push(Challenge {
                scheme: word.to_ascii_lowercase(),
                parameters: BTreeMap::new(),
            });
            rest = after;
        }
    }
}

/// Splits a token off (RFC 9110, section 5.6.2).
fn token(text: &str) -> Option<(&str, &str)> {
    let is_token = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
    let end = text.find(|c| !is_token(c)).unwrap_or(text.len());
    (end > 0).then(|| text.split_at(end))
}

/// Splits `= value` off, where the value is a token or a text in quotes.
fn value(text: &str) -> Option<(String, &str)> {
    let text = text.trim_start().strip_prefix('=')?.trim_start();
    let Some(quoted) = text.strip_prefix('"') else {
        let (word, rest) = token(text)?;
        return Some((word.to_owned(), rest));
    };
    let mut value = String::new();
    let mut characters = quoted.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return Some((value, quoted.get(at + 1..).unwrap_or_default())),
            '\\' => value.extend(characters.next().map(|(_, escaped)| escaped)),
            other => value.push(other),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(header: &str) -> Vec<String> {
        let one = |challenge: Challenge| {
            let parameters = challenge.parameters.into_iter();
            let parameters: Vec<_> = parameters
                .map(|(name, value)| format!("{name}={value}"))
                .collect();
            format!("{} {}", challenge.scheme, parameters.join("|"))
        };
        challenges(header).into_iter().map(one).collect()
    }

    #[test]
    fn challenges_are_read_with_their_parameters() {
        for (header, expected) in [
            (
                r#"Bearer realm="https://a/token",service="r",scope="repository:x:pull,push""#,
                vec!["bearer realm=https://a/token|scope=repository:x:pull,push|service=r"],
            ),
            (r#"Basic realm="a \"b\"""#, vec![r#"basic realm=a "b""#]),
            (
                r#"Negotiate, Basic realm=x , BEARER Realm = "y", error="invalid_token""#,
                vec![
                    "negotiate ",
                    "basic realm=x",
                    "bearer error=invalid_token|realm=y",
                ],
            ),
            (r#"Bearer realm="open"#, vec!["bearer ", "realm "]),
            ("", vec![]),
            ("=x", vec![]),
            ("a=b", vec![]),
        ] {
            assert_eq!(shown(header), expected, "{header}");
        }
    }
}
