//! What files of credentials call a registry, or a part of one.

use crate::config::address::credentials_name;

/// Returns a key as `host[:port][/path]`. Hub has one name; a URL names its host alone, as docker reads it, and so
/// does a host with the version of an API behind it.
pub(crate) fn normal(key: &str) -> String {
    let (is_url, rest) = match key.split_once("://") {
        Some((_, rest)) => (true, rest),
        None => (false, key),
    };
    let rest = rest.trim_end_matches('/');
    let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
    let host = credentials_name(host);
    if is_url || matches!(path, "" | "v1" | "v2") {
        host.to_owned()
    } else {
        format!("{host}/{path}")
    }
}

/// Returns what credentials for a repository may stand under, from the most special to the most general
/// (containers-auth.json(5)).
pub(crate) fn candidates(server: &str, repository: &str) -> Vec<String> {
    let mut path = repository;
    let mut candidates = Vec::new();
    while !path.is_empty() {
        candidates.push(format!("{server}/{path}"));
        path = path.rsplit_once('/').map_or("", |(above, _)| above);
    }
    candidates.push(server.to_owned());
    candidates
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_have_one_form() {
        let cases = [
            ("r.example", "r.example"),
            ("r.example:5000", "r.example:5000"),
            ("https://r.example:5000/", "r.example:5000"),
            ("http://r.example/v1/", "r.example"),
            ("https://r.example/team", "r.example"),
            ("r.example/v2/", "r.example"),
            ("r.example/team/app", "r.example/team/app"),
            ("https://index.docker.io/v1/", "docker.io"),
            ("index.docker.io", "docker.io"),
            ("registry-1.docker.io", "docker.io"),
            ("docker.io", "docker.io"),
            ("docker.io/library/busybox", "docker.io/library/busybox"),
        ];
        for (key, expected) in cases {
            assert_eq!(normal(key), expected, "{key}");
        }
    }

    #[test]
    fn the_most_special_key_is_looked_for_first() {
        assert_eq!(
            candidates("r.example", "a/b"),
            ["r.example/a/b", "r.example/a", "r.example"]
        );
        assert_eq!(candidates("r.example", ""), ["r.example"]);
    }
}
