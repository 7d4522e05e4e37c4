//! What the value of an argument can be: decided by what the help calls it, so that there is no second list of arguments.

use clap::{Arg, Command};

use super::candidate::{Candidate, Choices, Offer};
use super::found::Found;
use super::keys;
use super::line::{Asked, Line};

/// Returns what is offered for the word at the cursor.
pub(super) fn offer(line: &Line<'_>, found: &Found<'_>) -> Offer {
    let typed = line.typed.as_str();
    match &line.asked {
        Asked::Nothing => Offer::NOTHING,
        Asked::Flag => Offer::of("", typed, flags(line)),
        Asked::Value {
            argument,
            count,
            before,
        } => of_argument(argument, *count, (before, typed), found),
        Asked::Word(argument) => {
            let mut candidates = commands(line.command);
            if let Some((argument, count)) = argument
                && let Choices::Values(more) =
                    of_argument(argument, *count, ("", typed), found).choices
            {
                candidates.extend(more);
            }
            Offer::of("", typed, candidates)
        }
    }
}

fn commands(command: &Command) -> Vec<Candidate> {
    let shown = command
        .get_subcommands()
        .filter(|below| !below.is_hide_set());
    shown
        .map(|below| Candidate::new(below.get_name(), &text(below.get_about())))
        .collect()
}

fn flags(line: &Line<'_>) -> Vec<Candidate> {
    let mut candidates = Vec::new();
    for argument in line.command.get_arguments() {
        if argument.is_hide_set() || line.given.has_enough(argument) {
            continue;
        }
        let about = text(argument.get_help());
        let suffix = if argument.is_require_equals_set() && requires_value(argument) {
            "="
        } else {
            ""
        };
        let long = argument.get_long().map(|name| format!("--{name}{suffix}"));
        // A letter alone says little: it is offered where there is nothing longer.
        let short = argument.get_short().map(|letter| format!("-{letter}"));
        candidates.extend(long.or(short).map(|flag| Candidate::new(flag, &about)));
    }
    candidates
}

fn requires_value(argument: &Arg) -> bool {
    argument
        .get_num_args()
        .is_none_or(|range| range.min_values() > 0)
}

fn text(styled: Option<&clap::builder::StyledStr>) -> String {
    styled.map(ToString::to_string).unwrap_or_default()
}

/// Returns what an argument can be, behind so many values that it has.
fn of_argument(
    argument: &Arg,
    count: usize,
    (before, typed): (&str, &str),
    found: &Found<'_>,
) -> Offer {
    let possible = argument.get_possible_values();
    if !possible.is_empty() {
        let shown = possible.iter().filter(|value| !value.is_hide_set());
        let candidates =
            shown.map(|value| Candidate::new(value.get_name(), &text(value.get_help())));
        return Offer::of(before, typed, candidates.collect());
    }
    let name = value_name(argument, count);
    if let Some(keys) = keys::of(name, argument.get_id().as_str()) {
        return keys::offer(keys, before, typed, found);
    }
    let choices = match name {
        "FILE"
        | "PATH"
        | "ARCHIVE"
        | "DEB | DIR | LOCATION"
        | "FILE | system"
        | "FILE | URL | -" => Choices::Files,
        "DIR" | "BUNDLE" | "PATH | URL | -" => Choices::Directories,
        name => {
            let candidates = of_name(name, argument.get_id().as_str(), before, found);
            return Offer::of(before, typed, candidates);
        }
    };
    Offer {
        before: before.to_owned(),
        choices,
    }
}

/// Returns what the help calls the value of an argument that so many are before of.
fn value_name(argument: &Arg, count: usize) -> &str {
    let names = argument.get_value_names().unwrap_or_default();
    let name = names.first().map_or("", |name| name.as_str());
    match name {
        // `IMAGE [COMMAND] [ARGUMENT]`
        several if several.starts_with("IMAGE ") && count == 0 => "IMAGE",
        several if several.starts_with("IMAGE ") => "FILE",
        // Of a repository, all that has been built is known.
        "REPOSITORY[:TAG]" => "IMAGE",
        name => name,
    }
}

/// Returns the candidates for a value by its name; before it stand others of a list.
fn of_name(name: &str, id: &str, before: &str, found: &Found<'_>) -> Vec<Candidate> {
    let listed = before.rsplit('=').next().unwrap_or_default();
    let is_new = |candidate: &Candidate| listed.split(',').all(|other| other != candidate.value);
    let candidates = match name {
        "STAGE" => found.stages(),
        "BUILDER" => found.builders(),
        "IMAGE" => found.images(""),
        "LOCATION" | "SOURCE" | "ONE" | "OTHER" => found.images("store:"),
        "ID" => found.kept_steps(),
        "REF" => found.builds(),
        "PLATFORM" => found.platforms(),
        "PROCESSOR" => Found::processors(),
        _ => words(name, id)
            .iter()
            .map(|word| Candidate::plain(*word))
            .collect(),
    };
    candidates.into_iter().filter(is_new).collect()
}

/// Words that are values, where the definition knows them as texts only.
pub(super) fn words(name: &str, id: &str) -> &'static [&'static str] {
    match (name, id) {
        ("MODE", "executor") => &["auto", "userns-multi", "userns-single", "chroot", "none"],
        ("WHEN", "pull") => &["always", "missing", "never", "newer"],
        ("DRIVER", _) => &["docker-container", "docker"],
        ("QUESTION[,format=json]", _) => &["check", "outline", "targets", "subrequests.describe"],
        ("URL | system | none", _) => &["system", "none"],
        ("BOOL", _) => &["true", "false"],
        _ => &[],
    }
}
