//! Explanations as text for people.
//!
//! ```text
//! [build 2/3] COPY src /src ran again (line 4)
//!   `main.c` changed
//! [build 3/3] RUN make ran again (line 5)
//!   the step below it is another: [build 2/3] COPY src /src
//! ```

use std::fmt;

use solver::{ChangedFile, FileChange};

use super::{Explained, Reason};
use crate::progress::clean;

/// How wide a line is at most, in characters.
const LINE_CHARS: usize = 500;

impl fmt::Display for Explained {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let how = match self.earlier {
            Some(_) => "ran again",
            None => "ran: no earlier build that is known had it",
        };
        write!(f, "{} {how}", clean(&self.step, LINE_CHARS))?;
        if self.line > 0 {
            write!(f, " (line {})", self.line)?;
        }
        writeln!(f)?;
        for line in self.reasons.iter().flat_map(lines) {
            writeln!(f, "  {}", clean(&line, LINE_CHARS))?;
        }
        Ok(())
    }
}

/// Returns what is said of a reason.
fn lines(reason: &Reason) -> Vec<String> {
    let line = match reason {
        Reason::Command { from, to } => format!("its command was `{from}` and is `{to}`"),
        Reason::Argument { name, from, to } => {
            format!(
                "the build argument `{name}` {}",
                values(from.as_ref(), to.as_ref())
            )
        }
        Reason::Variable { name, from, to } => {
            format!(
                "the variable `{name}` {}",
                values(from.as_ref(), to.as_ref())
            )
        }
        Reason::Setting { name, from, to } => {
            format!("`{name}` {}", values(from.as_ref(), to.as_ref()))
        }
        Reason::Base { step, from, to } => {
            format!("the base is another: {step} was {from} and is {to}")
        }
        Reason::Files { files, more } => return file_lines(files.as_deref(), *more),
        Reason::Below { step } => format!("the step below it is another: {step}"),
        Reason::Source { step } => format!("what it takes files from is another: {step}"),
        Reason::StoodElsewhere { step } => {
            format!("the step below it ran again and left something else: {step}")
        }
        Reason::Asked { flag } => format!("`{flag}` asks for it"),
        Reason::Gone => "nothing is another: its result is in the store no more".to_owned(),
    };
    vec![line]
}

fn values(from: Option<&String>, to: Option<&String>) -> String {
    match (from, to) {
        (Some(from), Some(to)) => format!("was `{from}` and is `{to}`"),
        (None, Some(to)) => format!("is new: `{to}`"),
        (Some(from), None) => format!("is gone: it was `{from}`"),
        (None, None) => "is another".to_owned(),
    }
}

fn file_lines(files: Option<&[ChangedFile]>, more: usize) -> Vec<String> {
    let Some(files) = files.filter(|files| !files.is_empty()) else {
        return vec!["the files that it copies are others".to_owned()];
    };
    let line = |file: &ChangedFile| {
        let what = match file.change {
            FileChange::Added => "is new",
            FileChange::Removed => "is gone",
            FileChange::Content => "changed",
            FileChange::Attributes => "has another owner, mode or attribute",
        };
        format!("`{}` {what}", file.path)
    };
    let mut lines: Vec<_> = files.iter().map(line).collect();
    if more > 0 {
        lines.push(format!("and {more} more files"));
    }
    lines
}
