//! What a stage starts with: nothing, an earlier stage, or an image.

use graph::{
    Archives, CopyAction, CopySource, FileAction, FileOp, Input, Op, SourceOp, StepLabel, Vertex,
};
use oci::{ImageConfig, Platform};

use crate::call::Inputs;
use crate::check;
use crate::lower::stage_lowering::StageLowering;
use crate::lower::state::StageState;
use crate::lower::{HistoryStep, Lowered, path, windows};
use crate::source::Spanned;
use crate::stage::{BareContext, BaseRequest, Environment, ResolvedBase, StageId, StagePlan};

/// Where programs are looked for when an image does not say.
const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Returns the state of `FROM scratch`.
pub(super) fn empty(platform: &Platform) -> StageState {
    let mut config = ImageConfig::new(platform);
    config.config.working_dir = Some(base_directory("/", platform));
    add_path(&mut config, platform);
    StageState::new(Input::Scratch, config)
}

/// Sets `PATH` where the image does not; Windows has one of its own.
fn add_path(config: &mut ImageConfig, platform: &Platform) {
    if !platform.is_windows() && config.config.env_get("PATH").is_none() {
        config.config.env_set("PATH", DEFAULT_PATH);
    }
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
    // What the earlier stage asks for is told of that stage.
    state.inputs = Inputs::default();
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
    let text = shown(lowering.plan, request);
    let label = lowering.steps.next(text, line, &Environment::default());
    let root = source(lowering, request, label)?;
    let mut config = resolved(lowering.plan, request)?.config.clone();
    config.config.on_build.clear();
    config.created = None;
    let platform = &lowering.stage.platform;
    add_path(&mut config, platform);
    let directory = config.config.working_dir.take();
    config.config.working_dir = directory.map(|path| base_directory(&path, platform));
    let mut state = StageState::new(root, config);
    state.files = files_of(lowering, request)?;
    Ok(state)
}

/// Returns the working directory of a base, absolute.
fn base_directory(path: &str, platform: &Platform) -> String {
    if !platform.is_windows() {
        return path::working_directory("/", path);
    }
    // A base may have any path; one that nobody could name is as good as none.
    let path = windows::without_drive(path).unwrap_or_default();
    windows::to_backslashes(&path::clean(&path))
}

/// Returns the directory of an image's file system that holds what a container sees.
///
/// # Errors
///
/// Fails when the image was not resolved.
pub(super) fn files_of(
    lowering: &StageLowering<'_>,
    request: &BaseRequest,
) -> Lowered<&'static str> {
    let config = &resolved(lowering.plan, request)?.config;
    // The layers of an image without any are made here, and like those for Linux.
    let has_files = config.platform().is_windows() && !config.rootfs.diff_ids.is_empty();
    Ok(if has_files { windows::FILES } else { "" })
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
        link: false,
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
    let name = Spanned::new(request.name.as_str(), request.span);
    let found = base.config.platform();
    let wanted = lowering
        .plan
        .wanted_platform(lowering.stage, request, &found);
    check::base_platform(&name, &wanted, &found, &mut lowering.site());
    Ok(lowering.add(Vertex {
        op: Op::Source(SourceOp::Image(base.source.clone())),
        inputs: Vec::new(),
        platform: request.platform.clone(),
        label,
    }))
}

/// Returns the step of an image as displays show it: with the digest that its name stands for, where there is one.
pub(super) fn shown(plan: &StagePlan, request: &BaseRequest) -> String {
    let resolved = plan.bases.get(&request.key());
    let pinned = resolved.and_then(|base| base.source.pinned.as_deref());
    format!("FROM {}", pinned.unwrap_or(&request.name))
}

fn resolved<'a>(plan: &'a StagePlan, request: &BaseRequest) -> Lowered<&'a ResolvedBase> {
    plan.bases
        .get(&request.key())
        .ok_or_else(|| vec![request.not_found()])
}

fn instruction_line(lowering: &StageLowering<'_>) -> usize {
    let instruction = lowering.plan.ast.instructions.get(lowering.stage.from);
    instruction.map_or(0, |instruction| instruction.lines.first)
}

/// Makes a configuration one for the target. A variant and a version that the target does not name stay, as
/// long as operating system and architecture are the same.
pub(super) fn set_platform(config: &mut ImageConfig, target: &Platform) {
    let mut platform = target.clone();
    let is_same = config.os == target.os && config.architecture == target.architecture;
    if platform.variant.is_none() && is_same {
        platform.variant.clone_from(&config.variant);
    }
    if !is_same {
        config.os_version = None;
    }
    config.set_platform(&platform);
}
