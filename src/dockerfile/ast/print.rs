//! The tree as text that reads as the same tree.
//!
//! Each instruction becomes one line, however many it was written on, with its comments above and its
//! here-documents below.

use std::fmt::{Display, Formatter, Result};

use super::{Ast, Heredoc, Instruction};
use crate::directive::Directive;
use crate::lines::without_continuation;

impl Display for Ast {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        for Directive { name, value, .. } in &self.directives {
            writeln!(f, "# {}={}", name.value.as_str(), value.value)?;
        }
        let comments = self.instructions.iter().any(|one| !one.comments.is_empty());
        if comments || !self.directives.is_empty() {
            // Without a blank line, a comment could be read as one more directive.
            writeln!(f)?;
        }
        for (index, instruction) in self.instructions.iter().enumerate() {
            if index > 0 && !instruction.comments.is_empty() {
                writeln!(f)?;
            }
            write_instruction(f, instruction, self.shield(instruction))?;
        }
        Ok(())
    }
}

impl Ast {
    /// Returns the escape character to be put behind the last line of a file that ends in the middle of an
    /// instruction: without it, the one that the text may end in would be taken for a continuation.
    fn shield(&self, instruction: &Instruction) -> Option<char> {
        let (_, continues) = without_continuation(&instruction.original, self.escape.as_char());
        let unfinished = continues || instruction.original.trim().is_empty();
        unfinished.then_some(self.escape.as_char())
    }
}

impl Display for Instruction {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        write_instruction(f, self, None)
    }
}

fn write_instruction(
    f: &mut Formatter<'_>,
    instruction: &Instruction,
    shield: Option<char>,
) -> Result {
    for comment in &instruction.comments {
        writeln!(f, "# {}", comment.value)?;
    }
    let shield = shield.map(String::from).unwrap_or_default();
    writeln!(f, "{}{shield}", instruction.original.trim_start())?;
    instruction
        .heredocs
        .iter()
        .try_for_each(|heredoc| write!(f, "{heredoc}"))
}

/// Prints the body and the line that ends it.
impl Display for Heredoc {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        writeln!(f, "{}{}", self.content, self.name.value)
    }
}
