//! `careen completion` and `careen man`: what can be typed, for shells and `man`, from the one definition of it.

use std::io;
use std::path::PathBuf;

use clap::CommandFactory as _;

use crate::args::{Arguments, CompletionArguments, ManArguments};
use crate::completion;
use crate::exit;
use crate::format;
use crate::report::{Kind, Report};
use crate::run::Outcome;

/// The pages cannot be written.
#[derive(Debug, thiserror::Error)]
#[error("cannot write pages into `{}`", directory.display())]
struct PagesError {
    directory: PathBuf,
    source: io::Error,
}

/// Runs `completion`.
pub(crate) fn complete(arguments: &CompletionArguments) -> Outcome {
    format::print(&completion::script(arguments.shell, arguments.program))?;
    Ok(exit::DONE)
}

/// Runs `man`.
pub(crate) fn man(arguments: &ManArguments) -> Outcome {
    let directory = &arguments.directory;
    let written = std::fs::create_dir_all(directory)
        .and_then(|()| clap_mangen::generate_to(Arguments::command(), directory));
    written.map_err(|source| {
        let directory = directory.clone();
        Report::new(Kind::User, &PagesError { directory, source })
    })?;
    Ok(exit::DONE)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::DockerArguments;

    /// Returns the paths of all commands that are shown, and their long flags that are.
    fn definition(command: &clap::Command, path: &str) -> Vec<(String, Vec<String>)> {
        let shown = command.get_arguments().filter(|flag| !flag.is_hide_set());
        let flags = shown.filter_map(|flag| flag.get_long().map(|name| format!("--{name}")));
        let mut all = vec![(path.to_owned(), flags.collect())];
        for below in command
            .get_subcommands()
            .filter(|below| !below.is_hide_set())
        {
            all.extend(definition(below, &format!("{path} {}", below.get_name())));
        }
        all
    }

    #[test]
    fn each_tab_and_each_page_and_each_help_has_all_that_is_defined() {
        let mut command = Arguments::command();
        command.build();
        let defined = definition(&command, "careen");
        assert!(defined.len() > 60, "{} commands", defined.len());
        let pages = tempfile::tempdir().unwrap();
        man(&ManArguments {
            directory: pages.path().to_owned(),
        })
        .unwrap();
        for (path, flags) in &defined {
            let name = path.replace(' ', "-");
            let page = std::fs::read_to_string(pages.path().join(format!("{name}.1"))).unwrap();
            let help = help_of(&command, path);
            let offered = completion::offered(&mut command, &format!("{path} --"));
            for flag in flags {
                let is_offered = |word: &String| word.trim_end_matches('=') == flag;
                assert!(offered.iter().any(is_offered), "{path} {flag}: {offered:?}");
                assert!(
                    page.contains(&flag.replace('-', "\\-")),
                    "{path} {flag}: {page}"
                );
                assert!(help.contains(flag.as_str()), "{path} {flag}: {help}");
            }
            assert_eq!(offered.len(), flags.len(), "{path}: {offered:?}");
        }
    }

    #[test]
    fn each_command_is_completed_and_stands_on_the_page_and_in_the_help_above_it() {
        let mut docker = DockerArguments::command();
        for command in [&mut Arguments::command(), &mut docker] {
            command.build();
            let name = command.get_name().to_owned();
            for (path, _) in definition(command, &name) {
                let Some((above, word)) = path.rsplit_once(' ') else {
                    continue;
                };
                let offered = completion::offered(command, &format!("{above} "));
                assert!(
                    offered.iter().any(|other| other == word),
                    "{path}: {offered:?}"
                );
                let help = help_of(command, above);
                assert!(help.contains(&format!("\n  {word} ")), "{path}: {help}");
            }
        }
    }

    fn help_of(command: &clap::Command, path: &str) -> String {
        let mut found = command.clone();
        for word in path.split(' ').skip(1) {
            found = found.find_subcommand(word).unwrap().clone();
        }
        found.render_long_help().to_string()
    }
}
