//! `--env` and `--env-file`: the variables of a command.

use std::path::{Path, PathBuf};

use crate::args::RunArguments;
use crate::env::Environment;
use crate::options::flag_file::{self, FlagFileError};

/// Why variables cannot be understood.
#[derive(Debug, thiserror::Error)]
pub enum EnvironmentError {
    /// A variable without a name.
    #[error("`--env {text}` is no `NAME[=VALUE]`")]
    Variable {
        /// The text.
        text: String,
    },
    /// A file of variables cannot be used.
    #[error(transparent)]
    File(#[from] FlagFileError),
    /// A line of such a file is none.
    #[error("`--env-file {}`: line {line} is no `NAME[=VALUE]`", path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// The number of the line, from 1.
        line: usize,
    },
}

/// Returns the variables that were given, as `NAME=value`; the later of two of one name counts. A name alone is
/// taken from the environment, and is nothing where that does not have it.
pub(super) fn given(
    arguments: &RunArguments,
    env: &Environment,
) -> Result<Vec<String>, EnvironmentError> {
    let known = |name: &str| env.named(name);
    let mut entries = Vec::new();
    for path in &arguments.env_files {
        let text = flag_file::read("--env-file", path, env)?;
        entries.extend(parse_file(&text, path, &known)?);
    }
    for text in &arguments.env {
        if text.is_empty() || text.starts_with('=') {
            return Err(EnvironmentError::Variable { text: text.clone() });
        }
        entries.extend(entry(text, &known));
    }
    Ok(entries)
}

/// Returns each variable once, where it was first, as it was last.
pub(super) fn merged(entries: impl Iterator<Item = String>) -> Vec<String> {
    let name = |entry: &str| entry.split('=').next().unwrap_or_default().to_owned();
    let mut merged: Vec<String> = Vec::new();
    for entry in entries {
        let before = merged.iter_mut().find(|other| name(other) == name(&entry));
        match before {
            Some(before) => *before = entry,
            None => merged.push(entry),
        }
    }
    merged
}

fn entry(text: &str, known: &dyn Fn(&str) -> Option<String>) -> Option<String> {
    if text.contains('=') {
        return Some(text.to_owned());
    }
    known(text).map(|value| format!("{text}={value}"))
}

/// Reads the lines of a file as docker does: white space before a line and comments do not count, and what
/// follows `=` is the value, quotes and all.
fn parse_file(
    text: &str,
    path: &Path,
    known: &dyn Fn(&str) -> Option<String>,
) -> Result<Vec<String>, EnvironmentError> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut entries = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let line = line.trim_start();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let name = line.split('=').next().unwrap_or_default();
        if name.is_empty() || name.contains(char::is_whitespace) {
            return Err(EnvironmentError::Line {
                path: path.to_owned(),
                line: index + 1,
            });
        }
        entries.extend(entry(line, known));
    }
    Ok(entries)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known(name: &str) -> Option<String> {
        (name == "KNOWN").then(|| "from outside".to_owned())
    }

    #[test]
    fn a_file_is_read_as_docker_reads_it() {
        let text = "\u{feff}# comment\n\nA=1\n  B=\"two words\" \nC=\nKNOWN\nUNKNOWN\nD=x#y=z\n";
        let found = parse_file(text, Path::new("f"), &known).unwrap();
        let expected = [
            "A=1",
            "B=\"two words\" ",
            "C=",
            "KNOWN=from outside",
            "D=x#y=z",
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn a_line_that_is_no_variable_is_named_by_its_number_alone() {
        for text in ["A=1\n=secret\n", "A=1\nB C=secret\n"] {
            let error = parse_file(text, Path::new("f"), &known).unwrap_err();
            assert_eq!(
                error.to_string(),
                "`--env-file f`: line 2 is no `NAME[=VALUE]`"
            );
        }
    }

    #[test]
    fn of_two_variables_of_one_name_the_later_value_stands_in_the_earlier_place() {
        let entries = ["A=1", "B=2", "A=3", "AB=4"].map(str::to_owned);
        assert_eq!(merged(entries.into_iter()), ["A=3", "B=2", "AB=4"]);
    }
}
