//! What `--chmod` takes: an octal number, or a symbolic mode as chmod(1) has it.

/// The largest mode: permission bits, set-user-ID, set-group-ID and sticky bit.
const MAX_MODE: u32 = 0o7777;

/// Tells whether the text is a mode: `0755`, `u=rwX,go=rX`, `+x`, `g=u`.
pub(super) fn is_valid(text: &str) -> bool {
    if let Ok(number) = u32::from_str_radix(text, 8) {
        return number <= MAX_MODE && !text.starts_with('+');
    }
    !text.is_empty() && text.split(',').all(is_clause)
}

/// Tells whether the text is `[ugoa…]` and then one or more of an operator with what it does.
fn is_clause(text: &str) -> bool {
    let actions = text.trim_start_matches(['u', 'g', 'o', 'a']);
    let mut actions = actions.split_inclusive(OPERATORS);
    // Before the first operator there is nothing but the operator.
    let Some(first) = actions.next() else {
        return false;
    };
    first.len() == 1 && first.ends_with(OPERATORS) && actions.all(is_action)
}

const OPERATORS: [char; 3] = ['+', '-', '='];

/// Tells whether the text, up to the next operator, is permissions or the class whose are copied.
fn is_action(text: &str) -> bool {
    let what = text.strip_suffix(OPERATORS).unwrap_or(text);
    matches!(what, "u" | "g" | "o") || what.chars().all(|permission| "rwxXst".contains(permission))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes_are_octal_or_symbolic() {
        for (text, expected) in [
            ("755", true),
            ("0644", true),
            ("07777", true),
            ("10000", false),
            ("64a", false),
            ("+755", false),
            ("-1", false),
            ("u=rwX,go=rX", true),
            ("+x", true),
            ("g=u", true),
            ("a=", true),
            ("u+r-w", true),
            ("ug=rw,o-rwx", true),
            ("u", false),
            ("u=q", false),
            ("u=rw,", false),
            ("g=ux", false),
            ("", false),
        ] {
            assert_eq!(is_valid(text), expected, "{text}");
        }
    }
}
