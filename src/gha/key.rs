//! The keys of entries.
//!
//! ```text
//! careen-blob-1-sha256:4f…                a blob
//! careen-index-1-SCOPE-BRANCH#7           the seventh state of the document SCOPE of a branch
//! ```
//!
//! `SCOPE` is the user's (`scope=`), with what would have a meaning in a key encoded. `BRANCH` is the beginning of the
//! digest of the branch's name, since a job reads the entries of several branches and must tell them apart. Beside its
//! key an entry has a *version*, which is another one for each program: so nobody else's entries are ours.

use oci::Digest;

/// How many digits of the digest of a branch's name are in a key.
const BRANCH_DIGITS: usize = 16;

/// What all keys of blobs begin with.
pub(crate) const BLOBS: &str = "careen-blob-1-";

/// Returns the version of our entries: 64 hexadecimal digits, as others have them.
pub(crate) fn version() -> String {
    Digest::of(b"careen cache 1").encoded().to_owned()
}

/// Returns the key of a blob.
pub(crate) fn blob(digest: &Digest) -> String {
    format!("{BLOBS}{digest}")
}

/// Returns what the keys of all states of a document begin with.
pub(crate) fn document(scope: &str, branch: &str) -> String {
    let branch = Digest::of(branch.as_bytes());
    let branch = branch.encoded().get(..BRANCH_DIGITS).unwrap_or_default();
    format!("careen-index-1-{}-{branch}#", encoded(scope))
}

/// Returns the number of the state that a key is of, if it is one of this document.
pub(crate) fn number(document: &str, key: &str) -> Option<u64> {
    let digits = key.strip_prefix(document)?;
    let is_number = digits.bytes().all(|digit| digit.is_ascii_digit());
    is_number.then(|| digits.parse().ok()).flatten()
}

/// Returns a scope as it stands in keys: keys of one are never those of another, and have no comma.
pub(crate) fn encoded(scope: &str) -> String {
    let mut text = String::with_capacity(scope.len());
    for byte in scope.bytes() {
        let is_plain = byte.is_ascii_alphanumeric() || b"-._/:@+".contains(&byte);
        if is_plain {
            text.push(char::from(byte));
        } else {
            text.push('%');
            text.extend([byte >> 4, byte & 15].map(hex_digit));
        }
    }
    text
}

fn hex_digit(value: u8) -> char {
    char::from_digit(u32::from(value), 16).unwrap_or('0')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_a_contract() {
        assert_eq!(
            blob(&Digest::of(b"")),
            "careen-blob-1-sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
        );
        assert_eq!(
            document("buildkit", "refs/heads/main"),
            "careen-index-1-buildkit-f921bd05e68b0374#"
        );
        assert_eq!(
            version(),
            "d19ed8b8f600d609c79ec8ebdb6c6398db7e4ecdb629ddd31d4dc31fba6a7b7a"
        );
    }

    #[test]
    fn a_scope_is_encoded_so_that_no_key_is_another_scopes() {
        for (scope, expected) in [
            ("buildkit", "buildkit"),
            ("build/app:1.0_x", "build/app:1.0_x"),
            ("a,b#1 %", "a%2cb%231%20%25"),
            ("ä\n", "%c3%a4%0a"),
        ] {
            assert_eq!(encoded(scope), expected);
        }
    }

    #[test]
    fn a_number_is_read_from_the_documents_own_keys_alone() {
        for (key, expected) in [
            ("a#1", Some(1)),
            ("a#18446744073709551615", Some(u64::MAX)),
            ("a#18446744073709551616", None),
            ("a#", None),
            ("a#+1", None),
            ("a#1x", None),
            ("ab#1", None),
            ("#1", None),
        ] {
            assert_eq!(number("a#", key), expected, "{key}");
        }
    }
}
