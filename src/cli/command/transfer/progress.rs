//! What becomes of each blob, a line each, on standard error.

use std::io::{self, Write as _};

use oci::{Descriptor, MediaType};
use transport::{CopyProgress, Transferred};

/// How many digits of a digest are shown, as by docker.
const SHOWN_DIGITS: usize = 12;

/// What is said of a blob.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::command) enum Words {
    /// As `docker pull` says it.
    Pull,
    /// As `docker push` says it.
    Push,
    /// Of any two places.
    Copy,
    /// Nothing.
    None,
}

/// Writes the lines.
#[derive(Debug)]
pub(in crate::command) struct Lines {
    words: Words,
    /// The repository that the source is, from which a registry takes blobs itself.
    from: Option<String>,
}

impl Lines {
    /// Chooses the words.
    pub(in crate::command) fn new(words: Words) -> Self {
        Self { words, from: None }
    }

    /// Says where a registry takes blobs from.
    #[must_use]
    pub(in crate::command) fn mounted_from(mut self, from: Option<String>) -> Self {
        self.from = from;
        self
    }

    fn word(&self, how: Transferred) -> String {
        let mounted = || match &self.from {
            Some(from) => format!("Mounted from {from}"),
            None => "Mounted".to_owned(),
        };
        let word = match (self.words, how) {
            (Words::Pull, Transferred::Copied) => "Pull complete",
            (Words::Pull, Transferred::Present) => "Already exists",
            (Words::Push, Transferred::Copied) => "Pushed",
            (Words::Push, Transferred::Present) => "Layer already exists",
            (Words::Copy | Words::None, Transferred::Copied) => "Copied",
            (Words::Copy | Words::None, Transferred::Present) => "Already exists",
            (_, Transferred::Mounted) => return mounted(),
        };
        word.to_owned()
    }

    fn line(&self, blob: &Descriptor, word: &str) {
        if self.words == Words::None || is_config(blob) {
            return;
        }
        let digits = blob.digest().digest();
        let short: String = digits.chars().take(SHOWN_DIGITS).collect();
        note(&format!("{short}: {word}"));
    }
}

/// Writes a line to standard error.
pub(in crate::command) fn note(line: &str) {
    // Standard error is gone; there is nobody to tell.
    drop(writeln!(io::stderr(), "{line}"));
}

/// Tells whether a blob is a configuration, of which docker says nothing.
fn is_config(blob: &Descriptor) -> bool {
    MediaType::parse(blob.media_type().as_ref()).is_config()
}

impl CopyProgress for Lines {
    fn started(&self, _blob: &Descriptor) {}

    fn finished(&self, blob: &Descriptor, how: Transferred) {
        self.line(blob, &self.word(how));
    }

    fn passed_over(&self, blob: &Descriptor) {
        self.line(blob, "Skipped foreign layer");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_command_has_its_own_words() {
        for (words, how, expected) in [
            (Words::Pull, Transferred::Copied, "Pull complete"),
            (Words::Pull, Transferred::Present, "Already exists"),
            (Words::Push, Transferred::Copied, "Pushed"),
            (Words::Push, Transferred::Present, "Layer already exists"),
            (Words::Push, Transferred::Mounted, "Mounted"),
            (Words::Copy, Transferred::Copied, "Copied"),
        ] {
            assert_eq!(Lines::new(words).word(how), expected);
        }
        let lines = Lines::new(Words::Copy).mounted_from(Some("library/app".to_owned()));
        assert_eq!(lines.word(Transferred::Mounted), "Mounted from library/app");
    }
}
