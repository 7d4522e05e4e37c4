//! `WorkdirRelativePath`: a working directory that depends on the base image.

use crate::check::{Rule, Site};
use crate::lower::go_quoted;
use crate::source::Spanned;

/// Finds a relative path. It is asked of the first `WORKDIR` of a stage and those that it is built on: the others
/// are relative to it.
pub(crate) fn relative_workdir(path: &Spanned<String>, at: &mut Site<'_>) {
    if !path.value.starts_with('/') {
        let shown = go_quoted(&path.value);
        let detail = format!(
            "Relative workdir {shown} can have unexpected results if the base image changes"
        );
        at.find(Rule::WorkdirRelativePath, detail, path.span);
    }
}
