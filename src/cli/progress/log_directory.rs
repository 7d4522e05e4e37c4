//! `--log-dir`: all that each step prints, a file for each step that prints something.
//!
//! ```text
//! DIR/
//! ├─ 001-linux-amd64-build-2-3-RUN-make.log     bytes as the command wrote them, whichever stream it was
//! └─ 002-linux-arm64-build-2-3-RUN-make.log
//! ```
//!
//! Numbers are in the order in which steps began to print. Files of an earlier build that have the same name are replaced;
//! others stay.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use solver::event::StepId;
use solver::{Event, TimedEvent};

use super::record::{Record, RecordError};

/// The characters of a name that are taken for the name of a file.
const NAME_CHARS: usize = 60;

/// A directory of logs.
pub(super) struct LogDirectory {
    path: PathBuf,
    names: BTreeMap<StepId, String>,
    files: BTreeMap<StepId, (PathBuf, File)>,
}

impl LogDirectory {
    /// Makes the directory, if it is not there.
    pub(super) fn create(path: &Path) -> Result<Self, RecordError> {
        fs::create_dir_all(path).map_err(|source| RecordError {
            path: path.to_owned(),
            source,
        })?;
        Ok(Self {
            path: path.to_owned(),
            names: BTreeMap::new(),
            files: BTreeMap::new(),
        })
    }

    fn write(&mut self, step: &StepId, text: &[u8]) -> Result<(), RecordError> {
        if !self.files.contains_key(step) {
            let name = self.names.get(step).map_or(&*step.0, String::as_str);
            let path = self.path.join(file_name(self.files.len() + 1, name));
            let file = create(&path)?;
            self.files.insert(step.clone(), (path, file));
        }
        let Some((path, file)) = self.files.get_mut(step) else {
            return Ok(());
        };
        file.write_all(text).map_err(|source| RecordError {
            path: path.clone(),
            source,
        })
    }
}

fn create(path: &Path) -> Result<File, RecordError> {
    // What is there may be a link to somewhere else: it is replaced, not followed.
    let removed = match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => File::create_new(path),
    };
    removed.map_err(|source| RecordError {
        path: path.to_owned(),
        source,
    })
}

/// Makes the name of a file of that of a step: letters and digits, and hyphens between them.
fn file_name(number: usize, name: &str) -> String {
    let words = name.split(|char: char| !char.is_ascii_alphanumeric());
    let words: Vec<_> = words.filter(|word| !word.is_empty()).collect();
    let name: String = words.join("-").chars().take(NAME_CHARS).collect();
    format!("{number:03}-{}.log", name.trim_end_matches('-'))
}

impl Record for LogDirectory {
    fn take(&mut self, timed: &TimedEvent) -> Result<(), RecordError> {
        match &timed.event {
            Event::Started { step, name } => {
                self.names.insert(step.clone(), name.clone());
                Ok(())
            }
            Event::Output { step, text, .. } => self.write(step, text),
            _ => Ok(()),
        }
    }

    fn finish(&mut self) -> Result<(), RecordError> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_names_its_file_in_characters_that_mean_nothing() {
        for (name, expected) in [
            (
                "[linux/amd64 build 2/3] RUN make -j2",
                "007-linux-amd64-build-2-3-RUN-make-j2.log",
            ),
            ("RUN ../../x\n$(y) 漢", "007-RUN-x-y.log"),
            ("", "007-.log"),
        ] {
            assert_eq!(file_name(7, name), expected);
        }
        let long = file_name(7, &"RUN x ".repeat(100));
        assert_eq!(long.len(), "007-.log".len() + 59);
    }
}
