//! Wildcards in the path of a source, as text (Go's `path/filepath.Match`).

use graph::CopySource;

/// Takes the escapes out of a path that has no wildcard.
pub(super) fn unescaped(path: &str) -> String {
    let mut text = String::with_capacity(path.len());
    let mut chars = path.chars();
    while let Some(c) = chars.next() {
        let c = if c == '\\' {
            chars.next().unwrap_or(c)
        } else {
            c
        };
        text.push(c);
    }
    text
}

/// Splits a path before its first component with a wildcard. `..` counts from the root.
pub(super) fn split(path: &str) -> (String, String) {
    let components: Vec<_> = path
        .split('/')
        .filter(|part| !matches!(*part, "" | "."))
        .collect();
    let first = components
        .iter()
        .position(|part| CopySource::is_wildcard(part));
    let (prefix, rest) = components.split_at(first.unwrap_or(components.len()));
    (prefix.join("/"), rest.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_split_before_its_first_wildcard() {
        for (path, prefix, rest) in [
            ("a/b*/c", "a", "b*/c"),
            ("*.txt", "", "*.txt"),
            ("./a//b/x?", "a/b", "x?"),
            ("/a/[b]", "a", "[b]"),
        ] {
            assert_eq!(split(path), (prefix.to_owned(), rest.to_owned()), "{path}");
        }
    }
}
