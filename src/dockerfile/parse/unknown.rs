//! A line that starts with no instruction, and what may have been meant.

use crate::ast::InstructionKind;
use crate::diagnostic::{Diagnostic, quoted};
use crate::node::Node;
use crate::suggest;

/// All instructions.
pub(super) const NAMES: [&str; 18] = [
    "ADD",
    "ARG",
    "CMD",
    "COPY",
    "ENTRYPOINT",
    "ENV",
    "EXPOSE",
    "FROM",
    "HEALTHCHECK",
    "LABEL",
    "MAINTAINER",
    "ONBUILD",
    "RUN",
    "SHELL",
    "STOPSIGNAL",
    "USER",
    "VOLUME",
    "WORKDIR",
];

/// Programs that are often seen at the start of a line whose `RUN` was forgotten.
const PROGRAMS: [&str; 26] = [
    "apk", "apt", "apt-get", "bash", "cargo", "cd", "chmod", "chown", "cp", "curl", "dnf", "echo",
    "export", "git", "go", "ln", "make", "mkdir", "mv", "npm", "pip", "pip3", "rm", "sh", "wget",
    "yum",
];

pub(super) fn unknown(node: &Node, diagnostics: &mut Vec<Diagnostic>) -> Option<InstructionKind> {
    let keyword = &node.keyword;
    let title = if keyword.value.is_empty() {
        "empty instruction".to_owned()
    } else {
        format!("unknown instruction: {}", quoted(&keyword.value))
    };
    diagnostics.push(Diagnostic::error(title, keyword.span).with_help(help(&keyword.value)));
    None
}

fn help(keyword: &str) -> Option<String> {
    if PROGRAMS.contains(&keyword) {
        return Some(format!(
            "to run a command in the image, write `RUN {keyword} …`"
        ));
    }
    if matches!(keyword, "&&" | "||" | "|" | ";") {
        return Some("a command goes on in the next line only behind a `\\` at the end".to_owned());
    }
    suggest::did_you_mean(keyword, NAMES)
}
