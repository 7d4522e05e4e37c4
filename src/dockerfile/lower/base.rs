//! What a stage starts with: nothing, an earlier stage, or an image.

use graph::{
    Archives, CopyAction, CopySource, FileAction, FileOp, Input, Op, SourceOp, StepLabel, Vertex,
};
use oci::{ImageConfig, Platform};

use crate::ast::InstructionKind;
use crate::diagnostic::{Diagnostic, Rule};
use crate::lower::stage_lowering::StageLowering;
use crate::lower::state::StageState;
use crate::lower::{HistoryStep, Lowered, path};
use crate::source::Span;
use crate::stage::{
    BareContext, BaseRequest, Environment, ResolvedBase, StageId, StagePlan, windows,
};

/// Where programs are looked for when an image does not say.
const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Returns the state of `FROM scratch`.
pub(super) fn empty(platform: &Platform) -> StageState {
    let mut config = ImageConfig::new(platform);
    config.config.working_dir = Some("/".to_owned());
    config.config.env_set("PATH", DEFAULT_PATH);
    StageState::new(Input::Scratch, config)
}

/// Returns the state of a stage that begins where an earlier one ended.
///
/// # Errors
///
/// Fails with an empty list when the earlier one has failed.
pub(super) fn stage(lowering: &StageLowering<'_>, id: StageId) -> Lowered<StageState> {
    let mut state = lowering.earlier(id)?.clone();
    // They are among the instructions of this stage now.
    state.config.config.on_build.clear();
    Ok(state)
}

/// Returns the state of a stage that begins with an image.
///
/// # Errors
///
/// Fails when the image was not resolved.
pub(super) fn image(
    lowering: &mut StageLowering<'_>,
    request: &BaseRequest,
) -> Lowered<StageState> {
    let line = instruction_line(lowering);
    let label = lowering.steps.next(
        format!("FROM {}", request.name),
        line,
        &Environment::default(),
    );
    let root = source(lowering, request, label)?;
    let mut config = resolved(lowering.plan, request)?.config.clone();
    let span = base_span(lowering);
    if config.platform().is_windows() {
        return Err(vec![windows(&config.platform(), span)]);
    }
    config.config.on_build.clear();
    warn_of_platform(lowering, request, &config.platform());
    config.created = None;
    if config.config.env_get("PATH").is_none() {
        config.config.env_set("PATH", DEFAULT_PATH);
    }
    if let Some(directory) = &config.config.working_dir {
        config.config.working_dir = Some(path::working_directory("/", directory));
    }
    Ok(StageState::new(root, config))
}

/// The remark of history entries that stand for layers which no instruction made.
const EXPORTER_COMMENT: &str = "buildkit.exporter.image.v0";

/// Returns the state of a stage that begins with a directory of the user's, whose files become a layer, or with
/// nothing. Either way the configuration is that of `FROM scratch`.
pub(super) fn bare(lowering: &mut StageLowering<'_>, context: &BareContext) -> StageState {
    let mut state = empty(&lowering.stage.platform);
    let Some(name) = &context.directory else {
        return state;
    };
    let line = instruction_line(lowering);
    let label = lowering
        .steps
        .next(format!("FROM {name}"), line, &Environment::default());
    let directory = lowering.directory_of(name);
    state.root = lowering.add(Vertex {
        op: Op::File(FileOp {
            action: FileAction::Copy(whole()),
        }),
        inputs: vec![Input::Scratch, directory],
        platform: lowering.stage.platform.clone(),
        label,
    });
    state.history.push(HistoryStep {
        created_by: format!("local source for {name}"),
        empty_layer: false,
        comment: EXPORTER_COMMENT,
    });
    state
}

/// Copies all that there is.
fn whole() -> CopyAction {
    CopyAction {
        sources: vec![CopySource::Path("/".to_owned())],
        destination: "/".to_owned(),
        owner: None,
        mode: None,
        exclude: Vec::new(),
        archives: Archives::Keep,
    }
}

/// Returns the file system of an image.
///
/// # Errors
///
/// Fails when the image was not resolved.
pub(super) fn source(
    lowering: &mut StageLowering<'_>,
    request: &BaseRequest,
    label: StepLabel,
) -> Lowered<Input> {
    let base = resolved(lowering.plan, request)?;
    if base.config.rootfs.diff_ids.is_empty() {
        return Ok(Input::Scratch);
    }
    Ok(lowering.add(Vertex {
        op: Op::Source(SourceOp::Image(base.source.clone())),
        inputs: Vec::new(),
        platform: request.platform.clone(),
        label,
    }))
}

fn resolved<'a>(plan: &'a StagePlan, request: &BaseRequest) -> Lowered<&'a ResolvedBase> {
    plan.bases
        .get(&request.key())
        .ok_or_else(|| vec![request.not_found()])
}

fn warn_of_platform(lowering: &mut StageLowering<'_>, request: &BaseRequest, found: &Platform) {
    let wanted = &request.platform;
    if found.os == wanted.os && found.architecture == wanted.architecture {
        return;
    }
    let title = format!(
        "base image `{}` is for `{found}`, not for `{wanted}`",
        request.name
    );
    lowering
        .warn(Diagnostic::warning(title, request.span).with_rule(Rule::InvalidBaseImagePlatform));
}

/// Returns the place of the word that names the base.
fn base_span(lowering: &StageLowering<'_>) -> Span {
    let instruction = lowering.plan.ast.instructions.get(lowering.stage.from);
    match instruction.map(|instruction| &instruction.kind) {
        Some(InstructionKind::From(from)) => from.image.span,
        _ => Span::default(),
    }
}

fn instruction_line(lowering: &StageLowering<'_>) -> usize {
    let instruction = lowering.plan.ast.instructions.get(lowering.stage.from);
    instruction.map_or(0, |instruction| instruction.lines.first)
}

/// Makes a configuration one for the target. A variant that the target does not name stays, as long as
/// operating system and architecture are the same.
pub(super) fn set_platform(config: &mut ImageConfig, target: &Platform) {
    let mut platform = target.clone();
    let is_same = config.os == target.os && config.architecture == target.architecture;
    if platform.variant.is_none() && is_same {
        platform.variant.clone_from(&config.variant);
    }
    config.set_platform(&platform);
}
