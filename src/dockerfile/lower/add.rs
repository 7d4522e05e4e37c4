//! `ADD [flags] source … destination`

use graph::Archives;

use crate::ast::{AddInstruction, Instruction};
use crate::lower::files::{Files, Verb};
use crate::lower::stage_lowering::StageLowering;
use crate::lower::{Lowered, files, not_yet};

/// Copies files of the build context and unpacks those that are archives.
pub(super) fn lower(
    stage: &mut StageLowering<'_>,
    instruction: &Instruction,
    add: &AddInstruction,
) -> Lowered {
    if let Some(checksum) = &add.checksum {
        return Err(not_yet("ADD --checksum", checksum.span));
    }
    if let Some(keep) = &add.keep_git_dir {
        return Err(not_yet("ADD --keep-git-dir", keep.span));
    }
    let sources = stage.texts(&add.spec.sources)?;
    for (source, word) in sources.iter().zip(&add.spec.sources) {
        if let Some(kind) = files::remote(source) {
            return Err(not_yet(&format!("ADD of {kind}"), word.span));
        }
    }
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
        from: None,
        archives,
    };
    files::lower(stage, instruction, &files)
}
