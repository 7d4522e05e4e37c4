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
    word: &Word,
) -> Lowered {
    let wanted = stage.text(word)?;
    let wanted = stage.path(&wanted, word)?;
    let text = stage.shown(instruction);
    let configured = path::working_directory(&stage.configured_directory(), &wanted);
    let created_by = format!("WORKDIR {configured}");
    stage.set_directory(&configured);
    let directory = stage.directory();
    if directory == "/" {
        stage.state.record(created_by, true);
        return Ok(());
    }
    let is_windows = stage.is_windows();
    let owner = stage.config().user.clone();
    let owner = owner.filter(|user| !user.is_empty() && !is_windows);
    let action = FileAction::MakeDirectory(MakeDirectory {
        path: stage.state.in_layer(&directory),
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
