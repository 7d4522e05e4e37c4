//! `WorkdirRelativePath`: a working directory that depends on the base image.

use crate::check::{Rule, Site};
use crate::lower::go_quoted;
use crate::source::Spanned;

/// Finds a relative path. It is asked of the first `WORKDIR` of a stage and those that it is built on: the others
/// are relative to it.
pub(crate) fn relative_workdir(path: &Spanned<String>, at: &mut Site<'_>) {
    if !is_absolute(&path.value) {
        let shown = go_quoted(&path.value);
        let detail = format!(
            "Relative workdir {shown} can have unexpected results if the base image changes"
        );
        at.find(Rule::WorkdirRelativePath, detail, path.span);
    }
}

/// Tells whether a path is absolute, be it one of Windows.
fn is_absolute(path: &str) -> bool {
    let has_drive = path.starts_with(|c: char| c.is_ascii_alphabetic());
    let behind = path.get(1..).unwrap_or_default();
    path.starts_with(['/', '\\'])
        || has_drive && (behind.starts_with(":\\") || behind.starts_with(":/"))
}
