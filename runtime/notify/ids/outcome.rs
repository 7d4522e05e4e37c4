//! What a call about ids comes to.

use nix::errno::Errno;

use crate::notify::ids::credentials::Credentials;
use crate::sys::notification::Answer;

/// An answer, and what the caller is afterwards.
#[derive(Debug)]
pub(super) struct Outcome {
    pub(super) answer: Answer,
    /// `None` if it is what it was.
    pub(super) becomes: Option<Credentials>,
}

impl Outcome {
    /// The call returns a value and changes nothing.
    pub(super) const fn value(value: i64) -> Self {
        Self {
            answer: Answer::Value(value),
            becomes: None,
        }
    }

    /// The call returns 0 and the caller is another one.
    pub(super) const fn becomes(credentials: Credentials) -> Self {
        Self {
            answer: Answer::DONE,
            becomes: Some(credentials),
        }
    }

    /// The kernel makes the call, and what is asked about changes nothing.
    pub(super) const fn goes_on() -> Self {
        Self {
            answer: Answer::GoesOn,
            becomes: None,
        }
    }

    /// The same with a value: for the two calls that return what was before.
    pub(super) fn returning(self, value: i64) -> Self {
        Self {
            answer: Answer::Value(value),
            ..self
        }
    }
}

/// What comes of a call, or the error that it returns.
pub(super) type Decision = Result<Outcome, Errno>;
