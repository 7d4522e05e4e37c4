//! `SecretsUsedInArgOrEnv`: variables that are called like secrets.

use crate::ast::Word;
use crate::check::{Rule, Site};
use crate::lower::go_quoted;

/// The words that a secret has in its name.
const SECRET: [&str; 10] = [
    "apikey",
    "auth",
    "credential",
    "credentials",
    "key",
    "password",
    "pword",
    "passwd",
    "secret",
    "token",
];

/// The words that say that it is none after all.
const HARMLESS: [&str; 3] = ["public", "file", "version"];

/// Finds a variable with the name of a secret. `instruction` is `ARG` or `ENV`; the name is `name`, which stands in
/// `word`.
pub(crate) fn secret(instruction: &str, name: &str, word: &Word, at: &mut Site<'_>) {
    if is_secret(name) {
        let name = go_quoted(name);
        let detail =
            format!("Do not use ARG or ENV instructions for sensitive data ({instruction} {name})");
        at.find(Rule::SecretsUsedInArgOrEnv, detail, word.span);
    }
}

/// Tells whether one of the parts between underscores is a secret's, and none a harmless one's.
fn is_secret(name: &str) -> bool {
    let lower = name.to_ascii_lowercase();
    let has = |words: &[&str]| lower.split('_').any(|part| words.contains(&part));
    has(&SECRET) && !has(&HARMLESS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_known_by_a_part_of_their_name() {
        for (name, expected) in [
            ("api_key", true),
            ("DATABASE_PASSWORD", true),
            ("GITHUB_TOKEN", true),
            ("secret_MESSAGE", true),
            ("AUTH", true),
            ("my_TOKEN_value", true),
            ("Credentials", true),
            ("PUBLIC_KEY", false),
            ("KEY_FILE", false),
            ("TOKEN_VERSION", false),
            ("KEYBOARD", false),
            ("monkey", false),
            ("git-token", false),
            ("", false),
        ] {
            assert_eq!(is_secret(name), expected, "{name}");
        }
    }
}
