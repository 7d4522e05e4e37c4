//! What the arguments say about the plan: build arguments, stages, the first base and the platforms.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use export::OutputSpec;
use oci::Reference;

use super::flag_file::{self, FlagFileError};
use super::{NamedContext, ResultOptions};
use crate::args::BuildArguments;
use crate::env::Environment;

/// Why arguments about the plan cannot be understood.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// A file of build arguments cannot be used.
    #[error(transparent)]
    File(#[from] FlagFileError),
    /// A line of such a file has no name.
    #[error("`--build-arg-file {}`: line {line} is no `NAME=VALUE`: `{text}`", path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// The number of the line, from 1.
        line: usize,
        /// The line.
        text: String,
    },
    /// All platforms and some.
    #[error("`--all-platforms` and `--platform` ask for different things")]
    AllAndSome,
}

/// Returns the stages whose steps are carried out again. Their names are found in lower case.
pub(super) fn renewed_stages(arguments: &BuildArguments) -> BTreeSet<String> {
    let names = arguments.no_cache_filter.iter().map(|name| name.trim());
    names
        .filter(|name| !name.is_empty())
        .map(str::to_lowercase)
        .collect()
}

/// Makes sure that platforms are asked for in one way.
///
/// # Errors
///
/// Fails when all and some are asked for.
pub(super) fn check_platforms(arguments: &BuildArguments) -> Result<(), PlanError> {
    if arguments.all_platforms && !arguments.platforms.is_empty() {
        return Err(PlanError::AllAndSome);
    }
    Ok(())
}

/// Reads the files of build arguments, in order: of two with one name the later counts.
///
/// # Errors
///
/// Fails when one cannot be read, or has a line that is neither empty, a comment nor `NAME[=VALUE]`.
pub(super) fn build_arg_files(
    arguments: &BuildArguments,
    env: &Environment,
) -> Result<BTreeMap<String, String>, PlanError> {
    let mut args = BTreeMap::new();
    for path in &arguments.build_arg_files {
        let text = flag_file::read("--build-arg-file", path, env)?;
        args.extend(parse(&text, path, &|name| env.named(name))?);
    }
    Ok(args)
}

/// Reads `NAME=VALUE` lines. A name alone is taken from the environment, as behind `--build-arg`.
fn parse(
    text: &str,
    path: &Path,
    environment: &dyn Fn(&str) -> Option<String>,
) -> Result<BTreeMap<String, String>, PlanError> {
    let mut args = BTreeMap::new();
    for (index, line) in text.lines().enumerate() {
        let line = line.trim_start();
        if line.trim_end().is_empty() || line.starts_with('#') {
            continue;
        }
        match line.split_once('=') {
            Some(("", _)) => {
                return Err(PlanError::Line {
                    path: path.to_owned(),
                    line: index + 1,
                    text: line.to_owned(),
                });
            }
            Some((name, value)) => drop(args.insert(name.to_owned(), value.to_owned())),
            None => {
                let name = line.trim_end();
                args.extend(environment(name).map(|value| (name.to_owned(), value)));
            }
        }
    }
    Ok(args)
}

/// Returns the registries that the command line names: those of the image's names, of the contexts that are images,
/// and of what the first stage is built on.
pub(super) fn named_registries(
    result: &ResultOptions,
    contexts: &BTreeMap<String, NamedContext>,
    first_base: Option<&str>,
) -> Vec<String> {
    let images = result.outputs.iter().filter_map(OutputSpec::image);
    let names = images.flat_map(|image| &image.names);
    let mut named: Vec<_> = names.map(|name| name.domain().to_owned()).collect();
    let bases = contexts.values().filter_map(|context| match context {
        NamedContext::Image(name) => Some(name.as_str()),
        _ => None,
    });
    // What is no name is told when it is looked up.
    let bases = bases
        .chain(first_base)
        .filter_map(|name| Reference::parse_docker_ref(name).ok());
    named.extend(bases.map(|base| base.domain().to_owned()));
    named.sort();
    named.dedup();
    named
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Result<Vec<(String, String)>, String> {
        let environment = |name: &str| (name == "KNOWN").then(|| "from outside".to_owned());
        parse(text, Path::new("args"), &environment)
            .map(|args| args.into_iter().collect())
            .map_err(|error| error.to_string())
    }

    #[test]
    fn a_file_of_arguments_has_comments_and_empty_lines() {
        let text = "# comment\n\nA=1\n  B=two words \nC=\nKNOWN\nUNKNOWN\nA=3=4\n   # B=5\n";
        let expected = [
            ("A", "3=4"),
            ("B", "two words "),
            ("C", ""),
            ("KNOWN", "from outside"),
        ];
        let expected = expected.map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(parsed(text), Ok(expected.to_vec()));
    }

    #[test]
    fn a_line_without_a_name_is_shown_with_its_number() {
        assert_eq!(
            parsed("A=1\n=2\n"),
            Err("`--build-arg-file args`: line 2 is no `NAME=VALUE`: `=2`".to_owned())
        );
    }
}
