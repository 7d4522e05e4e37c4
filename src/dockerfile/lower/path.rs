//! Paths in an image, by their text alone: no file is looked at.

/// Returns an absolute path without `.`, `..`, and doubled or trailing slashes. What would lead above the
/// root leads to the root.
pub(super) fn clean(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            name => parts.push(name),
        }
    }
    format!("/{}", parts.join("/"))
}

/// Returns the working directory that `path` leads to from `current`, as the configuration has it: an
/// absolute path stays as it is written, as in `BuildKit`; nothing leads nowhere else.
pub(super) fn working_directory(current: &str, path: &str) -> String {
    match path {
        "" => current.to_owned(),
        path if path.starts_with('/') => path.to_owned(),
        path => clean(&format!("{current}/{path}")),
    }
}

/// Returns the absolute destination of a copy. A trailing slash says that it is a directory; so do `.`
/// and nothing at all, which mean `current`.
pub(super) fn destination(current: &str, path: &str) -> String {
    let is_directory = matches!(path, "" | ".") || path.ends_with('/') || path.ends_with("/.");
    let full = if path.starts_with('/') {
        clean(path)
    } else {
        clean(&format!("{current}/{path}"))
    };
    if is_directory && full != "/" {
        format!("{full}/")
    } else {
        full
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clean_path_stays_below_the_root() {
        for (path, expected) in [
            ("", "/"),
            ("/", "/"),
            ("a//b/./c/", "/a/b/c"),
            ("/../../etc", "/etc"),
            ("/a/../..", "/"),
            ("/a*/[.]/x", "/a*/[.]/x"),
        ] {
            assert_eq!(clean(path), expected, "{path}");
        }
    }

    #[test]
    fn a_relative_working_directory_is_below_the_current_one() {
        for (current, path, expected) in [
            ("/", "a", "/a"),
            ("/a", "b/../c/", "/a/c"),
            ("/a", "/b/", "/b/"),
            ("/a", "", "/a"),
            ("/a/", "..", "/"),
        ] {
            assert_eq!(
                working_directory(current, path),
                expected,
                "{current} {path}"
            );
        }
    }

    #[test]
    fn a_destination_keeps_the_mark_of_a_directory() {
        for (current, path, expected) in [
            ("/", ".", "/"),
            ("/app", ".", "/app/"),
            ("/app", "", "/app/"),
            ("/app", "./", "/app/"),
            ("/app", "x", "/app/x"),
            ("/app", "x/", "/app/x/"),
            ("/app", "x/.", "/app/x/"),
            ("/app", "/x", "/x"),
            ("/app", "/", "/"),
            ("/app", "..", "/"),
        ] {
            assert_eq!(destination(current, path), expected, "{current} {path}");
        }
    }
}
