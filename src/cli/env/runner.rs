//! What runs us, where it reads what we print: GitHub's and GitLab's runners.

use std::path::PathBuf;

/// A runner that reads what we print.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Runner {
    /// GitHub Actions, and what behaves like it.
    GitHub,
    /// GitLab CI.
    GitLab,
}

/// A job of a runner.
#[derive(Debug, Clone, Default)]
pub struct RunnerJob {
    /// What runs it; none if we are not in one.
    pub runner: Option<Runner>,
    /// `GITHUB_OUTPUT`: the file for the outputs of a workflow's step.
    pub output: Option<PathBuf>,
    /// `GITHUB_STEP_SUMMARY`: the file for what its page shows, in Markdown.
    pub summary: Option<PathBuf>,
    /// Whether builds are to be on that page: `DOCKER_BUILD_SUMMARY` is not `false`, as docker's action has it.
    pub wants_page: bool,
}

impl RunnerJob {
    /// Asks for each variable; one that is empty is none.
    pub(super) fn read(variable: impl Fn(&str) -> Option<String>) -> Self {
        let is = |name| variable(name).as_deref() == Some("true");
        let runner = match (is("GITHUB_ACTIONS"), is("GITLAB_CI")) {
            (true, _) => Runner::GitHub,
            (_, true) => Runner::GitLab,
            _ => return Self::default(),
        };
        let file = |name| match runner {
            Runner::GitHub => variable(name).map(PathBuf::from),
            Runner::GitLab => None,
        };
        Self {
            runner: Some(runner),
            output: file("GITHUB_OUTPUT"),
            summary: file("GITHUB_STEP_SUMMARY"),
            wants_page: variable("DOCKER_BUILD_SUMMARY").as_deref() != Some("false"),
        }
    }
}
