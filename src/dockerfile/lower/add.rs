//! `ADD [flags] source … destination`

use graph::Archives;

use crate::ast::{AddInstruction, Instruction};
use crate::lower::files::{Files, Verb};
use crate::lower::stage_lowering::StageLowering;
use crate::lower::{Lowered, files, remote};

/// Copies files of the build context, of servers and of git repositories. Local archives are unpacked unless the
/// instruction says no, those of servers only if it says yes.
pub(super) fn lower(
    stage: &mut StageLowering<'_>,
    instruction: &Instruction,
    add: &AddInstruction,
) -> Lowered {
    let sources = stage.texts(&add.spec.sources)?;
    let remote = remote::sources(stage, instruction, add, &sources)?;
    let unpack = add.unpack.as_ref().is_none_or(|unpack| unpack.value);
    let archives = if unpack {
        Archives::Unpack
    } else {
        Archives::Keep
    };
    let files = Files {
        verb: Verb::Add,
        spec: &add.spec,
        sources,
        remote,
        from: None,
        archives,
        parents: false,
    };
    files::lower(stage, instruction, &files)
}
