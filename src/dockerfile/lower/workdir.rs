//! `WORKDIR path`

use graph::{FileAction, FileOp, MakeDirectory, Op};

use crate::ast::{Instruction, Word};
use crate::lower::stage_lowering::{Change, StageLowering};
use crate::lower::{Lowered, path};

/// The permission bits of a directory that `WORKDIR` makes.
const MODE: u32 = 0o755;

/// Makes the directory, owned by the user in force, and moves there. There is a layer even when the
/// directory is there already, but for `/`.
pub(super) fn lower(
    stage: &mut StageLowering<'_>,
    instruction: &Instruction,
    path: &Word,
) -> Lowered {
    let wanted = stage.text(path)?;
    let text = stage.shown(instruction);
    let current = stage
        .state
        .config
        .config
        .working_dir
        .clone()
        .unwrap_or_default();
    let current = if current.is_empty() { "/" } else { &current };
    let configured = path::working_directory(current, &wanted);
    let created_by = format!("WORKDIR {configured}");
    stage.config().working_dir = Some(configured);
    let directory = stage.directory();
    if directory == "/" {
        stage.state.record(created_by, true);
        return Ok(());
    }
    let owner = stage.config().user.clone().filter(|user| !user.is_empty());
    let action = FileAction::MakeDirectory(MakeDirectory {
        path: directory,
        mode: MODE,
        owner,
    });
    let op = Op::File(FileOp { action });
    stage.change(
        instruction,
        Change {
            op,
            sources: Vec::new(),
            text,
            created_by,
        },
    );
    Ok(())
}
