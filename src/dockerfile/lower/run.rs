//! `RUN [flags] command`

use graph::{ExecFile, ExecMount, ExecOp, Op};

use crate::ast::{CommandForm, Heredoc, Instruction, RunInstruction};
use crate::diagnostic::Diagnostic;
use crate::heredoc;
use crate::lower::mount::Mounts;
use crate::lower::stage_lowering::{Change, StageLowering};
use crate::lower::{Lowered, format, mount, not_yet, sandbox};
use crate::words;

/// The directory of scripts that stand in the Dockerfile.
const SCRIPTS: &str = "/dev/pipes";

/// The variable in which programs look for an SSH agent.
const AGENT: &str = "SSH_AUTH_SOCK";

/// What displays show of a secret.
const MASK: &str = "****";

/// The permission bits of such a script.
const SCRIPT_MODE: u32 = 0o755;

pub(super) fn lower(
    stage: &mut StageLowering<'_>,
    index: usize,
    instruction: &Instruction,
    run: &RunInstruction,
) -> Lowered {
    refuse(run)?;
    refuse_windows(stage, instruction)?;
    sandbox::check(stage, run)?;
    let Command { argv, files } = command(stage, instruction, run);
    if argv.is_empty() {
        let title = "RUN needs a command";
        return Err(vec![Diagnostic::error(title, instruction.keyword.span)]);
    }
    let mounts = mount::lower(stage, (index, instruction), &run.mounts)?;
    let arguments = stage.state.argument_prefix();
    let created_by = format!("RUN {arguments}{} # buildkit", argv.join(" "));
    let config = &stage.state.config.config;
    let op = ExecOp {
        argv,
        env: environment(stage, &mounts),
        working_directory: stage.directory(),
        user: config.user.clone().unwrap_or_default(),
        hostname: stage.plan.options.sandbox_hostname().to_owned(),
        network: sandbox::network(stage, run),
        files,
        mounts: mounts.list,
        sandbox: sandbox::settings(stage, run),
    };
    let text = shown(stage, instruction, run, &op.mounts);
    stage.change(
        instruction,
        Change {
            op: Op::Exec(op),
            sources: mounts.inputs,
            text,
            created_by,
        },
    );
    Ok(())
}

/// Returns what the command sees: the variables of the stage, and where the first agent is if they do not say.
fn environment(stage: &StageLowering<'_>, mounts: &Mounts) -> Vec<String> {
    let variables = &stage.state.variables;
    let mut entries = variables.to_entries();
    if let (Some(agent), None) = (&mounts.agent, variables.get(AGENT)) {
        entries.push(format!("{AGENT}={agent}"));
    }
    entries
}

/// Refuses to run what cannot run here, whatever it is.
fn refuse_windows(stage: &StageLowering<'_>, instruction: &Instruction) -> Lowered {
    if !stage.is_windows() {
        return Ok(());
    }
    let platform = stage.stage.platform.format_all();
    let title = format!("RUN cannot run programs for `{platform}`");
    let fault = Diagnostic::error(title, instruction.keyword.span);
    let help = "files are added by `COPY`: a stage of another platform can make them";
    Err(vec![
        fault
            .with_note("only Linux containers run here")
            .with_help(help.to_owned()),
    ])
}

fn refuse(run: &RunInstruction) -> Lowered {
    let devices = run
        .devices
        .iter()
        .map(|device| ("RUN --device", device.name.span));
    let faults: Vec<_> = devices
        .flat_map(|(what, span)| not_yet(what, span))
        .collect();
    if faults.is_empty() {
        Ok(())
    } else {
        Err(faults)
    }
}

/// What is run, and the files that are there while it runs.
struct Command {
    argv: Vec<String>,
    files: Vec<ExecFile>,
}

fn command(stage: &StageLowering<'_>, instruction: &Instruction, run: &RunInstruction) -> Command {
    let script = |argv| Command {
        argv,
        files: Vec::new(),
    };
    let (CommandForm::Shell(text), Some(first)) = (&run.command, instruction.heredocs.first())
    else {
        return script(stage.command(&run.command));
    };
    if !is_heredoc_alone(&text.value) {
        return script(stage.shell_command(&with_bodies(&text.value, &instruction.heredocs)));
    }
    let body = first.text();
    if body.starts_with("#!") {
        program(first, body)
    } else {
        script(stage.shell_command(&body))
    }
}

/// Tells whether the command is a here-document and nothing else.
fn is_heredoc_alone(text: &str) -> bool {
    matches!(heredoc::parse_word(text.trim()), Ok(Some(_)))
}

/// Returns the command that runs the body of a here-document as a program of its own.
fn program(heredoc: &Heredoc, content: String) -> Command {
    let target = format!("{SCRIPTS}/{}", heredoc.name.value);
    let file = ExecFile {
        target: target.clone(),
        content,
        mode: SCRIPT_MODE,
    };
    Command {
        argv: vec![target],
        files: vec![file],
    }
}

/// Returns the text and the bodies put together again, for the shell to read.
fn with_bodies(text: &str, heredocs: &[Heredoc]) -> String {
    let mut whole = text.to_owned();
    for heredoc in heredocs {
        whole.push('\n');
        whole.push_str(&heredoc.content);
        whole.push_str(&heredoc.name.value);
    }
    whole
}

/// Returns the instruction as displays show it.
///
/// Only the shell knows what it will make of a text. So variables are shown expanded where there is no
/// doubt about it: all of them are known to the builder, and nothing is escaped.
///
/// A variable that holds a secret is shown as stars: the one of the same name that it takes the place of may be no
/// secret, and is not what the command sees.
fn shown(
    stage: &StageLowering<'_>,
    instruction: &Instruction,
    run: &RunInstruction,
    mounts: &[ExecMount],
) -> String {
    let original = format::capitalised(instruction.original.trim());
    let lookup = |name: &str| {
        if mount::is_secret(mounts, name) {
            return Some(MASK.to_owned());
        }
        stage.state.variables.get(name).map(str::to_owned)
    };
    let text = match words::expand_text(&original, &lookup) {
        Ok(expanded) if expanded.unset.is_empty() && !original.contains(['\\', '\'']) => {
            expanded.value
        }
        _ => original,
    };
    let CommandForm::Shell(command) = &run.command else {
        return text;
    };
    match instruction.heredocs.first() {
        Some(heredoc) if is_heredoc_alone(&command.value) => {
            format!("{text} ({})", summary(&heredoc.content))
        }
        _ => text,
    }
}

/// Returns the first line of a body that has something in it.
fn summary(body: &str) -> String {
    let mut lines = body.trim().lines();
    let first = lines.next().unwrap_or_default();
    if lines.next().is_some() {
        format!("{first}...")
    } else {
        first.to_owned()
    }
}
