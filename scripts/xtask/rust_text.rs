//! As much of Rust's grammar as the checks need: what is code, what is comment, what is test.

/// Tells whether a file holds tests alone.
pub(crate) fn is_test_file(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path);
    name == "tests.rs" || name.ends_with("_tests.rs") || path.split('/').any(|part| part == "tests")
}

/// Returns the text up to the module of tests that ends a file.
pub(crate) fn without_tests(text: &str) -> &str {
    text.split_once("\n#[cfg(test)]\nmod ")
        .map_or(text, |(product, _)| product)
}

/// Returns the `//!` documentation of a file, with links to items as plain names. An attribute of the whole
/// file may stand above it.
pub(crate) fn module_documentation(text: &str) -> String {
    let lines = text.lines().skip_while(|line| line.starts_with("#!["));
    let lines = lines.map_while(|line| line.strip_prefix("//!"));
    let lines: Vec<_> = lines
        .map(|line| line.strip_prefix(' ').unwrap_or(line))
        .collect();
    lines.join("\n").replace("[`", "`").replace("`]", "`")
}

/// Tells whether a word stands in a text, not as a part of a longer word.
pub(crate) fn has_word(text: &str, word: &str) -> bool {
    text.split(|c: char| !(c.is_alphanumeric() || c == '_'))
        .any(|found| found == word)
}

/// Returns the text with comments and literals blanked, each line in its place.
pub(crate) fn code_only(text: &str) -> String {
    let mut code = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let opaque = opaque_length(rest);
        let (token, tail) = rest.split_at(opaque.unwrap_or(first.len_utf8()));
        if opaque.is_some() {
            code.extend(token.chars().map(|c| if c == '\n' { c } else { ' ' }));
        } else {
            code.push_str(token);
        }
        rest = tail;
    }
    code
}

/// Returns the length of the comment or literal that a text begins with.
fn opaque_length(rest: &str) -> Option<usize> {
    line_comment(rest)
        .or_else(|| block_comment(rest))
        .or_else(|| raw_string(rest))
        .or_else(|| string(rest))
        .or_else(|| character(rest))
}

fn line_comment(rest: &str) -> Option<usize> {
    rest.starts_with("//")
        .then(|| rest.find('\n').unwrap_or(rest.len()))
}

/// Block comments nest in Rust.
fn block_comment(rest: &str) -> Option<usize> {
    if !rest.starts_with("/*") {
        return None;
    }
    let mut depth = 0_usize;
    let mut tail = rest;
    while !tail.is_empty() {
        let step = if tail.starts_with("/*") {
            depth += 1;
            2
        } else if tail.starts_with("*/") {
            depth -= 1;
            2
        } else {
            tail.chars().next().map_or(1, char::len_utf8)
        };
        tail = tail.split_at(step).1;
        if depth == 0 {
            break;
        }
    }
    Some(rest.len() - tail.len())
}

fn raw_string(rest: &str) -> Option<usize> {
    let prefix = ["r", "br", "cr"]
        .into_iter()
        .find_map(|prefix| rest.strip_prefix(prefix))?;
    let body = prefix.trim_start_matches('#');
    let hashes = prefix.len() - body.len();
    let body = body.strip_prefix('"')?;
    let end = format!("\"{}", "#".repeat(hashes));
    let length = body.find(&end).map_or(body.len(), |at| at + end.len());
    Some(rest.len() - body.len() + length)
}

fn string(rest: &str) -> Option<usize> {
    let body = rest.strip_prefix('"')?;
    let mut escaped = false;
    for (at, c) in body.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return Some(1 + at + 1),
            _ => {}
        }
    }
    Some(rest.len())
}

/// A quote that no second one follows begins a lifetime.
fn character(rest: &str) -> Option<usize> {
    let body = rest.strip_prefix('\'')?;
    let mut chars = body.char_indices();
    let (_, first) = chars.next()?;
    if first == '\\' {
        let (at, _) = chars.skip(1).find(|(_, c)| *c == '\'')?;
        return Some(1 + at + 1);
    }
    match chars.next()? {
        (at, '\'') => Some(1 + at + 1),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_literals_are_blanked_and_lines_stay() {
        let cases = [
            ("a // b\nc", "a     \nc"),
            ("a /* b /* c */ d */ e", "a                   e"),
            (r#"f("x \" y", z)"#, "f(        , z)"),
            ("r#\"a \" b\"# c", "           c"),
            (r"'x' '\'' &'a str", r"         &'a str"),
            ("r#type b'x'", "r#type b   "),
            ("\"one\ntwo\" x", "    \n     x"),
        ];
        for (text, code) in cases {
            assert_eq!(code_only(text), code, "{text}");
        }
    }

    #[test]
    fn documentation_is_read_below_attributes() {
        let text = "#![expect(x)]\n//! One [`Two`].\n//!\n//! Three.\n\nuse a;\n//! Four.\n";
        assert_eq!(module_documentation(text), "One `Two`.\n\nThree.");
        assert_eq!(module_documentation("use a;\n"), "");
    }

    #[test]
    fn a_word_is_not_part_of_a_longer_one() {
        assert!(has_word("let unsafe = 1", "unsafe"));
        assert!(!has_word("forbid(unsafe_code)", "unsafe"));
    }

    #[test]
    fn the_module_of_tests_is_cut_off() {
        assert_eq!(without_tests("a\n\n#[cfg(test)]\nmod tests {\n}\n"), "a\n");
        assert_eq!(
            without_tests("a\n#[cfg(test)]\nfn b() {}\n"),
            "a\n#[cfg(test)]\nfn b() {}\n"
        );
    }

    #[test]
    fn files_of_tests_are_known_by_their_place() {
        for path in [
            "src/oci/digest/tests.rs",
            "runtime/tests/sandbox.rs",
            "src/a/list_tests.rs",
        ] {
            assert!(is_test_file(path), "{path}");
        }
        for path in ["src/oci/digest.rs", "src/oci/contests.rs"] {
            assert!(!is_test_file(path), "{path}");
        }
    }
}
