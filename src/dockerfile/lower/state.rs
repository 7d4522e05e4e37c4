//! What a stage has come to: its file system, configuration, variables and history.

use graph::Input;
use oci::ImageConfig;

use crate::call::Inputs;
use crate::lower::{HISTORY_COMMENT, HistoryStep};
use crate::stage::Environment;

/// The state of a stage after an instruction; a stage that is built on it starts with a copy.
#[derive(Debug, Clone)]
pub(super) struct StageState {
    /// The file system.
    pub(super) root: Input,
    /// The directory of the file system that holds what a container sees: `/Files` of an image for Windows,
    /// else empty.
    pub(super) files: &'static str,
    /// The configuration of the image.
    pub(super) config: ImageConfig,
    /// What commands and later instructions see: the image's environment, `ENV` and `ARG`.
    pub(super) variables: Environment,
    /// The arguments that were declared, in order, with their values.
    pub(super) arguments: Vec<(String, Option<String>)>,
    /// Whether there was a `WORKDIR`, here or in a stage that this one is built on.
    pub(super) has_workdir: bool,
    /// What this stage, not its base, asks for from outside.
    pub(super) inputs: Inputs,
    /// The steps on top of the base image.
    pub(super) history: Vec<HistoryStep>,
}

impl StageState {
    /// Returns the state before the first instruction, with the variables of the configuration.
    pub(super) fn new(root: Input, config: ImageConfig) -> Self {
        let variables = Environment::from_entries(&config.config.env);
        Self {
            root,
            files: "",
            config,
            variables,
            arguments: Vec::new(),
            has_workdir: false,
            inputs: Inputs::default(),
            history: Vec::new(),
        }
    }

    /// Returns where an absolute path of a container is in the file system.
    pub(super) fn in_layer(&self, path: &str) -> String {
        format!("{}{path}", self.files)
    }

    /// Tells whether an argument was declared, with or without a value.
    pub(super) fn is_declared(&self, name: &str) -> bool {
        self.arguments.iter().any(|(declared, _)| declared == name)
    }

    /// Returns `|2 a=1 b=2 ` as it stands before a command in the history, or nothing without arguments.
    /// An argument that was declared twice stands at its first place with what it holds now.
    pub(super) fn argument_prefix(&self) -> String {
        let mut seen = Environment::default();
        for (name, value) in &self.arguments {
            let now = self.variables.get(name).or(value.as_deref());
            seen.set(name, now.unwrap_or_default());
        }
        match seen.to_entries().as_slice() {
            [] => String::new(),
            entries => format!("|{} {} ", entries.len(), entries.join(" ")),
        }
    }

    /// Adds an entry to the history.
    pub(super) fn record(&mut self, created_by: String, empty_layer: bool) {
        self.history.push(HistoryStep {
            created_by,
            empty_layer,
            comment: HISTORY_COMMENT,
        });
    }
}
