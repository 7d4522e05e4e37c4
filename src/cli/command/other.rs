//! Commands that docker has and careen has not: refused by name, with the nearest that there is.

use std::ffi::OsString;

use clap::CommandFactory as _;
use dockerfile::suggest;

use crate::args::{Arguments, DockerArguments};
use crate::report::{Kind, Report};

/// A command that there is not.
#[derive(Debug, thiserror::Error)]
enum NoCommand {
    /// One of docker's that has to do with containers that go on, and with daemons.
    #[error("`{words}` is not careen's work: it builds images, and runs no services")]
    NotOurs { words: String },
    /// One that is to come.
    #[error("`{words}` is not supported yet")]
    NotYet { words: String },
    /// Nobody's.
    #[error("there is no command `{words}`")]
    Unknown { words: String },
}

/// Commands of docker's that are about containers, services and daemons.
const NOT_OURS: [&str; 40] = [
    "attach",
    "checkpoint",
    "commit",
    "compose",
    "config",
    "container",
    "context",
    "cp",
    "create",
    "events",
    "exec",
    "kill",
    "logs",
    "network",
    "node",
    "pause",
    "plugin",
    "port",
    "ps",
    "rename",
    "restart",
    "rm",
    "scan",
    "scout",
    "search",
    "secret",
    "service",
    "stack",
    "start",
    "stats",
    "stop",
    "swarm",
    "top",
    "trust",
    "unpause",
    "update",
    "volume",
    "wait",
    "buildx dial-stdio",
    "buildx install",
];

/// Commands that images are built and kept with, each with what does it now.
const NOT_YET: [(&str, &str); 4] = [
    ("buildx bake", "`build` builds one target at a time"),
    ("buildx dap", "`build` shows what it does"),
    (
        "buildx policy",
        "`build --source-policy-file` takes rules as JSON",
    ),
    ("system info", "`info` tells what this machine allows"),
];

/// Refuses a command, with the words that name it.
pub(crate) fn refuse(words: &[OsString]) -> Box<Report> {
    let texts: Vec<_> = words.iter().map(|word| word.to_string_lossy()).collect();
    let first = texts.first().map_or("", |word| &**word);
    let two = texts.iter().take(2).map(|word| &**word);
    let two = two.collect::<Vec<_>>().join(" ");
    if let Some((name, instead)) = NOT_YET.iter().find(|(name, _)| *name == two) {
        let words = (*name).to_owned();
        return report(&NoCommand::NotYet { words }, Some((*instead).to_owned()));
    }
    if let Some(name) = NOT_OURS
        .iter()
        .find(|name| **name == two || **name == first)
    {
        let words = if *name == first {
            two
        } else {
            (*name).to_owned()
        };
        let words = words.split(' ').take(2).collect::<Vec<_>>().join(" ");
        return report(&NoCommand::NotOurs { words }, None);
    }
    let is_group = ["buildx", "builder", "system"].contains(&first);
    let words = if is_group { two } else { first.to_owned() };
    let help = nearest(&words);
    report(&NoCommand::Unknown { words }, help)
}

fn report(error: &NoCommand, help: Option<String>) -> Box<Report> {
    Box::new(Report {
        help,
        ..Report::new(Kind::Usage, error)
    })
}

/// Returns the command that was perhaps meant: one of those that go by docker's name, or of careen's own.
fn nearest(words: &str) -> Option<String> {
    let docker = DockerArguments::command();
    let known = names(&docker);
    // What is followed by something unknown is known itself.
    let others = known.iter().map(String::as_str);
    if let Some(near) = suggest::nearest(words, others.filter(|name| *name != words)) {
        return Some(format!("did you mean `{near}`?"));
    }
    let own = Arguments::command();
    let is_own = names(&own).iter().any(|name| name == words);
    is_own.then(|| format!("careen has it under its own name: `careen {words}`"))
}

/// Returns the names of commands, with those of the commands below them.
fn names(command: &clap::Command) -> Vec<String> {
    let mut names = Vec::new();
    for below in command.get_subcommands() {
        let name = below.get_name();
        names.push(name.to_owned());
        let inner = below.get_subcommands().map(clap::Command::get_name);
        names.extend(inner.map(|inner| format!("{name} {inner}")));
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_command_is_refused_by_its_name() {
        let table: [(&[&str], &str, Option<&str>); 8] = [
            (
                &["service", "ls"],
                "`service ls` is not careen's work: it builds images, and runs no services",
                None,
            ),
            (
                &["ps"],
                "`ps` is not careen's work: it builds images, and runs no services",
                None,
            ),
            (
                &["buildx", "bake", "app"],
                "`buildx bake` is not supported yet",
                Some("`build` builds one target at a time"),
            ),
            (
                &["buildx", "biuld", "."],
                "there is no command `buildx biuld`",
                Some("did you mean `buildx build`?"),
            ),
            (
                &["pulll", "alpine"],
                "there is no command `pulll`",
                Some("did you mean `pull`?"),
            ),
            (
                &["doctor"],
                "there is no command `doctor`",
                Some("careen has it under its own name: `careen doctor`"),
            ),
            (&["frobnicate"], "there is no command `frobnicate`", None),
            (
                &["system"],
                "there is no command `system`",
                Some("did you mean `system df`?"),
            ),
        ];
        for (words, title, help) in table {
            let words: Vec<_> = words.iter().map(OsString::from).collect();
            let report = refuse(&words);
            assert_eq!(
                (&*report.title, report.help.as_deref()),
                (title, help),
                "{words:?}"
            );
            assert_eq!(report.kind, Kind::Usage);
        }
    }
}
