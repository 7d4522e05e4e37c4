//! The stages of a Dockerfile, each of which can be the target.

use crate::ast::{Ast, InstructionKind, StageAlias};
use crate::call::description;
use crate::source::LineRange;

/// A stage as `--target` knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TargetStage {
    /// Its name in lower case; empty when it has none.
    pub name: String,
    /// What the comment above it says.
    pub description: String,
    /// Whether it is built when no target is named.
    pub is_default: bool,
    /// What it is built on, as written.
    pub base: String,
    /// Its `--platform`, as written; empty when it has none.
    pub platform: String,
    /// The lines of its `FROM`.
    pub lines: LineRange,
}

/// Returns the stages of a Dockerfile in order.
pub fn targets(ast: &Ast) -> Vec<TargetStage> {
    let mut targets = Vec::new();
    for instruction in &ast.instructions {
        let InstructionKind::From(from) = &instruction.kind else {
            continue;
        };
        let name = from.alias.as_ref().map(StageAlias::lower_name);
        let name = name.unwrap_or_default();
        let platform = from.platform.as_ref().map(|word| word.value.clone());
        targets.push(TargetStage {
            description: description(&instruction.comments, &name),
            name,
            is_default: false,
            base: from.image.value.clone(),
            platform: platform.unwrap_or_default(),
            lines: instruction.lines,
        });
    }
    if let Some(last) = targets.last_mut() {
        last.is_default = true;
    }
    targets
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parse::parse;
    use crate::source::SourceFile;

    #[test]
    fn each_stage_is_a_target_and_the_last_is_the_default() {
        let text = "ARG v\n# One makes it\n# one makes it\nFROM --platform=$BUILDPLATFORM a:$v AS One\n\
                    # two is not it\n\nFROM one AS two\nFROM two\n";
        let found = targets(&parse(&SourceFile::new("Dockerfile", text)).ast);
        let shown = found.iter().map(|target| {
            let TargetStage {
                name,
                description,
                is_default,
                base,
                platform,
                lines,
            } = target;
            format!(
                "{name}|{description}|{is_default}|{base}|{platform}|{}",
                lines.first
            )
        });
        assert_eq!(
            shown.collect::<Vec<_>>(),
            [
                "one|makes it|false|a:$v|$BUILDPLATFORM|4",
                "two||false|one||7",
                "||true|two||8",
            ]
        );
    }
}
