//! `COPY [flags] source … destination`

use graph::Archives;

use crate::ast::{CopyInstruction, Instruction};
use crate::diagnostic::Diagnostic;
use crate::lower::files::{Files, Verb};
use crate::lower::remote::RemoteSources;
use crate::lower::stage_lowering::StageLowering;
use crate::lower::{Lowered, files};

/// Copies files of the build context, of an earlier stage or of an image.
pub(super) fn lower(
    stage: &mut StageLowering<'_>,
    index: usize,
    instruction: &Instruction,
    copy: &CopyInstruction,
) -> Lowered {
    let sources = stage.texts(&copy.spec.sources)?;
    for (source, word) in sources.iter().zip(&copy.spec.sources) {
        if files::remote(source).is_some() {
            let title = format!("COPY takes no URLs: `{}`", word.value);
            let help = "use `ADD`, which does".to_owned();
            return Err(vec![Diagnostic::error(title, word.span).with_help(help)]);
        }
    }
    let from = stage.stage.copies.get(&index);
    let files = Files {
        verb: Verb::Copy,
        spec: &copy.spec,
        sources,
        remote: RemoteSources::new(),
        from,
        archives: Archives::Keep,
        parents: copy.parents,
    };
    files::lower(stage, instruction, &files)
}
