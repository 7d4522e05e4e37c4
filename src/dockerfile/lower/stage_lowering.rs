//! One stage while its instructions are lowered: what each instruction's file works on.

use std::collections::BTreeMap;

use graph::{DefinitionBuilder, Input, LocalSource, Op, SourceOp, StepLabel, Vertex};
use oci::config::RunConfig;

use crate::ast::{ArgDeclaration, CommandForm, Instruction, Word};
use crate::check::{self, Site};
use crate::diagnostic::Diagnostic;
use crate::lower::arg::is_builders_own;
use crate::lower::checks::Place;
use crate::lower::state::StageState;
use crate::lower::step::Steps;
use crate::lower::{Lowered, base, format, path, windows};
use crate::stage::{CopyFrom, PlatformPlan, Stage, StageBase, StageId, StagePlan, expand, fault};
use crate::words::{self, Expanded};

/// The name of the build context among the directories of the user's.
const CONTEXT: &str = "context";

/// The shell of commands that are one text, where no `SHELL` says otherwise.
const DEFAULT_SHELL: [&str; 2] = ["/bin/sh", "-c"];

/// The same of an image for Windows.
const DEFAULT_WINDOWS_SHELL: [&str; 3] = ["cmd", "/S", "/C"];

/// A stage that is being lowered.
pub(super) struct StageLowering<'a> {
    pub(super) plan: &'a StagePlan,
    pub(super) platform: &'a PlatformPlan,
    pub(super) stage: &'a Stage,
    done: &'a BTreeMap<StageId, StageState>,
    graph: &'a mut DefinitionBuilder,
    pub(super) state: StageState,
    /// Whether this stage, not its base, had a `CMD`.
    pub(super) has_cmd: bool,
    pub(super) steps: Steps<'a>,
    /// The index of the instruction that is lowered.
    current: usize,
    pub(super) place: Place,
    /// How many of the warnings are those of the instructions before.
    told: usize,
    warnings: Vec<Diagnostic>,
}

/// A step that changes files.
pub(super) struct Change {
    pub(super) op: Op,
    /// The file systems that are copied and mounted from.
    pub(super) sources: Vec<Input>,
    /// What displays show.
    pub(super) text: String,
    /// What the history shows.
    pub(super) created_by: String,
}

impl<'a> StageLowering<'a> {
    /// Begins a stage with what it is built on.
    ///
    /// # Errors
    ///
    /// Fails when the base is not known; with an empty list when the stage
    /// that it is built on has failed.
    pub(super) fn begin(
        plan: &'a StagePlan,
        platform: &'a PlatformPlan,
        stage: &'a Stage,
        done: &'a BTreeMap<StageId, StageState>,
        graph: &'a mut DefinitionBuilder,
    ) -> Lowered<Self> {
        let mut lowering = Self {
            plan,
            platform,
            stage,
            done,
            graph,
            state: base::empty(&platform.platform),
            has_cmd: false,
            steps: Steps::new(plan, platform, stage),
            current: stage.from,
            told: 0,
            place: Place::of_stage(plan, stage),
            warnings: Vec::new(),
        };
        match &stage.base {
            StageBase::Scratch => {}
            StageBase::Stage(id) => lowering.state = base::stage(&lowering, *id)?,
            StageBase::Image(request) | StageBase::Replaced(request) => {
                lowering.state = base::image(&mut lowering, request)?;
            }
            StageBase::Bare(context) => lowering.state = base::bare(&mut lowering, context),
        }
        Ok(lowering)
    }

    /// Begins an instruction.
    pub(super) fn enter(&mut self, index: usize) {
        self.current = index;
        self.told = self.warnings.len();
    }

    /// Ends the instruction: what was said in a trigger tells that it is one.
    pub(super) fn leave(&mut self) {
        for warning in self.warnings.iter_mut().skip(self.told) {
            *warning = self.plan.explained(self.current, warning.clone());
        }
    }

    pub(super) fn finish(self) -> (StageState, Vec<Diagnostic>) {
        (self.state, self.warnings)
    }

    /// Returns the state of an earlier stage.
    ///
    /// # Errors
    ///
    /// Fails with an empty list when that stage has failed.
    pub(super) fn earlier(&self, id: StageId) -> Lowered<&'a StageState> {
        self.done.get(&id).ok_or_else(Vec::new)
    }

    /// Returns the part of the configuration that says how a container is run.
    pub(super) fn config(&mut self) -> &mut RunConfig {
        &mut self.state.config.config
    }

    /// Expands a word; a variable that is neither set nor declared is warned of.
    pub(super) fn expand(&mut self, word: &Word) -> Lowered<Expanded> {
        let expanded = expand(word, &self.state.variables, self.plan.ast.escape)?;
        self.warn_unset(&expanded, word);
        Ok(expanded)
    }

    /// Expands a word to one text.
    pub(super) fn text(&mut self, word: &Word) -> Lowered<String> {
        self.expand(word).map(|expanded| expanded.value)
    }

    /// Expands words, each to one text. All faults are told.
    pub(super) fn texts<'w>(
        &mut self,
        words: impl IntoIterator<Item = &'w Word>,
    ) -> Lowered<Vec<String>> {
        let mut texts = Vec::new();
        let mut faults = Vec::new();
        for word in words {
            match self.text(word) {
                Ok(text) => texts.push(text),
                Err(found) => faults.extend(found),
            }
        }
        if faults.is_empty() {
            Ok(texts)
        } else {
            Err(faults)
        }
    }

    /// Expands the body of a here-document that stands for a file.
    pub(super) fn body_text(&mut self, content: &str, place: &Word) -> Lowered<String> {
        let lookup = |name: &str| self.state.variables.get(name).map(str::to_owned);
        let expanded = words::expand_text(content, &lookup).map_err(|error| {
            // The text stands below the word that is pointed at.
            let word = Word {
                value: String::new(),
                ..place.clone()
            };
            vec![fault(&error, &word)]
        })?;
        self.warn_unset(&expanded, place);
        Ok(expanded.value)
    }

    pub(super) fn warn_unset(&mut self, expanded: &Expanded, word: &Word) {
        let unset = expanded.unset.iter();
        let undeclared: Vec<&String> = unset
            .filter(|name| !self.state.is_declared(name) && !is_builders_own(name))
            .collect();
        for name in undeclared {
            let variables = self.state.variables.clone();
            check::undefined_variable(name, word, variables.names(), &mut self.site());
        }
    }

    pub(super) fn warn(&mut self, warning: Diagnostic) {
        self.warnings.push(warning);
    }

    /// Takes note of a declared argument. Without a value of its own it is the global one of the name.
    pub(super) fn note_argument(&mut self, declaration: &ArgDeclaration, value: Option<&str>) {
        let name = &declaration.name.value;
        let is_given = self.plan.options.build_args.contains_key(name);
        let is_own = is_given || declaration.default.is_some();
        let is_global = !is_own && self.platform.globals.get(name).is_some();
        let own = (!is_global).then(|| self.place.argument(name, value));
        self.state.inputs.argument(name, own);
    }

    /// Returns where checks tell what they find in the current instruction.
    pub(super) fn site(&mut self) -> Site<'_> {
        self.place.site(&self.plan.settings, &mut self.warnings)
    }

    /// Returns the working directory, absolute and clean.
    pub(super) fn directory(&self) -> String {
        path::clean(&self.configured_directory())
    }

    /// Returns the working directory as the configuration has it, but with slashes.
    pub(super) fn configured_directory(&self) -> String {
        let configured = self.state.config.config.working_dir.as_deref();
        let configured = configured.filter(|path| !path.is_empty()).unwrap_or("/");
        if !self.is_windows() {
            return configured.to_owned();
        }
        // A base may have any path; one that nobody could name is as good as none.
        windows::without_drive(configured).unwrap_or_default()
    }

    /// Sets the working directory of the configuration.
    pub(super) fn set_directory(&mut self, path: &str) {
        let configured = if self.is_windows() {
            windows::to_backslashes(&path::clean(path))
        } else {
            path.to_owned()
        };
        self.config().working_dir = Some(configured);
    }

    /// Tells whether the stage is for Windows, whose paths have drives and backslashes.
    pub(super) fn is_windows(&self) -> bool {
        self.stage.platform.is_windows()
    }

    /// Returns a path as it is taken on the way to a file: on Windows without its drive.
    ///
    /// # Errors
    ///
    /// Fails at `word` when the path is none of an image.
    pub(super) fn path(&self, text: &str, word: &Word) -> Lowered<String> {
        if !self.is_windows() {
            return Ok(text.to_owned());
        }
        windows::without_drive(text).map_err(|error| {
            let title = format!("the path `{}` {error}", word.value);
            vec![Diagnostic::error(title, word.span)]
        })
    }

    /// Returns the argument vector of a command: its words, or the shell in force and its text.
    pub(super) fn command(&self, command: &CommandForm) -> Vec<String> {
        match command {
            CommandForm::Exec(words) => words.iter().map(|word| word.value.clone()).collect(),
            CommandForm::Shell(text) => self.shell_command(&text.value),
        }
    }

    /// Returns the argument vector that runs a text in the shell in force.
    pub(super) fn shell_command(&self, text: &str) -> Vec<String> {
        let mut argv = self.state.config.config.shell.clone();
        if argv.is_empty() {
            let is_windows = self.state.config.platform().is_windows();
            let usual: &[&str] = if is_windows {
                &DEFAULT_WINDOWS_SHELL
            } else {
                &DEFAULT_SHELL
            };
            argv.extend(usual.iter().map(|word| (*word).to_owned()));
        }
        argv.push(text.to_owned());
        argv
    }

    /// Returns the instruction as displays show it: variables expanded where that is possible, the keyword
    /// in capitals.
    pub(super) fn shown(&self, instruction: &Instruction) -> String {
        let original = instruction.original.trim();
        // Only planning knows what the variables of `--from` hold.
        let mut flags = instruction.flags.iter();
        let from = flags.find(|flag| flag.name.value == "from");
        let kept = from.and_then(|flag| flag.value.as_ref());
        let split = kept.and_then(|word| original.split_once(&format!("--from={}", word.value)));
        let shown = match (split, kept) {
            (Some((left, right)), Some(word)) => {
                let (left, right) = (self.expanded(left), self.expanded(right));
                format!("{left}--from={}{right}", word.value)
            }
            _ => self.expanded(original),
        };
        format::capitalised(&shown)
    }

    /// Returns a part of an instruction with its variables expanded, or as it is where that is not possible.
    fn expanded(&self, text: &str) -> String {
        let lookup = |name: &str| self.state.variables.get(name).map(str::to_owned);
        let expanded = words::expand_word(text, &lookup, self.plan.ast.escape);
        expanded.map_or_else(|_| text.to_owned(), |expanded| expanded.value)
    }

    /// Returns what displays call what is done for the next step.
    pub(super) fn coming(&self, text: String, line: usize) -> StepLabel {
        self.steps.coming(text, line, &self.state.variables)
    }

    /// Adds a step that changes the file system of the stage.
    pub(super) fn change(&mut self, instruction: &Instruction, change: Change) {
        let line = instruction.lines.first;
        let text = if self.plan.is_trigger(self.current) {
            format!("ONBUILD {}", change.text)
        } else {
            change.text
        };
        let label = self.steps.next(text, line, &self.state.variables);
        let inputs = std::iter::once(self.state.root)
            .chain(change.sources)
            .collect();
        let platform = self.stage.platform.clone();
        self.state.root = self.add(Vertex {
            op: change.op,
            inputs,
            platform,
            label,
        });
        if let (Input::Vertex(id), true) = (self.state.root, self.plan.is_renewed(self.stage)) {
            self.graph.renew(id);
        }
        self.state.record(change.created_by, false);
    }

    /// Returns what a copy copies from: the build context, or what its `--from` names.
    ///
    /// # Errors
    ///
    /// Fails when that is a stage further down, or an image that is not known.
    pub(super) fn copy_source(
        &mut self,
        instruction: &Instruction,
        from: Option<&CopyFrom>,
    ) -> Lowered<Input> {
        match from {
            None => Ok(self.context()),
            Some(CopyFrom::Scratch) => Ok(Input::Scratch),
            Some(CopyFrom::Stage(id)) => Ok(self.earlier(*id)?.root),
            Some(CopyFrom::Image(request)) => {
                let label = StepLabel {
                    text: base::shown(self.plan, request),
                    line: instruction.lines.first,
                    ..StepLabel::default()
                };
                base::source(self, request, label)
            }
            Some(CopyFrom::Directory(name)) => Ok(self.directory_of(name)),
            Some(CopyFrom::Unavailable(fault)) => Err(vec![Diagnostic::clone(fault)]),
        }
    }

    /// Returns a directory that was given as a named context.
    pub(super) fn directory_of(&mut self, name: &str) -> Input {
        let ignore = self.plan.options.directories.get(name).cloned();
        let text = format!("[context {name}] load from client");
        self.local(name, ignore.unwrap_or_default(), &text)
    }

    /// Returns where the files are in what a copy copies from: below `Files` in the layers of an image for
    /// Windows.
    ///
    /// # Errors
    ///
    /// As [`Self::copy_source`].
    pub(super) fn source_files(&self, from: Option<&CopyFrom>) -> Lowered<&'static str> {
        match from {
            Some(CopyFrom::Stage(id)) => Ok(self.earlier(*id)?.files),
            Some(CopyFrom::Image(request)) => base::files_of(self, request),
            Some(CopyFrom::Unavailable(fault)) => Err(vec![Diagnostic::clone(fault)]),
            None | Some(CopyFrom::Scratch | CopyFrom::Directory(_)) => Ok(""),
        }
    }

    /// Returns the build context.
    fn context(&mut self) -> Input {
        let ignore = self.plan.options.ignore.clone();
        self.local(CONTEXT, ignore, "[internal] load build context")
    }

    /// Returns a directory of the user's. It is of no platform: that of the machine stands for all
    /// targets.
    fn local(&mut self, name: &str, ignore: Vec<String>, text: &str) -> Input {
        let options = &self.plan.options;
        let source = LocalSource {
            name: name.to_owned(),
            ignore,
        };
        let text = text.to_owned();
        self.add(Vertex {
            op: Op::Source(SourceOp::Local(source)),
            inputs: Vec::new(),
            platform: options.build_platform.clone(),
            label: StepLabel {
                text,
                ..StepLabel::default()
            },
        })
    }

    /// Adds a vertex to the graph.
    pub(super) fn add(&mut self, vertex: Vertex) -> Input {
        let id = self
            .graph
            .add(vertex)
            .expect("inputs come from this graph, and each op is given as many as it takes");
        Input::Vertex(id)
    }
}
