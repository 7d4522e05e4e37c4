//! Wildcards of policies: `*` is any text, and what it stood for can be said again.

/// A text with `*` in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Wildcard {
    /// The texts before, between and behind the wildcards.
    literals: Vec<String>,
}

impl Wildcard {
    /// Reads a wildcard; `None` where two `*` stand side by side, which means nothing.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let literals = text.split('*').map(str::to_owned).collect();
        (!text.contains("**")).then_some(Self { literals })
    }

    /// Returns what each `*` stands for, if all of the text fits. The first takes as much as it can, then the second.
    pub(super) fn fit<'a>(&self, text: &'a str) -> Option<Vec<&'a str>> {
        let (first, others) = self.literals.split_first()?;
        let mut rest = text.strip_prefix(first.as_str())?;
        let Some((last, middle)) = others.split_last() else {
            return rest.is_empty().then(Vec::new);
        };
        rest = rest.strip_suffix(last.as_str())?;
        let mut parts = Vec::new();
        // Each as far to the right as there is room for those behind it.
        for literal in middle.iter().rev() {
            let (before, part) = rest.rsplit_once(literal.as_str())?;
            parts.push(part);
            rest = before;
        }
        parts.push(rest);
        parts.reverse();
        Some(parts)
    }
}

/// Puts parts into a template, as Go's `regexp.Expand` does: `$1` and `${1}` are the first part, `$0` is the whole text,
/// `$$` is a dollar sign. A name that is none is empty.
pub(super) fn expand(template: &str, whole: &str, parts: &[&str]) -> String {
    let mut expanded = String::new();
    let mut rest = template;
    while let Some((before, behind)) = rest.split_once('$') {
        expanded.push_str(before);
        let (value, left) = variable(behind, whole, parts);
        expanded.push_str(value);
        rest = left;
    }
    expanded + rest
}

/// Returns the value of the variable that a text behind `$` starts with, and the text behind it.
fn variable<'a>(behind: &'a str, whole: &'a str, parts: &[&'a str]) -> (&'a str, &'a str) {
    if let Some(left) = behind.strip_prefix('$') {
        return ("$", left);
    }
    let is_name = |character: char| character == '_' || character.is_alphanumeric();
    let (name, left) = match behind.strip_prefix('{').map(|inner| inner.split_once('}')) {
        Some(Some((name, left))) => (name, left),
        Some(None) => return ("$", behind),
        None => {
            let end = behind.find(|character| !is_name(character));
            behind.split_at(end.unwrap_or(behind.len()))
        }
    };
    if name.is_empty() || !name.chars().all(is_name) {
        return ("$", behind);
    }
    let value = match name.parse::<usize>() {
        Ok(0) => whole,
        Ok(number) => parts.get(number - 1).copied().unwrap_or_default(),
        Err(_) => "",
    };
    (value, left)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wildcard_fits_whole_texts_and_says_what_it_stands_for() {
        for (pattern, text, expected) in [
            ("a", "a", Some(vec![])),
            ("a", "ab", None),
            ("*", "", Some(vec![""])),
            ("*", "a/b", Some(vec!["a/b"])),
            ("x://*", "x://a", Some(vec!["a"])),
            ("x://*", "y://a", None),
            ("a*b*c", "a1b2c", Some(vec!["1", "2"])),
            ("a*b*c", "abbc", Some(vec!["b", ""])),
            ("a*a", "a", None),
            ("*/*:*", "h/r/x:1", Some(vec!["h/r", "x", "1"])),
        ] {
            let wildcard = Wildcard::parse(pattern).unwrap();
            assert_eq!(wildcard.fit(text), expected, "{pattern} {text}");
        }
        assert_eq!(Wildcard::parse("a**"), None);
    }

    #[test]
    fn a_template_is_expanded_as_go_does() {
        for (template, expected) in [
            ("r/x:${1}-alpine", "r/x:one-alpine"),
            ("$1$2", "onetwo"),
            ("$1x", ""),
            ("$0!", "whole!"),
            ("${3}$name.", "."),
            ("$$1 $ ${ ${}", "$1 $ ${ ${}"),
        ] {
            assert_eq!(
                expand(template, "whole", &["one", "two"]),
                expected,
                "{template}"
            );
        }
    }
}
