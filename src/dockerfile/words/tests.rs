use super::*;
use crate::limits::{MAX_EXPANDED_BYTES, MAX_EXPANSION_DEPTH};

fn lookup(name: &str) -> Option<String> {
    let value = match name {
        "a" => "one two",
        "empty" => "",
        "path" => "/usr/local/bin",
        "long" => return Some("x".repeat(MAX_EXPANDED_BYTES / 2 + 1)),
        _ => return None,
    };
    Some(value.to_owned())
}

fn expanded(word: &str) -> Result<String, String> {
    let result = expand_word(word, &lookup, Escape::Backslash);
    result
        .map(|expanded| expanded.value)
        .map_err(|error| error.to_string())
}

#[test]
fn every_form_of_substitution_has_its_value() {
    for (word, value) in [
        ("$a", "one two"),
        ("${a}!", "one two!"),
        ("${none:-x}${empty:-y}${empty-z}", "xy"),
        ("${none:+x}${empty:+y}${a:+z}${empty+w}", "zw"),
        ("${a:?no}${empty?no}", "one two"),
        ("${path#*/}", "usr/local/bin"),
        ("${path##*/}", "bin"),
        ("${path%/*}", "/usr/local"),
        ("${path%%/*}", ""),
        ("${path/\\//:}", ":usr/local/bin"),
        ("${path//\\//:}", ":usr:local:bin"),
        ("${none#x}${none/x/y}", ""),
        ("$", "$"),
        ("a$'b'", "a$b"),
        ("'$a'\"$a\"\\$a", "$aone two$a"),
        ("\"a\\b\\\"\\$\"", "a\\b\"$"),
    ] {
        assert_eq!(expanded(word).as_deref(), Ok(value), "{word}");
    }
}

#[test]
fn the_escape_character_may_be_a_back_quote() {
    let result = expand_word("C:\\x`$a", &lookup, Escape::Backtick).unwrap();
    assert_eq!(result.value, "C:\\x$a");
}

#[test]
fn bodies_keep_their_quotes() {
    let result = expand_text("'$a' \"$none\" \\$a", &lookup).unwrap();
    assert_eq!(result.value, "'one two' \"\" $a");
    assert_eq!(result.unset.into_iter().collect::<Vec<_>>(), ["none"]);
}

#[test]
fn values_are_split_into_words_unless_quoted() {
    let words = |word| expand_word(word, &lookup, Escape::Backslash).unwrap().words;
    assert_eq!(words("x$a y"), ["xone", "two", "y"]);
    assert_eq!(words("x\"$a\" y"), ["xone two", "y"]);
    assert!(words("$empty \"\"").is_empty());
}

#[test]
fn messages_say_what_is_wrong() {
    for (word, message) in [
        ("'a", "the single quote is not closed"),
        ("\"a", "the double quote is not closed"),
        ("${a", "`${` has no closing `}`"),
        ("${a:-b", "`${` has no closing `}`"),
        ("${a/b}", "`${name/pattern/replacement}` has no second `/`"),
        ("${}", "bad substitution: `${` needs the name of a variable"),
        ("${a:=b}", "unsupported modifier `:=` in a substitution"),
        ("${a^}", "unsupported modifier `^` in a substitution"),
        ("${a#\\x}", "invalid escape `\\x` in the pattern `\\x`"),
        ("${none:?set it}", "none: set it"),
        ("${none?}", "none: is not allowed to be unset"),
        ("${empty:?}", "empty: is not allowed to be empty"),
    ] {
        assert_eq!(expanded(word), Err(message.to_owned()), "{word}");
    }
}

#[test]
fn errors_know_where_they_stand() {
    for (word, offset) in [("ab${x", 2), ("a'b", 1), ("a${b:-${c", 6), ("ö${", 2)] {
        let error = expand_word(word, &lookup, Escape::Backslash).unwrap_err();
        assert_eq!(error.offset(), offset, "{word}");
    }
}

#[test]
fn nesting_is_bounded() {
    let nested = |depth: usize| "${n:-".repeat(depth) + &"}".repeat(depth);
    assert_eq!(expanded(&nested(MAX_EXPANSION_DEPTH)), Ok(String::new()));
    let message = Err("substitutions are nested deeper than 100".to_owned());
    assert_eq!(expanded(&nested(MAX_EXPANSION_DEPTH + 1)), message);
    assert_eq!(expanded(&"${n:-".repeat(100_000)), message);
}

#[test]
fn results_are_bounded() {
    let message = Err(format!(
        "the expanded text is longer than {MAX_EXPANDED_BYTES} bytes"
    ));
    assert_eq!(expanded("$long$long"), message);
    assert_eq!(expanded("${long//x/xx}"), message);
    let pattern = "?".repeat(1000);
    let message = Err("the pattern and the value are too long to be compared".to_owned());
    assert_eq!(expanded(&format!("${{long#{pattern}}}")), message);
}
