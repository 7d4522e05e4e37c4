//! What went wrong with the mounts of a step → what the user is told.

use graph::StepLabel;
use runtime::{ExecError, MountObstacle};
use solver::StepError;
use solver::ops::copy::CopyError;
use solver::ops::exec::MountError;

use crate::report::{Kind, Report};

/// Says of an error whether it is about a mount: what a step mounts from a context is a copy of its own, which is no
/// step of a stage.
pub(super) fn of_copy(error: StepError, label: &StepLabel) -> StepError {
    match error {
        StepError::Copy(CopyError::NotFound {
            path,
            place,
            similar,
        }) if label.index == 0 => MountError::SourceNotFound {
            path: plain(&path),
            place,
            similar,
        }
        .into(),
        StepError::Copy(CopyError::Ignored { path, place }) if label.index == 0 => {
            let path = plain(&path);
            MountError::Ignored { path, place }.into()
        }
        other => other,
    }
}

/// Takes away what makes a path no wildcard.
fn plain(path: &str) -> String {
    let mut text = String::with_capacity(path.len());
    let mut chars = path.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => text.extend(chars.next()),
            c => text.push(c),
        }
    }
    text
}

/// Reports a mount that cannot be made.
pub(super) fn report(error: &MountError) -> Report {
    let kind = match error {
        MountError::Overlay { .. }
        | MountError::Subtree { .. }
        | MountError::Call { .. }
        | MountError::NothingMounts { .. } => Kind::Host,
        _ => Kind::User,
    };
    let mut report = Report::new(kind, error);
    match error {
        MountError::SourceNotFound { place, similar, .. } => {
            report.notes.push(place.clone());
            report.help = similar
                .as_ref()
                .map(|similar| format!("a path with a similar name exists: `{similar}`"));
        }
        MountError::Ignored { place, .. } => report.notes.push(place.clone()),
        MountError::NoSecret { id } => {
            report.help = Some(format!(
                "`--secret id={id},src=FILE` or `--secret id={id},env=NAME` gives it"
            ));
        }
        MountError::NoAgent { id } => {
            report.help = Some(format!("`--ssh {id}` gives it"));
        }
        _ => {}
    }
    report
}

/// Reports a mount that cannot be put into its place.
pub(super) fn of_target(error: &ExecError, target: &str, obstacle: MountObstacle) -> Report {
    let mut report = Report::new(Kind::User, error);
    report.title = format!("cannot mount on `{target}`");
    let (why, help) = match obstacle {
        MountObstacle::ReadOnly => (
            "there is no such directory in the read-only mount that it would be in",
            Some("write `rw` for the outer mount, or make the directory in what it mounts"),
        ),
        MountObstacle::IsADirectory => {
            ("it is a directory, and a file is to be mounted on it", None)
        }
        MountObstacle::NotADirectory => {
            ("it is no directory, or its path leads through a file", None)
        }
        MountObstacle::Other => return report,
    };
    report.causes = vec![why.to_owned()];
    report.help = help.map(str::to_owned);
    report
}

/// Returns how the target of a mount may be written.
pub(super) fn target_words(target: &str) -> Vec<String> {
    let relative = target.trim_start_matches('/');
    let mut words = Vec::new();
    for key in ["target", "dst", "destination"] {
        words.extend([target, relative].map(|path| format!("{key}={path}")));
    }
    words
}

/// Returns the words of the instruction that may be what is wrong, the likeliest first.
pub(super) fn wrong_words(error: &MountError) -> Vec<String> {
    match error {
        MountError::SourceNotFound { path, .. } | MountError::Ignored { path, .. } => {
            let relative = path.strip_prefix('/').unwrap_or(path);
            let mut words = Vec::new();
            for key in ["source", "src"] {
                words.extend([path, relative].map(|path| format!("{key}={path}")));
            }
            words
        }
        MountError::NoSecret { id } | MountError::NoAgent { id } => vec![
            format!("id={id}"),
            format!("source={id}"),
            format!("src={id}"),
        ],
        _ => Vec::new(),
    }
}

/// Names a path as the option has it that it was found in: in the graph all paths count from the root.
pub(super) fn say_as_written(title: &mut String, option: &str) {
    if let Some((_, path)) = option.split_once('=') {
        *title = title.replace(&format!("`/{path}`"), &format!("`{path}`"));
    }
}

/// Returns what is said about those words.
pub(super) fn place_label(error: &MountError) -> Option<String> {
    let label = match error {
        MountError::SourceNotFound { .. } => "no such path",
        MountError::Ignored { .. } => "ignored",
        MountError::NoSecret { .. } | MountError::NoAgent { .. } => "required",
        _ => return None,
    };
    Some(label.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_told_as_it_was_written() {
        for (path, expected) in [("/a", "/a"), ("/a\\*b\\\\", "/a*b\\"), ("/\\[x]", "/[x]")] {
            assert_eq!(plain(path), expected);
        }
    }
}
